"""Wastes and faults put into a scene at random, with the truth about each."""

from collections.abc import Callable, Iterator

import numpy as np

from simulators.conditions import Floats
from simulators.scene_shapes import DAYS, LEARN_DAYS, STEPS_A_DAY
from simulators.scenes import MAIN, WATER, Scene, ac_need, finish

HOUR = 12  # steps
LIGHTS_OFF_H, LIGHTS_ON_H = 22.5, 5.5  # house rule: between them a corridor is dark
Rng = np.random.Generator


def finish_clean(scene: Scene) -> None:
    """Sum up the mains of a scene in which nothing is wasted and all data come."""
    scene.dead.update({"ratio": [], "clock": []})
    finish(np.random.default_rng([scene.seed, 2]), scene)
    _by_definition(scene, np.zeros(scene.setting.steps))


class Taken:
    """Which spans of a meter are in use, so that no two wastes lie on top of each other."""

    def __init__(self) -> None:
        self._spans: dict[str, list[tuple[int, int]]] = {}

    def take(self, meter: str, start: int, end: int, gap: int = 3 * HOUR) -> bool:
        """Take [start, end) with some room about it; False if it is not free."""
        spans = self._spans.setdefault(meter, [])
        if start < LEARN_DAYS * STEPS_A_DAY or end <= start or end > DAYS * STEPS_A_DAY - HOUR:
            return False
        if any(a < end + gap and start - gap < b for a, b in spans):
            return False
        spans.append((start, end))
        return True


def draw_wastes(scene: Scene) -> None:
    """Put every kind of waste and fault into a clean scene, then sum up its mains."""
    rng = np.random.default_rng([scene.seed, 2])
    taken = Taken()
    for put in _WASTES:
        put(rng, scene, taken)
    tilt = scene.side[MAIN, "tilt"]
    finish(rng, scene)
    _by_definition(scene, tilt)


def _steady(rng: Rng, steps: int) -> Floats:
    """Give a factor about 1: no real load is quite constant."""
    return np.asarray(np.clip(1 + 0.02 * rng.standard_normal(steps), 0.8, 1.2))


def _days(rng: Rng, scene: Scene, count: int, *, worked: bool = True) -> Iterator[int]:
    noon = np.arange(DAYS) * STEPS_A_DAY + STEPS_A_DAY // 2
    fit = [d for d in range(LEARN_DAYS, DAYS - 2) if scene.setting.is_workday[noon[d]] == worked]
    yield from rng.permutation(fit)[:count].tolist()


def _left_at(scene: Scene, day: int) -> int:
    """Give the step when the last person has left."""
    a = day * STEPS_A_DAY
    there = np.flatnonzero(scene.setting.people[a : a + STEPS_A_DAY] > 0)
    return a + int(there[-1]) + 1 if len(there) else a + 18 * HOUR


def _back_at(scene: Scene, step: int) -> int:
    """Give the step when somebody comes again."""
    there = np.flatnonzero(scene.setting.people[step:] > 0)
    return step + int(there[0]) if len(there) else scene.setting.steps


def _ac(rng: Rng, scene: Scene, taken: Taken) -> None:
    s, need = scene.shape, ac_need(scene)
    circuits = [m for m in scene.parts if m.startswith("A")] or [MAIN]
    rated = s.area_m2 * s.ac_w_per_m2 / 1000 / len(circuits)
    kind = "ac_empty" if s.has_ac_meters else "ac_empty_total"
    for day in _days(rng, scene, 9):
        meter = circuits[int(rng.integers(len(circuits)))]
        start = _left_at(scene, day)
        hours = float(rng.choice([rng.uniform(2, 5), rng.uniform(4, 8), 13.0]))
        end = min(start + round(hours * HOUR), _back_at(scene, start))
        if need[start:end].mean() < 0.12 or not taken.take(meter, start, end):
            continue
        noise = np.clip(1 + s.noise * rng.standard_normal(end - start), 0.3, 1.7)
        level = rated * rng.uniform(0.4, 0.9) * (0.25 + 0.75 * need[start:end]) * noise
        if meter == MAIN:
            scene.load.setdefault(MAIN, np.zeros(scene.setting.steps))
            scene.add(kind, MAIN, start, end, level)
        else:
            scene.add(kind, meter, start, end, np.maximum(level - scene.load[meter][start:end], 0))


