"""A bus's rounds: what silent, busy and refusing units cost, and what is said of them."""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping

from contract.reading import Reading, Reason
from edge.poller import Bus, Unit
from edge.poller.breaker import LOSS_SHARE
from edge.profile import Pace
from tests.edge.virtual import (
    T0_MS,
    ScriptedDriver,
    VirtualClock,
    block,
    in_virtual_time,
    polled,
    unit,
)

TEN_S = 10_000


class Rig:
    """A bus on a scripted driver, read slot after slot in virtual time."""

    def __init__(
        self, units: list[Unit], interval_ms: int = TEN_S, pace_ms: Mapping[Pace, int] | None = None
    ) -> None:
        self.driver = ScriptedDriver()
        self.bus = Bus("bus", self.driver, units, interval_ms, pace_ms=pace_ms or {})
        self.bus.rng = random.Random(1)
        self.slot_ms = T0_MS

    async def round(self, clock: VirtualClock) -> list[Reading]:
        """Wait for the next slot and give its readings."""
        await asyncio.sleep(max(0, self.slot_ms - clock.now_ms()) / 1000)
        readings = await polled(self.bus, self.slot_ms, clock)
        self.slot_ms += self.bus.interval_ms
        return readings


def of(readings: list[Reading], device: str) -> list[Reason]:
    return [r.reason for r in readings if r.point.device == device]


def test_one_dead_unit_of_thirty_costs_under_a_twentieth_of_the_time() -> None:
    rig = Rig([unit(i) for i in range(1, 31)])
    rig.driver.silent = {7}

    async def hour(clock: VirtualClock) -> None:
        for number in range(360):
            readings = await rig.round(clock)
            assert len(readings) == 30
            others = [r for r in readings if r.point.device != "D7"]
            assert all(r.reason is Reason.GOOD for r in others)
            if number:  # asked last, it delays nobody
                assert max(r.lag_s for r in others) < 0.02 * 30 + 0.05
            if number >= 2:
                assert of(readings, "D7") == [Reason.SUSPENDED]

    in_virtual_time(hour)
    asked = rig.driver.counts()
    assert {asked[i] for i in range(1, 31) if i != 7} == {360}
    assert 12 <= asked[7] <= 20
    assert rig.bus.lost_s == asked[7] * 1.0
    assert rig.bus.lost_s < 0.05 * 3600


def test_a_unit_that_answers_its_probe_is_read_whole_in_the_same_round() -> None:
    blocks = block("power_kw", "energy_import_kwh"), block("voltage_l1_v", at=40)
    rig = Rig([unit(1), unit(2, *blocks)])
    rig.driver.silent = {2}

    async def back(clock: VirtualClock) -> list[tuple[int, int]]:
        for _ in range(3):
            await rig.round(clock)
        rig.driver.silent.clear()
        rig.driver.asked.clear()
        while True:
            readings = await rig.round(clock)
            asked = [(b.address, b.count) for u, b in rig.driver.asked if u == 2]
            if asked:
                assert of(readings, "D2") == [Reason.GOOD] * 3
                return asked
            assert of(readings, "D2") == [Reason.SUSPENDED] * 3

    probe, *reads = in_virtual_time(back)
    assert probe == (40, 1)
    assert reads == [(0, 2), (40, 1)]


def test_an_exception_answer_is_not_silence_and_closes_the_breaker() -> None:
    rig = Rig([unit(1), unit(2, block("power_kw"), block("voltage_l1_v", at=9))])

    async def storm(clock: VirtualClock) -> None:
        rig.driver.says = lambda u, _: Reason.DEVICE_EXCEPTION if u == 2 else None
        for _ in range(50):
            assert of(await rig.round(clock), "D2") == [Reason.DEVICE_EXCEPTION] * 2
        rig.driver.silent = {2}
        for _ in range(3):
            await rig.round(clock)
        assert rig.bus.units[1].breaker.is_open
        rig.driver.silent = set()
        found = [of(await rig.round(clock), "D2") for _ in range(4)]
        assert [Reason.DEVICE_EXCEPTION] * 2 in found
        assert not rig.bus.units[1].breaker.is_open

    in_virtual_time(storm)


def test_a_link_that_is_down_says_nothing_about_the_units() -> None:
    rig = Rig([unit(1), unit(2)])

    async def down(clock: VirtualClock) -> None:
        rig.driver.says = lambda *_: Reason.REFUSED
        for _ in range(20):
            readings = await rig.round(clock)
            assert {r.reason for r in readings} == {Reason.REFUSED}
        rig.driver.says = lambda *_: None
        assert {r.reason for r in await rig.round(clock)} == {Reason.GOOD}

    in_virtual_time(down)
    assert rig.bus.lost_s == 0


