"""A scene seen through its meters: counters in steps, gates, gaps, faults of the data."""

from collections.abc import Sequence
from datetime import date, time
from zoneinfo import ZoneInfo

import numpy as np

from contract.reading import PointId
from server.periods import Interval, Step
from server.rollup.model import Grade, Rollup
from server.series import Series, Times, Values
from server.site.model import Area, Building, Carrier, Gate, Meter, Role, Site, WorkHours
from simulators.scene_shapes import STEP_MS
from simulators.scenes import MAIN, Part, Scene

SITE, BUILDING, GATE, OUTDOOR = "scene", "b", "G", "T"
QUARTER_MS = 900_000
_COUNTER_STEP = {"electricity": 0.01, "water": 0.001}
_WRONG_RATIO = 20.0


def site_of(scene: Scene) -> Site:
    """Give the scene's site: one building, its meters, the calendar's work hours."""
    return Site(
        SITE, "评分场景", "评分", ZoneInfo("Asia/Shanghai"), (Building(BUILDING, "楼"),),
        tuple(_meter(p) for p in scene.parts.values()),
        gates=(Gate(GATE, "门", BUILDING),) if scene.shape.has_gate else (),
        thermometer=OUTDOOR,
        work_hours=(WorkHours(time(8), time(12)), WorkHours(time(14, 30), time(17, 30))),
        areas=(Area("sealed", "封存层", BUILDING, sealed=((date(2000, 1, 1), None),)),),
    )  # fmt: skip


def _meter(p: Part) -> Meter:
    carrier = Carrier(p.carrier)
    return Meter(
        p.id, p.name, p.id, "energy_import_kwh" if p.carrier == "electricity" else "volume_m3",
        carrier, Role(p.role), BUILDING, p.end_use, parent=p.parent, area=p.area,
        max_power=p.max_power, tags=frozenset(p.tags),
    )  # fmt: skip


class SceneStore:
    """What a store would say of a scene; it answers what evidence asks."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        rng = np.random.default_rng([scene.seed, 3])
        people = scene.setting.people.astype(np.int64)
        change = np.diff(people, prepend=0)
        outs, ins = np.maximum(-change, 0), np.maximum(change, 0)
        missed = rng.binomial(outs, scene.shape.gate_miss)
        churn = np.where(people > 0, rng.poisson(0.02 * people), 0)
        self._doors = {
            "door_in_total": np.cumsum(ins + churn),
            "door_out_total": np.cumsum(outs - missed + churn),
        }

    def read_rollups(
        self, site: Site, meters: Sequence[str], step: Step, interval: Interval
    ) -> dict[str, Rollup]:
        """Give 15-minute rollups on the scene's own grid."""
        del site, interval
        return {m: self._rollup(m, step) for m in meters}

    def _rollup(self, meter: str, step: Step) -> Rollup:
        scene = self._scene
        load = scene.load[meter]
        if meter == MAIN:
            load = load.copy()
            for a, b in scene.dead["ratio"]:
                load[a:b] *= _WRONG_RATIO
        size = _COUNTER_STEP[scene.parts[meter].carrier]
        total = np.floor(np.concatenate([[0.0], np.cumsum(load)])[::3] / 12.0 / size) * size
        values = np.diff(total)
        coverage = np.ones(len(values))
        for start, end in scene.dead.get(meter, ()):
            a, b = start // 3, -(-end // 3)
            values[a:b] = values[a:b].mean()
            coverage[a:b] = 0.0
        grades = np.where(coverage > 0, Grade.MEASURED, Grade.ESTIMATED).astype(np.int8)
        return Rollup(meter, step, grid_of(scene), values, coverage, grades)

    def read_many(self, points: Sequence[PointId], interval: Interval) -> dict[PointId, Series]:
        """Give readings every five minutes."""
        del interval
        return {p: self._series(p) for p in points}

    def _series(self, p: PointId) -> Series:
        scene = self._scene
        n = scene.setting.steps
        times = scene.setting.start_ms + STEP_MS * np.arange(n, dtype=np.int64)
        dead: list[tuple[int, int]] = []
        if p.device == OUTDOOR:
            values: Values | None = scene.setting.outdoor_c
        elif p.device == GATE:
            values, dead = self._doors[p.measurand].astype(float), scene.dead.get("gate", [])
        elif p.measurand == "power_kw":
            values = _frozen(scene.load[p.device], scene.dead.get(f"gauge {p.device}", []))
            dead = scene.dead.get(p.device, [])
        elif p.measurand == "clock_offset_s":
            values = scene.side[p.device, p.measurand].copy()
            for a, b in scene.dead["clock"]:
                values[a:b] += 120.0 + (a * 7) % 600
        else:
            values = scene.side.get((p.device, p.measurand))
        if values is None:
            return Series.empty()
        keep = np.ones(n, bool)
        for a, b in dead:
            keep[a:b] = False
        return Series(times[keep], np.asarray(values, np.float64)[keep])


def _frozen(load: Values, spans: Sequence[tuple[int, int]]) -> Values:
    out = np.round(load, 4)
    for a, b in spans:
        out[a:b] = out[a]
    return out


def grid_of(scene: Scene) -> Times:
    """Give the quarter-hour edges, (n + 1,)."""
    quarters = scene.setting.steps // 3
    return scene.setting.start_ms + QUARTER_MS * np.arange(quarters + 1, dtype=np.int64)


def lag_ms(scene: Scene, meter: str) -> Times:
    """Give how late each quarter's readings came, (n,)."""
    out = np.zeros(scene.setting.steps // 3, np.int64)
    for start, end in scene.late.get(meter, ()):
        a, b = start // 3, -(-end // 3)
        out[a:b] = np.maximum(out[a:b], (b - np.arange(a, b)) * QUARTER_MS)
    return out