def _lights(rng: Rng, scene: Scene, taken: Taken) -> None:
    on = float(np.percentile(scene.load["L0"], 85))
    for day in _days(rng, scene, 6):
        start, end = _left_at(scene, day), _back_at(scene, _left_at(scene, day))
        end = min(end, (day + 1) * STEPS_A_DAY + 8 * HOUR)
        a = day * STEPS_A_DAY + round(LIGHTS_OFF_H * HOUR)
        b = min((day + 1) * STEPS_A_DAY + round(LIGHTS_ON_H * HOUR), end)
        share = rng.uniform(0.55, 1.0)
        if not taken.take("L0", start, max(end, b)):
            continue
        left_on = on * share * np.clip(1 + 0.02 * rng.standard_normal(end - start), 0.5, 1.5)
        extra = np.maximum(left_on - scene.load["L0"][start:end], 0)
        scene.load["L0"][start:a] += extra[: max(0, a - start)]  # before that it is allowed
        scene.add("lights", "L0", a, b, extra[a - start : b - start])
        scene.load["L0"][b:end] += extra[b - start :]


def _equipment(rng: Rng, scene: Scene, taken: Taken) -> None:
    if "S0" not in scene.parts:
        return
    work = float(np.percentile(scene.load["S0"], 90))
    for day in _days(rng, scene, 5):
        start = _left_at(scene, day)
        end = min(_back_at(scene, start), start + 14 * HOUR)
        if taken.take("S0", start, end):
            noise = np.clip(1 + 0.05 * rng.standard_normal(end - start), 0.5, 1.5)
            scene.add("equipment", "S0", start, end, work * rng.uniform(0.45, 0.8) * noise)


def _lamps_by_day(rng: Rng, scene: Scene, taken: Taken) -> None:
    first = int(rng.integers(LEARN_DAYS, DAYS - 9))
    full, late = float(scene.load["O0"].max()) * 0.95, rng.uniform(1.5, 9)
    for day in range(first, first + int(rng.integers(3, 8))):
        a = day * STEPS_A_DAY
        dark = scene.load["O0"][a : a + STEPS_A_DAY] > 0
        start = a + int(np.flatnonzero(~dark)[0])
        end = start + round(late * HOUR)
        if taken.take("O0", start, end):
            scene.add("lit_by_day", "O0", start, end, full * _steady(rng, end - start))


def _saving_hour(rng: Rng, scene: Scene, taken: Taken) -> None:
    if not scene.shape.keeps_saving_hour:
        return
    for day in _days(rng, scene, 12):
        for meter in [m for m in scene.parts if m.startswith("A")]:
            start = day * STEPS_A_DAY + round(12.5 * HOUR)
            before = float(scene.load[meter][start - HOUR : start].mean())
            if before < 1.5 or rng.random() < 0.4 or not taken.take(meter, start, start + HOUR, 0):
                continue
            level = before * rng.uniform(0.65, 1.0) * _steady(rng, HOUR)
            extra = np.maximum(level - scene.load[meter][start : start + HOUR], 0)
            scene.add("saving_hour", meter, start, start + HOUR, extra)


def _setpoint(rng: Rng, scene: Scene, taken: Taken) -> None:
    for meter in [m for m in scene.parts if m.startswith("A")]:
        for day in _days(rng, scene, 6):
            a = day * STEPS_A_DAY
            outdoor = float(scene.setting.outdoor_c[a : a + STEPS_A_DAY].mean())
            start, end = a + round(rng.uniform(8.5, 10) * HOUR), a + round(17 * HOUR)
            running = scene.load[meter][start:end]
            if 12 < outdoor < 25 or running.mean() < 1 or not taken.take(meter, start, end, HOUR):
                continue
            beyond = float(rng.uniform(1, 3))
            room = scene.side[meter, "temperature_c"]
            room[start:end] = 25.5 - beyond if outdoor > 18 else 20.5 + beyond
            room[start:end] += 0.1 * rng.standard_normal(end - start)
            scene.add("setpoint", meter, start, end, running * beyond * rng.uniform(0.05, 0.09))


def _sealed(rng: Rng, scene: Scene, taken: Taken) -> None:
    for day in _days(rng, scene, 2):
        start = day * STEPS_A_DAY + int(rng.integers(0, 200))
        end = start + int(rng.uniform(5, 60) * HOUR)
        if taken.take("Z0", start, end):
            scene.add("sealed", "Z0", start, end, rng.uniform(0.2, 2.0) * _steady(rng, end - start))


