"""Robots: what they take, what they refuse in an answer of 200, and what apprise makes of it."""

import base64
import hashlib
import hmac
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import apprise
import pytest
from apprise.plugins.dingtalk import NotifyDingTalk
from apprise.plugins.feishu import NotifyFeishu
from apprise.plugins.wecombot import NotifyWeComBot

from contract.errors import ConfigError, DeliveryError
from server.notify.file import load_notify
from server.notify.model import Channel, ChannelKind
from server.notify.open import open_notifier
from tests.server.alert_cases import MovableClock
from tests.server.robots import Robot, running_robot

DIALECTS = ("wecom", "dingtalk", "feishu")
TITLE, BODY = "【节能提醒】测试", "地点：甲楼"


@pytest.fixture(params=DIALECTS)
def robot(request: pytest.FixtureRequest) -> Iterator[Robot]:
    with running_robot(request.param, MovableClock(0).monotonic_s) as running:
        yield running


def send(robot: Robot, title: str = TITLE, secret: str = "", body: str = BODY) -> None:
    channel = Channel("r", ChannelKind(robot.dialect), robot.url, secret)
    open_notifier(channel, MovableClock().now_ms).send(title, body)


def test_a_text_with_the_keyword_is_taken(robot: Robot) -> None:
    send(robot)
    assert robot.taken == [f"{TITLE}\n{BODY}"]


def test_a_missing_keyword_is_refused_for_good_though_the_answer_is_200(robot: Robot) -> None:
    with pytest.raises(DeliveryError, match="keywords") as refused:
        send(robot, "测试")
    assert refused.value.permanent
    assert robot.taken == []


def test_too_many_a_minute_are_to_be_sent_later(robot: Robot) -> None:
    for _ in range(20):
        send(robot)
    with pytest.raises(DeliveryError, match="too fast") as refused:
        send(robot)
    assert not refused.value.permanent
    assert (refused.value.retry_after_s or 0) >= 60
    assert len(robot.taken) == 20


@pytest.mark.parametrize(
    ("status", "body", "is_permanent"),
    [
        (500, b"", False),
        (502, b"<html>", False),
        (429, b"{}", False),
        (404, b"", True),
        (200, b"<html>login to the network</html>", False),
        (200, b"{}", False),
        (200, b"[]", False),
        (200, b'{"errcode": "x"}', False),
        (200, b'{"errcode": -1, "errmsg": "system busy"}', False),
        (200, b'{"code": -1, "msg": "system busy"}', False),
    ],
)
def test_only_a_word_of_the_robot_itself_is_an_acknowledgement(
    robot: Robot, status: int, body: bytes, is_permanent: bool
) -> None:
    robot.broken = (status, body)
    with pytest.raises(DeliveryError) as failed:
        send(robot)
    assert failed.value.permanent is is_permanent


def test_what_does_not_answer_is_tried_again_and_the_key_is_not_in_the_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/send?key=geheim"
        with pytest.raises(DeliveryError) as failed:
            send(Robot("wecom", url=url))
    assert not failed.value.permanent
    assert "geheim" not in str(failed.value)


def test_a_text_that_is_too_long_is_refused_for_good() -> None:
    with running_robot("wecom") as robot, pytest.raises(DeliveryError) as refused:
        send(robot, body="长" * 700)
    assert refused.value.permanent


def test_signatures_are_those_the_makers_describe() -> None:
    now_ms = MovableClock().now_ms()
    with running_robot("dingtalk") as ding, running_robot("feishu") as fei:
        send(ding, secret="SEC1")
        send(fei, secret="SEC2")
        asked = parse_qs(urlsplit(ding.queries[0]).query)
        payload = fei.calls[0]

    def sign(key: str, text: str) -> str:
        return base64.b64encode(
            hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()
        ).decode()

    assert asked["key"] == ["k1"]
    assert asked["sign"] == [sign("SEC1", f"{now_ms}\nSEC1")]
    assert payload["sign"] == sign(f"{now_ms // 1000}\nSEC2", "")


