"""Kinds of rule: many meters at once, nothing of the future, presence, sun, the bill's table."""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from server.periods import DAY_MS, HOUR_MS, QUARTER_MS, Interval, Step, edges
from server.rules.engine import AlertSpan
from server.rules.kinds import KINDS, judge, learn
from server.rules.kinds_place import emptiness, sun_height
from server.rules.kinds_supply import adjustment_share, penalty_share
from server.rules.load import load_rules
from server.rules.measure import measure, runs
from server.rules.model import Evidence, Kind, Rule, Truth
from server.rules.presence import by_plugs, door_moves, occupancy
from server.rules.repeats import lowest
from server.rules.windows import percentile_before, trailing_mean, trailing_min
from server.series import Series
from tests.server.small_site import SITE, ZONE, at

RULES = load_rules()
BY_ID = {r.id: r for r in RULES}
DAYS, M = 40, 3
N = DAYS * 96
START = at("2026-03-02T00:00")
ALL_SERIES = sorted(set().union(*(w.needs for w in KINDS.values())))
LOOK_AHEAD = {Kind.ABNORMAL_DAY}  # judges whole days, unknown until they are over


def wide() -> Evidence:
    """Give five weeks of three meters with every further series and some gaps."""
    rng = np.random.default_rng(5)
    hour = np.tile(np.arange(96) / 4, DAYS)
    workday = np.repeat(np.arange(DAYS) % 7 < 5, 96)
    busy = (hour >= 8) & (hour < 17.5) & workday
    size = np.array([[5.0], [20.0], [0.6]])
    power = size * (0.2 + busy + 0.6 * (rng.random((M, N)) < 0.02)) * rng.uniform(0.9, 1.1, (M, N))
    power[rng.random((M, N)) < 0.01] = np.nan
    people = np.where(busy, 20.0, 0.0) + np.zeros((M, N))
    people[1, 500:700] = np.nan
    more = {name: rng.uniform(0, 30, (M, N)) for name in ALL_SERIES}
    more["outdoor_c"] = 18 + 12 * np.sin(np.arange(N) / 900)
    more["door_moves"] = rng.poisson(0.2, (M, N)).astype(float)
    grid = START + QUARTER_MS * np.arange(N + 1, dtype=np.int64)
    minute = np.tile(np.arange(96) * 15, DAYS)
    gates = np.array([[True], [True], [False]])
    return Evidence(grid, power, people, busy, minute, workday, gates, more)


@pytest.fixture(scope="module", params=RULES, ids=lambda r: r.id)
def rule(request: pytest.FixtureRequest) -> Rule:
    found: Rule = request.param
    return found


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return wide()


def test_many_meters_at_once_are_judged_as_one_by_one(rule: Rule, evidence: Evidence) -> None:
    together = judge(rule, evidence)
    assert together.truth.shape == (M, N)
    for i in range(M):
        alone = judge(rule, evidence.row(i))
        assert np.array_equal(alone.truth, together.truth[i])
        assert np.allclose(alone.excess, together.excess[i])


def test_what_is_judged_does_not_depend_on_what_comes_after(rule: Rule, evidence: Evidence) -> None:
    cut = 36 * 96 + 40
    e = evidence
    assert e.occupancy is not None
    more = {k: v[..., :cut] for k, v in e.more.items()}
    before = Evidence(
        e.edges_ms[: cut + 1], e.power[:, :cut], e.occupancy[:, :cut], e.is_work_time[:cut],
        e.minute[:cut], e.is_workday[:cut], e.has_gate, more,
    )  # fmt: skip
    sure = 36 * 96 if rule.kind in LOOK_AHEAD else cut
    whole = judge(rule, e).truth[:, :sure]
    assert np.array_equal(judge(rule, before).truth[:, :sure], whole)


def test_learned_days_are_those_of_learning_everything(rule: Rule, evidence: Evidence) -> None:
    everything, last = learn(rule, evidence), learn(rule, evidence, DAYS - 1)
    assert everything.keys() == last.keys()
    for name, values in everything.items():
        assert values.shape == (M, DAYS)
        assert np.allclose(values[:, -1], last[name][:, -1], equal_nan=True)


def test_missing_load_is_unknown_to_rules_about_load(rule: Rule, evidence: Evidence) -> None:
    judgement = judge(rule, evidence)
    assert not np.isnan(judgement.excess).any()
    assert (judgement.excess >= 0).all()
    assert (judgement.excess[judgement.truth != Truth.TRUE] == 0).all()


def test_a_percentile_is_of_the_28_days_before() -> None:
    values = np.repeat(np.arange(40.0), 96)
    flags = np.ones(N, bool)
    grid = START + QUARTER_MS * np.arange(N + 1, dtype=np.int64)
    e = Evidence(grid, values, None, flags, np.zeros(N, np.int64), flags)
    found = percentile_before(e, flags, 50)
    assert np.isnan(found[:7]).all()
    assert found[7] == 3.0
    assert found[39] == np.median(np.repeat(np.arange(11.0, 39.0), 96))


def test_trailing_windows_end_at_their_interval() -> None:
    values = np.array([5.0, 1.0, np.nan, 4.0, 7.0])
    assert trailing_mean(values, 2).tolist() == [5.0, 3.0, 1.0, 4.0, 5.5]
    assert trailing_min(np.array([3.0, 1, 2, 5, 4]), 3).tolist() == [3, 1, 1, 1, 2]


