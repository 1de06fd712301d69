"""How a meter of the site is to be read."""

from server.periods import MINUTE_MS
from server.rollup.counter import register_track, without_excluded
from server.rollup.power import power_track
from server.rollup.track import FOREVER_MS, NO_ENTRIES, Counting, Entries, Track
from server.series import Series
from server.site.model import Meter

POWER_SUFFIXES = ("_kw", "_per_h")


def counting(meter: Meter) -> Counting:
    """Give how a meter's register is read: widths, factors, replacements, what is believed."""
    moments = {FOREVER_MS}
    moments |= {r.from_ms for r in meter.ratios if r.from_ms is not None}
    for c in meter.corrections:
        moments |= {c.start_ms} | ({c.end_ms} if c.end_ms is not None else set())
    factors = [(at, _factor(meter, at)) for at in sorted(moments)]
    is_plain = all(f == 1.0 for _, f in factors)
    most = meter.max_power or meter.carrier.default_max_power
    return Counting(
        widths=tuple(
            (FOREVER_MS if r.from_ms is None else r.from_ms, r.value) for r in meter.registers
        ),
        factors=() if is_plain else tuple(factors),
        replacements=meter.replacements,
        max_power=most,
        max_spacing_ms=round(meter.max_spacing_min * MINUTE_MS),
    )


def _factor(meter: Meter, at_ms: int) -> float:
    factor = 1.0
    for r in meter.ratios:
        if r.from_ms is None or r.from_ms <= at_ms:
            factor = r.value
    for c in meter.corrections:
        if c.start_ms <= at_ms and (c.end_ms is None or at_ms < c.end_ms):
            factor *= c.factor
    return factor


def is_power(measurand: str) -> bool:
    """Say whether a measurand is a power or a flow, to be integrated."""
    return measurand.endswith(POWER_SUFFIXES)


def meter_track(meter: Meter, series: Series, entries: Entries = NO_ENTRIES) -> Track:
    """Give the track of a real or billed meter; readings by hand are of registers only."""
    how = counting(meter)
    if is_power(meter.measurand):
        series = without_excluded(series, entries)
        return power_track(series, how.max_spacing_ms, how.max_power)
    return register_track(series, how, entries)
