"""Rules: their own examples, the life of an alert, learned thresholds, presence."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import ConfigError
from server.periods import DAY_MS, HOUR_MS, QUARTER_MS, Interval, Step, edges
from server.rules.engine import AlertState, Phase, Transition, advance, alerts, run
from server.rules.examples import found_in
from server.rules.kinds import KINDS, judge
from server.rules.load import load_rules
from server.rules.model import Evidence, Example, Judgement, Kind, Rule, Truth
from server.rules.presence import occupancy
from server.series import Series
from tests.server.small_site import SITE, ZONE, at

RULES = {r.id: r for r in load_rules()}
AC = RULES["unattended_ac"]
EXAMPLES = [(r, e) for r in RULES.values() for e in r.examples]


@pytest.mark.parametrize(("rule", "e"), EXAMPLES, ids=lambda x: getattr(x, "name", ""))
def test_each_rule_file_does_what_its_examples_say(rule: Rule, e: Example) -> None:
    assert found_in(rule, e) == e.alerts


def test_every_kind_has_a_rule_with_an_example_that_fires() -> None:
    assert {r.kind for r in RULES.values()} == set(Kind) == set(KINDS)
    assert all(any(e.alerts for e in r.examples) for r in RULES.values())


def judgement(truth: list[int]) -> Judgement:
    n = len(truth)
    grid = np.arange(n + 1, dtype=np.int64) * QUARTER_MS
    zeros = np.zeros(n)
    return Judgement(grid, np.array(truth, np.int8), zeros, zeros, np.array(truth) * 2.0)


def test_a_short_condition_never_fires() -> None:
    assert alerts(AC, judgement([0, 1, 0, 1, 0])) == ()


def test_the_start_is_when_it_became_true_and_the_firing_after_the_hold() -> None:
    (span,) = alerts(AC, judgement([0, 1, 1, 1, 0, 0, 0]))
    assert (span.start_ms, span.fired_ms, span.end_ms) == (
        QUARTER_MS,
        3 * QUARTER_MS,
        4 * QUARTER_MS,
    )
    assert span.excess == 6.0


def test_a_short_dip_does_not_end_an_alert() -> None:
    (span,) = alerts(AC, judgement([1, 1, 1, 0, 1, 1, 0, 0]))
    assert span.end_ms == 6 * QUARTER_MS


def test_unknown_neither_fires_nor_resolves() -> None:
    assert alerts(AC, judgement([1, -1, -1, -1])) == ()
    (span,) = alerts(AC, judgement([1, 1, -1, -1, -1, -1]))
    assert span.end_ms is None
    assert span.known_share == pytest.approx(2 / 6)


truths = st.lists(st.sampled_from([-1, 0, 1]), min_size=2, max_size=60)


@given(truths, st.integers(1, 59))
def test_running_in_two_halves_is_running_whole(truth: list[int], cut: int) -> None:
    cut = min(cut, len(truth) - 1)
    whole_state, whole = run(AC, judgement(truth))
    j = judgement(truth)
    parts: list[Transition] = []
    state = AlertState()
    for a, b in ((0, cut), (cut, len(truth))):
        part = Judgement(
            j.edges_ms[a : b + 1], j.truth[a:b], j.threshold[a:b], j.floor[a:b], j.excess[a:b]
        )
        state, found = run(AC, part, state)
        parts += found
    assert state == whole_state
    assert tuple(parts) == whole


def test_advance_is_told_the_time() -> None:
    state, change = advance(AlertState(), Truth.TRUE, 0, 2 * AC.hold_ms, AC)
    assert state.phase is Phase.FIRING
    assert change is not None
    assert change.at_ms == AC.hold_ms


def test_thresholds_are_learned_only_from_the_days_before() -> None:
    days = 12
    power = np.zeros(days * 96)
    for d in range(days):
        power[d * 96 + 32 : d * 96 + 70] = 40.0
    power[11 * 96 + 80 : 11 * 96 + 90] = 30.0
    n = len(power)
    grid = at("2026-03-02T00:00") + np.arange(n + 1, dtype=np.int64) * QUARTER_MS
    present = np.where(power == 40.0, 20.0, 0.0)
    e = Evidence(grid, power, present, np.zeros(n, bool), np.zeros(n, np.int64), np.ones(n, bool))
    j = judge(AC, e)
    assert (j.truth[: 7 * 96] == Truth.UNKNOWN).all()
    assert j.threshold[11 * 96] == pytest.approx(8.0)
    assert np.flatnonzero(j.truth == Truth.TRUE).tolist() == list(range(11 * 96 + 80, 11 * 96 + 90))
    changed = power.copy()
    changed[11 * 96 :] = 500.0
    again = judge(
        AC, Evidence(grid, changed, *(e.occupancy, e.is_work_time, e.minute, e.is_workday))
    )
    assert again.threshold[11 * 96] == j.threshold[11 * 96]


def test_rules_judge_only_the_meters_they_select() -> None:
    assert [m.id for m in AC.targets(SITE)] == ["E2"]
    assert [m.id for m in RULES["load_high"].targets(SITE)] == ["E0", "E1", "E4"]
    assert [m.id for m in RULES["lights_all_night"].targets(SITE)] == ["E3"]
    assert [m.id for m in RULES["running_water"].targets(SITE)] == ["W1"]


def test_presence_is_in_less_out_since_the_night_and_unknown_when_the_gate_is_silent() -> None:
    start = at("2026-03-02T03:00")
    times = start + np.arange(0, 8 * HOUR_MS + 1, QUARTER_MS, dtype=np.int64)
    ins = Series(times, 100 + np.minimum(np.arange(len(times)), 20).astype(float))
    outs = Series(times, 40 + np.maximum(np.arange(len(times)) - 24, 0).astype(float))
    grid = edges(Interval(start, start + 12 * HOUR_MS), Step.QUARTER, ZONE)
    found = occupancy(ins, outs, grid, SITE)
    assert found[0] == 1
    assert found[22] == 20
    assert found[31] == 20 - 7
    assert np.isnan(found[-1])


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"kind": "mystery"}, "kind"),
        ({"parameters": {"share": 1}}, "parameters"),
        ({"hold_min": -1}, "hold_min"),
        ({"colour": "red"}, "colour"),
        ({"examples": [{"name": "x", "values": "a*2", "alerts": []}]}, "values"),
        (
            {"examples": [{"name": "x", "values": "1*2", "occupancy": "1", "alerts": []}]},
            "occupancy",
        ),
    ],
)
def test_a_wrong_rule_file_is_told(tmp_path: Path, change: dict[str, object], key: str) -> None:
    shipped = Path(load_rules.__code__.co_filename).parent / "library/10_unattended_ac.yaml"
    text = {**yaml.safe_load(shipped.read_text("utf-8")), **change}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(text, allow_unicode=True), "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_rules(tmp_path)
    assert key in {p.key for p in caught.value.problems}


def test_seven_quiet_days_are_not_enough_data_to_fire() -> None:
    n = 6 * 96
    grid = np.arange(n + 1, dtype=np.int64) * QUARTER_MS
    flags = np.ones(n, bool)
    e = Evidence(grid, np.full(n, 9.0), np.zeros(n), ~flags, np.zeros(n, np.int64), flags)
    assert (judge(AC, e).truth == Truth.UNKNOWN).all()
    assert grid[-1] < 7 * DAY_MS
