"""Life: versions and configurations as numbers; status lines for every state, Chinese first."""

from typing import Any

from edge import life
from edge.cli.status_life import unattended_lines
from edge.life import version_values

QUIET: dict[str, Any] = {
    "values": {},
    "flash_mb_per_day": None,
    "time_ms": 1_767_225_600_000,
    "time_synchronised": None,
    "config": None,
}


def test_a_version_is_a_number_that_grows(monkeypatch: Any) -> None:
    seen = {}
    for text in ("0.1.0", "0.1.12", "1.0.0", "1.2.3.4", "2.0.0rc1", None):
        monkeypatch.setattr(life, "software_version", lambda text=text: text)
        seen[text] = version_values().get("agent_version")
    assert seen == {
        "0.1.0": 1_000, "0.1.12": 1_012, "1.0.0": 1_000_000, "1.2.3.4": 1_002_003,
        "2.0.0rc1": None, None: None,
    }  # fmt: skip


def test_nothing_known_of_the_host_is_nothing_said() -> None:
    assert list(unattended_lines(QUIET)) == [
        "时间：2026-01-01 00:00:00 UTC（对时情况不明） / clock"
    ]


def test_what_is_wrong_stands_in_the_first_lines() -> None:
    trial = {"by": "fleet", "within_s": 120.0}
    config = {"hash": "aa", "path": "/e/a.yaml", "serial": 7, "trial": trial, "outcome": None}
    values = {
        "cpu_temperature_c": 61.4,
        "host_undervoltage_state": 2.0,
        "host_throttled_state": 1.0,
        "flash_written_bytes_total": 5e6,
    }
    given = {"values": values, "flash_mb_per_day": 12.34, "time_synchronised": False}
    said = "\n".join(unattended_lines({**QUIET, **given, "config": config}))
    for text in (
        "处理器 61 °C", "供电电压不足！", "曾降频", "写盘 12.3 MB/天", "未对时！", "服务器序号 7",
        "新配置试用中（来自 fleet，120 秒内",
    ):  # fmt: skip
        assert text in said


def test_the_newest_change_is_told_in_words() -> None:
    config = {"hash": "aa", "path": "/e/a.yaml", "serial": None, "trial": None}
    for state, text in (
        ("staged", "已放入"), ("confirmed", "已生效"),
        ("rolled_back", "已退回"), ("refused", "已拒绝"),
    ):  # fmt: skip
        told = {"state": state, "hash": "bb", "detail": "why"}
        said = list(unattended_lines({**QUIET, "config": {**config, "outcome": told}}))
        assert said[-1].startswith(f"最近一次换配置（bb）：{text}，why")
