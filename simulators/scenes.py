"""Scenes: random buildings with known wastes, for scoring rules.

A scene is one building for ten weeks, four to learn from and six that are scored.  Nothing of
the simulator of the compound is in here, so that rules cannot fit one simulator's shape.
"""

from dataclasses import dataclass, field

import numpy as np

from simulators.conditions import Floats
from simulators.scene_shapes import (
    Setting,
    Shape,
    draw_setting,
    draw_shape,
)

MAIN, WATER = "E0", "W0"


@dataclass(frozen=True, slots=True)
class Part:
    """A meter of a scene; role main: the sum of the parts below it and of what is not metered."""

    id: str
    name: str
    carrier: str
    end_use: str
    role: str = "sub"
    parent: str | None = None
    tags: tuple[str, ...] = ()
    area: str | None = None
    max_power: float | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """One waste or fault: steps [start, end) on a meter; amount in kWh or m³, 0 for faults."""

    kind: str
    meter: str
    start: int
    end: int
    amount: float


@dataclass(slots=True, eq=False)
class Scene:
    """A building as it was: loads with wastes, what is wrong with the data, and the truth."""

    seed: int
    shape: Shape
    setting: Setting
    parts: dict[str, Part] = field(default_factory=dict)
    load: dict[str, Floats] = field(default_factory=dict)  # kW or m³/h by meter, mains come last
    side: dict[tuple[str, str], Floats] = field(default_factory=dict)  # (device, measurand)
    wasted: dict[tuple[str, str], Floats] = field(default_factory=dict)  # (meter, kind) → kW
    unmetered: Floats = field(default_factory=lambda: np.zeros(0))  # of the main
    dead: dict[str, list[tuple[int, int]]] = field(default_factory=dict)  # no readings, by device
    late: dict[str, list[tuple[int, int]]] = field(default_factory=dict)  # come hours later
    truths: list[Truth] = field(default_factory=list)

    def add(self, kind: str, meter: str, start: int, end: int, extra: Floats) -> None:
        """Waste `extra` (kW or m³/h over [start, end)) on a meter, and remember the truth."""
        self.load[meter][start:end] += extra
        key = (meter, kind)
        self.wasted.setdefault(key, np.zeros(self.setting.steps))[start:end] += extra
        amount = float(np.sum(extra)) / 12.0
        self.truths.append(Truth(kind, meter, start, end, amount))

    def fault(self, kind: str, meter: str, start: int, end: int) -> None:
        """Remember a fault that wastes nothing."""
        self.truths.append(Truth(kind, meter, start, end, 0.0))


def ac_need(scene: Scene) -> Floats:
    """Give the share of full air conditioning the weather asks for, (n,)."""
    s, t = scene.shape, scene.setting.outdoor_c
    return np.asarray(
        np.clip((t - s.cool_from_c) / 9.0, 0, 1) + np.clip((s.heat_from_c - t) / 13.0, 0, 1)
    )


def draw_scene(seed: int) -> Scene:
    """Draw a building, clean; the same seed gives the same scene."""
    rng = np.random.default_rng([seed, 1])
    shape = draw_shape(rng)
    setting = draw_setting(rng, shape)
    scene = Scene(seed, shape, setting)
    scene.unmetered = np.zeros(setting.steps)
    main_tags = () if shape.has_ac_meters else ("no-ac-meter",)
    _ac(rng, scene)
    _plugs(rng, scene)
    _lamps(rng, scene)
    _others(rng, scene)
    _water(rng, scene)
    peak = float(scene.unmetered.max() + sum(x.max() for x in scene.load.values()))
    kva = int(np.ceil(peak * rng.uniform(0.95, 1.3) / 10) * 10)
    scene.parts[MAIN] = Part(
        MAIN, "总表", "electricity", "01000", "main", None, (*main_tags, f"kva-{kva}", "agent-a1"),
        max_power=round(peak * 2.0, 1),
    )  # fmt: skip
    return scene


