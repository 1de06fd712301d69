"""Status: a person at the door sees how the running agent is, without the server."""

import asyncio
import contextlib
import json
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge.cli import main
from edge.status import StatusServer, ask, socket_path
from simulators.ports import free_port
from tests.edge.test_poller_wire import Meters


@contextmanager
def served(meters: Meters) -> Iterator[int]:
    """Serve meters from a thread; give the port."""
    port, loop = free_port(), asyncio.new_event_loop()
    stopping = asyncio.Event()
    ready = threading.Event()

    async def serve() -> None:
        async with await asyncio.start_server(meters.serve, "127.0.0.1", port):
            ready.set()
            await stopping.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(10)
        loop.close()


def config_at(folder: Path, port: int) -> Path:
    (folder / "token").write_text("t")
    document = {
        "site": "s",
        "agent": "a1",
        "interval_s": 1,
        "outbox": {"path": "./o.db"},
        "push": {"url": "http://127.0.0.1:9", "token_file": "./token"},
        "connections": [
            {"id": "gw1", "driver": "modbus-tcp", "host": "127.0.0.1", "port": port,
             "timeout_s": 0.2}
        ],
        "devices": [
            {"id": "T1", "connection": "gw1", "unit": 1, "profile": "generic/xy-md02"},
            {"id": "T2", "connection": "gw1", "unit": 2, "profile": "generic/xy-md02"},
        ],
    }  # fmt: skip
    path = folder / "agent.yaml"
    path.write_text(yaml.safe_dump(document), "utf-8")
    return path


@contextmanager
def running(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run an agent as a process until the context ends; it must stop as told."""
    code = "from edge.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-c", code, "run", "--config", str(config)]
    agent = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        yield agent
    finally:
        agent.send_signal(signal.SIGTERM)
        _, said = agent.communicate(timeout=20)
        assert agent.returncode == 0, said


def told(config: Path, until_breaker: str) -> dict[str, Any]:
    """Ask until the second device's breaker is as awaited."""
    path = socket_path(config.parent / "o.db")
    status: dict[str, Any] = {}
    for _ in range(300):
        with contextlib.suppress(OSError):
            status = ask(path)
        if status and status["buses"][0]["devices"][1]["breaker"] == until_breaker:
            return status
        time.sleep(0.1)
    raise AssertionError(f"never {until_breaker}: {status}")


def test_a_running_agent_is_seen_whole(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    meters = Meters(rtu=False)
    meters.silent = {2}
    with served(meters) as port:
        config = config_at(tmp_path, port)
        with running(config):
            status = told(config, "open")
            path = tmp_path / "o.db.status.sock"
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            capfd.readouterr()
            monkeypatch.setenv("COLUMNS", "140")
            assert main(["status", "--config", str(config)]) == 0
            shown = capfd.readouterr().out
            assert main(["status", "--config", str(config), "--json"]) == 0
            document = json.loads(capfd.readouterr().out)
    assert not path.exists()
    for text in ("采集代理 a1（s）", "待发", "上送", "gw1", "T1", "正常 ok", "温度 0.7 °C", "停读"):
        assert text in shown, shown
    for text in (
        "主机：存储剩",
        "写盘：启动以来",
        "时间：",
        "配置：",
        "最近的告警",
        "device_silent",
    ):
        assert text in shown, shown
    assert document["config"]["path"] == str(config)
    assert document["config"]["trial"] is None
    assert document["values"]["config_hash"] == int(document["config"]["hash"], 16)
    assert document["values"]["disk_free_bytes"] > 0
    assert document.keys() == status.keys()
    (bus,) = document["buses"]
    good, silent = bus["devices"]
    assert bus["name"] == "gw1"
    assert (good["device"], good["breaker"], good["lost_s"]) == ("T1", "closed", 0)
    assert {r["measurand"]: r["value"] for r in good["readings"]} == {
        "temperature_c": 0.7,
        "humidity_percent": 0.7,
    }
    assert silent["last_good_age_s"] is None
    assert silent["lost_s"] > 0
    assert {r["reason"] for r in silent["readings"]} <= {"suspended", "timeout"}


def test_an_agent_that_does_not_run_is_said_plainly(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = config_at(tmp_path, 1)
    assert main(["status", "--config", str(config)]) == 1
    said = capfd.readouterr().err
    assert "采集代理没有运行" in said
    assert "o.db.status.sock" in said
    assert "Traceback" not in said


def test_what_a_killed_agent_left_behind_is_no_agent_and_no_obstacle(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = config_at(tmp_path, 1)
    path = socket_path(tmp_path / "o.db")
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    assert main(["status", "--config", str(config)]) == 1
    assert "采集代理没有运行" in capfd.readouterr().err

    async def asked() -> dict[str, object]:
        server = StatusServer(path, lambda: {"agent": "a1"})
        await server.open()
        found = await asyncio.to_thread(ask, path)
        with pytest.raises(OSError, match="another agent"):
            await StatusServer(path, dict).open()
        await server.close()
        return found

    assert asyncio.run(asked()) == {"agent": "a1"}
    assert not path.exists()


def test_a_deep_folder_and_a_long_document_are_no_trouble(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 100) / ("e" * 100)
    folder.mkdir(parents=True)
    document = {"text": "表" * 300_000}

    async def asked() -> dict[str, object]:
        server = StatusServer(folder / "s.sock", lambda: document)
        await server.open()
        found = await asyncio.to_thread(ask, folder / "s.sock")
        await server.close()
        return found

    assert asyncio.run(asked()) == document


def test_an_answer_that_is_cut_off_is_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        door.listen()

        def cut() -> None:
            peer, _ = door.accept()
            peer.sendall(b'{"agent":')
            peer.close()

        thread = threading.Thread(target=cut)
        thread.start()
        with pytest.raises(OSError, match="cut off"):
            ask(path)
        thread.join()
