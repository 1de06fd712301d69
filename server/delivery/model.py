"""What is known of an agent's deliveries, and what can be proved from it."""

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from server.periods import Interval

Records = NDArray[np.void]

# A run of parcels that arrived: numbers first..last of a ledger, reading times oldest..newest,
# readings sent; by said_ms the agent had given out every number below `next` (0: it did not say).
RUN = np.dtype(
    [
        (name, "<i8")
        for name in (
            "ledger", "first", "last", "oldest_ms", "newest_ms", "readings", "said_ms", "next",
        )
    ]
)  # fmt: skip
# An agent's word about numbers first..last; amount: readings, lines or parcels; UNCOUNTED: those of
# them that did not arrive are gone, nobody knows how many readings.
UNCOUNTED = -1
REPORT = np.dtype([(name, "<i8") for name in ("ledger", "at_ms", "first", "last", "amount")])


class Why(StrEnum):
    """Why parcels are not, or not whole, where they should be; worst last."""

    PENDING = "pending"  # younger than the agent's last word
    QUEUED = "queued"  # they wait at the agent
    QUARANTINED = "quarantined"  # lines that the store refuses, kept by the agent
    DROPPED = "dropped"  # given up by the agent's bounds, wholly or in part
    UNKNOWN = "unknown"  # lost: given out, neither arrived nor accounted for


SEVERITY = {why: rank for rank, why in enumerate(Why)}


def _none(kind: np.dtype[np.void]) -> Records:
    return np.empty(0, kind)


@dataclass(frozen=True, slots=True, eq=False)
class AgentLog:
    """All that is known of one agent's deliveries, in any order."""

    agent: str
    runs: Records = field(default_factory=lambda: _none(RUN))
    dropped: Records = field(default_factory=lambda: _none(REPORT))
    quarantined: Records = field(default_factory=lambda: _none(REPORT))
    queued: Records = field(default_factory=lambda: _none(REPORT))


@dataclass(frozen=True, slots=True)
class Finding:
    """Numbers first..last of a ledger (last None: and all that follow) that concern a span.

    start_ms..end_ms: reading times they can be of; parcels: how many did not arrive, 0 where they
    arrived in part; amount: readings dropped or lines quarantined, None where nobody knows.
    """

    outbox_id: int
    first: int
    last: int | None
    why: Why
    start_ms: int
    end_ms: int
    parcels: int | None
    amount: int | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """What can be proved about an agent's deliveries of a span.

    readings_least, readings_most: how many readings the receipts speak of, doubly sent ones
    counted once at least and severally at most.  last_word_ms None: never heard of.
    """

    agent: str
    span: Interval
    findings: tuple[Finding, ...]
    parcels: int
    readings_least: int
    readings_most: int
    last_word_ms: int | None

    @property
    def is_complete(self) -> bool:
        """Say whether everything that the agent gave out for the span is there."""
        return self.last_word_ms is not None and not self.findings

    @property
    def worst(self) -> Why | None:
        """Give the worst reason found."""
        return max((f.why for f in self.findings), key=SEVERITY.__getitem__, default=None)


@dataclass(frozen=True, slots=True)
class DayMark:
    """A day of an agent: parcels and readings that arrived, and the worst that is wrong.

    What arrived is counted on the day it begins; `is_reached`: something that arrived is of this
    day, wherever it is counted.
    """

    start_ms: int
    parcels: int
    readings: int
    is_reached: bool
    worst: Why | None
