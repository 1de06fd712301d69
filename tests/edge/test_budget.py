"""Budgets: the arithmetic of a line, the time of a round, and remedies that hold what they say."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.budget import RESERVE, BusBudget, LineCost, bus_budgets, refusals, warnings
from edge.budget.remedy import (
    at_baud,
    devices_that_fit,
    lines_needed,
    lowest_baud,
    registers_each,
    shortest_tick_s,
)
from edge.config import AgentConfig
from edge.profile import Pace

TWO = ["power_kw", "energy_total_kwh"]  # two reads of two registers on an SDM630


def config_of(count: int, **more: object) -> AgentConfig:
    """Give an agent with `count` SDM630 on one line; `more` goes to connection, device or agent."""
    connection = {"id": "bus1", "driver": "modbus-rtu", "device": "/dev/serial0"}
    device = {"connection": "bus1", "profile": "eastron/sdm630", "points": TWO}
    of_line = {
        k: v
        for k, v in more.items()
        if k in {"baud", "parity", "gap_ms", "timeout_s", "turnaround_ms"}
    }
    of_agent = {k: v for k, v in more.items() if k in {"interval_s", "intervals"}}
    of_device = {k: v for k, v in more.items() if k not in of_line | of_agent}
    return AgentConfig.model_validate(
        {
            "site": "hengnan",
            "agent": "a1",
            **of_agent,
            "outbox": {"path": "o.db"},
            "push": {"url": "http://127.0.0.1:1", "token_file": "token"},
            "connections": [connection | of_line],
            "devices": [
                {"id": f"E{i}", "unit": i, **device, **of_device} for i in range(1, count + 1)
            ],
        }
    )


def bus_of(count: int, **more: object) -> BusBudget:
    (bus,) = bus_budgets(config_of(count, **more))
    return bus


@pytest.mark.parametrize(
    ("baud", "quick_ms", "slow_ms", "reads_a_second"),
    [(9600, 114.58, 130.6, 8.73), (19_200, 57.29, 75.3, 17.45), (115_200, 12.38, 30.6, 80.8)],
)
def test_a_read_of_forty_registers_takes_what_the_line_takes(
    baud: int, quick_ms: float, slow_ms: float, reads_a_second: float
) -> None:
    quick = LineCost(baud, bits=11, turnaround_s=0)  # a turnaround is at least t3.5
    assert quick.read_s(40) * 1000 == pytest.approx(quick_ms, abs=0.005)
    assert 1 / quick.read_s(40) == pytest.approx(reads_a_second, abs=0.05)
    assert LineCost(baud, turnaround_s=0.02).read_s(40) * 1000 == pytest.approx(slow_ms, abs=0.05)


@pytest.mark.parametrize(
    ("baud", "quick", "slow"), [(9600, 10, 17), (19_200, 10, 26), (115_200, 25, 120)]
)
def test_a_request_costs_as_many_registers_as_a_gap_may_have(
    baud: int, quick: int, slow: int
) -> None:
    assert round(LineCost(baud, turnaround_s=0).request_registers()) == quick
    assert round(LineCost(baud, turnaround_s=0.02).request_registers()) == slow


def test_a_character_has_the_bits_that_the_line_gives_it() -> None:
    assert bus_of(1).line.character_s == 10 / 9600
    assert bus_of(1, parity="E").line.character_s == 11 / 9600
    assert bus_of(1, turnaround_ms=45).line.turnaround_s == 0.045
    assert bus_of(1, gap_ms=5).line.between_s == pytest.approx(3.5 * 10 / 9600 + 0.005)


def test_a_round_by_hand() -> None:
    """8N1 at 9600: a read of 2 is 17 characters and 20 ms; then the SDM630's 60 ms of silence."""
    bus = bus_of(3, interval_s=10)
    read_s = (13 + 4) * 10 / 9600 + 0.02 + 0.06
    assert bus.cycle_s == pytest.approx(6 * read_s)
    assert bus.busiest_s == bus.cycle_s
    assert bus.utilisation(Pace.NORMAL) == pytest.approx(6 * read_s / 10)
    probe_s = 8 * 10 / 9600 + 1.0 + 0.06  # asked, the whole timeout, the pause
    assert bus.worst_s == pytest.approx(4 * read_s + probe_s)
    assert bus.silent_that_fit == 3
    assert replace(bus, intervals=config_of(1, interval_s=2).intervals_of(bus.connection)).fits


