"""Power readings → a track, for a device that has no counter: derived, never across a gap."""

from dataclasses import replace

import numpy as np

from server.periods import HOUR_MS
from server.rollup.model import Grade
from server.rollup.ticks import PER_UNIT
from server.rollup.track import CounterEvent, EventKind, Mark, Track, track_of
from server.series import Series


def power_track(series: Series, max_spacing_ms: int, max_power: float) -> Track:
    """Integrate mean power between neighbours (trapezium).  series: kW or m³/h, (n,).

    Negative power is export and counts as 0; more than the place can use is garbage and left out.
    Over a gap nothing is known and nothing is added.
    """
    possible = np.abs(series.values) <= max_power
    times, power = series.times_ms[possible], np.maximum(series.values[possible], 0.0)
    if len(times) < 2:
        return Track.empty()
    spans = np.diff(times)
    energy = (power[1:] + power[:-1]) / 2 * spans / HOUR_MS
    is_gap = spans > max_spacing_ms
    steps = np.where(is_gap, 0, np.rint(energy * PER_UNIT)).astype(np.int64)
    totals = np.concatenate([[0], np.cumsum(steps)])
    marks: list[Mark] = [(int(s), Grade.MISSING, False) for s in np.flatnonzero(is_gap)]
    events = [
        CounterEvent(int(times[s]), int(times[s + 1]), EventKind.GAP)
        for s in np.flatnonzero(is_gap)
    ]
    events += [
        CounterEvent(int(at), int(at) + 1, EventKind.GARBAGE) for at in series.times_ms[~possible]
    ]
    return replace(track_of(times, totals, marks, events), usual=Grade.DERIVED)
