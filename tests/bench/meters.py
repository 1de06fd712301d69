"""What the benchmarks of consumption share: made meters, flat rollups, a tree, a stopwatch."""

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import numpy as np

from contract.reading import PointId
from server.periods import MINUTE_MS, Step
from server.rollup.model import Rollup
from server.rollup.track import Counting
from server.series import Series
from server.site.model import Area, Building, Carrier, Meter, Role, Site

METERS = 200
T0 = 1_735_660_800_000
ZONE = ZoneInfo("Asia/Shanghai")
NAMES = ("energy_import_kwh", "power_kw", "power_factor")
HOW = Counting(max_power=2000.0)
Row = tuple[str, str, str]
T = TypeVar("T")


def point(m: int, name: str = NAMES[0]) -> PointId:
    return PointId("s", f"M{m}", name)


def meter_of(
    rng: np.random.Generator, days: int, number: int, start_ms: int = T0
) -> Iterator[Series]:
    """Give a meter's three series: 0.3 % missing, an outage, every fifth meter reset once."""
    n = days * 1440
    keep = rng.random(n) > 0.003
    at = int(rng.integers(0, n - 3000))
    keep[at : at + int(rng.integers(60, 2880))] = False
    daily = np.sin(np.arange(n) / 1440 * 2 * np.pi)
    kw = np.round(np.abs(20 + 10 * daily + rng.normal(0, 1.5, n)), 2)
    kwh = np.round(np.cumsum(kw) / 60 + 1000, 2)
    if number % 5 == 0:
        reset = int(rng.integers(1000, n - 1000))
        kwh[reset:] = np.round(kwh[reset:] - kwh[reset], 2)
    factor: np.ndarray = np.round(0.95 + rng.normal(0, 0.003, n), 3)
    times = (start_ms + np.arange(n) * MINUTE_MS)[keep]
    for values in (kwh, kw, factor):
        yield Series(times, np.asarray(values[keep], np.float64))


def edges_read(series: Series, grid: np.ndarray) -> np.ndarray:
    """Say for each interval between (n + 1,) edges whether both its edges were read, (n,)."""
    at = np.minimum(np.searchsorted(series.times_ms, grid), len(series) - 1)
    has = series.times_ms[at] == grid
    return np.asarray(has[:-1] & has[1:])


def meter(name: str, **more: object) -> Meter:
    given: dict[str, object] = {
        "device": name, "measurand": NAMES[0], "parent": None, "role": Role.SUB, **more,
    }  # fmt: skip
    return Meter(
        id=name, name=name, carrier=Carrier.ELECTRICITY, building="b", end_use="01B00",
        **given,  # type: ignore[arg-type] # by name
    )  # fmt: skip


def flat(name: str, grid: np.ndarray, step: Step) -> Rollup:
    n = len(grid) - 1
    return Rollup(name, step, grid, np.full(n, 1.25), np.ones(n), np.zeros(n, np.int8))


def tree_site(meters: int, areas: int) -> Site:
    rooms = tuple(Area(f"a{i}", f"a{i}", "b", None if i < 6 else f"a{i % 6}") for i in range(areas))
    found = tuple(meter(f"M{m}", area=f"a{6 + m % (areas - 6)}") for m in range(meters))
    return Site("s", "s", "s", ZONE, (Building("b", "b"),), found, areas=rooms)


def timed(act: Callable[[], T], repeats: int = 3) -> tuple[T, float]:
    """Give the last result and the median time."""
    result, took_s = side_by_side({"it": act}, repeats)
    found: T = result["it"]
    return found, took_s["it"]


def side_by_side(
    acts: dict[str, Callable[[], Any]], repeats: int
) -> tuple[dict[str, Any], dict[str, float]]:
    """Do each in turn, several times over; give the last results and the median times."""
    results: dict[str, Any] = {}
    took: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(repeats):
        for name, act in acts.items():
            results.pop(name, None)
            began_s = time.perf_counter()
            results[name] = act()
            took[name].append(time.perf_counter() - began_s)
    return results, {name: statistics.median(found) for name, found in took.items()}
