"""Give lines their true time, once the clock is known in which they were polled."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from contract.line import LAG_FIELD, QUALITY_SUFFIX
from contract.reading import Reason
from edge.outbox.parcel import Parcel, gzip_lines


def restamped(
    parcel: Parcel, to_slot: Callable[[int, int], int], doubt: Reason | None = None
) -> Parcel:
    """Give a held parcel as one that may be sent; ValueError and the like when it is damaged.

    `to_slot(stamped slot, interval)` gives the true slot; `doubt` goes beside every good value.
    """
    found = parcel.lines()
    lines = iter(found)
    if sum(count for count, *_ in parcel.rounds) != len(found):
        raise ValueError(f"other lines than were put in parcel {parcel.sequence}")
    slots, out = [], []
    for count, stamped_ms, _, interval_ms in parcel.rounds:
        slots.append(to_slot(stamped_ms, interval_ms))
        out += [_at(next(lines), slots[-1], doubt) for _ in range(count)]
    return replace(
        parcel,
        oldest_ms=min(slots),
        newest_ms=max(slots),
        boot=None,
        rounds=(),
        body=gzip_lines(out),
    )


def _at(line: str, slot_ms: int, doubt: Reason | None) -> str:
    head, _, _ = line.rpartition(" ")
    if doubt is not None:
        series, _, fields = head.rpartition(" ")  # our field names and numbers hold no space
        head = f"{series} {','.join(_doubted(fields.split(','), doubt))}"
    return f"{head} {slot_ms}"


def _doubted(fields: list[str], doubt: Reason) -> Iterator[str]:
    names = {f.partition("=")[0] for f in fields}
    for field in fields:
        yield field
        name = field.partition("=")[0]
        if name.endswith(QUALITY_SUFFIX) or name == LAG_FIELD or name + QUALITY_SUFFIX in names:
            continue
        yield f"{name}{QUALITY_SUFFIX}={float(doubt)!r}"
