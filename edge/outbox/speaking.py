"""What the outbox itself tells the server: what it dropped, set aside, lost, and what waits."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from contract.line import parse_line
from edge.outbox.delivery import DeliveryLines
from edge.outbox.parcel import DAMAGED, Parcel, Refused

DROPPED_INTERVAL_MS = 600_000  # between two words on what was dropped
QUEUED_INTERVAL_MS = 60_000  # and on what waits
_LOST = "lost:"
_DROPPED = ("dropped_first", "dropped_last", "dropped_readings")
_TOLD = f" {_DROPPED[0]}="
Lost = dict[int, tuple[int, int, int]]  # by ledger: first and last sequence, readings


class Speaking:
    """Composes delivery lines for a commit; what was said is forgotten only when it is written."""

    def __init__(self, delivery: DeliveryLines | None, marks: Mapping[str, int]) -> None:
        self._delivery = delivery
        self._lost: Lost = {}
        for name in marks:
            if name.startswith(_LOST) and name.endswith(":first"):
                outbox_id = int(name.split(":")[1])
                first, last, readings = (marks.get(n, 0) for n in _lost_names(outbox_id))
                self._lost[outbox_id] = (first, last, readings)
        self._dropped_at_ms = self._queued_at_ms = 0

    def lines(
        self,
        now_ms: int,
        lost: Lost,
        refused: Iterable[Refused],
        unread: Iterable[tuple[int, int]],
        queued: Callable[[], tuple[Parcel, int, int] | None],
        *,
        last: bool = False,
    ) -> list[str]:
        """Give what there is to say; `last` leaves no drop untold.

        `unread` are the ledgers (outbox_id, next sequence) of which not all could be read again;
        `queued` gives (oldest parcel, next sequence, parcels) that wait.
        """
        if self._delivery is None:
            return []
        out: list[Mapping[str, float]] = []
        if last or _is_due(self._dropped_at_ms, now_ms, DROPPED_INTERVAL_MS):
            out += [
                dict(zip(_DROPPED, values, strict=True)) | {"outbox_id": outbox_id}
                for outbox_id, values in joined(self._lost, lost).items()
            ]  # fmt: skip
        out += [
            {"dropped_first": 1, "dropped_last": next_ - 1, "outbox_id": outbox_id}
            for outbox_id, next_ in unread
            if next_ > 1
        ]
        out += [
            {"quarantined_sequence": sequence, "quarantined_lines": lines, "outbox_id": outbox_id}
            for (outbox_id, sequence), lines in Counter(
                (r.outbox_id, r.sequence) for r in refused
            ).items()
        ]
        is_due = _is_due(self._queued_at_ms, now_ms, QUEUED_INTERVAL_MS)
        if is_due and not last and (waiting := queued()) is not None:
            oldest, next_, parcels = waiting
            out.append({"queued_first": oldest.sequence, "queued_last": next_ - 1,
                        "queued_parcels": parcels, "outbox_id": oldest.outbox_id})  # fmt: skip
        return [self._delivery.line(fields) for fields in out]

    def marks(self, now_ms: int, lost: Lost, *, last: bool = False) -> dict[str, int | None]:
        """Give what has to be kept of what is dropped and not said yet."""
        is_said = last or _is_due(self._dropped_at_ms, now_ms, DROPPED_INTERVAL_MS)
        return {
            name: None if is_said else value
            for outbox_id, values in joined(self._lost, lost).items()
            for name, value in zip(_lost_names(outbox_id), values, strict=True)
        }

    def said(self, now_ms: int, lost: Lost, *, last: bool = False) -> None:
        """Take note that what `lines` and `marks` gave is written."""
        self._lost = joined(self._lost, lost)
        if last or _is_due(self._dropped_at_ms, now_ms, DROPPED_INTERVAL_MS):
            if self._lost:
                self._dropped_at_ms = now_ms
            self._lost = {}
        if _is_due(self._queued_at_ms, now_ms, QUEUED_INTERVAL_MS):
            self._queued_at_ms = now_ms


def joined(one: Lost, other: Lost) -> Lost:
    """Give the spans and counts of two losses together."""
    out = dict(one)
    for outbox_id, (first, last, readings) in other.items():
        low, high, before = out.get(outbox_id, (first, last, 0))
        out[outbox_id] = (min(low, first), max(high, last), before + readings)
    return out


def told_in(parcel: Parcel) -> Lost:
    """Give the losses that a parcel's lines tell of."""
    lost: Lost = {}
    try:
        told = [parse_line(line).fields for line in parcel.lines() if _TOLD in line]
    except DAMAGED:
        return lost
    for fields in told:
        first, last, readings = (int(fields.get(n, 0)) for n in _DROPPED)
        lost = joined(lost, {int(fields["outbox_id"]): (first, last, readings)})
    return lost


def _is_due(at_ms: int, now_ms: int, interval_ms: int) -> bool:
    return not 0 <= now_ms - at_ms < interval_ms  # a clock set back must not silence it


def _lost_names(outbox_id: int) -> tuple[str, str, str]:
    first, last, readings = (f"{_LOST}{outbox_id}:{what}" for what in ("first", "last", "readings"))
    return first, last, readings