def test_paces_share_a_tick_and_slow_reads_are_spread() -> None:
    pace = {"power_kw": "fast", "energy_total_kwh": "slow"}
    bus = bus_of(20, intervals={"fast": 5, "normal": 10, "slow": 50}, pace=pace)
    read_s = (13 + 4) * 10 / 9600 + 0.02 + 0.06
    assert (bus.paces, bus.tick_s) == ((Pace.FAST, Pace.SLOW), 5)
    assert bus.busiest_s == pytest.approx(22 * read_s)  # 20 slow reads over 10 ticks
    assert bus.cycle_s == pytest.approx(40 * read_s)


def test_a_bus_ticks_at_what_its_paces_have_in_common() -> None:
    pace = {"power_kw": "normal", "energy_total_kwh": "slow"}
    assert bus_of(1, intervals={"fast": 2, "normal": 4, "slow": 10}, pace=pace).tick_s == 2
    assert bus_of(1, intervals={"fast": 2, "normal": 4, "slow": 12}, pace=pace).tick_s == 4


def test_without_a_serial_line_only_turnaround_and_pause_count() -> None:
    config = config_of(4, interval_s=1)
    tcp = {"id": "bus1", "driver": "modbus-tcp", "host": "h"}
    document = config.model_dump(mode="json", exclude={"intervals"}) | {"connections": [tcp]}
    (bus,) = bus_budgets(AgentConfig.model_validate(document))
    assert bus.cycle_s == pytest.approx(8 * (0.02 + 0.06))
    behind = document | {"connections": [tcp | {"line_baud": 9600}]}
    (bus,) = bus_budgets(AgentConfig.model_validate(behind))
    assert bus.cycle_s == pytest.approx(8 * (17 * 11 / 9600 + 0.02 + 0.06))


def test_over_the_time_is_refused_and_over_the_reserve_is_warned_of() -> None:
    def judged(count: int) -> tuple[int, int]:
        config = config_of(count, interval_s=4, timeout_s=0.2)
        told = [w for w in warnings(config) if "余量不足" in w]
        return len(refusals(config)), len(told)

    read_s = (13 + 4) * 10 / 9600 + 0.02 + 0.06  # 0.0977: 16 devices take 3.13 s, 17 take 3.32 s
    assert 32 * read_s < 4 * (1 - RESERVE) < 34 * read_s
    assert [judged(n) for n in (16, 17, 20)] == [(0, 0), (0, 1), (0, 1)]
    assert judged(21)[0] == 1


@given(
    st.integers(1, 40),
    st.sampled_from([1200, 2400, 9600, 19_200, 115_200]),
    st.integers(1, 100),
    st.booleans(),
)
def test_every_remedy_holds_and_none_is_larger_than_it_must_be(
    count: int, baud: int, tenths: int, has_all_points: bool
) -> None:
    points = None if has_all_points else TWO
    bus = bus_of(count, baud=baud, interval_s=tenths / 10, points=points)
    needed = shortest_tick_s(bus)
    assert bus.busiest_s <= needed * (1 - RESERVE) + 1e-9
    assert bus.busiest_s > (needed - 0.1) * (1 - RESERVE) - 1e-9
    faster = lowest_baud(bus)
    assert faster is None or (at_baud(bus, faster).fits and faster > baud)
    if faster is None:
        assert baud == 115_200 or not at_baud(bus, 115_200).fits
    fitting = devices_that_fit(bus)
    assert not fitting or bus.with_loads(bus.loads[:fitting]).fits
    assert fitting == count or not bus.with_loads(bus.loads[: fitting + 1]).fits
    lines = lines_needed(bus)
    assert (lines is None) == (fitting == 0)
    assert lines is None or lines == -(-count // fitting)  # all devices are alike here
    each = registers_each(bus)
    round_s = [sum(bus.line.read_s(n, d.pause_s) for d in bus.loads) for n in (each, each + 1)]
    assert not each or round_s[0] <= bus.tick_s * (1 - RESERVE) + 1e-9
    assert each == 125 or round_s[1] > bus.tick_s * (1 - RESERVE) - 1e-9


def test_warnings_name_what_a_person_should_look_at() -> None:
    told = "\n".join(warnings(config_of(2, baud=19_200, parity="E", timeout_s=0.5)))
    assert "E1, E2: eastron/sdm630 出厂为 9600 8N1，线路为 19200 8E1" in told
    assert "eastron/sdm630 可能要等 1 s，连接的 timeout_s 只有 0.5" in told
    assert "一台不应答" in "\n".join(warnings(config_of(8, interval_s=2)))
    assert not warnings(config_of(2))
