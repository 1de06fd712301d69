"""The same readings give the same rollups, bit for bit, on DuckDB and on a real InfluxQL engine."""

from pathlib import Path

import numpy as np
import pytest

from server.factbook.load import load_factbook
from server.jobs.rolling import roll_up
from server.jobs.works import Works
from server.periods import KEPT_STEPS
from server.state import open_state
from server.store.duck import DuckStore
from server.store.influx import InfluxStore
from tests.real.influxd import Influxd
from tests.server.test_recompute import KEYS, NOW, SITE, WHOLE, lines_of, repairs, write

SEEDS = range(6)


@pytest.mark.real
@pytest.mark.parametrize("seed", SEEDS)
def test_both_stores_hold_the_same_rollups(seed: int, engine: Influxd, tmp_path: Path) -> None:
    engine.create(f"same{seed}")
    url = f"{engine.url.replace('http', 'influxdb')}/same{seed}?org=compound"
    found = []
    for name, store in (
        ("duck", DuckStore(tmp_path / "r.duckdb")), ("influx", InfluxStore(url, "")),
    ):  # fmt: skip
        state = open_state(f"sqlite:///{tmp_path / name}.db")
        works = Works(store, state, SITE, load_factbook(), ())
        write(works, lines_of(seed))
        state.books.enter(repairs(np.random.default_rng(seed)), NOW)
        roll_up(works, WHOLE, NOW)
        found.append({s: store.read_rollups(SITE, KEYS, s, WHOLE) for s in KEPT_STEPS})
        store.close()
        state.close()
    duck, influx = found
    for step in KEPT_STEPS:
        for key in KEYS:
            a, b = duck[step][key], influx[step][key]
            assert np.array_equal(a.values, b.values, equal_nan=True), (key, step)
            known = ~np.isnan(a.values)
            assert np.array_equal(a.coverage[known], b.coverage[known]), (key, step)
            assert np.array_equal(a.grades, b.grades), (key, step)
