"""Health: the points of the agent, its buses and its devices; the watchdog's patience."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from contract.line import decode, encode
from contract.reading import PointId
from edge.agent import Agent, all_cancelled
from edge.config import AgentConfig
from edge.health import Progress, Utilisation, bus_readings, device_values
from edge.poller import Bus
from tests.edge.virtual import (
    T0_MS,
    ScriptedDriver,
    VirtualClock,
    VirtualLoop,
    in_virtual_time,
    unit,
)


def config_in(folder: Path, interval_s: float = 10, **more: object) -> AgentConfig:
    (folder / "token").write_text("t")
    return AgentConfig.model_validate(
        {
            "site": "s",
            "agent": "a1",
            "interval_s": interval_s,
            "outbox": {"path": str(folder / "o.db")},
            "push": {"url": "http://127.0.0.1:9", "token_file": str(folder / "token")},
            "connections": [
                {"id": f"c{i}", "driver": "modbus-tcp", "host": "127.0.0.1"} for i in (1, 2)
            ],
            "devices": [
                {"id": f"E{i}", "connection": f"c{i}", "profile": "eastron/sdm630"} for i in (1, 2)
            ],
            **more,
        }
    )


def test_a_bus_and_its_devices_speak_for_themselves(tmp_path: Path) -> None:
    driver = ScriptedDriver()
    driver.silent = {2}
    bus = Bus("bus1", driver, [unit(1), unit(2)], 10_000)
    driver.stats.requests, driver.stats.crc_errors = 12, 3
    driver.stats.latencies_s.extend([0.02] * 98 + [0.5] * 2)

    async def rounds(clock: VirtualClock) -> float:
        for i in range(2):
            await asyncio.sleep((T0_MS + i * 10_000 - clock.now_ms()) / 1000)
            await bus.poll_due(T0_MS + i * 10_000, clock)
        return clock.monotonic_s()

    now_s = in_virtual_time(rounds)
    readings = bus_readings(config_in(tmp_path), bus, 12.5, now_s, T0_MS)
    assert decode("\n".join(encode(readings)))  # the wire takes them
    values = {(r.point.device, r.point.measurand): r.value for r in readings}
    of_bus = {name: v for (device, name), v in values.items() if device == "a1.bus1"}
    assert of_bus == {
        "bus_utilisation_percent": 12.5,
        "bus_lost_s": 2.0,
        "bus_requests_total": 12,
        "bus_retries_total": 0,
        "bus_timeouts_total": 0,
        "bus_crc_errors_total": 3,
        "bus_latency_p50_ms": 20,
        "bus_latency_p99_ms": 500,
        "bus_reads_shed_total": 0,
        "slots_missed_total": 0,
    }
    assert values["D1", "device_breaker_state"] == 0
    assert values["D1", "device_last_good_age_s"] == pytest.approx(0, abs=1.1)
    assert values["D2", "device_breaker_state"] == 2
    assert values["D2", "device_lost_s"] == 2.0
    assert ("D2", "device_last_good_age_s") not in values  # it has never answered


def test_latencies_and_ages_are_left_out_before_the_first_answer(tmp_path: Path) -> None:
    bus = Bus("bus1", ScriptedDriver(), [unit(1)], 10_000)
    names = {r.point for r in bus_readings(config_in(tmp_path), bus, 0, 0, T0_MS)}
    assert PointId("s", "a1.bus1", "bus_latency_p50_ms") not in names
    assert PointId("s", "D1", "device_last_good_age_s") not in names


def test_utilisation_is_of_the_time_since_last_asked() -> None:
    bus = Bus("b", ScriptedDriver(), [], 1000)
    meter = Utilisation(seen_s=100.0)
    bus.driver.stats.busy_s, bus.driver.stats.lost_s = 20.0, 10.0
    assert meter.percent(bus, 160.0) == 50
    bus.driver.stats.busy_s += 6
    assert meter.percent(bus, 220.0) == 10
    assert meter.percent(bus, 280.0) == 0


def test_each_loop_is_stalled_only_after_its_own_patience() -> None:
    clock = VirtualClock(loop := VirtualLoop())
    progress = Progress({"fast": 10, "slow": 100}, clock)
    loop.jump.now_s = 50
    assert progress.stalled() == ["fast"]
    progress.moved("fast")
    assert progress.stalled() == []
    loop.jump.now_s = 101
    assert progress.stalled() == ["fast", "slow"]
    loop.close()


def test_who_keeps_his_own_time_is_asked() -> None:
    progress = Progress({}, VirtualClock(loop := VirtualLoop()))
    stuck = False
    progress.watch("outbox", lambda: stuck)
    assert progress.stalled() == []
    stuck = True
    assert progress.stalled() == ["outbox"]
    loop.close()


def test_device_values_change_from_open_to_half_open() -> None:
    device = unit(1)
    device.set_backoff(10)
    device.breaker.silent(0)
    device.breaker.silent(10)
    states = [device_values(device, t)["device_breaker_state"] for t in (11, 20)]
    assert states == [2, 1]


def test_buses_are_staggered_and_tick_at_their_own_paces(tmp_path: Path) -> None:
    intervals = {"fast": 5, "normal": 60, "slow": 3600}
    agent = Agent.build(config_in(tmp_path, intervals=intervals))
    assert [b.interval_ms for b in agent.buses] == [60_000, 60_000]  # nothing fast is read
    assert [b.offset_ms for b in agent.buses] == [0, 1000]
    agent.outbox.close()


def test_the_agent_stops_although_a_loop_loses_its_first_cancellation() -> None:
    async def stubborn() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        await asyncio.sleep(3600)

    async def stopped(_: VirtualClock) -> bool:
        task = asyncio.create_task(stubborn())
        await asyncio.sleep(0)
        await all_cancelled([task])
        return task.cancelled()

    assert in_virtual_time(stopped)


def test_each_destination_has_a_loop_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "t2").write_text("t2")
    copy = {"id": "province", "url": "http://127.0.0.1:9", "token_file": str(tmp_path / "t2")}

    async def some_time() -> dict[str, Any]:
        agent = Agent.build(config_in(tmp_path, copies=[copy]))
        agent.outbox.put("bus", 1000, ["agent,device=a1,site=s uptime_s=1.0 1000"], 1)
        agent.outbox.commit()
        task = asyncio.create_task(agent.run())
        for _ in range(3000):
            if all(agent.pushing[p.name].error for p in agent.pushers):
                break
            await asyncio.sleep(0.02)
        status = agent.status()
        agent.stopping.set()
        await task
        return status

    status = asyncio.run(some_time())
    assert status["push"]["error"]
    assert status["copies"]["province"]["error"]
    assert status["outbox_in_ram"] is None
    assert status["values"]["outbox_rounds"] >= 1
