"""Grids follow the site's calendar: no summer time, summer time, and a half-hour zone."""

from datetime import UTC, date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from server.periods import (
    DAY_MS,
    HOUR_MS,
    QUARTER_MS,
    Interval,
    Step,
    day_interval,
    day_of,
    edges,
    month_interval,
    year_interval,
)

ZONES = [ZoneInfo(n) for n in ("Asia/Shanghai", "Europe/Berlin", "Asia/Kolkata")]


@pytest.mark.parametrize("zone", ZONES, ids=str)
@pytest.mark.parametrize("step", list(Step))
def test_a_year_is_covered_once_without_gaps(zone: ZoneInfo, step: Step) -> None:
    year = year_interval(2026, zone)
    grid = edges(year, step, zone)
    assert (grid[0], grid[-1]) == (year.start_ms, year.end_ms)
    assert (np.diff(grid) > 0).all()
    if step in {Step.QUARTER, Step.HOUR}:
        assert set(np.diff(grid)) == {QUARTER_MS if step is Step.QUARTER else HOUR_MS}


@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_every_day_and_month_begins_at_local_midnight(zone: ZoneInfo) -> None:
    for edge in edges(year_interval(2026, zone), Step.DAY, zone).tolist():
        local = datetime.fromtimestamp(edge / 1000, UTC).astimezone(zone)
        assert (local.hour, local.minute) == (0, 0)
    months = [month_interval(2026, m, zone) for m in range(1, 13)]
    assert all(a.end_ms == b.start_ms for a, b in pairwise(months))
    assert months[0].start_ms == year_interval(2026, zone).start_ms
    assert months[-1].end_ms == year_interval(2026, zone).end_ms


def test_days_of_a_clock_change_are_23_and_25_hours_long() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert day_interval(date(2026, 3, 29), berlin).hours == 23
    assert day_interval(date(2026, 10, 25), berlin).hours == 25


def test_both_sides_of_midnight_belong_to_their_own_day() -> None:
    zone = ZoneInfo("Asia/Shanghai")
    midnight = day_interval(date(2026, 1, 1), zone).start_ms
    assert day_of(midnight, zone) == date(2026, 1, 1)
    assert day_of(midnight - 1, zone) == date(2025, 12, 31)


def test_an_interval_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="ends before"):
        Interval(5, 4)
    assert len(edges(Interval(5, 5), Step.DAY, ZoneInfo("Asia/Shanghai"))) <= 2
    assert DAY_MS == 24 * HOUR_MS
