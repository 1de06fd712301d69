"""Parcels: what one commit writes and one push sends; a gzip member of lines each."""

import gzip
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from edge.clock.marks import ClockMark

Span = tuple[int, int]  # first and last, both in it


DAMAGED = (OSError, EOFError, zlib.error, ValueError)  # of a body that cannot be unpacked
# a slow bus's few lines are packed tighter, for the card's sake; a fast one's cost too much time
_SMALL_BYTES, _SMALL_LEVEL = 65_536, 6
PRIMARY = "push"  # the destination that every agent has


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may wait: bytes on the card, and age of a slot."""

    max_bytes: int
    max_age_ms: int


@dataclass(frozen=True, slots=True)
class Round:
    """What one bus read at one slot, as it was put; no bus where the outbox itself speaks."""

    bus: str | None
    slot_ms: int
    lines: Sequence[str]
    readings: int
    mark: ClockMark | None = None


@dataclass(frozen=True, slots=True)
class Parcel:
    """Rounds that were committed together: `body` is one gzip member of their lines.

    (outbox_id, sequence) names it for ever; `position` is where it lies in this ledger.  A held
    parcel has a boot, and of each of its rounds (lines, stamped slot, uptime, interval) in ms.
    """

    position: int
    outbox_id: int
    sequence: int
    oldest_ms: int
    newest_ms: int
    readings: int
    boot: str | None
    rounds: tuple[tuple[int, int, int, int], ...]
    body: bytes

    def lines(self) -> list[str]:
        """Give the parcel's lines; OSError, EOFError or zlib.error when the body is damaged."""
        return gzip.decompress(self.body).decode("utf-8").splitlines()


Batch = tuple[Parcel, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A line the server refuses for what it says, and why."""

    outbox_id: int
    sequence: int
    line: str
    reason: str


@dataclass(slots=True)
class Change:
    """All that one transaction does to a ledger; a parcel at a known position replaces that one."""

    parcels: list[Parcel] = field(default_factory=list)
    gone: list[Span] = field(default_factory=list)  # positions
    marks: dict[str, int | None] = field(default_factory=dict)  # None takes the mark away
    refused: list[Refused] = field(default_factory=list)
    taken_back: list[int] = field(default_factory=list)  # ids of refused lines
    settled: dict[str, list[Span]] = field(default_factory=dict)  # all of a destination's
    at_ms: int = 0


def gzip_lines(lines: Iterable[str]) -> bytes:
    """Give lines as one gzip member that others can simply follow."""
    text = "".join(f"{ln}\n" for ln in lines).encode("utf-8", "replace")  # no text stops a commit
    return gzip.compress(text, _SMALL_LEVEL if len(text) <= _SMALL_BYTES else 1, mtime=0)


def packed(rounds: Iterable[Round], outbox_id: int, position: int, sequence: int) -> list[Parcel]:
    """Give the parcels of rounds in their order, numbered from the given ones on.

    One parcel, unless rounds with and without a clock mark, or of two boots, meet.
    """
    out: list[Parcel] = []
    for boot, group in groupby(rounds, lambda r: r.mark.boot_id if r.mark else None):
        some = list(group)
        slots = [r.slot_ms for r in some]
        out.append(
            Parcel(
                position + len(out),
                outbox_id,
                sequence + len(out),
                min(slots),
                max(slots),
                sum(r.readings for r in some),
                boot,
                tuple(
                    (len(r.lines), r.slot_ms, r.mark.uptime_ms, r.mark.interval_ms)
                    for r in some
                    if r.mark
                ),
                gzip_lines(ln for r in some for ln in r.lines),
            )
        )
    return out
