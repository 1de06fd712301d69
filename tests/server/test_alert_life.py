"""The life of an alert: every edge on both sides, late data, restarts, causes, expected use."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.errors import ConfigError
from server.jobs.whitelist import act_on, without_expected
from server.periods import DAY_MS, HOUR_MS, QUARTER_MS
from server.rules.causes import Firing, cause_key, parents
from server.rules.engine import alerts, spans
from server.rules.hysteresis import near
from server.rules.load import load_rules
from server.rules.model import Evidence, Judgement, Truth
from server.state import NewAlert, State, open_state
from server.state.alerts import WhitelistEntry
from server.state.life import LIFE, Action, Condition, Work, actions_of
from tests.server.alert_cases import DONE, NEW, NOON, PENDING, only, phases, record
from tests.server.small_site import SITE, ZONE, at

AC = next(r for r in load_rules() if r.id == "unattended_ac")
DETAIL: dict[Action, dict[str, Any]] = {
    Action.ACKNOWLEDGE: {}, Action.ASSIGN: {"to": "后勤"}, Action.NOTE: {"text": "已到现场"},
    Action.MUTE: {"until_ms": NOON + DAY_MS}, Action.FALSE_ALARM: {"reason": "duty_room"},
    Action.CLOSE: {"reason": "已关闭空调"}, Action.REOPEN: {"reason": "又开了"},
}  # fmt: skip
TO: dict[Work, tuple[Action, ...]] = {
    Work.NEW: (), Work.ACKNOWLEDGED: (Action.ACKNOWLEDGE,), Work.ASSIGNED: (Action.ASSIGN,),
    Work.CLOSED: (Action.CLOSE,), Work.FALSE_ALARM: (Action.FALSE_ALARM,),
}  # fmt: skip


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 's.db'}"


@pytest.fixture
def state(url: str) -> Iterator[State]:
    opened = open_state(url)
    yield opened
    opened.close()


def act(state: State, action: Action, now_ms: int = NOON + HOUR_MS, **detail: Any) -> Work:
    given_detail = {**DETAIL[action], **detail}
    return state.inbox.act(1, action, "张", now_ms, **given_detail).work


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("work", list(Work))
def test_an_action_is_taken_where_the_table_says_and_refused_elsewhere(
    state: State, work: Work, action: Action
) -> None:
    record(state, NEW)
    for step in TO[work]:
        act(state, step)
    before = state.inbox.transitions(1)
    if work in LIFE[action].before:
        assert act(state, action) == (LIFE[action].after or work)
        assert [t.to_phase for t in state.inbox.transitions(1)][len(before) :] == [str(action)]
        assert action in actions_of(work)
    else:
        with pytest.raises(ConfigError, match="alert 1"):
            act(state, action)
        assert state.inbox.transitions(1) == before
        assert action not in actions_of(work)


@pytest.mark.parametrize(
    ("action", "detail"),
    [
        (Action.ASSIGN, {"to": " "}),
        (Action.ASSIGN, {"to": "长" * 65}),
        (Action.NOTE, {"text": ""}),
        (Action.MUTE, {"until_ms": NOON + HOUR_MS}),
        (Action.MUTE, {"until_ms": NOON + 100 * DAY_MS}),
        (Action.MUTE, {"until_ms": True}),
        (Action.FALSE_ALARM, {"reason": "不想看"}),
        (Action.CLOSE, {"reason": None}),
    ],
)
def test_a_step_without_what_it_must_say_is_refused(
    state: State, action: Action, detail: dict[str, Any]
) -> None:
    record(state, NEW)
    with pytest.raises(ConfigError, match="expected"):
        act(state, action, **detail)
    assert only(state).work is Work.NEW


def test_who_acts_signs_and_is_not_the_system(state: State) -> None:
    record(state, NEW)
    for name in ("", " ", "system", "x" * 65):
        with pytest.raises(ConfigError, match="a name"):
            state.inbox.act(1, Action.ACKNOWLEDGE, name, NOON)
    with pytest.raises(ConfigError, match="a known alert"):
        state.inbox.act(99, Action.ACKNOWLEDGE, "张", NOON)
    with pytest.raises(ConfigError, match="action"):
        state.inbox.act(1, "explode", "张", NOON)


def test_two_notes_of_one_moment_are_two_rows(state: State) -> None:
    record(state, NEW)
    for text in ("一", "二"):
        act(state, Action.NOTE, text=text)
    notes = [t.detail["text"] for t in state.inbox.transitions(1) if t.to_phase == "noted"]
    assert notes == ["一", "二"]


def test_a_condition_goes_from_pending_to_firing_to_resolved_once_each(state: State) -> None:
    assert record(state, PENDING, now_ms=NOON + QUARTER_MS) == 0
    assert only(state).condition is Condition.PENDING
    assert state.alerts() == []
    for _ in range(2):
        record(state, NEW, now_ms=NOON + HOUR_MS)
    assert only(state).condition is Condition.FIRING
    for _ in range(2):
        record(state, DONE, now_ms=NOON + 4 * HOUR_MS)
    row = only(state)
    assert (row.condition, row.excess, row.end_ms) == (Condition.RESOLVED, 9.0, DONE.end_ms)
    assert phases(state) == ["pending", "firing", "resolved"]
    assert [t.at_ms for t in state.inbox.transitions(1)] == [NOON, NEW.fired_ms, DONE.end_ms]


def test_what_was_pending_and_is_no_more_has_lapsed_and_was_never_an_alert(state: State) -> None:
    record(state, PENDING, now_ms=NOON + QUARTER_MS)
    record(state, now_ms=NOON + HOUR_MS)
    assert only(state).condition is Condition.LAPSED
    assert state.inbox.open(conditions=list(Condition)[:3]) == []
    assert state.alerts() == []
    record(state, now_ms=NOON + 2 * HOUR_MS)
    assert phases(state) == ["pending", "resolved"]


def test_late_data_that_takes_an_alert_back_leaves_a_correction_and_no_gap(state: State) -> None:
    record(state, DONE, now_ms=NOON + 4 * HOUR_MS)
    for hours in (5, 6):
        record(state, now_ms=NOON + hours * HOUR_MS)
    assert only(state).condition is Condition.WITHDRAWN
    assert phases(state) == ["pending", "firing", "resolved", "corrected"]
    detail = state.inbox.transitions(1)[-1].detail
    assert detail["phase"] == ["resolved", "withdrawn"]
    assert detail["excess"] == [9.0, 0.0]
    assert state.alerts() == []


def test_late_data_that_brings_an_alert_back_corrects_it_again(state: State) -> None:
    for found in ((DONE,), (), (DONE,), (DONE,)):
        record(state, *found, now_ms=NOON + 5 * HOUR_MS)
    assert only(state).condition is Condition.RESOLVED
    assert phases(state) == ["pending", "firing", "resolved", "corrected", "corrected"]


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        (replace(DONE, excess=9.5), "excess"),
        (replace(DONE, end_ms=NOON + 2 * HOUR_MS), "end_ms"),
        (replace(DONE, start_ms=NOON - QUARTER_MS), "start_ms"),
        (replace(DONE, end_ms=None), "end_ms"),
    ],
)
def test_late_data_that_moves_what_was_said_says_before_and_after(
    state: State, changed: NewAlert, key: str
) -> None:
    record(state, DONE, now_ms=NOON + 5 * HOUR_MS)
    for _ in range(2):
        record(state, changed, now_ms=NOON + 6 * HOUR_MS)
    assert phases(state) == ["pending", "firing", "resolved", "corrected"]
    detail = state.inbox.transitions(1)[-1].detail
    assert detail[key] == [getattr(DONE, key), getattr(changed, key)]
    assert getattr(only(state), key) == getattr(changed, key)


def test_a_change_within_the_tolerance_is_no_correction(state: State) -> None:
    record(state, DONE, now_ms=NOON + 5 * HOUR_MS)
    record(state, replace(DONE, excess=9.05), now_ms=NOON + 6 * HOUR_MS)
    assert phases(state) == ["pending", "firing", "resolved"]


def test_a_span_that_begins_within_an_alert_takes_nothing_back(state: State) -> None:
    record(state, DONE, now_ms=NOON + 4 * HOUR_MS)
    record(state, now_ms=NOON + 5 * HOUR_MS, since_ms=NOON + HOUR_MS)
    assert only(state).condition is Condition.RESOLVED
    cut = replace(DONE, start_ms=NOON + HOUR_MS, excess=4.0)
    record(state, cut, now_ms=NOON + 5 * HOUR_MS, since_ms=NOON + HOUR_MS)
    assert only(state).excess == 9.0


def test_two_alerts_that_late_data_joins_become_one_and_the_other_is_taken_back(
    state: State,
) -> None:
    first = replace(DONE, end_ms=NOON + HOUR_MS)
    second = replace(DONE, start_ms=NOON + 2 * HOUR_MS, fired_ms=NOON + 3 * HOUR_MS)
    record(state, first, second, now_ms=NOON + 5 * HOUR_MS)
    record(state, DONE, now_ms=NOON + 6 * HOUR_MS)
    rows = [state.inbox.get(n) for n in (1, 2)]
    assert [r.condition for r in rows if r] == [Condition.RESOLVED, Condition.WITHDRAWN]
    assert len(state.alerts()) == 1


def test_two_servers_that_find_the_same_at_once_keep_it_once(url: str) -> None:
    open_state(url).close()
    meters = [f"M{i}" for i in range(40)]

    def server(_: int) -> int:
        own = open_state(url)
        new = sum(record(own, replace(NEW, meter=m)) for m in meters)
        own.close()
        return new

    with ThreadPoolExecutor(4) as pool:
        new = sum(pool.map(server, range(4)))
    state = open_state(url)
    assert new == len(meters)
    assert sorted(a.meter for a in state.alerts()) == sorted(meters)
    for row in state.alerts():
        assert phases(state, row.id) == ["pending", "firing"]
    state.close()


EARLIER = replace(DONE, start_ms=NOON - QUARTER_MS, fired_ms=NOON + QUARTER_MS)
HEAD = replace(DONE, end_ms=NOON + HOUR_MS, excess=3.0)
TAIL = replace(DONE, start_ms=NOON + 2 * HOUR_MS, fired_ms=NOON + 150 * 60_000, excess=3.0)
PASSES: tuple[tuple[NewAlert, ...], ...] = (
    (), (PENDING,), (NEW,), (DONE,), (EARLIER,), (HEAD, TAIL), (TAIL,),
    (replace(DONE, end_ms=NOON + 4 * HOUR_MS, excess=12.0),), (HEAD, replace(TAIL, end_ms=None)),
    (replace(TAIL, end_ms=None, has_fired=False),),
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.integers(0, len(PASSES) - 1), min_size=1, max_size=8))
def test_whatever_passes_find_rows_are_only_added_and_the_last_word_stands(
    passes: list[int],
) -> None:
    state = open_state("sqlite://")

    def rows() -> list[object]:
        return [t for n in range(1, 9) for t in state.inbox.transitions(n)]

    before: list[object] = []
    for i, at_pass in enumerate(passes):
        record(state, *PASSES[at_pass], now_ms=NOON + (10 + i) * HOUR_MS)
        after = rows()
        assert [t for t in after if t in before] == before
        record(state, *PASSES[at_pass], now_ms=NOON + (10 + i) * HOUR_MS)  # after a restart
        assert rows() == after
        before = after
        told = sorted((a.start_ms, a.end_ms or 0) for a in state.alerts())
        assert told == [(a.start_ms, a.end_ms or 0) for a in PASSES[at_pass] if a.has_fired]
    state.close()


def test_every_state_survives_a_restart(url: str) -> None:
    for number, (work, steps) in enumerate(TO.items(), 1):
        state = open_state(url)
        alert = replace(NEW, meter=f"M{number}")
        record(state, alert)
        for step in steps:
            state.inbox.act(number, step, "张", NOON + HOUR_MS, **DETAIL[step])
        before = (state.inbox.get(number), state.inbox.transitions(number))
        state.close()
        state = open_state(url)
        record(state, alert)
        assert (state.inbox.get(number), state.inbox.transitions(number)) == before
        assert before[0] is not None
        assert before[0].work is work
        state.close()


def test_what_nobody_took_on_is_escalated_once_and_not_before(state: State) -> None:
    record(state, NEW)
    waits = {"notice": 2 * HOUR_MS}
    assert state.inbox.escalate(waits, NEW.fired_ms + 2 * HOUR_MS - 1) == []
    assert state.inbox.escalate(waits, NEW.fired_ms + 2 * HOUR_MS) == [1]
    assert state.inbox.escalate(waits, NEW.fired_ms + 9 * HOUR_MS) == []
    assert state.inbox.transitions(1)[-1].at_ms == NEW.fired_ms + 2 * HOUR_MS


@pytest.mark.parametrize("action", [Action.ACKNOWLEDGE, Action.MUTE, Action.CLOSE])
def test_what_somebody_took_on_is_not_escalated(state: State, action: Action) -> None:
    record(state, NEW)
    act(state, action)
    assert state.inbox.escalate({"notice": HOUR_MS}, NEW.fired_ms + 3 * HOUR_MS) == []


def test_what_was_closed_and_still_fires_is_reopened_by_the_system(state: State) -> None:
    record(state, NEW)
    act(state, Action.CLOSE)
    closed_ms = only(state).closed_ms or 0
    assert state.inbox.reopen_lasting(DAY_MS, closed_ms + DAY_MS - 1) == []
    assert state.inbox.reopen_lasting(DAY_MS, closed_ms + DAY_MS) == [1]
    assert only(state).work is Work.NEW
    act(state, Action.CLOSE, closed_ms + DAY_MS + 1)
    record(state, DONE, now_ms=NOON + 50 * HOUR_MS)
    assert state.inbox.reopen_lasting(DAY_MS, closed_ms + 9 * DAY_MS) == []


def test_the_inbox_filters_sorts_by_cost_and_counts_false_alarms(state: State) -> None:
    dear = replace(NEW, meter="E3", building="b", rule="lights_all_night", severity="warning")
    record(state, NEW)
    record(state, replace(dear, yuan=None, start_ms=NOON + QUARTER_MS))
    assert [a.meter for a in state.inbox.open()] == ["E3", "E2"]
    assert [a.meter for a in state.inbox.open(by_cost=True)] == ["E2", "E3"]
    assert [a.meter for a in state.inbox.open(building="b")] == ["E3"]
    assert [a.meter for a in state.inbox.open(severity="notice")] == ["E2"]
    act(state, Action.FALSE_ALARM)
    assert [a.meter for a in state.inbox.open()] == ["E3"]
    rates = state.inbox.false_alarm_rate()
    assert (rates["unattended_ac"].share, rates["lights_all_night"].share) == (1.0, 0.0)


def judgement(truth: list[int], start: str = "2026-03-02T00:00") -> Judgement:
    grid = at(start) + np.arange(len(truth) + 1, dtype=np.int64) * QUARTER_MS
    zeros = np.zeros(len(truth))
    values = np.array(truth, np.int8)
    return Judgement(grid, values, zeros, zeros, np.where(values == Truth.TRUE, 2.0, 0.0))


def test_what_fires_is_held_by_what_is_near_and_near_alone_never_fires() -> None:
    truth = [1, 1, 1, 0, 0, 0, 0, 0]
    just_below = np.array([1, 1, 1, 1, 1, 0, 0, 0], bool)
    (plain,), (held,) = alerts(AC, judgement(truth)), alerts(AC, judgement(truth), just_below)
    start = at("2026-03-02T00:00")
    assert (plain.end_ms, held.end_ms) == (start + 3 * QUARTER_MS, start + 5 * QUARTER_MS)
    assert alerts(AC, judgement([0] * 8), np.ones(8, bool)) == ()


def seen(power: list[float], persons: list[float] | None, worked: list[int]) -> Evidence:
    n = len(power)
    grid = at("2026-03-02T00:00") + np.arange(n + 1, dtype=np.int64) * QUARTER_MS
    counts = None if persons is None else np.array(persons)
    return Evidence(
        grid, np.array(power), counts, np.array(worked, bool), np.zeros(n, np.int64),
        np.ones(n, bool),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("power", "persons", "worked", "expected"),
    [
        ([10, 9.5, 8.9, 10.5], [0, 0, 0, 0], [0] * 4, [1, 1, 0, 0]),
        ([9.5, 9.5, 9.5, 9.5], [0, 2, np.nan, 0], [0] * 4, [1, 0, 0, 1]),
        ([9.5, 9.5], None, [0, 1], [1, 0]),
        ([np.nan, 9.5], [0, 0], [0, 0], [0, 1]),
    ],
)
def test_only_a_load_just_below_in_an_empty_place_is_near(
    power: list[float], persons: list[float] | None, worked: list[int], expected: list[int]
) -> None:
    j = judgement([0] * len(power))
    limit = Judgement(j.edges_ms, j.truth, np.full(len(power), 10.0), j.floor, j.excess)
    held = near(AC, seen(power, persons, worked), limit)
    assert held is not None
    assert held.astype(int).tolist() == expected


def test_what_is_pending_says_when_it_would_fire() -> None:
    (span,) = spans(AC, judgement([0, 0, 0, 1]))
    assert not span.has_fired
    assert span.fired_ms == span.start_ms + AC.hold_ms
    assert spans(AC, judgement([0, 0, 1, 0])) == ()


def entry(**changed: object) -> WhitelistEntry:
    kept: dict[str, object] = {
        "rule": "unattended_ac", "meter": "E2", "reason": "duty_room", "from_ms": 0, "by": "张",
        **changed,
    }  # fmt: skip
    return WhitelistEntry(**kept)  # type: ignore[arg-type] # built by name


def test_expected_use_over_midnight_belongs_to_its_evening() -> None:
    j = judgement([1] * 96 * 2)  # Monday and Tuesday
    monday = entry(weekdays="1", from_minute=22 * 60, to_minute=6 * 60)
    left = without_expected(j, [monday], SITE).truth == Truth.TRUE
    assert left[: 22 * 4].all()
    assert not left[22 * 4 : 30 * 4].any()
    assert left[30 * 4 :].all()


@pytest.mark.parametrize(
    ("reason", "end_ms", "expected"),
    [
        ("duty_room", NOON + 3 * HOUR_MS, ("1234567", 720, 900)),
        ("weekly_cleaning", NOON + 3 * HOUR_MS, ("1", 720, 900)),
        ("server_room", NOON + 26 * HOUR_MS, ("1234567", 0, 1440)),
        ("duty_room", NOON + 12 * HOUR_MS, ("1234567", 720, 1440)),
        ("duty_room", NOON + 18 * HOUR_MS, ("1234567", 720, 360)),
    ],
)
def test_a_false_alarm_for_a_lasting_reason_is_expected_in_its_own_hours(
    state: State, reason: str, end_ms: int, expected: tuple[str, int, int]
) -> None:
    record(state, replace(DONE, end_ms=end_ms), now_ms=NOON + 30 * HOUR_MS)
    act_on(state.inbox, 1, "false_alarm", "张", NOON + 30 * HOUR_MS, ZONE, reason=reason)
    (e,) = state.inbox.allowed()
    assert (e.weekdays, e.from_minute, e.to_minute) == expected
    assert (e.from_ms, e.alert_id, e.reason) == (NOON + 30 * HOUR_MS, 1, reason)


@pytest.mark.parametrize(("reason", "feeds"), [("overtime", True), ("duty_room", False)])
def test_other_false_alarms_feed_nothing(state: State, reason: str, feeds: bool) -> None:
    record(state, DONE)
    act_on(state.inbox, 1, "false_alarm", "张", NOON, ZONE, feeds=feeds, reason=reason)
    assert state.inbox.allowed() == []


def test_expected_use_holds_from_when_it_was_entered_until_it_ends() -> None:
    j = judgement([1] * 96)
    begins, ends = at("2026-03-02T06:00"), at("2026-03-02T12:00")
    held = without_expected(j, [entry(from_ms=begins, until_ms=ends)], SITE)
    assert np.flatnonzero(held.truth == Truth.FALSE).tolist() == list(range(24, 48))
    assert held.excess.sum() == 2.0 * 72
    unknown = judgement([-1] * 96)
    assert (without_expected(unknown, [entry()], SITE).truth == Truth.UNKNOWN).all()


@pytest.mark.parametrize(
    "changed",
    [
        {"reason": "because"}, {"until_ms": 0}, {"weekdays": "08"}, {"weekdays": ""},
        {"weekdays": "11"}, {"from_minute": 1440}, {"to_minute": 0}, {"by": " "},
    ],
)  # fmt: skip
def test_expected_use_that_is_none_is_refused(state: State, changed: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="whitelist"):
        state.inbox.allow(entry(**changed), NOON)
    assert state.inbox.allowed() == []


def test_expected_use_is_entered_and_ended_with_a_name(state: State) -> None:
    number = state.inbox.allow(entry(), NOON)
    assert state.inbox.disallow(number, "李", NOON + HOUR_MS)
    assert not state.inbox.disallow(number, "李", NOON + HOUR_MS)
    assert [e.until_ms for e in state.inbox.allowed("unattended_ac", "E2")] == [NOON + HOUR_MS]
    assert [r.who for r in state.books.audit_rows()] == ["李", "张"]


def test_an_outage_of_a_main_meter_is_one_alert(state: State) -> None:
    meters = [m for m in SITE.meters if m.building == "a" and m.id.startswith("E")]
    tree = replace(
        SITE, meters=tuple(replace(m, parent=None if m.id == "E1" else "E1") for m in meters)
    )

    def group(rows: object) -> dict[int, int]:
        firing = [
            Firing(a.id, "silent", a.meter, a.start_ms, a.cause_key)
            for a in rows  # type: ignore[attr-defined] # alert rows
        ]
        return parents(firing, tree)

    found = [
        replace(NEW, rule="silent", meter=m.id, cause_key=cause_key("silent", m)) for m in meters
    ]
    record(state, *reversed(found), group=group)
    told = state.inbox.open()
    assert [a.meter for a in told] == ["E1"]
    assert len(state.inbox.children(told[0].id)) == len(meters) - 1
    assert len(state.alerts()) == len(meters)
    ended = replace(found[0], end_ms=NOON + HOUR_MS)
    record(state, *[ended, *found[1:]], now_ms=NOON + 3 * HOUR_MS, group=group)
    assert {a.meter for a in state.inbox.open() if a.end_ms is None} == {m.id for m in meters[1:]}


@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 3)), min_size=1, max_size=30),
    st.lists(st.integers(-1, 7), min_size=8, max_size=8),
)
def test_however_meters_hang_together_each_cause_keeps_one_that_is_told(
    rows: list[tuple[int, int]], tree: list[int]
) -> None:
    base = SITE.meters[0]
    meters = tuple(
        replace(base, id=f"M{i}", device=f"D{i % 3}", parent=f"M{p}" if 0 <= p < i else None)
        for i, p in enumerate(tree)
    )
    firing = [
        Firing(i, "silent", f"M{m}", start, "data:silent") for i, (m, start) in enumerate(rows)
    ]
    out = parents(firing, replace(SITE, meters=meters))
    assert len(out) < len(firing)
    assert not set(out) & set(out.values())


def test_a_leak_and_more_on_one_main_are_one_cause_each() -> None:
    kinds = [
        ("flow_never_zero", "W1"), ("night_flow", "W1"), ("burst", "W1"), ("night_flow", "W2"),
        ("night_baseload", "E1"), ("abnormal_day", "E1"), ("day_off_use", "E2"),
    ]  # fmt: skip
    firing = [
        Firing(i, kind, m, NOON + i, cause_key(kind, replace(SITE.meters[0], id=m)))
        for i, (kind, m) in enumerate(kinds)
    ]
    assert parents(firing, SITE) == {1: 0, 5: 4}
