"""Judging from a store: learned once a day and kept, pinned values, short and long spans, past."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from server.factbook.load import load_factbook
from server.jobs.backtest import backtest, explain
from server.jobs.evidence import Gathered, binned
from server.jobs.judging import evidence_of, judge_all, judge_span
from server.jobs.learning import learned_of, learned_rows
from server.jobs.works import Works
from server.periods import DAY_MS, HOUR_MS, Interval, Step, edges
from server.rollup.model import Grade, Rollup
from server.rules.load import load_rules
from server.series import Series
from server.state import open_state
from server.state.learned import LearnedRow
from server.store.duck import DuckStore
from tests.server.small_site import SITE, ZONE, at

START, DAYS = at("2026-03-02T00:00"), 40
END = START + DAYS * DAY_MS
NIGHT = at("2026-04-07T22:30")  # lights left on until 05:30
RULES = tuple(r for r in load_rules() if r.id in {"lights_all_night", "running_water"})
LIGHTS = next(r for r in RULES if r.id == "lights_all_night")
E3 = SITE.meter("E3")


def lamps() -> Rollup:
    """Give six weeks of corridor lamps, once left on for a night."""
    grid = edges(Interval(START, END), Step.QUARTER, ZONE)
    hour = (grid[:-1] - START) % DAY_MS / HOUR_MS
    kw = np.where((hour >= 7.5) & (hour < 18.5), 4.0, 0.2)
    kw[(grid[:-1] >= NIGHT) & (grid[:-1] < NIGHT + 7 * HOUR_MS)] = 4.0
    n = len(kw)
    return Rollup("E3", Step.QUARTER, grid, kw / 4, np.ones(n), np.full(n, Grade.MEASURED, np.int8))


@pytest.fixture
def works(tmp_path: Path) -> Iterator[Works]:
    store = DuckStore(tmp_path / "r.duckdb")
    state = open_state(f"sqlite:///{tmp_path / 's.db'}")
    store.write_rollups(SITE, [lamps()])
    yield Works(store, state, SITE, load_factbook(), RULES)
    store.close()
    state.close()


def days_around() -> Interval:
    return Interval(at("2026-04-07T00:00"), at("2026-04-09T00:00"))


def test_a_night_of_light_is_one_alert_that_costs_what_it_took(works: Works) -> None:
    assert judge_all(works, days_around(), END) == 1
    (alert,) = works.state.alerts()
    assert (alert.start_ms, alert.end_ms) == (NIGHT, NIGHT + 7 * HOUR_MS)
    assert alert.excess == pytest.approx(7 * 3.8)
    assert alert.yuan is not None
    assert judge_all(works, days_around(), END) == 0


def test_what_is_learned_is_kept_and_not_learned_again(works: Works) -> None:
    judge_all(works, days_around(), END)
    kept = dict(learned_of(works, LIGHTS, E3, NIGHT))
    assert set(kept) == {"work_kw", "floor_kw"}
    assert kept["floor_kw"].startswith("0.2 · 2026-04-07")
    works.state.learned.save([LearnedRow("lights_all_night", "E3", "work_kw", "2026-04-07", 99.0)])
    again = learned_rows(works, days_around())
    assert again["lights_all_night", "E3"]["work_kw"][date(2026, 4, 7)] == 99.0


@pytest.mark.parametrize("back_days", [0, 20])
def test_a_pinned_value_stands_above_the_learned_one(works: Works, back_days: int) -> None:
    """Both where a short span takes what is kept, and where a long one learns anew."""
    pin = LearnedRow("lights_all_night", "E3", "work_kw", "2026-03-10", 40.0, "周工", 1, "换灯")
    works.state.learned.pin(pin)
    span = Interval(days_around().start_ms - back_days * DAY_MS, days_around().end_ms)
    assert judge_all(works, span, END) == 0
    works.state.learned.unpin("lights_all_night", "E3", "work_kw")
    assert judge_all(works, span, END) == 1


def test_a_short_span_is_judged_as_it_is_within_a_long_one(works: Works) -> None:
    short = days_around()
    by_short = {s.rule.id: s.judgement for s, _ in judge_span(works, short) if s.meter.id == "E3"}
    long = Interval(short.start_ms - 25 * DAY_MS, short.end_ms)
    for seen, _ in judge_span(works, long):
        if seen.meter.id == "E3":
            part = seen.judgement.since(short.start_ms)
            assert np.array_equal(part.truth, by_short[seen.rule.id].truth)
    shown = evidence_of(works, LIGHTS, E3, short)
    assert np.array_equal(shown.truth, by_short["lights_all_night"].truth)


def test_a_backtest_gives_alerts_energy_and_money_and_keeps_nothing(works: Works) -> None:
    night = (NIGHT, NIGHT + 7 * HOUR_MS)
    truth = {("lights_all_night", "E3"): [night, (night[0] + DAY_MS, night[1] + DAY_MS)]}
    rows = {r.rule.id: r for r in backtest(works, days_around(), truth=truth)}
    row = rows["lights_all_night"]
    assert (row.score.alerts, row.score.precision, row.score.recall) == (1, 1.0, 0.5)
    assert row.score.flagged == pytest.approx(7 * 3.8)
    assert row.yuan is not None
    assert row.yuan > 0
    assert rows["running_water"].yuan is None
    assert works.state.alerts() == []
    assert works.state.learned.of_days("2020-01-01", "2030-01-01") == []


def test_an_alert_is_explained_by_what_it_stood_on(works: Works) -> None:
    judge_all(works, days_around(), END)
    (alert,) = works.state.alerts()
    told = dict(explain(works, alert.id) or [])
    assert told["阈值 threshold"] == "1.200"
    assert told["学得 floor_kw"].startswith("0.2 ·")
    assert explain(works, 999) is None


def test_what_was_learned_long_ago_can_be_forgotten_but_pins_cannot(works: Works) -> None:
    learned = works.state.learned
    learned.save([LearnedRow("r", "m", "floor_kw", "2026-01-01", 1.0)])
    learned.pin(LearnedRow("r", "m", "work_kw", "2026-01-01", 2.0, "周工", 1, "换灯"))
    assert learned.forget("2026-02-01") == 1
    assert [r.name for r in learned.pinned()] == ["work_kw"]


def test_half_covered_and_impossible_intervals_are_unknown(works: Works) -> None:
    r = lamps()
    values, coverage = r.values.copy(), r.coverage.copy()
    coverage[10], values[11] = 0.3, 9e9
    works.store.write_rollups(SITE, [Rollup("E3", r.step, r.edges_ms, values, coverage, r.grades)])
    span = Interval(START, START + DAY_MS)
    seen = Gathered.of(works.store, SITE, span).reading([E3]).evidence(LIGHTS, [E3])
    assert np.flatnonzero(np.isnan(seen.power[0])).tolist() == [10, 11]


def test_a_gauge_is_the_mean_of_each_quarter() -> None:
    series = Series(np.array([0, 60_000, 2_000_000], np.int64), np.array([1.0, 3.0, 7.0]))
    found = binned(series, np.array([0, 900_000, 1_800_000, 2_700_000], np.int64))
    assert found[0] == 2.0
    assert np.isnan(found[1])
    assert found[2] == 7.0
