"""The clock in the agent: the real outbox holds and lets go, the server is asked over HTTP."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from contract.line import decode
from contract.reading import Reason
from edge.agent import Agent
from edge.clock import AgentClock, KeptTime, server_asker, watch_clock
from edge.outbox import Bounds, Outbox
from edge.poller import Bus, run_bus
from tests.edge.clock_machine import VirtualMachine, silent_server, truth_ms
from tests.edge.http_sink import dripping_server
from tests.edge.test_health import config_in
from tests.edge.virtual import T0_MS, ScriptedDriver, VirtualClock, in_virtual_time, unit


async def runs(box: Outbox, clock: AgentClock, seconds: float) -> None:
    bus = Bus("bus", ScriptedDriver(), [unit(1)], 10_000)
    tasks = [
        asyncio.create_task(run_bus(bus, box, clock, lambda _: None)),
        asyncio.create_task(watch_clock(clock, box, silent_server)),
    ]
    await asyncio.sleep(seconds)
    box.commit()
    for task in tasks:
        assert not task.done(), task
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_the_outbox_sends_nothing_before_the_time_is_known_and_all_afterwards(
    tmp_path: Path,
) -> None:
    box = Outbox(tmp_path / "o.db", Bounds(10**9, 10**15))

    async def scenario(_: VirtualClock) -> None:
        machine = VirtualMachine("b1", -30 * 365 * 86_400_000)
        clock = AgentClock(KeptTime(tmp_path / "clock.json"), machine, "ntp")
        await runs(box, clock, 103)
        assert box.take(10**9) == ()
        machine.is_synced, machine.wall_off_ms = True, 0
        clock = AgentClock(KeptTime.load(tmp_path / "clock.json"), machine, "ntp", 0)
        await runs(box, clock, 98)  # the very next slot is another one than the last held
        assert clock.now_ms() == int(truth_ms())

    in_virtual_time(scenario)
    readings = [r for p in box.take(10**9) for r in decode("\n".join(p.lines()))]
    times = sorted(r.time_ms for r in readings)
    assert times == list(range(T0_MS + 10_000, T0_MS + 200_001, 10_000))
    by_time = {r.time_ms: r.reason for r in readings}
    assert by_time[T0_MS + 100_000] is Reason.CLOCK_RESTAMPED
    assert by_time[T0_MS + 110_000] is Reason.GOOD
    assert box.held_boots() == []
    box.close()


@contextlib.contextmanager
def door(status: int) -> Iterator[str]:
    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def date_time_string(self, timestamp: float | None = None) -> str:
            return "Thu, 01 Jan 2026 00:00:07 GMT"

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/influx"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("status", "is_heard"), [(204, True), (404, True), (502, False)])
def test_any_answer_of_the_server_tells_the_time_but_not_a_broken_gateways(
    tmp_path: Path, status: int, is_heard: bool
) -> None:
    clock = AgentClock.build(tmp_path / "clock.json", "server")
    assert clock.heard_age_s() is None
    with door(status) as url:
        date, sent_s = server_asker(url, None, clock.monotonic_s)()
    clock.heard_date(date, sent_s)
    assert (clock.heard_age_s() is not None) is is_heard
    assert ("clock_offset_s" in clock.values()) is is_heard


def test_a_server_that_answers_byte_by_byte_does_not_hold_the_clock() -> None:
    with dripping_server() as url, pytest.raises(TimeoutError, match="not whole within"):
        server_asker(url, None, lambda: 0.0, timeout_s=0.3)()


@pytest.mark.parametrize("date", [None, "", "yesterday", "Thu, 99 Jan 2026 00:00:07 GMT"])
def test_a_date_that_is_none_is_not_heard(tmp_path: Path, date: str | None) -> None:
    clock = AgentClock.build(tmp_path / "clock.json", "system")
    clock.heard_date(date, clock.monotonic_s())
    assert clock.heard_age_s() is None


def test_the_agent_tells_how_its_clock_is(tmp_path: Path) -> None:
    agent = Agent.build(config_in(tmp_path, clock={"trust": "system"}))
    status = agent.status()
    assert status["clock"]["source"] in {"system", "rtc", "ntp"}
    assert status["values"]["clock_known"] == 1
    assert status["values"]["clock_steps_total"] == 0
    agent.outbox.close()


def test_a_clock_file_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    clock = AgentClock.build(tmp_path / "no" / "folder" / "clock.json", "system")
    clock.save()
    assert clock.is_known


def test_a_restart_within_a_boot_knows_the_time_at_once(tmp_path: Path) -> None:
    async def scenario(_: VirtualClock) -> None:
        machine = VirtualMachine("b1")
        machine.is_synced = True
        first = AgentClock(KeptTime(tmp_path / "clock.json"), machine, "ntp")
        assert first.is_known
        await asyncio.sleep(50)
        machine.is_synced, machine.wall_off_ms = False, 9_000_000
        again = AgentClock(KeptTime.load(tmp_path / "clock.json"), machine, "ntp")
        assert again.is_known
        assert again.now_ms() == int(truth_ms())
        machine.boot_id = "b2"
        other = AgentClock(KeptTime.load(tmp_path / "clock.json"), machine, "ntp")
        assert not other.is_known

    in_virtual_time(scenario)
