"""Under systemd: what the agent tells it, over a real socket, as a real process."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.edge.test_apply import reads_again, wait_for
from tests.edge.test_poller_wire import Meters
from tests.edge.test_status import config_at, served

CODE = "from edge.cli import main; raise SystemExit(main())"


@contextmanager
def notify_socket(folder: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.bind(str(folder / "n"))
        door.settimeout(60)
        yield door


def started(config: Path, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", CODE, "run", "--config", str(config)],
        env={**os.environ, "NOTIFY_SOCKET": str(folder / "n")},
        stderr=(folder / "said").open("wb"),
    )


def heard(door: socket.socket, but: str = "WATCHDOG=1") -> str:
    """Give the next message, the watchdog's food left out."""
    while (message := door.recv(1000).decode()) == but:
        pass
    return message


def test_a_reload_is_no_stop(tmp_path: Path) -> None:
    meters = Meters(rtu=False)
    with notify_socket(tmp_path) as door, served(meters) as port:
        config = config_at(tmp_path, port)
        agent = started(config, tmp_path)
        try:
            assert heard(door) == "READY=1"
            wait_for(lambda: reads_again(config, agent.pid))
            agent.send_signal(signal.SIGHUP)
            assert heard(door) == "RELOADING=1\nWATCHDOG=1"
            assert heard(door) == "READY=1"
        finally:
            agent.terminate()
            assert heard(door) == "STOPPING=1"
            assert agent.wait(60) == 0


def test_the_watchdog_is_fed(tmp_path: Path) -> None:
    with notify_socket(tmp_path) as door:
        agent = started(config_at(tmp_path, 1), tmp_path)
        try:
            assert heard(door, but="READY=1") == "WATCHDOG=1"
        finally:
            agent.terminate()
            assert agent.wait(60) == 0


def test_a_wrong_file_is_told_once_and_waited_for(tmp_path: Path) -> None:
    config = config_at(tmp_path, 1)
    right = config.read_text("utf-8")
    config.write_text("site: [", "utf-8")
    with notify_socket(tmp_path):
        agent = started(config, tmp_path)
        wait_for(lambda: "秒后再试" in (tmp_path / "said").read_text("utf-8"))
        assert agent.poll() is None
        config.write_text(right, "utf-8")
        assert agent.wait(60) == 2  # systemd starts it again
    said = (tmp_path / "said").read_text("utf-8")
    assert said.count("应为 expected") == 1
    assert "Traceback" not in said


@pytest.mark.parametrize("command", ["apply", "doctor"])
def test_the_commands_show_an_example(command: str) -> None:
    shown = subprocess.run(
        [sys.executable, "-c", CODE, command, "--help"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert f"example: compound-edge {command}" in shown
