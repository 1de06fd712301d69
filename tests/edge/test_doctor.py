"""Doctor: what would keep an agent from its work, found on a real folder and a real socket."""

import json
import os
import pty
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml

from contract.clock import SystemClock
from edge.agent import read_config
from edge.cli import main
from edge.doctor import EARLIEST_MS, Finding, Verdict, findings
from edge.messages import say
from tests.edge.test_host import PI, machine
from tests.edge.test_status import config_at


def found(config: Path, root: Path, now_ms: int = EARLIEST_MS) -> dict[str, Finding]:
    seen = {f.name: f for f in findings(read_config(config), now_ms, root)}
    for it in seen.values():
        assert " / " in say(f"doctor_{it.name}_{it.verdict}", **it.values)
    return seen


def changed(config: Path, **more: Any) -> Path:
    document = yaml.safe_load(config.read_text("utf-8")) | more
    config.write_text(yaml.safe_dump(document), "utf-8")
    return config


def test_a_healthy_place_is_all_ok(tmp_path: Path) -> None:
    (tmp_path / "run/systemd/timesync").mkdir(parents=True)
    (tmp_path / "run/systemd/timesync/synchronized").touch()
    good = PI | {"sys/devices/platform/soc/soc:firmware/get_throttled": "0\n"}
    root = machine(tmp_path, good)
    with socket.create_server(("127.0.0.1", 0)) as server:
        push = {"url": f"http://127.0.0.1:{server.getsockname()[1]}", "token_file": "./token"}
        config = changed(config_at(tmp_path, 1), push=push)
        (tmp_path / "token").chmod(0o640)
        seen = found(config, root)
    assert {f.verdict for f in seen.values()} == {Verdict.OK}
    assert set(seen) == {"folder", "space", "clock", "token", "power", "heat", "server"}
    assert not list(tmp_path.glob(".doctor-*"))


def test_what_is_wrong_is_found_all_at_once(tmp_path: Path) -> None:
    (tmp_path / "run/systemd/timesync").mkdir(parents=True)
    root = machine(tmp_path, PI | {"sys/class/thermal/thermal_zone0/temp": "85000\n"})
    line = {"id": "gw1", "driver": "modbus-rtu", "device": "/dev/serial/by-id/gone"}
    config = changed(config_at(tmp_path, 1), connections=[line], interval_s=60)
    (tmp_path / "token").chmod(0o644)
    (tmp_path / "o.db.broken-1").touch()
    seen = {name: f.verdict.value for name, f in found(config, root).items()}
    assert seen == {
        "folder": "ok",
        "space": "ok",
        "broken": "warn",
        "clock": "warn",
        "token": "warn",
        "port": "bad",
        "power": "warn",
        "heat": "warn",
        "server": "warn",
    }


def test_a_port_that_is_there_and_a_clock_of_long_ago(tmp_path: Path) -> None:
    near, far = pty.openpty()
    try:
        line = {"id": "gw1", "driver": "modbus-rtu", "device": os.ttyname(far)}
        config = changed(config_at(tmp_path, 1), connections=[line], interval_s=60)
        seen = found(config, tmp_path, now_ms=0)
    finally:
        os.close(near)
        os.close(far)
    assert seen["port"].verdict is Verdict.OK
    assert seen["clock"].verdict is Verdict.BAD


def test_a_folder_that_cannot_be_written_is_bad(tmp_path: Path) -> None:
    config = read_config(config_at(tmp_path, 1))
    gone = config.outbox.model_copy(update={"path": Path("/proc/o.db")})
    seen = {
        f.name: f.verdict
        for f in findings(config.model_copy(update={"outbox": gone}), EARLIEST_MS, tmp_path)
    }
    assert seen["folder"] is Verdict.BAD


def test_the_command_says_what_to_do_and_ends_with_1_only_when_something_is_bad(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = config_at(tmp_path, 1)
    (tmp_path / "token").chmod(0o644)
    assert main(["doctor", "--config", str(config)]) == 0
    shown = capfd.readouterr().out
    assert "! 令牌" in shown
    assert "chmod 0640" in shown
    assert "共查" in shown
    line = {"id": "gw1", "driver": "modbus-rtu", "device": "/dev/serial/by-id/gone"}
    changed(config, connections=[line], interval_s=60)
    assert main(["doctor", "--config", str(config), "--json"]) == 1
    rows = json.loads(capfd.readouterr().out)
    (port,) = [r for r in rows if r["name"] == "port"]
    assert port["verdict"] == "bad"
    assert "没有串口" in port["text"]


def test_this_machine_can_be_looked_at_as_it_is(tmp_path: Path) -> None:
    seen = list(findings(read_config(config_at(tmp_path, 1)), SystemClock().now_ms()))
    assert {"folder", "space", "clock", "token", "server"} <= {f.name for f in seen}
