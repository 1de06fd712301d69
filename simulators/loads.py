"""Loads: what each circuit draws, in kW or m³/h, from the conditions.  No wastes in here."""

from collections.abc import Callable

import numpy as np

from simulators.conditions import Conditions, Floats
from simulators.layout import SimMeter

EMERGENCY_FLOOR = 0.06  # share of a corridor circuit that is always lit
Load = Callable[[np.random.Generator, Conditions, SimMeter], Floats]


def draw(rng: np.random.Generator, now: Conditions, meter: SimMeter) -> Floats:
    """Give a circuit's clean load, (n,) in kW or m³/h."""
    return LOADS[meter.load](rng, now, meter)


def _noise(rng: np.random.Generator, now: Conditions, spread: float) -> Floats:
    return np.asarray(np.clip(1 + spread * rng.standard_normal(now.steps), 0.2, 1.8))


def _share(now: Conditions, meter: SimMeter) -> Floats:
    present = now.presence[meter.building]
    return np.asarray(present / max(1, int(present.max())))


def ac_need(now: Conditions) -> Floats:
    """Share of full air-conditioning load that the weather asks for, 0..1."""
    summer = np.isin(now.month, (5, 6, 7, 8, 9, 10))
    cooling = np.clip((now.temperature_c - 25.0) / 10.0, 0, 1)
    heating = np.clip((14.0 - now.temperature_c) / 14.0, 0, 1)
    return np.where(summer, cooling, heating)


def _ac(rng: np.random.Generator, now: Conditions, meter: SimMeter) -> Floats:
    need, share = ac_need(now), _share(now, meter)
    on = (share > 0) & (need > 0.03)
    level = (0.25 + 0.75 * need) * np.clip(share * 1.1, 0.15, 1.0)
    return np.where(on, meter.rated * level * _noise(rng, now, 0.06), 0.0)


def _ac_meeting(rng: np.random.Generator, now: Conditions, meter: SimMeter) -> Floats:
    meets = (rng.random(now.days) < 0.4)[now.day] & now.is_workday
    on = meets & (
        ((now.hour >= 8.5) & (now.hour < 11.75)) | ((now.hour >= 14.75) & (now.hour < 17.4))
    )
    need = ac_need(now)
    level = (0.3 + 0.7 * need) * _noise(rng, now, 0.06)
    return np.where(on & (need > 0.03), meter.rated * level, 0.0)


def _ac_meals(rng: np.random.Generator, now: Conditions, meter: SimMeter) -> Floats:
    on = now.is_workday & (now.hour >= 11.3) & (now.hour < 13.1)
    need = ac_need(now)
    level = (0.3 + 0.7 * need) * _noise(rng, now, 0.06)
    return np.where(on & (need > 0.03), meter.rated * level, 0.0)


def _sockets(rng: np.random.Generator, now: Conditions, meter: SimMeter) -> Floats:
    return meter.rated * (0.07 + 0.75 * _share(now, meter)) * _noise(rng, now, 0.08)


def _corridor(rng: np.random.Generator, now: Conditions, meter: SimMeter) -> Floats:
    on = now.is_workday & (now.hour >= 7.4) & (now.hour < 18.2)
    return meter.rated * np.where(on, 0.85, EMERGENCY_FLOOR) * _noise(rng, now, 0.03)


def _lift(rng: np.random.Generator, now: Conditions, meter: SimMeter) -> Floats:
    rush = np.exp(-((now.hour - 8.0) ** 2) / 0.1) + np.exp(-((now.hour - 17.5) ** 2) / 0.1)
    use = np.where(now.is_workday, 0.25 * _share(now, meter) + 0.6 * rush, 0.0)
    return meter.rated * (0.04 + use) * _noise(rng, now, 0.2)


def _server_room(rng: np.random.Generator, now: Conditions, meter: SimMeter) -> Floats:
    return meter.rated * (0.9 + 0.004 * (now.temperature_c - 18)) * _noise(rng, now, 0.02)