def test_half_of_the_units_dying_at_once_costs_a_bounded_share_and_all_get_their_turn() -> None:
    rig = Rig([unit(i) for i in range(1, 31)])
    dead = set(range(2, 31, 2))

    async def power_cut(clock: VirtualClock) -> None:
        for _ in range(3):
            await rig.round(clock)
        rig.driver.silent = dead
        rig.driver.counts()
        lost_s = rig.bus.lost_s
        await rig.round(clock)  # who is dead is found out by asking each of them once
        assert rig.driver.counts() == Counter(dict.fromkeys(range(1, 31), 1))
        assert rig.bus.lost_s - lost_s == len(dead)
        await rig.round(clock)
        rig.driver.counts()
        asked: Counter[int] = Counter()
        began_s, lost_s = clock.monotonic_s(), rig.bus.lost_s
        for _ in range(60):
            readings = await rig.round(clock)
            in_round = rig.driver.counts()
            assert sum(in_round[u] for u in dead) <= 1 + LOSS_SHARE * 10
            assert all(in_round[u] == 1 for u in range(1, 31, 2))
            assert {r for u in dead for r in of(readings, f"D{u}")} == {Reason.SUSPENDED}
            asked += in_round
        share = (rig.bus.lost_s - lost_s) / (clock.monotonic_s() - began_s)
        assert share <= LOSS_SHARE * 1.2
        assert all(asked[u] for u in dead)
        rig.driver.silent = set()
        for _ in range(40):
            readings = await rig.round(clock)
        assert {r.reason for r in readings} == {Reason.GOOD}

    in_virtual_time(power_cut)


def test_a_unit_that_is_silent_about_one_block_keeps_the_others() -> None:
    stuck, fine = block("voltage_l1_v", at=0), block("power_kw", "energy_import_kwh", at=50)
    rig = Rig([unit(1, stuck, fine)])
    rig.driver.says = lambda _, b: Reason.TIMEOUT if b.address == 0 else None

    async def rounds(clock: VirtualClock) -> int:
        return sum([of(await rig.round(clock), "D1").count(Reason.GOOD) for _ in range(100)])

    assert in_virtual_time(rounds) >= 2 * 97
    asked = Counter(b.address for _, b in rig.driver.asked)
    assert asked[0] <= 10
    assert not rig.bus.units[0].breaker.is_open


def test_high_priority_comes_first_and_low_last() -> None:
    rig = Rig([unit(1, priority="low"), unit(2), unit(3, priority="high"), unit(4)])
    in_virtual_time(rig.round)
    assert [u for u, _ in rig.driver.asked] == [3, 2, 4, 1]


SLOW = {Pace.NORMAL: 1000, Pace.SLOW: 10_000}


def test_when_time_is_short_slow_reads_of_low_units_are_left_out_first_and_made_up_for() -> None:
    slow = block("voltage_l1_v", at=90, pace=Pace.SLOW)
    units = [
        unit(1),
        unit(2, block("power_kw"), slow, priority="low"),
        unit(3, block("power_kw"), slow),
    ]
    rig = Rig(units, 1000, SLOW)

    async def overrun(clock: VirtualClock) -> None:
        for _ in range(10):
            await rig.round(clock)
        rig.driver.latency_s = 0.45
        rig.driver.counts()
        seen: Counter[tuple[str, Reason]] = Counter()
        for _ in range(10):
            rig.slot_ms = clock.now_ms() // 1000 * 1000 + 1000
            for r in await rig.round(clock):
                if r.point.measurand == "voltage_l1_v":
                    seen[r.point.device, r.reason] += 1
        assert seen["D3", Reason.GOOD] >= 1
        assert seen["D3", Reason.SUSPENDED] == seen["D2", Reason.GOOD] == 0
        assert rig.bus.tally.shed == seen["D2", Reason.SUSPENDED]
        assert rig.bus.tally.shed >= 1
        rig.driver.latency_s = 0.02
        rig.slot_ms = clock.now_ms() // 1000 * 1000 + 1000
        newest = await rig.round(clock)
        assert [r.point.device for r in newest if r.point.measurand == "voltage_l1_v"][-1] == "D2"

    in_virtual_time(overrun)


def test_slow_reads_are_spread_and_the_first_ones_are_not_waited_for() -> None:
    slow = block("voltage_l1_v", at=90, pace=Pace.SLOW)
    rig = Rig([unit(i, block("power_kw"), slow) for i in range(1, 6)], 1000, SLOW)

    async def rounds(clock: VirtualClock) -> list[int]:
        found = []
        for _ in range(21):
            readings = await rig.round(clock)
            found.append(sum(r.point.measurand == "voltage_l1_v" for r in readings))
        return found

    first, *others = in_virtual_time(rounds)
    assert first == 5
    assert others == [0, 1] * 10


def test_a_round_for_a_person_reads_everything_whatever_is_due() -> None:
    slow = block("voltage_l1_v", at=90, pace=Pace.SLOW)
    rig = Rig([unit(1, block("power_kw"), slow)], 1000, SLOW)

    async def once(clock: VirtualClock) -> list[Reading]:
        return await rig.bus.poll_round(T0_MS + 3000, clock)

    assert len(in_virtual_time(once)) == 2


def test_a_slot_at_which_nothing_is_due_has_no_readings() -> None:
    rig = Rig([unit(1)], 1000, {Pace.NORMAL: 5000})

    async def rounds(clock: VirtualClock) -> list[int]:
        return [len(await rig.round(clock)) for _ in range(11)]

    assert in_virtual_time(rounds) == [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]


def test_the_newest_readings_and_counters_of_a_device_are_known() -> None:
    rig = Rig([unit(1, block("power_kw", "energy_import_kwh"))])
    in_virtual_time(rig.round)
    (device,) = rig.bus.units
    assert device.counters == {"energy_import_kwh": 7}
    assert {k: r.value for k, r in device.newest().items()} == {
        "power_kw": 7,
        "energy_import_kwh": 7,
    }