@pytest.mark.parametrize(
    ("day", "rise", "fall"),
    [("2026-06-21", "05:36", "19:25"), ("2026-12-21", "07:13", "17:40")],
)
def test_the_sun_rises_and_sets_when_the_almanac_says(day: str, rise: str, fall: str) -> None:
    zone = ZoneInfo("Asia/Shanghai")
    for text, before, after in ((rise, -1, 1), (fall, 1, -1)):
        moment = datetime.fromisoformat(f"{day}T{text}").replace(tzinfo=zone)
        ms = moment.timestamp() * 1000
        heights = sun_height(np.array([ms - 4 * 60e3, ms + 4 * 60e3]), 26.74, 112.68) + 0.833
        assert np.sign(heights).tolist() == [before, after]


@pytest.mark.parametrize(
    ("standard", "factor", "percent"),
    [
        (0.9, 0.65, 15), (0.9, 0.60, 25), (0.9, 0.32, 81), (0.85, 0.65, 10), (0.85, 0.60, 15),
        (0.85, 0.59, 17), (0.85, 0.32, 71), (0.9, 0.9, 0), (0.9, 0.95, -0.75), (0.9, 1.0, -0.75),
        (0.85, 0.90, -0.5), (0.85, 0.94, -1.1), (0.85, 1.0, -1.1), (0.8, 1.0, -1.3),
    ],
)  # fmt: skip
def test_the_adjustment_is_the_tables(standard: float, factor: float, percent: float) -> None:
    assert adjustment_share(standard, factor) * 100 == pytest.approx(percent)


def test_a_low_power_factor_costs_its_share_of_the_bill() -> None:
    n = 96
    grid = START + QUARTER_MS * np.arange(n + 1, dtype=np.int64)
    flags = np.ones(n, bool)
    reactive = np.full(n, 60 * np.tan(np.arccos(0.65)))
    e = Evidence(
        grid, np.full(n, 60.0), None, flags, np.zeros(n, np.int64), flags,
        more={"reactive_kvar": reactive},
    )  # fmt: skip
    rule = BY_ID["power_factor_low"]
    assert penalty_share(rule.parameters, e, int(grid[0]), int(grid[-1])) == pytest.approx(0.10)


def doors(days: int, missed: int) -> tuple[Series, Series]:
    """Give a gate's totals: 100 in at 8, 100 less the missed out at 18, each day."""
    times = START + HOUR_MS * np.arange(days * 24, dtype=np.int64)
    hour = np.arange(days * 24) % 24
    ins = np.cumsum(np.where(hour == 8, 100.0, 0.0))
    return Series(times, ins), Series(times, np.cumsum(np.where(hour == 18, 100.0 - missed, 0.0)))


def test_a_gate_that_misses_leavers_does_not_keep_people_in_at_night() -> None:
    ins, outs = doors(20, 4)
    grid = edges(Interval(START, START + 20 * DAY_MS), Step.HOUR, ZONE)
    found = occupancy(ins, outs, grid, SITE)
    assert found[5 * 24 + 20] == 4  # before seven nights it is not known
    assert found[18 * 24 + 20] == 0
    assert found[18 * 24 + 12] == 100


def test_door_moves_are_what_both_counters_gained() -> None:
    ins, outs = doors(1, 0)
    grid = edges(Interval(START, START + DAY_MS), Step.HOUR, ZONE)
    moves = door_moves(ins, outs, grid)
    assert moves[7] == 100
    assert moves[12] == 0
    assert np.isnan(door_moves(Series.empty(), outs, grid)).all()


def test_plug_loads_tell_whether_somebody_is_there_but_not_at_night(evidence: Evidence) -> None:
    e = evidence.row(1)
    there = by_plugs(e)
    day = 30 * 96
    assert there[day + 40] == 1
    assert np.isnan(there[day + 4])
    assert np.isnan(there[: 7 * 96]).all()


def test_without_a_gate_the_evening_is_unknown_and_the_deep_night_empty() -> None:
    p = BY_ID["unattended_ac"].parameters
    minute = np.array([19 * 60, 23 * 60])
    off, work = np.zeros(2, bool), np.ones(2, bool)
    grid = START + QUARTER_MS * np.arange(3, dtype=np.int64)
    e = Evidence(grid, np.ones(2), None, off, minute, work)
    empty, known = emptiness(p, e)
    assert empty.tolist() == [True, True]
    assert known.tolist() == [False, True]
    gated = Evidence(grid, np.ones(2), np.array([3.0, 0.0]), off, minute, work)
    empty, known = emptiness(p, gated)
    assert empty.tolist() == [False, True]
    assert known.tolist() == [True, True]


def span(start: int, end: int | None) -> AlertSpan:
    return AlertSpan(start, start, end, 1.0, 0.0, 1.0)


def test_a_main_does_not_repeat_what_a_meter_below_says() -> None:
    parents = {"main": None, "sub": "main", "leaf": "sub"}
    found = {"main": [span(0, 5), span(20, None)], "sub": [span(9, 10)], "leaf": [span(3, 12)]}
    told = lowest(found, parents)
    assert [s.start_ms for s in told["main"]] == [20]
    assert told["sub"] == []
    assert [s.start_ms for s in told["leaf"]] == [3]


def test_alerts_are_measured_against_wastes() -> None:
    hour = HOUR_MS
    found = [span(10 * hour, 12 * hour), span(50 * hour, None)]
    score = measure(found, [(9 * hour, 11 * hour), (30 * hour, 31 * hour)], 60 * hour)
    assert (score.precision, score.recall, score.minutes_to_alarm) == (0.5, 0.5, 60)
    assert np.isnan(measure([], [], 0).precision)


def test_runs_are_half_open() -> None:
    here = np.array([True, False, True, True])
    assert runs(here, np.arange(5, dtype=np.int64)) == [(0, 1), (2, 4)]
