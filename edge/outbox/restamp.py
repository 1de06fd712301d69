"""A held parcel as one that may be sent, once the clock is known in which it was polled."""

from dataclasses import replace

from contract.reading import Reason
from edge.clock.marks import ToSlot, restamped
from edge.outbox.parcel import Parcel, gzip_lines


def released(parcel: Parcel, to_slot: ToSlot, doubt: Reason) -> Parcel:
    """Give a held parcel with its lines at their true slots, every point marked with the doubt.

    ValueError and the like when it is damaged.
    """
    lines, at = parcel.lines(), 0
    if sum(count for count, *_ in parcel.rounds) != len(lines):
        raise ValueError(f"other lines than were put in parcel {parcel.sequence}")
    slots, out = [], []
    for count, stamped_ms, _, interval_ms in parcel.rounds:
        slots.append(to_slot(stamped_ms, interval_ms))
        out += restamped(lines[at : at + count], to_slot, interval_ms, doubt)
        at += count
    return replace(
        parcel,
        oldest_ms=min(slots),
        newest_ms=max(slots),
        boot=None,
        rounds=(),
        body=gzip_lines(out),
    )
