"""The agent as a process whose wall clock is set under it by libfaketime: the times stay right."""

import contextlib
import glob
import gzip
import os
import re
import socketserver
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import pytest

from contract.line import decode
from contract.reading import Reading, Reason

pytestmark = pytest.mark.real
INTERVAL_MS = 1000
NEAR_S = 30.0  # a right time, on a machine however busy; the steps are longer
STEPS = ("-3600", "+0", "+604800", "+0")
CONFIG = """
site: s
agent: a1
interval_s: 1
outbox: {{path: ./o.db}}
push: {{url: "{url}", token_file: ./token, interval_s: 0.5}}
clock: {{trust: {trust}}}
connections:
  - {{id: tcp1, driver: modbus-tcp, host: 127.0.0.1, port: {port}}}
devices:
  - {{id: E01, connection: tcp1, profile: eastron/sdm630, points: [voltage_l1_v]}}
"""


class Meter(socketserver.StreamRequestHandler):
    """Says 230 V at every address."""

    def handle(self) -> None:
        while len(request := self.rfile.read(12)) == 12:
            transaction, unit, function, count = struct.unpack(">H4xBB2xH", request)
            words = (struct.pack(">f", 230.0) * count)[: 2 * count]
            head = struct.pack(
                ">HHHBBB", transaction, 0, 3 + len(words), unit, function, len(words)
            )
            self.wfile.write(head + words)


class Server(ThreadingHTTPServer):
    """Keeps what it is sent, with the time at which it came."""

    kept: list[tuple[float, str]]


class Door(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"]))).decode()
        self.server.kept += [(time.time(), line) for line in body.splitlines()]
        self._answer()

    def _answer(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def served() -> Iterator[tuple[Server, int]]:
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    meter = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Meter)
    meter.daemon_threads = True
    server = Server(("127.0.0.1", 0), Door)
    server.kept = []
    for one in (meter, server):
        threading.Thread(target=one.serve_forever, daemon=True).start()
    yield server, meter.server_address[1]
    for one in (meter, server):
        one.shutdown()
        one.server_close()


@contextlib.contextmanager
def agent(folder: Path, server: Server, port: int, trust: str) -> Iterator[None]:
    """Run the agent with a wall clock that is off by what stands in `off`."""
    url = f"http://127.0.0.1:{server.server_port}"
    (folder / "agent.yaml").write_text(CONFIG.format(url=url, trust=trust, port=port))
    (folder / "token").write_text("t")
    (library,) = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    env = os.environ | {
        "LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": str(folder / "off"),
        "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip
    command = [
        str(Path(sys.executable).with_name("compound-edge")),
        "run",
        "--config",
        "agent.yaml",
    ]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log)
        try:
            yield
            assert process.poll() is None, said(folder)
        finally:
            process.terminate()
            assert process.wait(60) == 0, said(folder)


def set_wall_clock(folder: Path, off: str) -> None:
    new = folder / "off.new"
    new.write_text(f"{off}\n")
    new.replace(folder / "off")


def said(folder: Path) -> str:
    return (folder / "log").read_text()


def readings(server: Server) -> list[tuple[float, Reading]]:
    """Give what came, with when it first did: a stop may cut the answer, and a line comes again."""
    first: dict[str, float] = {}
    for came_s, line in list(server.kept):
        if line.startswith("electricity"):
            first.setdefault(line, came_s)
    return [(came_s, r) for line, came_s in first.items() for r in decode(line)]


def wait_for(condition: Callable[[], bool], what: str) -> None:
    until_s = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < until_s, what
        time.sleep(0.2)


def wait_for_more(server: Server, more: int) -> None:
    wanted = len(readings(server)) + more
    wait_for(lambda: len(readings(server)) >= wanted, "nothing comes any more")


def told_jumps(folder: Path) -> int:
    return said(folder).count("clock_jump_not_believed")


def has_told(folder: Path, jumps: int) -> bool:
    return told_jumps(folder) >= jumps


def check(server: Server, folder: Path) -> list[Reading]:
    """Check that no slot is doubled and that every hole is one the agent has told of."""
    found = [r for _, r in readings(server)]
    slots = [r.time_ms for r in found]
    assert len(slots) == len(set(slots))
    holes = sum((b - a) // INTERVAL_MS - 1 for a, b in pairwise(sorted(slots)))
    told = re.findall(r"slots_missed.*slots=\D*(\d+)", re.sub(r"\x1b\[[0-9;]*m", "", said(folder)))
    assert holes == sum(map(int, told)), said(folder)
    assert {r.value for r in found} == {230.0}
    return found


@pytest.mark.parametrize("trust", ["system", "server"])
def test_an_hour_back_and_a_week_ahead_change_no_time(tmp_path: Path, trust: str) -> None:
    set_wall_clock(tmp_path, "+0")
    with served() as (server, port), agent(tmp_path, server, port, trust):
        wait_for_more(server, 3)
        for number, off in enumerate(STEPS, 1):
            set_wall_clock(tmp_path, off)
            wait_for(partial(has_told, tmp_path, number), f"{off} is not told")
            wait_for_more(server, 3)
    check(server, tmp_path)
    for came_s, r in readings(server):
        if r.reason is Reason.GOOD:  # the others waited for their time
            assert abs(came_s - r.time_ms / 1000) < NEAR_S
    assert told_jumps(tmp_path) == len(STEPS)


def test_a_start_in_1970_is_stamped_by_the_servers_time(tmp_path: Path) -> None:
    began_s = time.time()
    set_wall_clock(tmp_path, f"-{int(began_s) - 60}")
    with served() as (server, port), agent(tmp_path, server, port, "server"):
        wait_for_more(server, 40)
    found = check(server, tmp_path)
    assert {r.reason for r in found} == {Reason.GOOD, Reason.CLOCK_RESTAMPED}
    assert all(began_s - 2 <= r.time_ms / 1000 <= time.time() + 2 for r in found)
    assert not [
        line for _, line in server.kept if int(line.rpartition(" ")[2]) < began_s * 1000 - 1e6
    ]


def test_a_restart_in_a_wrong_hour_knows_the_time(tmp_path: Path) -> None:
    set_wall_clock(tmp_path, "+0")
    with served() as (server, port):
        with agent(tmp_path, server, port, "system"):
            wait_for_more(server, 5)
        set_wall_clock(tmp_path, "-3600")
        with agent(tmp_path, server, port, "system"):
            wait_for_more(server, 5)
    slots = [r.time_ms for _, r in readings(server)]
    assert len(slots) == len(set(slots))
    assert all(abs(came_s - r.time_ms / 1000) < NEAR_S for came_s, r in readings(server))
