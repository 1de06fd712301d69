"""How a gap is filled: by the meter's own load profile of the days before it, else evenly.

The profile is the mean of each quarter hour of the day, workdays (Monday to Friday) and weekends
apart, over the measured quarters of the 14 days before the gap.  Only the shape is taken from it;
the amount is what the counter says.
"""

from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np

from server.periods import DAY_MS, HOUR_MS, QUARTER_MS, Interval, Step, day_of, edges
from server.rollup.model import Grade
from server.rollup.track import Fill, Track, totals_at, unseen_ms
from server.series import Times, Values

SHAPE_DAYS = 14
MIN_GAP_MS = HOUR_MS  # shorter gaps are filled evenly
QUARTERS = 96
MIN_SEEN_DAYS = 3


def with_shapes(track: Track, zone: ZoneInfo) -> Track:
    """Give the track with its gaps filled by the profile: the ends of every gap stay exact."""
    times = track.times_ms
    gaps = [
        int(s)
        for s, grade, seen in zip(track.marked, track.grades, track.seen, strict=True)
        if not seen and grade < Grade.MISSING and times[s + 1] - times[s] >= MIN_GAP_MS
        and np.diff(track.at(np.array([s, s + 1])))[0] > 0
    ]  # fmt: skip
    fills = tuple(f for s in gaps if (f := _filled(track, s, zone)) is not None)
    return replace(track, fills=fills) if fills else track


def _filled(track: Track, step: int, zone: ZoneInfo) -> Fill | None:
    """Give the quarter edges of a gap and the totals at them; None: fill it evenly."""
    start, end = int(track.times_ms[step]), int(track.times_ms[step + 1])
    profile = load_profile(track, start, zone)
    if profile is None:
        return None
    grid = edges(Interval(start, end), Step.QUARTER, zone)
    bounds = np.unique(np.clip(grid, start, end))
    kinds, quarters = _slots(bounds[:-1], zone)
    weight = profile[kinds, quarters] * np.diff(bounds)
    whole = float(weight.sum())
    if not whole > 0:
        return None
    low, high = track.at(np.array([step, step + 1])).tolist()
    share = np.concatenate([[0.0], np.cumsum(weight)]) / whole
    share[-1] = 1.0
    totals = low + np.rint((high - low) * np.clip(share, 0.0, 1.0)).astype(np.int64)
    return Fill(bounds, totals)


def load_profile(track: Track, before_ms: int, zone: ZoneInfo) -> Values | None:
    """Give mean ticks per quarter, (2, 96): workdays and weekends; None when too little is known.

    A kind of day that was not seen takes the other's profile.
    """
    first = before_ms - SHAPE_DAYS * DAY_MS
    grid = edges(Interval(first, before_ms), Step.QUARTER, zone)
    grid = grid[(grid >= first) & (grid <= before_ms)]
    if len(grid) < 2 or not len(track.times_ms):
        return None
    totals, inside = totals_at(track, grid)
    seen = inside[1:] & inside[:-1] & (unseen_ms(track, grid) == 0)
    kinds, quarters = _slots(grid[:-1], zone)
    slot = (kinds * QUARTERS + quarters)[seen]
    count = np.bincount(slot, minlength=2 * QUARTERS).reshape(2, QUARTERS)
    total = np.bincount(slot, np.diff(totals)[seen], 2 * QUARTERS).reshape(2, QUARTERS)
    if count.sum() < MIN_SEEN_DAYS * QUARTERS:
        return None
    both = total.sum(axis=0) / np.maximum(count.sum(axis=0), 1)
    if (count.sum(axis=0) == 0).any():
        return None
    return np.where(count > 0, total / np.maximum(count, 1), both)


def _slots(starts_ms: Times, zone: ZoneInfo) -> tuple[np.ndarray, np.ndarray]:
    """Give (0 workday or 1 weekend, quarter of the day) of instants, by the site's clock."""
    first_day = day_of(int(starts_ms[0]), zone)
    days = edges(Interval(int(starts_ms[0]), int(starts_ms[-1]) + 1), Step.DAY, zone)
    at = np.searchsorted(days, starts_ms, "right") - 1
    quarters = np.minimum((starts_ms - days[at]) // QUARTER_MS, QUARTERS - 1)
    kinds = ((first_day.weekday() + at) % 7 >= 5).astype(np.intp)
    return kinds, quarters.astype(np.intp)
