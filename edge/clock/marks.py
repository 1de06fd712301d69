"""Marks: rounds read before the time was known, and how they are given their time.  Pure.

While the time is not known, slots lie on a grid of a provisional time: the uptime plus an offset
that never moves within a boot.  Once it is known, all of a boot's slots move by one shift, down to
the grid: neighbours stay neighbours, so that none meets another and no gap is made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from contract.line import LAG_FIELD, QUALITY_SUFFIX
from contract.measurand import Medium
from contract.reading import Reason

_REPLACED = {Reason.GOOD, Reason.CLOCK_UNSYNCED, Reason.CLOCK_RESTAMPED}


@dataclass(frozen=True, slots=True)
class ClockMark:
    """What a round is kept with that was read before the time was known.

    uptime_ms: the slot as time since boot, suspended time included
    """

    boot_id: str
    uptime_ms: int
    interval_ms: int


@dataclass(frozen=True, slots=True)
class ToSlot:
    """Gives slots of a provisional time their true place: `shift_ms` on, then down to the grid."""

    shift_ms: int

    def __call__(self, slot_ms: int, interval_ms: int) -> int:
        """Give the true slot of a slot as stamped."""
        moved_ms = self.moved(slot_ms)
        return moved_ms - moved_ms % interval_ms

    def moved(self, time_ms: int) -> int:
        """Give the true time of a time as stamped."""
        return time_ms + self.shift_ms


class Holder(Protocol):
    """An outbox that holds marked rounds back until they are given their time.  Thread-safe."""

    def held_boots(self) -> Sequence[str]:
        """Give the boots whose rounds are held, oldest first."""

    def restamp(self, boot_id: str, to_slot: ToSlot, doubt: Reason) -> int:
        """Give the rounds of a boot their time, every point marked with the doubt, and let them
        go; give how many there were.
        """


def restamped(lines: Sequence[str], to_slot: ToSlot, interval_ms: int, doubt: Reason) -> list[str]:
    """Give a round's lines with their true slot, their lag to it, and every point marked.

    A mark takes no value away: a bad point keeps its reason, and so does a doubtful one unless
    the time itself is doubtful.  Lines of deliveries are moved but neither marked nor aligned.
    """
    return [_restamped(line, to_slot, interval_ms, doubt) for line in lines]


def _restamped(line: str, to_slot: ToSlot, interval_ms: int, doubt: Reason) -> str:
    head, fields, time = line.rsplit(" ", 2)  # fields and time hold no blanks
    time_ms = int(time)
    if head.startswith(f"{Medium.DELIVERY},"):
        return f"{head} {fields} {to_slot.moved(time_ms)}"
    slot_ms = to_slot(time_ms, interval_ms)
    later_s = (to_slot.moved(time_ms) - slot_ms) / 1000
    return f"{head} {_marked(fields, later_s, doubt)} {slot_ms}"


def _marked(text: str, later_s: float, doubt: Reason) -> str:
    fields = {n: float(v) for n, v in (f.split("=") for f in text.split(","))}
    lag_s = fields.pop(LAG_FIELD, None)
    out = []
    for name in dict.fromkeys(n.removesuffix(QUALITY_SUFFIX) for n in fields):
        before = Reason(int(fields.get(name + QUALITY_SUFFIX, Reason.GOOD)))
        if name in fields:
            out.append(f"{name}={fields[name]!r}")
        out.append(f"{name}{QUALITY_SUFFIX}={float(_worse(before, doubt))!r}")
    if lag_s is not None:
        out.append(f"{LAG_FIELD}={round(lag_s + later_s, 3)!r}")
    return ",".join(out)


def _worse(before: Reason, doubt: Reason) -> Reason:
    if before.is_bad:
        return before
    is_guess = doubt is Reason.CLOCK_UNSYNCED
    return doubt if is_guess or before in _REPLACED else before


def put_before(spans_ms: Sequence[tuple[int, int]], began_ms: int) -> list[ToSlot]:
    """Give where boots that never knew the time are put: `spans_ms` of their provisional time.

    Oldest first, each is left where it is, but ends at the latest when the next one begins; the
    last when the present boot began.
    """
    out: list[ToSlot] = []
    latest_ms = began_ms
    for start_ms, end_ms in reversed(spans_ms):
        shift_ms = min(0, latest_ms - 1 - end_ms)
        out.append(ToSlot(shift_ms))
        latest_ms = start_ms + shift_ms
    return out[::-1]
