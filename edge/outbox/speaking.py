"""What the outbox itself tells the server: what it dropped, set aside, lost, and what waits."""

from collections import Counter
from collections.abc import Callable, Iterable

from edge.outbox.delivery import DeliveryLines
from edge.outbox.parcel import Parcel, Refused

INTERVAL_MS = 60_000  # between two words on what was dropped, and on what waits
Lost = dict[int, tuple[int, int, int]]  # by ledger: first and last sequence, readings


class Speaking:
    """Composes delivery lines for a commit; what was said is forgotten only when it is written."""

    def __init__(self, delivery: DeliveryLines | None) -> None:
        self._delivery = delivery
        self._lost: Lost = {}
        self._dropped_at_ms = self._queued_at_ms = 0

    def lines(
        self,
        now_ms: int,
        lost: Lost,
        refused: Iterable[Refused],
        unread: Iterable[tuple[int, int]],
        queued: Callable[[], tuple[Parcel, int, int] | None],
        *,
        now: bool = False,
    ) -> list[str]:
        """Give what there is to say; `now` also when it was said a moment ago.

        `unread` are the ledgers (outbox_id, next sequence) of which not all could be read again;
        `queued` gives (oldest parcel, next sequence, parcels) that wait.
        """
        if self._delivery is None:
            return []
        out: list[dict[str, float]] = []
        if now or self._is_due(self._dropped_at_ms, now_ms):
            out += [
                {"dropped_first": first, "dropped_last": last, "dropped_readings": readings,
                 "outbox_id": outbox_id}
                for outbox_id, (first, last, readings) in joined(self._lost, lost).items()
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
        waiting = queued() if self._is_due(self._queued_at_ms, now_ms) else None
        if waiting is not None:
            oldest, next_, parcels = waiting
            out.append({"queued_first": oldest.sequence, "queued_last": next_ - 1,
                        "queued_parcels": parcels, "outbox_id": oldest.outbox_id})  # fmt: skip
        return [self._delivery.line(fields) for fields in out]

    def said(self, now_ms: int, lost: Lost, *, now: bool = False) -> None:
        """Take note that what `lines` gave is written."""
        self._lost = joined(self._lost, lost)
        if now or self._is_due(self._dropped_at_ms, now_ms):
            if self._lost:
                self._dropped_at_ms = now_ms
            self._lost = {}
        if self._is_due(self._queued_at_ms, now_ms):
            self._queued_at_ms = now_ms

    @staticmethod
    def _is_due(at_ms: int, now_ms: int) -> bool:
        return not 0 <= now_ms - at_ms < INTERVAL_MS  # a clock set back must not silence it


def joined(one: Lost, other: Lost) -> Lost:
    """Give the spans and counts of two losses together."""
    out = dict(one)
    for outbox_id, (first, last, readings) in other.items():
        low, high, before = out.get(outbox_id, (first, last, 0))
        out[outbox_id] = (min(low, first), max(high, last), before + readings)
    return out
