"""What a Modbus link offers to the driver, and the ways in which it can fail."""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from contract.reading import Reason
from edge.drivers.protocol import LinkStats
from edge.plan import ReadBlock


class Kind(Enum):
    """What went wrong with one request."""

    SILENT = "silent"  # nothing usable came in time; an answer may still be under way
    DAMAGED = "damaged"  # bytes came, but not a frame
    FOREIGN = "foreign"  # a good frame that answers something else; ours may be under way
    EXCEPTION = "exception"  # the device refuses
    LOST = "lost"  # the link went away under the request
    CLOSED = "closed"  # the link cannot be opened


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request has no words; becomes a DeviceError unless asking again helps."""

    kind: Kind
    reason: Reason
    detail: str


Answer = tuple[int, ...] | Failure


class Link(Protocol):
    """One connection, one request at a time.

    is_guarded: no transaction id on the wire, so a late answer must be kept away by time
    timeout_s:  the longest any device of this link may take to answer
    floor_s:    the least that a device is waited for, however quick it has been
    """

    stats: LinkStats
    is_guarded: bool
    timeout_s: float
    floor_s: float

    @property
    def took_s(self) -> float:
        """Give the newest answer's time, from the last byte asked to the last byte heard."""

    @property
    def is_open(self) -> bool:
        """Say whether a request can be sent now."""

    def answer_wire_s(self, count: int) -> float:
        """Give the time an answer of `count` registers takes on the wire; 0 where unknown."""

    async def open(self) -> None:
        """Open the link; DeviceError(REFUSED) says why that fails."""

    async def exchange(
        self, unit: int, block: ReadBlock, pause_s: float, wait_s: float, *, again: bool
    ) -> Answer:
        """Ask once; `again` says that it is the same question as before."""

    async def close(self) -> None:
        """Close the link, and let go of what it holds."""


def lost(detail: str) -> Failure:
    """Give the failure of a link that went away."""
    return Failure(Kind.LOST, Reason.REFUSED, detail)


def silent(wait_s: float) -> Failure:
    """Give the failure of a device that said nothing for `wait_s`."""
    return Failure(Kind.SILENT, Reason.TIMEOUT, f"no answer in {wait_s * 1000:.0f} ms")


def damaged(detail: str) -> Failure:
    """Give the failure of bytes that are no frame."""
    return Failure(Kind.DAMAGED, Reason.PROTOCOL, detail)


def foreign(detail: str) -> Failure:
    """Give the failure of a frame that answers another question."""
    return Failure(Kind.FOREIGN, Reason.PROTOCOL, detail)
