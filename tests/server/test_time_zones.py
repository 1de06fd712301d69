"""Days and months of a site hold what was used in them, whatever its clock does."""

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from server.jobs.rolling import roll_up
from server.periods import HOUR_MS, KEPT_STEPS, Interval, Step, month_interval
from server.rollup.model import Rollup
from tests.server.test_recompute import SITE, Line, works, write

HALF_MS = HOUR_MS // 2
SPANS = {
    "Asia/Shanghai": ("2026-02-26", "2026-03-04"),
    "Europe/Berlin": ("2026-03-27", "2026-04-02"),  # the day of 23 hours, and a month's end
    "Europe/Paris": ("2026-10-23", "2026-11-02"),  # the day of 25 hours
    "Asia/Kolkata": ("2025-12-29", "2026-01-03"),  # half an hour beside the hour; a year's end
}


def readings(first_ms: int, last_ms: int) -> tuple[list[Line], dict[int, int]]:
    """Give a counter read each half hour, and the steps (in hundredths) by the time they began."""
    rng = np.random.default_rng(7)
    lines: list[Line] = []
    steps: dict[int, int] = {}
    counter = 500_000
    for t in range(first_ms, last_ms + 1, HALF_MS):
        lines.append(("E0", t, counter / 100))
        steps[t] = int(rng.integers(0, 900))
        counter += steps[t]
    del steps[t]
    return lines, steps


def local(t: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(t / 1000, UTC).astimezone(zone)


@pytest.mark.parametrize("name", SPANS)
def test_days_and_hours_hold_the_steps_of_their_local_time(name: str, tmp_path: Path) -> None:
    zone = ZoneInfo(name)
    first, last = (
        int(datetime.fromisoformat(d).replace(tzinfo=zone).timestamp() * 1000) for d in SPANS[name]
    )
    lines, steps = readings(first, last)
    days: dict[Hashable, int] = defaultdict(int)
    hours: dict[Hashable, int] = defaultdict(int)
    months: dict[Hashable, int] = defaultdict(int)
    for t, step in steps.items():
        at = local(t, zone)
        days[at.date()] += step
        months[at.year, at.month] += step
        hours[at.replace(minute=0, second=0).astimezone(UTC)] += step
    span = Interval(first, last)
    with works(tmp_path / "w", replace(SITE, zone=zone)) as it:
        write(it, lines)
        roll_up(it, span, last + HOUR_MS)
        found = {s: it.store.read_rollups(it.site, ["E0"], s, span)["E0"] for s in KEPT_STEPS}
        of_days = {local(int(t), zone).date(): v for t, v in _rows(found[Step.DAY])}
        of_hours = {local(int(t), zone).astimezone(UTC): v for t, v in _rows(found[Step.HOUR])}
        assert of_days == {d: n / 100 for d, n in days.items()}
        assert of_hours == {h: n / 100 for h, n in hours.items()}
        assert len(of_days) == (date.fromisoformat(SPANS[name][1]) - min(of_days)).days
        for year, month in {(d.year, d.month) for d in of_days}:
            whole = month_interval(year, month, zone)
            part = Interval(max(whole.start_ms, first), min(whole.end_ms, last))
            kept = it.store.read_rollups(it.site, ["E0"], Step.DAY, part)["E0"]
            assert round(float(kept.values.sum()), 6) == months[year, month] / 100


def _rows(rollup: Rollup) -> list[tuple[int, float]]:
    pairs = zip(rollup.edges_ms[:-1], rollup.values, strict=True)
    return [(int(t), round(float(v), 6)) for t, v in pairs]