def _leaks(rng: Rng, scene: Scene, taken: Taken) -> None:
    for meter in ("W1", "W2"):
        for _ in range(2):
            start = int(rng.uniform(LEARN_DAYS, DAYS - 9) * STEPS_A_DAY)
            end = start + int(rng.uniform(2, 8) * STEPS_A_DAY)
            if taken.take(meter, start, end, STEPS_A_DAY):
                flow = rng.uniform(0.12, 0.8) * (1 + 0.04 * rng.standard_normal(end - start))
                scene.add("leak", meter, start, end, np.maximum(flow, 0.08))


def _bursts(rng: Rng, scene: Scene, taken: Taken) -> None:
    for day in _days(rng, scene, 3):
        meter = str(rng.choice(["W1", "W2"]))
        start = day * STEPS_A_DAY + int(rng.integers(0, 250))
        end = start + int(rng.uniform(0.75, 3) * HOUR)
        usual = float(np.percentile(scene.load[meter], 99.5))
        if taken.take(meter, start, end):
            flow = max(4.5 * usual, 3.0) * rng.uniform(1, 2.5)
            scene.add("burst", meter, start, end, flow * _steady(rng, end - start))


def _lost(rng: Rng, scene: Scene, taken: Taken) -> None:
    start = int(rng.uniform(LEARN_DAYS + 1, DAYS - 16) * STEPS_A_DAY)
    end = start + int(rng.uniform(10, 14) * STEPS_A_DAY)
    mean = float(sum(scene.load[m].mean() for m in ("W1", "W2")))
    if rng.random() < 0.6 and taken.take(WATER, start, end):
        flow = max(mean, 0.05) * rng.uniform(0.4, 1.0)
        scene.add("lost", WATER, start, end, flow * _steady(rng, end - start))


def _onto_main(scene: Scene, kind: str, start: int, end: int, extra: Floats) -> None:
    scene.load.setdefault(MAIN, np.zeros(scene.setting.steps))
    scene.add(kind, MAIN, start, end, extra)


def _whole(scene: Scene) -> Floats:
    parts = [scene.load[p.id] for p in scene.parts.values() if p.parent == MAIN]
    return np.asarray(scene.unmetered + sum(parts))


def _baseload(rng: Rng, scene: Scene, taken: Taken) -> None:
    start = int(rng.uniform(LEARN_DAYS, DAYS - 12) * STEPS_A_DAY)
    end = start + int(rng.uniform(5, 10) * STEPS_A_DAY)
    night = _whole(scene)[(scene.setting.hour < 5)]
    level = max(0.8, float(np.median(night)) * rng.uniform(0.5, 1.2))
    if rng.random() < 0.7 and taken.take(MAIN, start, end):
        noise = np.clip(1 + 0.04 * rng.standard_normal(end - start), 0.5, 1.5)
        _onto_main(scene, "baseload", start, end, level * noise)


def _days_off(rng: Rng, scene: Scene, taken: Taken) -> None:
    off = ~scene.setting.is_workday & (scene.setting.people == 0)
    usual = float(np.median(_whole(scene)[off]))
    for day in _days(rng, scene, 4, worked=False):
        start = day * STEPS_A_DAY + round(rng.uniform(7, 11) * HOUR)
        end = start + round(rng.uniform(5, 10) * HOUR)
        nobody = not scene.setting.people[start:end].any()
        if nobody and taken.take(MAIN, start, end):
            extra = max(1.5, usual * rng.uniform(0.9, 2.0))
            _onto_main(scene, "day_off", start, end, extra * _steady(rng, end - start))


def _abnormal(rng: Rng, scene: Scene, taken: Taken) -> None:
    whole = _whole(scene)
    for day in _days(rng, scene, 3):
        start = day * STEPS_A_DAY + round(rng.uniform(0, 6) * HOUR)
        end = start + round(rng.uniform(12, 17) * HOUR)
        of_day = float(whole[day * STEPS_A_DAY : (day + 1) * STEPS_A_DAY].sum())
        if taken.take(MAIN, start, end):
            level = of_day * rng.uniform(0.5, 0.9) / (end - start)
            _onto_main(scene, "abnormal", start, end, max(level, 1.0) * _steady(rng, end - start))