def _wobble(rng: np.random.Generator, scene: Scene, spread: float) -> Floats:
    """Give a factor about 1 that wanders within a quarter of an hour and from step to step."""
    n = scene.setting.steps
    slow = np.repeat(rng.standard_normal(-(-n // 6)), 6)[:n]
    return np.asarray(np.clip(1 + spread * (0.7 * slow + 0.7 * rng.standard_normal(n)), 0.1, 2.0))


def _share(scene: Scene) -> Floats:
    return np.asarray(scene.setting.people / max(1.0, scene.setting.people.max()))


def _ac(rng: np.random.Generator, scene: Scene) -> None:
    s, now = scene.shape, scene.setting
    need, there = ac_need(scene), _share(scene)
    circuits = int(rng.integers(1, 4)) if s.has_ac_meters else 1
    rated = s.area_m2 * s.ac_w_per_m2 / 1000 / circuits
    saving = now.is_workday & (now.hour >= 12.5) & (now.hour < 13.5) & s.keeps_saving_hour
    for i in range(circuits):
        on = (there > 0) & (need > 0.03) & ~saving
        level = (0.25 + 0.75 * need) * np.clip(there * 1.1, 0.12, 1.0)
        load = np.where(on, rated * level * _wobble(rng, scene, s.noise), 0.0)
        load += s.ac_standby_kw * _wobble(rng, scene, 0.03)
        if not s.has_ac_meters:
            scene.unmetered += load
            continue
        name = f"A{i}"
        tags = ("room-" + name, *(("saving-hour",) if s.keeps_saving_hour else ()))
        scene.parts[name] = Part(name, f"空调{i + 1}路", "electricity", "01B00", "sub", MAIN, tags)
        scene.load[name] = load
        outdoor = now.outdoor_c
        kept = np.where(outdoor > 24, rng.uniform(26.0, 27.0), rng.uniform(18.0, 20.0))
        drift = np.where(load > 1.3 * s.ac_standby_kw + 0.1, kept, 0.6 * kept + 0.4 * outdoor)
        scene.side[name, "temperature_c"] = drift + 0.15 * rng.standard_normal(now.steps)


def _plugs(rng: np.random.Generator, scene: Scene) -> None:
    s = scene.shape
    rated = s.area_m2 * rng.uniform(0.005, 0.012)
    noise = _wobble(rng, scene, s.noise)
    load = rated * (s.fridge_share + (0.9 - s.fridge_share) * _share(scene)) * noise
    if not s.has_plug_meter:
        scene.unmetered += load
        return
    scene.parts["S0"] = Part("S0", "插座", "electricity", "01A10", "sub", MAIN)
    scene.load["S0"] = load


def _lamps(rng: np.random.Generator, scene: Scene) -> None:
    s, now = scene.shape, scene.setting
    rated = s.area_m2 * rng.uniform(0.001, 0.0025)
    people = now.people > 0
    on = people | (now.is_workday & (now.hour >= s.arrive_h - 0.2) & (now.hour < s.leave_h + 0.3))
    level = np.where(on, rng.uniform(0.7, 0.95), s.emergency_share)
    scene.parts["L0"] = Part("L0", "走廊照明", "electricity", "01A20", "sub", MAIN, ("lighting",))
    scene.load["L0"] = rated * level * _wobble(rng, scene, s.noise / 3)
    down = sun_is_down(scene)
    half = (now.hour >= 22.5) | (now.hour < 6)
    lamps = rng.uniform(0.8, 6.0)
    scene.parts["O0"] = Part(
        "O0", "庭院灯", "electricity", "01A30", "sub", None, ("lighting", "outdoor")
    )
    level = np.where(down, np.where(half, rng.choice([0.5, 1.0]), 1.0), 0.0)
    scene.load["O0"] = lamps * level * _wobble(rng, scene, 0.02)


def sun_is_down(scene: Scene) -> np.ndarray:
    """Say when the lamps' switch takes it for dark: six minutes beyond the sun, about."""
    now = scene.setting
    year_day = np.array([d.timetuple().tm_yday for d in now.dates])
    half = 6.02 + 0.87 * np.cos(2 * np.pi * (year_day - 172) / 365.25)  # half the daylight, h
    noon = 12.49 - 0.16 * np.sin(4 * np.pi * (year_day - 81) / 365.25)
    rise, fall = (noon - half - 0.1)[now.day], (noon + half + 0.1)[now.day]
    return np.asarray((now.hour < rise) | (now.hour >= fall))


def _others(rng: np.random.Generator, scene: Scene) -> None:
    s, now = scene.shape, scene.setting
    warm = 0.004 * (now.outdoor_c - 18)
    scene.unmetered += s.server_kw * (0.9 + warm) * _wobble(rng, scene, 0.02)
    scene.unmetered += s.guard_kw * (0.4 + 0.4 * ac_need(scene)) * _wobble(rng, scene, 0.15)
    lift = np.where(now.is_workday, 0.3 * _share(scene), 0.0) + 0.03
    scene.unmetered += rng.uniform(0, 7) * lift * _wobble(rng, scene, 0.3)
    scene.parts["Z0"] = Part("Z0", "封存层", "electricity", "01D60", "sub", MAIN, (), "sealed")
    scene.load["Z0"] = np.abs(rng.normal(0, 0.004, now.steps))


def _water(rng: np.random.Generator, scene: Scene) -> None:
    s, now = scene.shape, scene.setting
    mean = s.people * s.litres_a_person / 1000 / 9.0  # m³/h with all there
    cleaning = np.array([d.weekday() for d in now.dates])[now.day] == s.cleaning_day
    washing = cleaning & (now.hour >= 8.5) & (now.hour < 11)
    shares = (0.55, 0.35, 0.10)  # of two sub meters and of what is not metered
    unmetered = np.zeros(now.steps)
    for i, share in enumerate(shares):
        used = rng.random(now.steps) < np.clip(0.25 + 0.7 * _share(scene), 0, 1)
        flow = share * mean * _share(scene) * used * rng.gamma(2.0, 0.5, now.steps)
        flow = flow + np.where(washing, share * mean * rng.uniform(1.0, 2.5), 0.0)
        at_night = (rng.random(now.steps) < 0.02) & (now.people == 0)
        flow = flow + np.where(at_night, rng.uniform(0.05, 0.2) * share, 0.0)  # the guard
        if i == 2:
            unmetered = flow * rng.uniform(0.2, 1.0)
            continue
        name = f"W{i + 1}"
        scene.parts[name] = Part(name, f"水表{i + 1}", "water", "02000", "sub", WATER)
        scene.load[name] = flow
    scene.parts[WATER] = Part(WATER, "总水表", "water", "02000", "main", None)
    scene.load[WATER] = unmetered  # the subs are added when all wastes are in


def finish(rng: np.random.Generator, scene: Scene) -> None:
    """Sum up the mains and give them phases and reactive power."""
    now = scene.setting
    below = [scene.load[p.id] for p in scene.parts.values() if p.parent == MAIN]
    scene.load[MAIN] = scene.load.get(MAIN, np.zeros(now.steps)) + scene.unmetered + sum(below)
    subs = [scene.load[p.id] for p in scene.parts.values() if p.parent == WATER]
    scene.load[WATER] = scene.load[WATER] + sum(subs)
    tangent = np.tan(np.arccos(rng.uniform(0.88, 0.97)))
    extra = scene.side.pop((MAIN, "lost_capacitor"), np.zeros(now.steps))
    scene.side[MAIN, "reactive_power_kvar"] = scene.load[MAIN] * (
        tangent * _wobble(rng, scene, 0.05) + extra
    )
    amps = scene.load[MAIN] / 0.66
    tilt = scene.side.pop((MAIN, "tilt"), np.zeros(now.steps))
    for i, lean in enumerate(rng.uniform(-0.02, 0.02, 3), 1):
        phase = amps * (1 + lean + (tilt if i == 3 else -tilt / 2))
        scene.side[MAIN, f"current_l{i}_a"] = phase * _wobble(rng, scene, 0.015)
    scene.side["a1", "clock_offset_s"] = rng.normal(0, 0.5, now.steps)