def _kitchen(rng: np.random.Generator, now: Conditions, meter: SimMeter) -> Floats:
    cooking = (
        np.exp(-((now.hour - 6.5) ** 2) / 0.8)
        + 1.3 * np.exp(-((now.hour - 11.0) ** 2) / 1.2)
        + 0.4 * np.exp(-((now.hour - 16.8) ** 2) / 0.8)
    )
    return meter.rated * (0.05 + np.where(now.is_workday, 0.6 * cooking, 0)) * _noise(rng, now, 0.1)


def _pump(rng: np.random.Generator, now: Conditions, meter: SimMeter) -> Floats:
    runs = rng.random(now.steps) < np.where(
        now.is_workday & (now.hour > 6) & (now.hour < 19), 0.5, 0.1
    )
    return meter.rated * np.where(runs, 0.9, 0.03) * _noise(rng, now, 0.03)


def _outdoor(rng: np.random.Generator, now: Conditions, meter: SimMeter) -> Floats:
    dusk = 18.6 - 0.9 * np.cos(2 * np.pi * (now.month - 6) / 12) * -1
    full = (now.hour >= dusk) & (now.hour < 22.5)
    half = (now.hour >= 22.5) | (now.hour < 5.8)
    return meter.rated * np.where(full, 1.0, np.where(half, 0.5, 0.0)) * _noise(rng, now, 0.02)


def _irrigates(now: Conditions) -> Floats:
    dry = np.isin(now.month, (5, 6, 7, 8, 9, 10)) & (now.day % 2 == 0)
    return np.where(dry & (now.hour >= 4.0) & (now.hour < 5.5), 1.0, 0.0)


def _irrigation(rng: np.random.Generator, now: Conditions, meter: SimMeter) -> Floats:
    return meter.rated * (_irrigates(now) + 0.01) * _noise(rng, now, 0.03)


def _guard(rng: np.random.Generator, now: Conditions, meter: SimMeter) -> Floats:
    return meter.rated * (0.35 + 0.35 * ac_need(now)) * _noise(rng, now, 0.15)


def _water_office(rng: np.random.Generator, now: Conditions, meter: SimMeter) -> Floats:
    used = rng.random(now.steps) < 0.85
    return meter.rated * _share(now, meter) * used * rng.gamma(2.0, 0.5, now.steps)


def _water_meeting(rng: np.random.Generator, now: Conditions, meter: SimMeter) -> Floats:
    used = rng.random(now.steps) < 0.25
    return meter.rated * 0.2 * _share(now, meter) * used * rng.gamma(2.0, 0.5, now.steps)


def _water_canteen(rng: np.random.Generator, now: Conditions, meter: SimMeter) -> Floats:
    open_ = now.is_workday & (now.hour >= 5.5) & (now.hour < 19.5)
    busy = (
        0.15
        + np.exp(-((now.hour - 12.8) ** 2) / 1.5)
        + 0.5 * np.exp(-((now.hour - 8.2) ** 2) / 0.6)
    )
    return np.where(open_, meter.rated * busy * _noise(rng, now, 0.2), 0.0)


def _water_irrigation(rng: np.random.Generator, now: Conditions, meter: SimMeter) -> Floats:
    return meter.rated * _irrigates(now) * _noise(rng, now, 0.05)


def _water_guard(rng: np.random.Generator, now: Conditions, meter: SimMeter) -> Floats:
    awake = (now.hour >= 5.5) & (now.hour < 23.5)
    used = rng.random(now.steps) < 0.2
    return np.where(awake & used, meter.rated * rng.gamma(2.0, 0.4, now.steps), 0.0)


LOADS: dict[str, Load] = {
    "ac": _ac,
    "ac_meeting": _ac_meeting,
    "ac_meals": _ac_meals,
    "sockets": _sockets,
    "corridor": _corridor,
    "lift": _lift,
    "server_room": _server_room,
    "kitchen": _kitchen,
    "pump": _pump,
    "outdoor": _outdoor,
    "irrigation": _irrigation,
    "guard": _guard,
    "water_office": _water_office,
    "water_meeting": _water_meeting,
    "water_canteen": _water_canteen,
    "water_irrigation": _water_irrigation,
    "water_guard": _water_guard,
}