def test_apprise_takes_a_refusal_of_two_robots_for_success(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    # why these three are not sent through it: when this fails, apprise reads the code itself
    plugin = {"wecom": NotifyWeComBot, "dingtalk": NotifyDingTalk, "feishu": NotifyFeishu}
    monkeypatch.setattr(plugin[robot.dialect], "notify_url", robot.url)
    monkeypatch.setattr(plugin[robot.dialect], "request_rate_per_sec", 0)
    scheme = "wecombot" if robot.dialect == "wecom" else robot.dialect
    sender = apprise.Apprise()
    assert sender.add(f"{scheme}://abcdef123456abcdef123456/")
    believed = sender.notify(title="测试", body="没有关键词")
    assert robot.taken == []
    assert bool(believed) is (robot.dialect != "feishu")


def test_a_webhook_goes_through_apprise_and_a_refusal_is_seen() -> None:
    with running_robot("wecom") as door:
        url = door.url.replace("http://", "json://").split("?")[0]
        door.broken = (200, b"ok")
        notifier = open_notifier(Channel("w", ChannelKind.APPRISE, url), MovableClock().now_ms)
        notifier.send(TITLE, BODY)
        assert door.calls[0]["message"] == BODY
        door.broken = (500, b"")
        with pytest.raises(DeliveryError):
            notifier.send(TITLE, BODY)


def test_without_a_network_the_log_and_syslog_take_every_message() -> None:
    for kind in (ChannelKind.CONSOLE, ChannelKind.SYSLOG):
        open_notifier(Channel("c", kind), MovableClock().now_ms).send(TITLE, BODY)


GOOD = """
console_url: http://10.0.0.5:8650/
channels:
  后勤群: {kind: wecom, url_file: ./url}
  日志: {kind: console}
groups:
  后勤: {channels: [后勤群, 日志], buildings: [a], least: warning}
escalate_h: {severe: 0.5}
escalate_to: [后勤]
"""


def test_a_right_file_is_read_and_keeps_the_address_out_of_what_is_printed(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("https://robot.example/send?key=geheim\n")
    (tmp_path / "n.yaml").write_text(GOOD, "utf-8")
    plan = load_notify(tmp_path / "n.yaml")
    assert plan.console_url == "http://10.0.0.5:8650"
    assert plan.channels[0].url.endswith("geheim")
    assert "geheim" not in repr(plan)
    assert plan.escalate_ms == {"severe": 1_800_000, "warning": 14_400_000, "notice": 86_400_000}
    assert plan.groups[0].hears("x", "a", "severe")
    assert not plan.groups[0].hears("x", "a", "notice")
    assert not plan.groups[0].hears("x", "b", "severe")


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("./url", "./none", "channels.后勤群.url_file"),
        (", url_file: ./url", "", "channels.后勤群.url_file"),
        ("wecom", "fax", "channels.后勤群.kind"),
        ("[后勤群, 日志]", "[别处]", "groups.后勤.channels"),
        ("escalate_to: [后勤]", "escalate_to: [领导]", "escalate_to"),
        ("warning}", "loud}", "groups.后勤.least"),
        ("console_url: http://10.0.0.5:8650/", "quiet: 22:00-25:00", "quiet"),
        ("console_url: http://10.0.0.5:8650/", "morning: 8:30", "morning"),
        ("console_url: http://10.0.0.5:8650/", "colour: red", "colour"),
    ],
)
def test_a_wrong_file_is_refused_by_key(tmp_path: Path, old: str, new: str, key: str) -> None:
    (tmp_path / "url").write_text("https://robot.example/send?key=k\n")
    assert old in GOOD
    (tmp_path / "n.yaml").write_text(GOOD.replace(old, new), "utf-8")
    with pytest.raises(ConfigError) as wrong:
        load_notify(tmp_path / "n.yaml")
    assert key in [p.key for p in wrong.value.problems]


def test_an_address_that_is_none_is_refused_without_printing_it(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("geheim")
    (tmp_path / "n.yaml").write_text(GOOD, "utf-8")
    with pytest.raises(ConfigError) as wrong:
        load_notify(tmp_path / "n.yaml")
    assert "geheim" not in json.dumps(str(wrong.value))
