"""What drives the loads: time of day, workdays, weather, presence.  Arrays on a 5-minute grid."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from simulators.layout import PLACES
from simulators.workdays import is_workday

STEP_MS = 300_000
STEPS_A_DAY = 288
SITE_OFFSET_MS = 8 * 3_600_000  # Asia/Shanghai has had no clock change since 1991
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
OVERTIME_CHANCE = 0.18


@dataclass(frozen=True, slots=True, eq=False)
class Conditions:
    """(n,) arrays over the steps of [start_ms, start_ms + n · 5 min)."""

    start_ms: int
    hour: Floats  # of the site's day, 0 <= h < 24
    day: Ints  # days since the first step's site day
    month: Ints
    is_workday: NDArray[np.bool_]
    temperature_c: Floats
    presence: dict[str, Ints]  # persons by place
    is_overtime_day: dict[str, NDArray[np.bool_]]  # by place, (days,)

    @property
    def steps(self) -> int:
        """Give n."""
        return len(self.hour)

    @property
    def days(self) -> int:
        """Give how many site days are touched."""
        return int(self.day[-1]) + 1

    def step_at(self, day: int, hour: float) -> int:
        """Give the step of a site day and hour (may lie outside the grid)."""
        first_day_offset = round(self.hour[0] * 12)
        return int(day * STEPS_A_DAY + round(hour * 12) - first_day_offset)


def conditions(rng: np.random.Generator, start_ms: int, end_ms: int) -> Conditions:
    """Draw the conditions of a period; `start_ms` must be a multiple of five minutes."""
    steps = -(-(end_ms - start_ms) // STEP_MS)
    local_ms = start_ms + SITE_OFFSET_MS + STEP_MS * np.arange(steps, dtype=np.int64)
    day_number = local_ms // 86_400_000
    day = day_number - day_number[0]
    hour = (local_ms % 86_400_000) / 3_600_000
    first = datetime.fromtimestamp((start_ms + SITE_OFFSET_MS) / 1000, UTC).date()
    dates = [first + timedelta(days=i) for i in range(int(day[-1]) + 1)]
    worked = np.array([is_workday(d) for d in dates])
    month = np.array([d.month for d in dates])[day]
    overtime = {p.id: worked & (rng.random(len(dates)) < OVERTIME_CHANCE) for p in PLACES if p.gate}
    presence = {
        p.id: _presence(rng, p.people, hour, worked[day], overtime.get(p.id, ~worked & False)[day])
        for p in PLACES
    }
    year_day = np.array([d.timetuple().tm_yday for d in dates])
    temperature = _temperature(rng, year_day, day, hour)
    return Conditions(start_ms, hour, day, month, worked[day], temperature, presence, overtime)


def _presence(
    rng: np.random.Generator,
    people: int,
    hour: Floats,
    worked: NDArray[np.bool_],
    overtime: NDArray[np.bool_],
) -> Ints:
    """Persons present: in from 7:30, lunch dip, out by 17:50, a few stay on overtime days."""
    shape = np.interp(
        hour,
        [7.5, 8.1, 11.9, 12.4, 14.0, 14.5, 17.4, 17.84],
        [0.0, 0.88, 0.88, 0.25, 0.25, 0.85, 0.85, 0.0],
    )
    noise = 1 + 0.05 * rng.standard_normal(len(hour))
    count = np.where(worked, np.rint(people * shape * noise), 0.0)
    late = overtime & (hour >= 17.4) & (hour < 20.5)
    stay = np.maximum(3, np.rint(people * 0.06))
    return np.where(late, np.maximum(count, stay), np.maximum(count, 0)).astype(np.int64)


def _temperature(rng: np.random.Generator, year_day: Ints, day: Ints, hour: Floats) -> Floats:
    """Outdoor °C of a hot-summer cold-winter town: season, day-to-day weather, hour of day."""
    season = 18.2 - 12.5 * np.cos(2 * np.pi * (year_day - 20) / 365.25)
    weather = np.zeros(len(year_day))
    for i in range(1, len(weather)):
        weather[i] = 0.75 * weather[i - 1] + rng.normal(0, 2.0)
    daily = np.asarray((season + weather)[day])
    return np.asarray(daily + 3.8 * np.sin(2 * np.pi * (hour - 9.0) / 24))
