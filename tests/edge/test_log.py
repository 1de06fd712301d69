"""Log: one line per decision, bounded on the worst of days."""

import asyncio
import io
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from edge.agent import Agent
from edge.clock import AgentClock, KeptTime
from edge.config import AgentConfig
from edge.log import Limiter, configure
from tests.edge.clock_machine import VirtualMachine
from tests.edge.virtual import ScriptedDriver, VirtualClock, in_virtual_time


@contextmanager
def log_into(limiter: Limiter) -> Iterator[io.StringIO]:
    """Log as the agent does, into a text."""
    said = io.StringIO()
    before = structlog.get_config()
    configure(said, limiter)
    try:
        yield said
    finally:
        structlog.configure(**before)


class Time:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_the_first_lines_of_an_event_pass_and_the_rest_is_told_in_one() -> None:
    time = Time()
    limiter = Limiter(first=2, interval_s=60, now_s=time)
    with log_into(limiter) as said:
        log = structlog.get_logger()
        for i in range(10):
            log.warning("device_silent", device="E1", number=i)
        log.warning("device_silent", device="E2", number=0)
        limiter.tell()
        time.now_s = 60
        limiter.tell()
        limiter.tell()
        log.warning("device_silent", device="E1", number=10)
    lines = [ln.partition("level=")[2] for ln in said.getvalue().splitlines()]
    assert lines == [
        "warning event=device_silent device=E1 number=0",
        "warning event=device_silent device=E1 number=1",
        "warning event=device_silent device=E2 number=0",
        "info event=suppressed of=device_silent about=E1 more=8",
        "warning event=device_silent device=E1 number=10",
    ]


def test_the_newest_warnings_are_kept_with_their_age() -> None:
    time = Time()
    limiter = Limiter(first=1, now_s=time)
    with log_into(limiter):
        log = structlog.get_logger()
        log.info("quiet")
        for i in range(12):
            time.now_s = i
            log.error("loop_failed", loop="push", number=i)
    newest = limiter.newest()
    assert len(newest) == 10
    assert newest[-1] == {
        "level": "error", "event": "loop_failed", "loop": "push", "number": 11, "age_s": 0,
    }  # fmt: skip
    assert newest[0]["age_s"] == 9


def thirty_devices(folder: Path) -> AgentConfig:
    (folder / "token").write_text("t")
    return AgentConfig.model_validate(
        {
            "site": "s", "agent": "a1", "interval_s": 300,
            "outbox": {"path": str(folder / "o.db"), "commit_interval_s": 0.05},
            "push": {"url": "http://127.0.0.1:9", "token_file": str(folder / "token")},
            "connections": [
                {"id": f"c{i}", "driver": "modbus-tcp", "host": "127.0.0.1"} for i in range(3)
            ],
            "devices": [
                {"id": f"E{i}", "connection": f"c{i % 3}", "unit": i + 1,
                 "profile": "generic/xy-md02"}
                for i in range(30)
            ],
        }
    )  # fmt: skip


def said_in(hours: int, folder: Path, *, dead: bool = False, flaps: bool = False) -> list[str]:
    """Run the agent for some virtual hours with no server; give its log."""
    said: list[str] = []

    async def run(_: VirtualClock) -> None:
        machine = VirtualMachine()
        machine.is_synced = True
        clock = AgentClock(KeptTime(folder / "clock.json"), machine, "ntp")
        limiter = Limiter(now_s=clock.monotonic_s)
        agent = Agent.build(thirty_devices(folder), clock)
        agent.life.limiter = limiter
        drivers = []
        for bus in agent.buses:
            bus.driver = ScriptedDriver()
            drivers.append(bus.driver)
            bus.driver.silent = set(range(1, 31)) if dead else set()
        with log_into(limiter) as text:
            task = asyncio.create_task(agent.run())
            for hour in range(hours):
                await asyncio.sleep(3600)
                for driver in drivers if flaps else ():
                    driver.silent = set(range(1, 31)) if hour % 2 == 0 else set()
            agent.stopping.set()
            await task
            said.extend(text.getvalue().splitlines())

    in_virtual_time(run)
    return said


def events(lines: list[str]) -> Counter[str]:
    return Counter(word[6:] for ln in lines for word in ln.split() if word.startswith("event="))


def test_a_day_of_thirty_dead_devices_and_no_network_is_told_in_few_lines(tmp_path: Path) -> None:
    lines = said_in(24, tmp_path, dead=True)
    assert events(lines)["device_silent"] == 30
    assert events(lines)["push_failed"] == 1
    assert len(lines) < 100, Counter(events(lines))


def test_good_hours_are_quiet(tmp_path: Path) -> None:
    lines = said_in(6, tmp_path)
    names = {"agent_started", "agent_stopped", "check_token", "check_server", "push_failed"}
    assert events(lines) == dict.fromkeys(names, 1)  # there is no server in this test


def test_devices_that_come_and_go_are_told_each_time_they_do(tmp_path: Path) -> None:
    found = events(said_in(5, tmp_path, flaps=True))
    assert found["device_silent"] == found["device_back"] == 60


@pytest.mark.parametrize("first", [1, 5])
def test_a_storm_of_one_event_is_bounded_by_the_interval(first: int) -> None:
    time = Time()
    limiter = Limiter(first=first, interval_s=3600, now_s=time)
    with log_into(limiter) as said:
        log = structlog.get_logger()
        for second in range(86_400):
            time.now_s = second
            log.warning("slots_missed", bus="b1", slots=1)
            if second % 10 == 0:
                limiter.tell()
    assert len(said.getvalue().splitlines()) <= 24 * (first + 1)
