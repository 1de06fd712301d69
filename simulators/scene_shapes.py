"""What a random building is like: size, people, habits, weather.  5-minute steps."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from simulators.conditions import Floats
from simulators.workdays import is_workday

STEP_MS, STEPS_A_DAY = 300_000, 288
DAY_MS = 86_400_000
OFFSET_MS = 8 * 3_600_000
LEARN_DAYS, SCORED_DAYS = 28, 42
DAYS = LEARN_DAYS + SCORED_DAYS
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Shape:
    """One building's traits, drawn at random; loads in kW, flows in m³/h."""

    area_m2: float
    people: int
    has_gate: bool
    has_ac_meters: bool
    has_plug_meter: bool
    keeps_saving_hour: bool
    noise: float
    ac_w_per_m2: float
    cool_from_c: float
    heat_from_c: float
    arrive_h: float
    leave_h: float
    lunch_share: float
    overtime_chance: float
    weekend_chance: float
    cleaning_day: int  # Monday 0 … Saturday 5
    server_kw: float
    guard_kw: float
    fridge_share: float
    emergency_share: float
    gate_miss: float  # share of leavers a gate does not count
    litres_a_person: float
    ac_standby_kw: float


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """The days a building lives through, (n,) over steps, and who is in it."""

    start_ms: int
    shape: Shape
    dates: tuple[date, ...]
    hour: Floats
    day: NDArray[np.int64]
    is_workday: Bools
    outdoor_c: Floats
    people: Floats

    @property
    def steps(self) -> int:
        """Give n."""
        return len(self.hour)

    def step(self, day: int, hour: float) -> int:
        """Give the step of a day and hour."""
        return min(self.steps, max(0, round((day * 24 + hour) * 12)))


def draw_shape(rng: np.random.Generator) -> Shape:
    """Draw a building."""
    area = float(np.exp(rng.uniform(np.log(900), np.log(12_000))))
    return Shape(
        area_m2=area,
        people=int(area / rng.uniform(18, 45)),
        has_gate=bool(rng.random() < 0.6),
        has_ac_meters=bool(rng.random() < 0.6),
        has_plug_meter=bool(rng.random() < 0.75),
        keeps_saving_hour=bool(rng.random() < 0.5),
        noise=float(rng.uniform(0.03, 0.12)),
        ac_w_per_m2=float(rng.uniform(18, 38)),
        cool_from_c=float(rng.uniform(23.5, 26.5)),
        heat_from_c=float(rng.uniform(11, 15)),
        arrive_h=float(rng.uniform(7.3, 7.9)),
        leave_h=float(rng.uniform(17.6, 18.1)),
        lunch_share=float(rng.uniform(0.15, 0.7)),
        overtime_chance=float(rng.uniform(0.03, 0.3)),
        weekend_chance=float(rng.uniform(0.0, 0.3)),
        cleaning_day=int(rng.integers(4, 6)),
        server_kw=float(rng.choice([0.0, 0.0, rng.uniform(1, 10)])),
        guard_kw=float(rng.choice([0.0, rng.uniform(0.4, 1.8)])),
        fridge_share=float(rng.uniform(0.02, 0.12)),
        emergency_share=float(rng.uniform(0.03, 0.12)),
        gate_miss=float(rng.choice([0.0, 0.0, rng.uniform(0.002, 0.01)])),
        litres_a_person=float(rng.uniform(25, 70)),
        ac_standby_kw=float(rng.choice([0.0, rng.uniform(0.02, 0.15)])),
    )


def draw_setting(rng: np.random.Generator, shape: Shape) -> Setting:
    """Draw ten weeks somewhere from 2024 on, the weather and the people."""
    first = date(2024, 1, 1) + timedelta(days=int(rng.integers(0, 366 + 365 - DAYS)))
    dates = tuple(first + timedelta(days=i) for i in range(DAYS))
    midnight = datetime(first.year, first.month, first.day, tzinfo=UTC)
    start_ms = int(midnight.timestamp() * 1000) - OFFSET_MS
    hour = np.tile(np.arange(STEPS_A_DAY) / 12.0, DAYS)
    day = np.repeat(np.arange(DAYS), STEPS_A_DAY)
    worked = np.array([is_workday(d) for d in dates])
    people = _people(rng, shape, dates, worked, hour, day)
    outdoor = _outdoor(rng, dates, hour, day)
    return Setting(start_ms, shape, dates, hour, day, worked[day], outdoor, people)


def _outdoor(
    rng: np.random.Generator, dates: tuple[date, ...], hour: Floats, day: NDArray[np.int64]
) -> Floats:
    year_day = np.array([d.timetuple().tm_yday for d in dates])
    season = rng.uniform(16.5, 19.0) - rng.uniform(10.5, 13.0) * np.cos(
        2 * np.pi * (year_day - 20) / 365.25
    )
    weather = np.zeros(len(dates))
    for i in range(1, len(dates)):
        weather[i] = 0.75 * weather[i - 1] + rng.normal(0, 2.0)
    return np.asarray(
        (season + weather)[day] + rng.uniform(2.5, 4.5) * np.sin(2 * np.pi * (hour - 9) / 24)
    )


def _people(
    rng: np.random.Generator,
    s: Shape,
    dates: tuple[date, ...],
    worked: Bools,
    hour: Floats,
    day: NDArray[np.int64],
) -> Floats:
    full = rng.uniform(0.7, 0.92)
    shape = np.interp(
        hour,
        [s.arrive_h, s.arrive_h + 0.6, 12.0, 12.3, 14.0, 14.5, s.leave_h - 0.5, s.leave_h],
        [0, full, full, full * s.lunch_share, full * s.lunch_share, full, full, 0],
    )
    daily = np.clip(rng.normal(1, 0.06, len(dates)), 0.7, 1.15)
    count = np.where(worked[day], np.rint(s.people * shape * daily[day]), 0.0)
    for d in range(len(dates)):
        here = day == d
        if worked[d] and rng.random() < s.overtime_chance:
            until = rng.uniform(19.0, 21.4)
            stay = max(3, round(s.people * rng.uniform(0.03, 0.12)))
            late = here & (hour >= s.leave_h - 0.5) & (hour < until)
            count[late] = np.maximum(count[late], stay)
        if not worked[d] and rng.random() < s.weekend_chance:
            a = rng.uniform(8.5, 13)
            some = max(3, round(s.people * rng.uniform(0.03, 0.15)))
            count[here & (hour >= a) & (hour < a + rng.uniform(2, 6))] = some
        if dates[d].weekday() == 5 and s.cleaning_day == 5 and not worked[d]:
            count[here & (hour >= 8.5) & (hour < 11)] = max(4, s.people // 20)
    return count
