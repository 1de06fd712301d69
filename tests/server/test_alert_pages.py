"""Alerts on the console: every page and form, who may send one, what is refused or kept."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from server.rules.causes import cause_key
from server.state import AlertRow
from server.state.alerts import Action, Condition, Work
from server.state.learned import LearnedRow
from server.web import labels
from tests.server.alert_cases import DONE, NEW, record
from tests.server.running import FixedClock, Running, running_server
from tests.server.small_site import at

NOW = at("2026-04-03T20:00")
HOUR, DAY = 3_600_000, 86_400_000
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
RULE = "unattended_ac"
EXPECT = "author=a&action=false_alarm&expect=yes"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("alerts"), FixedClock(NOW)) as it:
        yield it


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "console").write_text("secret")
    with running_server(folder, FixedClock(NOW), console_token_file="./console") as it:
        yield it


def meters_of(it: Running) -> list[str]:
    (rule,) = [r for r in it.works.rules if r.id == RULE]
    return [m.id for m in rule.targets(it.works.site)]


def raised(it: Running, number: int = 0, **change: object) -> AlertRow:
    """Raise an alert of the rule on one of its meters; give it."""
    meter = next(m for m in it.works.site.meters if m.id == meters_of(it)[number])
    known = {a.id for a in everything(it)}
    start = NOW - 40 * DAY + len(known) * 3 * HOUR
    new = replace(
        NEW, meter=meter.id, building=meter.building, start_ms=start, end_ms=start + 2 * HOUR,
        fired_ms=start + HOUR // 2, cause_key=cause_key("load_while_unoccupied", meter),
    )  # fmt: skip
    new = replace(new, **change)  # type: ignore[arg-type] # fields of an alert
    record(it.works.state, new, now_ms=start + 3 * HOUR, since_ms=start - 1)
    (found,) = [a for a in everything(it) if a.id not in known]
    return found


def everything(it: Running) -> list[AlertRow]:
    conditions, works = tuple(Condition), tuple(Work)
    return it.works.state.inbox.open(
        conditions=conditions, work=works, with_children=True, limit=5000
    )


def sent(it: Running, path: str, body: str) -> tuple[int, str]:
    answer = it.http.post(path, content=body.encode(), headers=FORM)
    return answer.status_code, answer.text


def work_of(it: Running, number: int) -> Work:
    row = it.works.state.inbox.get(number)
    assert row is not None
    return row.work


@pytest.mark.parametrize("path", ["/alerts", "/rules", "/wall", *(
    f"/alerts?view={v}&sort=newest" for v in ("new", "firing", "muted", "closed", "false", "all")
)])  # fmt: skip
def test_pages_show_with_and_without_alerts(server: Running, path: str) -> None:
    answer = server.http.get(path)
    assert answer.status_code == 200
    raised(server)
    assert server.http.get(path).status_code == 200


def test_the_inbox_is_sorted_by_cost_and_can_be_filtered(server: Running) -> None:
    cheap = raised(server, 0, yuan=DONE.yuan)
    dear = raised(server, 1, yuan=10 * (DONE.yuan or 0), severity="severe")
    text = server.http.get("/alerts?view=all").text
    assert text.index(f'/alerts/{dear.id}"') < text.index(f'/alerts/{cheap.id}"')
    only = server.http.get("/alerts?view=all&severity=severe").text
    assert f'/alerts/{dear.id}"' in only
    assert f'/alerts/{cheap.id}"' not in only
    assert f'/alerts/{dear.id}"' not in server.http.get("/alerts?rule=running_water").text


def test_many_are_acknowledged_or_assigned_at_once(server: Running) -> None:
    rows = [raised(server, i) for i in range(3)]
    ticked = "&".join(f"alert={a.id}" for a in rows)
    status, text = sent(server, "/alerts", f"{ticked}&author=张三&action=acknowledged")
    assert status == 200
    assert "已确认" in text
    assert {work_of(server, a.id) for a in rows} == {Work.ACKNOWLEDGED}
    status, _ = sent(server, "/alerts", f"{ticked}&author=张三&action=assigned&to=后勤值班")
    assert status == 200
    assert {work_of(server, a.id) for a in rows} == {Work.ASSIGNED}
    assert "后勤值班" in server.http.get("/alerts?person=后勤值班&view=all").text
    # none of them may be acknowledged now: nothing is done, and each says why
    status, text = sent(server, "/alerts", f"{ticked}&author=张三&action=acknowledged")
    assert status == 422
    assert text.count("不能确认") == 3


def test_one_alert_is_worked_on_to_its_end(server: Running) -> None:
    a = raised(server, 2)
    page = f"/alerts/{a.id}"
    steps = [
        ("action=acknowledged", Work.ACKNOWLEDGED, "确认"),
        ("action=assigned&to=水电班", Work.ASSIGNED, "派给 水电班"),
        ("action=noted&text=门锁着", Work.ASSIGNED, "门锁着"),
        ("action=muted&mute_days=3", Work.ASSIGNED, "静默"),
        ("action=closed&reason=已关", Work.CLOSED, "已关"),
        ("action=reopened&reason=又开了", Work.NEW, "又开了"),
        ("action=false_alarm&why=overtime", Work.FALSE_ALARM, "会议加班"),
    ]
    for body, work, said in steps:
        status, text = sent(server, page, f"{body}&author=李四")
        assert (status, work_of(server, a.id)) == (200, work), body
        assert said in text
    done = [t for t in server.works.state.inbox.transitions(a.id) if t.by == "李四"]
    assert [t.to_phase for t in done] == [
        Action.ACKNOWLEDGE, Action.ASSIGN, Action.NOTE, Action.MUTE, Action.CLOSE, Action.REOPEN,
        Action.FALSE_ALARM,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("action=acknowledged", "经办人"),
        ("action=acknowledged&author=system", "经办人"),
        (f"action=acknowledged&author={'长' * 65}", "经办人"),
        ("author=a&action=magic", "请选择"),
        ("author=a&action=assigned", "派给谁"),
        ("author=a&action=closed&reason=", "原因"),
        (f"author=a&action=noted&text={'长' * 301}", "备注"),
        ("author=a&action=muted&mute_days=400", "静默天数"),
        ("author=a&action=false_alarm&why=because", "误报原因"),
        (f"{EXPECT}&why=overtime&weekday=1&from=0:00&to=1:00", "白名单"),
        (f"{EXPECT}&why=duty_room&from=0:00&to=1:00", "星期"),
        (f"{EXPECT}&why=duty_room&weekday=1&from=x&to=1:00", "时刻"),
        (f"{EXPECT}&why=duty_room&weekday=1&from=0:00&to=1:00&until=2020-01-01", "截止"),
        (f"{EXPECT}&why=duty_room&weekday=1&from=0:00&to=1:00&until=soon", "截止"),
        ("author=a&action=reopened&reason=x", "不能重新打开"),
    ],
)
def test_a_wrong_form_is_refused_with_the_reason(server: Running, body: str, said: str) -> None:
    a = next((x for x in everything(server) if x.work is Work.NEW), None) or raised(server)
    before = len(server.works.state.inbox.transitions(a.id))
    status, text = sent(server, f"/alerts/{a.id}", body)
    assert status == 422
    assert said in text
    assert len(server.works.state.inbox.transitions(a.id)) == before


def test_a_false_alarm_can_enter_expected_use(server: Running) -> None:
    a = raised(server, 3)
    body = f"{EXPECT}&why=duty_room&weekday=1&weekday=2&from=18:00&to=7:00"
    assert sent(server, f"/alerts/{a.id}", body)[0] == 200
    (entry,) = server.works.state.inbox.allowed(a.rule, a.meter)
    assert (entry.weekdays, entry.from_minute, entry.to_minute) == ("12", 1080, 420)
    text = server.http.get(f"/rules/{RULE}").text
    assert "值班室" in text
    assert "18:00–次日07:00" in text
    status, _ = sent(server, f"/rules/{RULE}", f"do=disallow&entry={entry.id}&author=王")
    assert status == 200
    assert "已终止" in server.http.get(f"/rules/{RULE}").text
    assert sent(server, f"/rules/{RULE}", f"do=disallow&entry={entry.id}&author=王")[0] == 422


def test_a_learned_value_is_shown_pinned_and_let_go(server: Running) -> None:
    meter, learned = meters_of(server)[0], server.works.state.learned
    learned.save([LearnedRow(RULE, meter, "floor_kw", "2026-04-03", 1.25)])
    text = server.http.get(f"/rules/{RULE}").text
    assert "底数" in text
    assert "1.25 kW" in text
    about = f"meter={meter}&name=floor_kw&author=赵"
    # a pin of what nobody learns would be kept and never used
    unknown = about.replace("floor_kw", "flor_kw")
    status, text = sent(server, f"/rules/{RULE}", f"do=pin&{unknown}&value=2&reason=r")
    assert (status, "无从固定" in text) == (422, True)
    assert [p for p in learned.pinned() if p.name == "flor_kw"] == []
    for wrong in ("value=-1&reason=r", "value=nan&reason=r", "value=x&reason=r", "value=2&reason="):
        assert sent(server, f"/rules/{RULE}", f"do=pin&{about}&{wrong}")[0] == 422
    status, text = sent(server, f"/rules/{RULE}", f"do=pin&{about}&value=2.5&reason=机房")
    assert status == 200
    assert "已固定" in text
    assert "2.50 kW" in server.http.get(f"/rules/{RULE}").text
    assert sent(server, f"/rules/{RULE}", f"do=unpin&{about}")[0] == 200
    assert sent(server, f"/rules/{RULE}", f"do=unpin&{about}")[0] == 422
    whats = [r.action for r in server.works.state.books.audit_rows() if r.who == "赵"]
    assert sorted(whats) == ["pin", "unpin"]


def test_a_rule_says_which_meters_in_chinese(server: Running) -> None:
    for rule in server.works.rules:
        text = server.http.get(f"/rules/{rule.id}").text
        found = re.search(r"<dt>对象</dt><dd>(.*?)</dd>", text)
        assert found is not None, rule.id
        assert not re.search(r"[A-Za-z]", found[1]), (rule.id, found[1])


def test_an_alert_shows_no_id_of_a_tariff(server: Running) -> None:
    a = raised(server, 2, evidence={**DONE.evidence, "tariff": "hunan-tou"})
    text = re.sub(r"<[^>]*>", "", server.http.get(f"/alerts/{a.id}").text)
    assert "按当时电价" in text
    assert "hunan-tou" not in text


def test_a_rule_judges_its_own_meters_only(server: Running) -> None:
    body = "do=allow&meter=W01&why=duty_room&weekday=1&from=0:00&to=24:00&author=a"
    status, text = sent(server, f"/rules/{RULE}", body)
    assert status == 422
    assert "不判断这块表" in text


def test_the_work_order_names_the_alert(server: Running) -> None:
    a = raised(server, 1)
    text = server.http.get(f"/alerts/{a.id}/order").text
    assert a.order_number in text
    assert "签字" in text


@pytest.mark.parametrize(
    ("rule", "threshold", "said"),
    [
        (RULE, 12.75, "门限 12.75 kW，"), ("power_factor_low", 0.85, "门限 功率因数 0.85，"),
        ("target_pace", 5250.0, "门限 本月累计 5,250.0 kWh，"), ("silent_meter", 0.0, "门限 —，"),
    ],
)  # fmt: skip
def test_a_threshold_is_said_with_what_it_is_of(
    server: Running, rule: str, threshold: float, said: str
) -> None:
    a = raised(server, rule=rule, evidence={"threshold": threshold, "tariff": "hunan-tou"})
    text = server.http.get(f"/alerts/{a.id}").text
    assert said in text
    assert "（hunan-tou）" not in text
    drawn = re.search(r'"threshold": ?(null|\[)', text)
    assert drawn is not None
    assert (drawn[1] == "[") == (rule == RULE)
    order = server.http.get(f"/alerts/{a.id}/order").text
    assert (said in order) == ("—" not in said)


@pytest.mark.parametrize(
    "rule", ["power_factor_low", "target_pace", "phase_imbalance", "silent_meter"]
)
def test_an_amount_that_is_not_measured_is_a_dash(server: Running, rule: str) -> None:
    a = raised(server, 1, rule=rule, excess=0.0)
    text = server.http.get(f"/alerts/{a.id}").text
    assert "此类告警不计多用量" in text
    for path in (f"/alerts/{a.id}", f"/alerts/{a.id}/order", f"/alerts?rule={rule}"):
        text = server.http.get(path).text
        assert ">—</" in text
        assert ">0.0 kWh<" not in text


def test_every_code_of_the_library_has_a_chinese_name(server: Running) -> None:
    rules = server.works.rules
    tags = {t for r in rules for t in (*r.selector.with_tags, *r.selector.without_tags)}
    assert tags <= set(labels.TAGS)
    assert {str(r.kind) for r in rules} <= set(labels.KINDS)
    assert {p for r in rules for p in r.parameters} <= set(labels.PARAMETERS)


@pytest.mark.parametrize("path", ["/alerts/999999", "/alerts/99999999999", "/rules/none"])
def test_what_is_not_there_is_not_found(server: Running, path: str) -> None:
    assert server.http.get(path).status_code == 404
    assert server.http.post(path, content=b"", headers=FORM).status_code == 404


def test_texts_of_people_are_not_markup(server: Running) -> None:
    a = raised(server, 0)
    sent(server, f"/alerts/{a.id}", "author=a&action=noted&text=<script>alert(1)</script>")
    text = server.http.get(f"/alerts/{a.id}").text
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;" in text


@pytest.mark.parametrize("path", ["/alerts", "/alerts/1", f"/rules/{RULE}"])
def test_forms_need_the_consoles_token(guarded: Running, path: str) -> None:
    if not everything(guarded):
        raised(guarded)
    body = "alert=1&action=acknowledged&author=a&do=allow"
    assert sent(guarded, path, body)[0] == 401
    agent = {"Authorization": "Token right-token", **FORM}
    assert guarded.http.post(path, content=body.encode(), headers=agent).status_code == 403
    assert work_of(guarded, 1) is Work.NEW


def test_a_login_signs_and_a_foreign_site_may_not_send(guarded: Running) -> None:
    a = raised(guarded, 1)
    page, body = f"/alerts/{a.id}", b"action=acknowledged"
    elsewhere = FORM | {"Origin": "http://evil.example"}
    auth = ("王", "secret")
    assert guarded.http.post(page, content=body, headers=elsewhere, auth=auth).status_code == 403
    assert guarded.http.post(page, content=body, headers=FORM, auth=auth).status_code == 200
    assert [t.by for t in guarded.works.state.inbox.transitions(a.id)][-1] == "王"
