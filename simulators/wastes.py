"""Wastes: what goes wrong on purpose, and the truth about it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from simulators.conditions import STEP_MS, Conditions, Floats
from simulators.layout import SimMeter, meters

RECENT_DAYS = 10
_AC_EVENTS, _LIGHT_EVENTS, _LEAKS = 40, 24, 6
_SHORTEST_LEAK_MS = 2 * 86_400_000


@dataclass(frozen=True, slots=True)
class Waste:
    """One waste: kind, where, [start, end) and what it adds per hour (kW or m³/h)."""

    kind: str  # unattended_ac | lights_all_night | running_water
    meter: str
    building: str
    start_ms: int
    end_ms: int
    excess_per_h: float


def draw_wastes(rng: np.random.Generator, now: Conditions, now_ms: int) -> tuple[Waste, ...]:
    """Draw a period's wastes; some lie in the ten days before `now_ms`, one leak still runs."""
    today = (now_ms - now.start_ms) // 86_400_000
    wastes = [
        *_ac(rng, now, int(today)),
        *_lights(rng, now, int(today)),
        *_leaks(rng, now, now_ms),
    ]
    return tuple(sorted(wastes, key=lambda w: (w.start_ms, w.meter)))


def apply(waste: Waste, load: Floats, start_ms: int) -> None:
    """Put a waste onto its circuit's load, in place."""
    first, last = (waste.start_ms - start_ms) // STEP_MS, (waste.end_ms - start_ms) // STEP_MS
    span = load[max(0, first) : max(0, last)]
    if waste.kind == "running_water":
        span += waste.excess_per_h
    else:  # the circuit stays on: it never falls below what was left running, and flutters
        flutter = 1 + 0.01 * np.sin(2.4 * np.arange(len(span)))
        np.maximum(span, waste.excess_per_h * flutter, out=span)


def _span(now: Conditions, day: int, begin_h: float, end_h: float) -> tuple[int, int]:
    first, last = now.step_at(day, begin_h), now.step_at(day, end_h)
    return now.start_ms + first * STEP_MS, now.start_ms + last * STEP_MS


def _evenings(rng: np.random.Generator, now: Conditions, today: int, count: int) -> list[int]:
    """Draw workdays, the last three of them in the ten days before today."""
    worked = [d for d in range(9, today - 1) if now.is_workday[max(0, now.step_at(d, 12.0))]]
    recent = [d for d in worked if d >= today - RECENT_DAYS]
    older = [d for d in worked if d < today - RECENT_DAYS]
    drawn = rng.choice(older, size=min(count - 3, len(older)), replace=False)
    return sorted(int(d) for d in [*drawn, *rng.choice(recent, size=3, replace=False)])


def _ac(rng: np.random.Generator, now: Conditions, today: int) -> Iterator[Waste]:
    circuits = [m for m in meters() if m.load == "ac"]
    for day in _evenings(rng, now, today, _AC_EVENTS):
        meter = circuits[int(rng.integers(len(circuits)))]
        overtime = now.is_overtime_day.get(meter.building)
        if overtime is not None and overtime[day]:
            continue  # with people still there it would be no waste
        end_h = float(rng.choice([21.5, 22.75, 24 + 1.0, 24 + 5.5]))
        level = meter.rated * float(rng.uniform(0.4, 0.65))
        start_ms, end_ms = _span(now, day, 17.75, end_h)
        yield Waste("unattended_ac", meter.id, meter.building, start_ms, end_ms, level)


def _lights(rng: np.random.Generator, now: Conditions, today: int) -> Iterator[Waste]:
    circuits = [m for m in meters() if m.load == "corridor"]
    for day in _evenings(rng, now, today, _LIGHT_EVENTS):
        meter = circuits[int(rng.integers(len(circuits)))]
        level = meter.rated * float(rng.uniform(0.55, 0.85))
        start_ms, end_ms = _span(now, day, 18.0, 24 + 7.25)
        yield Waste("lights_all_night", meter.id, meter.building, start_ms, end_ms, level)


def _leaks(rng: np.random.Generator, now: Conditions, now_ms: int) -> Iterator[Waste]:
    pipes = [m for m in meters() if m.load in {"water_office", "water_meeting", "water_canteen"}]
    period = (now_ms - now.start_ms) // (_LEAKS + 1)
    for i in range(_LEAKS):
        start_ms = now.start_ms + period * (i + 1) + int(rng.integers(0, 8)) * 86_400_000
        end_ms = start_ms + int(rng.integers(3 * 24, 8 * 24)) * 3_600_000
        end_ms = min(end_ms, now_ms - 9 * 86_400_000)
        if end_ms - start_ms >= _SHORTEST_LEAK_MS:
            yield _leak(rng, pipes[i % len(pipes)], start_ms, end_ms)
    still = now_ms - int(rng.integers(60, 120)) * 3_600_000
    yield _leak(rng, pipes[0], still, now.start_ms + now.steps * STEP_MS)


def _leak(rng: np.random.Generator, meter: SimMeter, start_ms: int, end_ms: int) -> Waste:
    flow = float(rng.uniform(0.18, 0.6))
    start_ms, end_ms = (t // STEP_MS * STEP_MS for t in (start_ms, end_ms))
    return Waste("running_water", meter.id, meter.building, start_ms, end_ms, flow)
