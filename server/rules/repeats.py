"""Repeats: what mains say of a waste that a meter below them says already.  Pure."""

from collections.abc import Iterator, Mapping, Sequence

from server.rules.engine import AlertSpan

Spans = Mapping[str, Sequence[AlertSpan]]


def lowest(found: Spans, parents: Mapping[str, str | None]) -> dict[str, list[AlertSpan]]:
    """Give a rule's alerts by meter without those that a meter below says at the same time.

    The lowest meter is nearest to the waste; the mains above it only repeat it.
    """
    told: dict[str, list[AlertSpan]] = {}
    for meter, spans in found.items():
        for above in _above(meter, parents):
            told.setdefault(above, []).extend(spans)
    return {
        meter: [s for s in spans if not any(_overlap(s, t) for t in told.get(meter, ()))]
        for meter, spans in found.items()
    }


def _above(meter: str, parents: Mapping[str, str | None]) -> Iterator[str]:
    seen = {meter}
    above = parents.get(meter)
    while above is not None and above not in seen:
        yield above
        seen.add(above)
        above = parents.get(above)


def _overlap(a: AlertSpan, b: AlertSpan) -> bool:
    return (b.end_ms is None or a.start_ms < b.end_ms) and (
        a.end_ms is None or b.start_ms < a.end_ms
    )