def _supply(rng: Rng, scene: Scene, taken: Taken) -> None:
    del taken
    n = scene.setting.steps
    lost, tilt = np.zeros(n), np.zeros(n)
    start = int(rng.uniform(LEARN_DAYS, DAYS - 8) * STEPS_A_DAY)
    end = start + int(rng.uniform(2, 6) * STEPS_A_DAY)
    lost[start:end] = rng.uniform(0.5, 0.9)
    scene.fault("power_factor", MAIN, start, end)
    for day in _days(rng, scene, 3):
        a = day * STEPS_A_DAY + round(9 * HOUR)
        b = a + round(rng.uniform(1, 2.8) * HOUR)
        tilt[a:b] = rng.uniform(0.15, 0.3)
    scene.side[MAIN, "lost_capacitor"], scene.side[MAIN, "tilt"] = lost, tilt


def _by_definition(scene: Scene, tilt: Floats) -> None:
    """Find on the true load when the transformer carried over 80 %, or phases were uneven."""
    full = np.percentile(scene.load[MAIN][: LEARN_DAYS * STEPS_A_DAY], 99)
    _runs(
        scene, "imbalance", (tilt[::3] > 0) & (scene.load[MAIN].reshape(-1, 3).mean(1) > 0.3 * full)
    )
    kva = float(next(t for t in scene.parts[MAIN].tags if t.startswith("kva-"))[4:])
    carried = np.hypot(scene.load[MAIN], scene.side[MAIN, "reactive_power_kvar"])
    _runs(scene, "demand", carried.reshape(-1, 3).mean(1) > 0.8 * kva)


def _runs(scene: Scene, kind: str, quarters: np.ndarray) -> None:
    """Remember as faults the runs of half an hour or more."""
    edges = np.flatnonzero(np.diff(quarters.astype(int), prepend=0, append=0))
    for a, b in zip(edges[::2] * 3, edges[1::2] * 3, strict=True):
        if b - a >= HOUR // 2 and a >= LEARN_DAYS * STEPS_A_DAY:
            scene.fault(kind, MAIN, int(a), int(b))


def _data(rng: Rng, scene: Scene, taken: Taken) -> None:
    """Let meters and gates fall silent, readings come late, a gauge freeze, a ratio be wrong."""
    del taken
    names = [*scene.parts]
    for meter in rng.permutation(names)[: max(3, len(names) // 2)].tolist():
        start = int(rng.uniform(LEARN_DAYS, DAYS - 3) * STEPS_A_DAY)
        end = start + int(rng.choice([rng.uniform(2, 6), rng.uniform(6, 40)]) * HOUR)
        scene.dead.setdefault(meter, []).append((start, end))
        scene.fault("silent_water" if meter.startswith("W") else "silent", meter, start, end)
    for _ in range(4):
        start = int(rng.uniform(LEARN_DAYS, DAYS - 3) * STEPS_A_DAY)
        end = start + int(rng.uniform(3, 14) * HOUR)
        for meter in names if rng.random() < 0.5 else rng.permutation(names)[:2].tolist():
            scene.late.setdefault(meter, []).append((start, end))
    for _ in range(int(rng.integers(1, 4)) if scene.shape.has_gate else 0):
        start = int(rng.uniform(LEARN_DAYS, DAYS - 4) * STEPS_A_DAY)
        end = start + int(rng.choice([rng.uniform(3, 10), rng.uniform(10, 48)]) * HOUR)
        scene.dead.setdefault("gate", []).append((start, end))
        scene.fault("gate_silent", MAIN, start, end)
    meter = str(rng.choice([m for m in names if m.startswith("S")] or ["L0"]))
    start = int(rng.uniform(LEARN_DAYS, DAYS - 3) * STEPS_A_DAY)
    end = start + int(rng.uniform(9, 30) * HOUR)
    scene.dead.setdefault(f"gauge {meter}", []).append((start, end))
    scene.fault("frozen", meter, start, end)
    start = next(_days(rng, scene, 1)) * STEPS_A_DAY + round(rng.uniform(9, 13) * HOUR)
    scene.dead.setdefault("ratio", []).append((start, start + int(rng.uniform(1, 4) * HOUR)))
    scene.fault("implausible", MAIN, *scene.dead["ratio"][0])
    start = int(rng.uniform(LEARN_DAYS, DAYS - 3) * STEPS_A_DAY)
    scene.dead.setdefault("clock", []).append((start, start + int(rng.uniform(2, 20) * HOUR)))
    scene.fault("clock", MAIN, *scene.dead["clock"][0])


Put = Callable[[Rng, Scene, Taken], None]
_WASTES: tuple[Put, ...] = (
    _baseload, _ac, _saving_hour, _setpoint, _lights, _equipment, _lamps_by_day, _sealed, _bursts,
    _leaks, _lost, _days_off, _abnormal, _supply, _data,
)  # fmt: skip
