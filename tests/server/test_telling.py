"""Telling: what is told to whom, when, in which words; and what nobody is to be told."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from server.factbook.workdays import calendar_gap
from server.jobs.telling import plan_briefs, plan_messages
from server.notify.model import Channel, ChannelKind, Group, NotifyPlan
from server.periods import DAY_MS, HOUR_MS, QUARTER_MS, day_of
from server.state import NewAlert, State, open_state
from server.state.alerts import Action
from server.state.outbound import Message
from tests.server.alert_cases import DONE, NEW, NOON, desk_of, record
from tests.server.small_site import ZONE, at

ROBOT = Channel("后勤群", ChannelKind.WECOM)
OTHER = Channel("领导群", ChannelKind.WECOM)
PLAN = NotifyPlan(
    channels=(ROBOT, OTHER),
    groups=(Group("后勤", ("后勤群",)), Group("领导", ("领导群",), least="severe")),
    console_url="http://10.0.0.5:8650", escalate_to=("领导",),
)  # fmt: skip
SEVERE = replace(NEW, severity="severe", rule="running_water", meter="W1", unit="m³")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = open_state(f"sqlite:///{tmp_path / 's.db'}")
    yield opened
    opened.close()


def plan(state: State, now_ms: int, plan: NotifyPlan = PLAN) -> list[Message]:
    """Give what a planning adds, oldest first."""
    before = {m.id for m in state.outbound.messages()}
    plan_messages(desk_of(state), plan, now_ms)
    return [m for m in reversed(state.outbound.messages()) if m.id not in before]


def test_what_is_severe_is_told_at_once_to_all_who_hear_it_and_once(state: State) -> None:
    record(state, SEVERE)
    told = plan(state, NOON + HOUR_MS + 1)
    assert [m.channel for m in told] == ["后勤群", "领导群"]
    assert plan(state, NOON + HOUR_MS + 2) == []


def test_a_message_says_what_where_since_when_the_cost_what_to_do_and_a_link(state: State) -> None:
    record(state, SEVERE)
    message = plan(state, NOON + HOUR_MS)[0]
    assert message.title == "【节能提醒·严重】长流水"
    assert message.body.splitlines() == [
        "地点：甲楼（水表）",
        "时间：3月2日12:00起，已持续60分钟",
        "损失：比正常多用3.0 m³，约2.10元，仍在增加",
        "请处理：请检查卫生间、水箱与地下管网有无漏水。",
        "工单：GD-000001",
        "详情：http://10.0.0.5:8650/alerts/1",
    ]


def test_the_others_wait_for_the_end_of_their_quarter_hour(state: State) -> None:
    record(state, NEW, now_ms=NOON + HOUR_MS)
    assert plan(state, NOON + HOUR_MS + QUARTER_MS - 1) == []
    (digest,) = plan(state, NOON + HOUR_MS + QUARTER_MS)
    assert digest.kind == "digest"
    assert digest.title == "【节能提醒】13:00–13:15：新增1条"
    assert "无人空调·甲楼（表E2）3月2日12:00起" in digest.body


def test_quiet_hours_hold_back_what_is_not_severe_until_morning(state: State) -> None:
    night = at("2026-03-02T23:00")

    def begun(alert: NewAlert) -> NewAlert:
        return replace(alert, start_ms=night - HOUR_MS, fired_ms=night)

    record(state, begun(NEW), now_ms=night, since_ms=night - 2 * HOUR_MS)
    assert plan(state, night + HOUR_MS) == []
    record(state, begun(SEVERE), now_ms=night, since_ms=night - 2 * HOUR_MS)
    assert len(plan(state, night + HOUR_MS)) == 2
    assert plan(state, at("2026-03-03T06:59")) == []
    assert [m.kind for m in plan(state, at("2026-03-03T07:00"))] == ["digest"]


@pytest.mark.parametrize(
    ("quiet", "at_time", "is_quiet"),
    [
        ((time(22), time(7)), time(22), True),
        ((time(22), time(7)), time(7), False),
        ((time(12), time(14)), time(13), True),
        ((time(12), time(14)), time(14), False),
        (None, time(0), False),
    ],
)
def test_quiet_hours_have_two_sides(
    quiet: tuple[time, time] | None, at_time: time, is_quiet: bool
) -> None:
    assert replace(PLAN, quiet=quiet).is_quiet(at_time) is is_quiet


def test_what_ended_is_told_if_its_beginning_was(state: State) -> None:
    record(state, NEW, now_ms=NOON + HOUR_MS)
    plan(state, NOON + 2 * HOUR_MS)
    record(state, DONE, now_ms=NOON + 4 * HOUR_MS)
    (digest,) = plan(state, NOON + 5 * HOUR_MS)
    assert digest.title.endswith("：恢复1条")


def test_what_began_and_ended_in_one_slot_is_told_once(state: State) -> None:
    record(state, DONE, now_ms=NOON + 4 * HOUR_MS)
    (digest,) = plan(state, NOON + 5 * HOUR_MS)
    assert digest.title.endswith("：新增1条")
    assert "至3月2日15:00" in digest.body


def test_what_still_fires_is_told_however_long_ago_it_began(state: State) -> None:
    record(state, NEW, now_ms=NOON + 30 * DAY_MS)
    assert len(plan(state, NOON + 31 * DAY_MS)) == 1


def test_history_that_is_computed_again_is_told_to_nobody(state: State) -> None:
    record(state, DONE, now_ms=NOON + 30 * DAY_MS)
    assert plan(state, NOON + 31 * DAY_MS) == []
    assert state.outbound.unplanned() == []


@pytest.mark.parametrize(
    ("action", "detail"),
    [
        (Action.MUTE, {"until_ms": NOON + DAY_MS}),
        (Action.FALSE_ALARM, {"reason": "duty_room"}),
    ],
)
def test_what_somebody_muted_or_knew_to_be_false_is_not_told(
    state: State, action: Action, detail: dict[str, object]
) -> None:
    record(state, NEW, now_ms=NOON + HOUR_MS)
    state.inbox.act(1, action, "张", NOON + HOUR_MS, **detail)
    assert plan(state, NOON + 2 * HOUR_MS) == []


def test_what_stands_behind_a_cause_is_not_told_until_the_cause_is_over(state: State) -> None:
    child = replace(NEW, meter="E3")

    def behind(rows: object) -> dict[int, int]:
        ids = {a.meter: a.id for a in rows}  # type: ignore[attr-defined] # alert rows
        return {ids["E3"]: ids["E2"]} if {"E2", "E3"} <= ids.keys() else {}

    record(state, NEW, child, now_ms=NOON + HOUR_MS, group=behind)
    (digest,) = plan(state, NOON + 2 * HOUR_MS)
    assert "表E2" in digest.body
    assert "多用6.0 kWh、约4.20元" in digest.body
    assert "表E3" not in digest.body
    record(state, DONE, child, now_ms=NOON + 4 * HOUR_MS, group=behind)
    (digest,) = plan(state, NOON + 5 * HOUR_MS)
    assert "表E3" in digest.body


def test_a_correction_is_told_to_who_heard_the_alert(state: State) -> None:
    record(state, DONE, now_ms=NOON + 4 * HOUR_MS)
    plan(state, NOON + 5 * HOUR_MS)
    record(state, now_ms=NOON + 6 * HOUR_MS)
    (digest,) = plan(state, NOON + 7 * HOUR_MS)
    assert "原告警撤销" in digest.body


def test_what_nobody_took_on_is_told_at_once_to_those_above(state: State) -> None:
    record(state, NEW, now_ms=NOON + HOUR_MS)
    plan(state, NOON + 2 * HOUR_MS)
    state.inbox.escalate({"notice": HOUR_MS}, NOON + 4 * HOUR_MS)
    told = plan(state, NOON + 4 * HOUR_MS)
    assert [m.channel for m in told] == ["后勤群", "领导群"]
    assert "逾期无人处理" in told[1].title


def test_what_is_escalated_in_quiet_hours_waits_unless_it_is_severe(state: State) -> None:
    night = at("2026-03-02T23:00")
    record(state, NEW, now_ms=NOON + HOUR_MS)
    plan(state, NOON + 2 * HOUR_MS)
    state.inbox.escalate({"notice": HOUR_MS}, night)
    assert plan(state, night) == []
    assert len(plan(state, at("2026-03-03T07:00"))) == 2


def test_two_groups_of_one_channel_are_told_once(state: State) -> None:
    twice = replace(PLAN, groups=(Group("一", ("后勤群",)), Group("二", ("后勤群",))))
    record(state, SEVERE)
    assert len(plan(state, NOON + HOUR_MS, twice)) == 1


def test_many_severe_ones_at_once_are_one_message(state: State) -> None:
    record(state, *[replace(SEVERE, meter=f"W{i}") for i in range(9)])
    told = plan(state, NOON + HOUR_MS)
    assert [m.channel for m in told] == ["后勤群", "领导群"]
    assert "9块表" in told[0].body


def test_a_digest_fits_the_robot_and_says_what_it_left_out(state: State) -> None:
    record(state, *[replace(NEW, meter=f"很长的计量表名称{i}", rule=f"rule{i}") for i in range(60)])
    (digest,) = plan(state, NOON + 2 * HOUR_MS)
    assert len(f"{digest.title}\n{digest.body}".encode()) <= 2048
    listed = sum(line[0].isdigit() for line in digest.body.splitlines())
    assert f"另有{60 - listed}条未列出" in digest.body


def test_a_planning_that_others_were_faster_with_adds_nothing(state: State) -> None:
    record(state, SEVERE)
    pairs = state.outbound.unplanned()
    plan(state, NOON + HOUR_MS)
    assert not state.outbound.plan([t.id for t, _ in pairs], [], NOON + HOUR_MS)


def briefs(state: State, now_ms: int) -> list[Message]:
    plan_briefs(desk_of(state), PLAN, now_ms)
    return list(reversed(state.outbound.messages()))


def test_the_brief_goes_out_in_the_morning_once(state: State) -> None:
    record(state, NEW)
    assert briefs(state, at("2026-03-03T08:29")) == []
    for clock in ("2026-03-03T08:30", "2026-03-03T09:00"):
        told = briefs(state, at(clock))
    assert [(m.channel, m.kind) for m in told] == [("后勤群", "morning"), ("领导群", "morning")]
    assert told[0].title == "【节能提醒】后勤3月3日早间简报：待处理1条"
    assert told[1].body.startswith("目前没有待处理的告警。")


def test_a_server_that_starts_in_the_afternoon_sends_no_brief(state: State) -> None:
    assert briefs(state, at("2026-03-03T15:00")) == []


def test_the_weekly_list_comes_on_its_day(state: State) -> None:
    kinds = [m.kind for m in briefs(state, at("2026-03-09T08:30"))]
    assert kinds.count("weekly") == 2


@pytest.mark.parametrize(
    ("day", "missing"),
    [("2026-10-31", None), ("2026-11-01", 2027), ("2027-02-01", 2027), ("2025-11-01", None)],
)
def test_a_missing_year_is_missed_from_november_on(day: str, missing: int | None) -> None:
    assert calendar_gap(day_of(at(f"{day}T12:00"), ZONE)) == missing


def test_the_calendar_is_asked_for_once_a_month(state: State) -> None:
    briefs(state, at("2026-10-31T08:30"))
    for day in ("01", "02", "30"):
        briefs(state, at(f"2026-11-{day}T08:30"))
    told = briefs(state, at("2026-12-01T08:30"))
    warned = [m for m in told if m.kind == "calendar" and m.channel == "后勤群"]
    assert len(warned) == 2
    assert "2027年的放假与调休安排尚未录入" in warned[0].body


def sample(state: State) -> list[Message]:
    """Let an afternoon happen: a severe leak, an empty building, lights that went out."""
    evening = at("2026-07-14T19:30")

    def alert(rule: str, meter: str, start: str, excess: float, yuan: str, **more: Any) -> NewAlert:
        start_ms = at(f"2026-07-14T{start}")
        return replace(
            NEW, rule=rule, meter=meter, start_ms=start_ms, fired_ms=start_ms + HOUR_MS,
            excess=excess, yuan=Decimal(yuan), **more,
        )  # fmt: skip

    found = [
        alert("running_water", "W1", "00:15", 48.5, "150.35", unit="m³", severity="severe"),
        alert("unattended_ac", "E2", "18:00", 21.4, "16.90"),
        alert("unattended_ac", "E4", "18:15", 9.2, "7.27", building="b"),
        alert("lights_all_night", "E3", "12:00", 3.1, "2.20", end_ms=evening - HOUR_MS),
    ]
    record(state, *found, now_ms=evening, since_ms=at("2026-07-13T00:00"))
    return plan(state, evening + QUARTER_MS)


def test_the_messages_of_the_manual_are_those_that_are_sent(state: State) -> None:
    manual = (Path(__file__).parents[2] / "docs/alerts.md").read_text("utf-8")
    told = [m for m in sample(state) if m.channel == "后勤群"]
    assert [m.kind for m in told] == ["urgent", "digest"]
    for message in told:
        assert f"```text\n{message.title}\n{message.body}\n```" in manual
    (morning, *_) = briefs(state, at("2026-07-15T08:30"))
    assert f"```text\n{morning.title}\n{morning.body}\n```" in manual
