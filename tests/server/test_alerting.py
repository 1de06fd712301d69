"""From readings to a robot: evidence, money, expected use, proofs; over HTTP and by command."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from contract.line import encode
from contract.reading import PointId, Reading
from server.cli import main
from server.factbook.load import load_factbook
from server.factbook.workdays import work_span
from server.jobs.judging import judge_all
from server.jobs.proving import prove_savings
from server.jobs.rolling import roll_up
from server.jobs.schedule import Schedule
from server.jobs.works import Works
from server.notify.model import Channel, ChannelKind, Group, NotifyPlan
from server.periods import DAY_MS, HOUR_MS, MINUTE_MS, QUARTER_MS, Interval
from server.rules.load import load_rules
from server.site.file import load_site
from server.state import open_state
from server.state.alerts import Action, Condition, WhitelistEntry
from server.store.duck import DuckStore
from simulators.site_files import write_site
from tests.server.alert_cases import NEW, NOON, MovableClock, record
from tests.server.robots import running_robot
from tests.server.running import FixedClock, running_server
from tests.server.small_site import SITE, at

START = at("2026-03-02T00:00")
WATER = PointId("s", "W1", "volume_m3")


@pytest.fixture
def works(tmp_path: Path) -> Iterator[Works]:
    store = DuckStore(tmp_path / "r.duckdb")
    state = open_state(f"sqlite:///{tmp_path / 's.db'}")
    water = tuple(r for r in load_rules() if r.id == "running_water")
    yield Works(store, state, SITE, load_factbook(), water)
    store.close()
    state.close()


def flow(works: Works, leaks: list[tuple[int, int]], end_ms: int) -> None:
    """Let water run at 0.4 m³/h in these spans and stand still otherwise."""
    total, readings = 0.0, []
    for t in range(START, end_ms + 1, QUARTER_MS):
        readings.append(Reading(WATER, t, round(total, 6)))
        total += 0.1 * any(a <= t < b for a, b in leaks)
    assert not works.store.write_lines("\n".join(encode(readings)).encode()).errors
    roll_up(works, Interval(START, end_ms), end_ms)


def test_a_leak_is_judged_priced_and_told_to_a_robot(works: Works) -> None:
    now_ms = START + 40 * HOUR_MS
    flow(works, [(START + 2 * HOUR_MS, now_ms)], now_ms)
    clock = MovableClock(now_ms)
    with running_robot("feishu") as robot:
        channel = Channel("飞书", ChannelKind.FEISHU, robot.url)
        plan = NotifyPlan((channel,), (Group("后勤", ("飞书",)),), morning=None)
        schedule = Schedule(works, clock, owner="one", plan=plan)
        schedule.judge()
        schedule.deliver()
        assert robot.taken == []
        clock.at_ms += 15 * MINUTE_MS
        schedule.deliver()
        schedule.deliver()
    assert len(robot.taken) == 1
    assert "长流水·甲楼（水表）" in robot.taken[0]
    (row,) = works.state.inbox.open()
    # a leak's rate is the least hourly flow of a day: its first hour is not whole
    assert row.excess == pytest.approx(0.4 * 38, rel=0.02)
    assert row.yuan is not None
    assert row.yuan > Decimal(10)
    assert row.kgco2 is None
    assert row.evidence["coverage"] == 1.0
    assert row.evidence["is_workday"] is True
    assert row.rule_version == works.rules[0].version


def test_expected_use_ends_an_alert_and_begins_none(works: Works) -> None:
    now_ms = START + 40 * HOUR_MS
    flow(works, [(START + 2 * HOUR_MS, now_ms)], now_ms)
    span = Interval(START, now_ms)
    entry = WhitelistEntry("running_water", "W1", "night_irrigation", START, "张")
    works.state.inbox.allow(entry, now_ms)
    assert judge_all(works, span, now_ms) == 0
    assert works.state.alerts() == []
    works.state.inbox.disallow(1, "张", START + HOUR_MS)
    assert judge_all(works, span, now_ms) == 1


def test_late_data_that_shows_water_stood_still_is_a_correction(works: Works) -> None:
    now_ms = START + 40 * HOUR_MS
    flow(works, [(START + 2 * HOUR_MS, now_ms)], now_ms)
    judge_all(works, Interval(START, now_ms), now_ms)
    flow(works, [(START + 2 * HOUR_MS, START + 3 * HOUR_MS)], now_ms)
    for _ in range(2):
        judge_all(works, Interval(START, now_ms), now_ms)
    row = works.state.inbox.get(1)
    assert row is not None
    assert row.condition is Condition.WITHDRAWN
    assert [t.to_phase for t in works.state.inbox.transitions(1)].count("corrected") == 1


def test_a_closed_leak_is_proved_week_by_week(works: Works) -> None:
    days = 29
    closed_ms = START + days * DAY_MS + 10 * HOUR_MS
    end_ms = START + 60 * DAY_MS
    flow(works, [(START, closed_ms)], end_ms)
    judge_all(works, Interval(START, end_ms), end_ms)
    (row,) = works.state.inbox.open()
    works.state.inbox.act(row.id, Action.CLOSE, "张", closed_ms, reason="更换浮球阀")
    assert prove_savings(works, closed_ms + 6 * DAY_MS) == 0
    assert prove_savings(works, closed_ms + 8 * DAY_MS) == 1
    assert prove_savings(works, closed_ms + 30 * DAY_MS) == 3
    assert prove_savings(works, closed_ms + 30 * DAY_MS) == 0
    proofs = works.state.inbox.proofs(row.id)
    assert [p["state"] for p in proofs] == ["estimated", "verified", "verified", "verified"]
    assert proofs[-1]["saved"] == pytest.approx(0.4 * 24 * 28, rel=0.1)
    assert proofs[-1]["yuan"] > 0


def test_hours_of_a_season_hold_in_it_and_the_others_outside(tmp_path: Path) -> None:
    write_site(tmp_path)
    content = yaml.safe_load((tmp_path / "site.yaml").read_text("utf-8"))
    content["seasons"] = [
        {"from": "06-01", "to": "10-01", "work_hours": ["08:00-12:00", "15:00-18:00"]}
    ]
    (tmp_path / "site.yaml").write_text(yaml.safe_dump(content, allow_unicode=True), "utf-8")
    site = load_site(tmp_path / "site.yaml")
    for day, end in (("2026-05-29", "17:30"), ("2026-06-01", "18:00"), ("2026-09-30", "18:00")):
        span = work_span(date.fromisoformat(day), site)
        assert span is not None
        assert span.end_ms == at(f"{day}T{end}")


def test_the_api_gives_the_inbox_and_takes_actions(tmp_path: Path) -> None:
    with running_server(tmp_path, FixedClock(NOON + HOUR_MS)) as server:
        meter = server.works.site.meters[0]
        found = [replace(NEW, meter=meter.id, building=meter.building)]
        record(server.works.state, *found)
        http = server.http
        (row,) = http.get("/api/v1/inbox").json()
        assert (row["order_number"], row["phase"], row["work"]) == ("GD-000001", "firing", "new")
        body = {"alerts": [1, 99], "action": "assigned", "author": "张", "to": "后勤"}
        done = http.post("/api/v1/alerts/actions", json=body).json()
        assert done["done"] == [1]
        assert "99" in done["refused"]
        again = http.post("/api/v1/alerts/actions", json={**body, "action": "reopened"})
        assert again.status_code == 409
        assert http.post("/api/v1/alerts/actions", json={**body, "action": "x"}).status_code == 422
        one = http.get("/api/v1/alerts/1").json()
        assert [t["to_phase"] for t in one["transitions"]] == ["pending", "firing", "assigned"]
        assert http.get("/api/v1/alerts/99").status_code == 404
        entry = {"rule": NEW.rule, "meter": meter.id, "reason": "duty_room", "author": "张"}
        assert http.post("/api/v1/whitelist", json=entry).status_code == 201
        for wrong in ({"rule": "x"}, {"meter": "x"}, {"reason": "x"}, {"weekdays": "9"}):
            assert http.post("/api/v1/whitelist", json={**entry, **wrong}).status_code == 422
        assert http.get("/api/v1/whitelist").json()[0]["reason_text"] == "值班室"
        assert http.post("/api/v1/whitelist/1/end", json={"author": "李"}).status_code == 200
        assert http.post("/api/v1/whitelist/9/end", json={"author": "李"}).status_code == 404
        rates = http.get("/api/v1/false-alarms").json()
        assert rates[0]["share"] == 0.0


@pytest.fixture
def config(tmp_path: Path) -> Path:
    write_site(tmp_path)
    (tmp_path / "write-tokens").write_text("t")
    document = {
        "site_file": "./site.yaml", "store": {"url": "duckdb:///./r.duckdb"},
        "state": {"url": "sqlite:///./s.db"}, "write_tokens_file": "./write-tokens",
        "notify_file": "./notify.yaml",
    }  # fmt: skip
    (tmp_path / "server.yaml").write_text(yaml.safe_dump(document), "utf-8")
    (tmp_path / "notify.yaml").write_text(
        "channels: {r: {kind: wecom, url_file: ./url}}\ngroups: {g: {channels: [r]}}\n", "utf-8"
    )
    (tmp_path / "url").write_text("http://127.0.0.1:9/send")
    return tmp_path / "server.yaml"


def run(config: Path, *words: str) -> int:
    return main([*words, "--config", str(config)])


def test_commands_work_on_alerts_beside_a_server(
    config: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    site = load_site(config.parent / "site.yaml")
    meter = site.meters[0].id
    state = open_state(f"sqlite:///{config.parent / 's.db'}")
    record(state, replace(NEW, meter=meter, building=site.buildings[0].id))
    state.close()
    assert run(config, "alerts", "list", "--by-cost") == 0
    assert "unattended_ac" in capfd.readouterr().out
    assert run(config, "alerts", "act", "1", "--action", "closed", "--reason", "已关") == 0
    assert run(config, "alerts", "act", "1", "--action", "assigned", "--to", "后勤") == 1
    assert "expected" in capfd.readouterr().err
    assert run(config, "alerts", "show", "1") == 0
    assert "已关" in capfd.readouterr().out
    assert run(config, "alerts", "show", "7") == 1
    allow = ["alerts", "allow", "--rule", NEW.rule, "--meter", meter, "--reason", "duty_room"]
    assert run(config, *allow, "--hours", "18:00-06:00", "--weekdays", "12345") == 0
    assert run(config, *allow, "--hours", "late") == 2
    assert run(config, *allow, "--hours", "18:00-99:00") == 2
    assert run(config, "alerts", "allow", "--rule", "x", "--meter", "y", "--reason", "z") == 2
    assert run(config, "alerts", "allowed") == 0
    assert "值班室" in capfd.readouterr().out
    assert [run(config, "alerts", "disallow", "1") for _ in range(2)] == [0, 1]
    assert run(config, "alerts", "rates") == 0


def test_the_test_send_says_what_each_channel_answered(
    config: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(config, "notify", "check") == 0
    assert run(config, "notify", "test") == 1
    with running_robot("wecom") as robot:
        (config.parent / "url").write_text(robot.url)
        assert run(config, "notify", "test") == 0
        assert "节能提醒" in robot.taken[0]
    for word in ("preview", "status", "retry"):
        assert run(config, "notify", word) == 0
    assert "待处理0条" in capfd.readouterr().out
    (config.parent / "notify.yaml").write_text("channels: {}\n", "utf-8")
    assert run(config, "notify", "check") == 2
    assert "groups" in capfd.readouterr().err
