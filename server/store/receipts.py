"""Receipts out of the fields that agents wrote of their deliveries."""

from collections.abc import Mapping, Sequence

from contract.measurand import MEASURANDS, Medium
from server.series import Series
from server.store.protocol import Receipt

NEEDED = ("sequence_first", "sequence_last", "oldest_ms", "newest_ms", "readings_sent")
LATER = ("outbox_id", "sequence_next")  # not said by older agents


def is_delivery(measurand: str) -> bool:
    """Say whether a measurand speaks of deliveries."""
    known = MEASURANDS.get(measurand)
    return known is not None and known.medium is Medium.DELIVERY


def receipts_of(said: Mapping[str, Mapping[str, Series]]) -> Sequence[Receipt]:
    """Give the receipts among what agents said, oldest first; other words are left out."""
    out = []
    for agent, fields in said.items():
        if not all(name in fields for name in NEEDED):
            continue
        rows: dict[int, dict[str, int]] = {}
        for name in (*NEEDED, *(n for n in LATER if n in fields)):
            series = fields[name]
            for time_ms, value in zip(
                series.times_ms.tolist(), series.values.tolist(), strict=True
            ):
                rows.setdefault(time_ms, {})[name] = int(value)
        out += [
            Receipt(agent=agent, sent_ms=time_ms, **row)
            for time_ms, row in rows.items()
            if all(name in row for name in NEEDED)
        ]
    return sorted(out, key=lambda r: (r.sent_ms, r.agent))
