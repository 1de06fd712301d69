"""The real poll loop on clocks that are wrong: nothing lost, nothing doubled, the times right."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from contract.line import decode
from contract.reading import Reason
from edge.clock import AgentClock, Ask, KeptTime, Trust, watch_clock
from edge.poller import Bus, run_bus
from tests.edge.clock_machine import (
    DAY_MS,
    HOUR_MS,
    Kept,
    RecordingOutbox,
    VirtualMachine,
    server_of,
    silent_server,
    truth_ms,
)
from tests.edge.virtual import ScriptedDriver, VirtualClock, in_virtual_time, unit

WEEK_MS = 7 * DAY_MS
TO_1970_MS = -1_767_225_600_000 + 40_000


@dataclass
class Bench:
    """An agent's clock and one bus in virtual time."""

    folder: Path
    interval_ms: int = 10_000
    trust: Trust = "ntp"
    outbox: RecordingOutbox = field(default_factory=RecordingOutbox)
    missed: int = 0
    machine: VirtualMachine = field(init=False)
    clock: AgentClock = field(init=False)

    def boots(self, boot_id: str, off_ms: float = 0.0, ppm: float = 0.0) -> VirtualMachine:
        self.machine = VirtualMachine(boot_id, off_ms, ppm)
        return self.machine

    @contextlib.asynccontextmanager
    async def runs(self, ask: Ask = silent_server) -> AsyncIterator[None]:
        """Run the agent's process for as long as the context lasts."""
        floor_ms = self.outbox.last_slot("bus") or 0
        kept = KeptTime.load(self.folder / "clock.json")
        self.clock = AgentClock(kept, self.machine, self.trust, floor_ms)
        self.outbox.boot_id = self.machine.boot_id
        bus = Bus("bus", ScriptedDriver(), [unit(1)], self.interval_ms)
        tasks = [
            asyncio.create_task(run_bus(bus, self.outbox, self.clock, lambda _: None)),
            asyncio.create_task(watch_clock(self.clock, self.outbox, ask)),
        ]
        yield
        assert not any(t.done() for t in tasks), tasks
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.missed += bus.tally.slots_missed

    def slots(self) -> list[int]:
        return [r.slot_ms for r in self.outbox.rounds]

    def errors(self) -> list[float]:
        """Give how far each round's slot is from the one it was really read in, in slots."""
        each = self.interval_ms
        return [abs(r.slot_ms - r.true_ms // each * each) / each for r in self.outbox.rounds]

    def doubts(self) -> set[Reason]:
        lines = "\n".join(line for r in self.outbox.rounds for line in r.lines)
        return {r.reason for r in decode(lines)}

    def lags_s(self) -> list[float]:
        return [x.lag_s for r in self.outbox.rounds for x in decode("\n".join(r.lines))]


Scenario = Callable[[Bench], Awaitable[None]]


def set_and_back(step_ms: int) -> Scenario:
    """Somebody sets the clock, and it stays so for an hour: setting ends the synchronisation."""

    async def scenario(b: Bench) -> None:
        machine = b.boots("b1")
        machine.is_synced = True
        async with b.runs():
            await asyncio.sleep(125)
            machine.is_synced, machine.wall_off_ms = False, step_ms
            await asyncio.sleep(3603)
            machine.wall_off_ms = 0
            await asyncio.sleep(33)
            machine.is_synced = True
            await asyncio.sleep(101)

    return scenario


def known_late(off_ms: float, by: str = "is_synced") -> Scenario:
    """The machine starts with a wrong time and is synchronised after 200 s."""

    async def scenario(b: Bench) -> None:
        machine = b.boots("b1", off_ms)
        async with b.runs():
            await asyncio.sleep(203)
            assert not b.clock.is_known
            machine.wall_off_ms = 0
            setattr(machine, by, True)
            await asyncio.sleep(204)

    return scenario


async def restart_while_unknown(b: Bench) -> None:
    machine = b.boots("b1", TO_1970_MS)
    async with b.runs():
        await asyncio.sleep(84)
    machine.wall_off_ms = 5 * DAY_MS  # the time changes under it, and still nothing vouches for it
    async with b.runs():
        await asyncio.sleep(62)
        machine.wall_off_ms, machine.is_synced = 0, True
        await asyncio.sleep(61)


async def restart_in_a_wrong_hour(b: Bench) -> None:
    machine = b.boots("b1")
    machine.is_synced = True
    async with b.runs():
        await asyncio.sleep(95)
        machine.is_synced, machine.wall_off_ms = False, -HOUR_MS
        await asyncio.sleep(26)
    async with b.runs():
        await asyncio.sleep(55)
        machine.is_synced, machine.wall_off_ms = True, 0
        await asyncio.sleep(55)


def steps_within_a_slot(step_ms: float) -> Scenario:
    """Truth itself is what the source says: it was off by part of a slot, and is set right."""

    async def scenario(b: Bench) -> None:
        machine = b.boots("b1", -step_ms)
        machine.is_synced = True
        async with b.runs():
            await asyncio.sleep(143)
            machine.wall_off_ms = 0
            await asyncio.sleep(120)

    return scenario


async def leap_second(b: Bench) -> None:
    machine = b.boots("b1")
    machine.is_synced = True
    async with b.runs():
        await asyncio.sleep(100)
        machine.wall_off_ms = -1000  # the wall clock repeats a second, uptime does not
        await asyncio.sleep(60)


def drifts(ppm: float) -> Scenario:
    async def scenario(b: Bench) -> None:
        machine = b.boots("b1", ppm=ppm)
        machine.is_synced = True
        async with b.runs():
            await asyncio.sleep(86_400)

    return scenario


async def server_alone(b: Bench) -> None:
    machine = b.boots("b1", TO_1970_MS, ppm=100)
    async with b.runs(server_of(machine)):
        await asyncio.sleep(4000)


@dataclass(frozen=True)
class Case:
    scenario: Scenario
    trust: Trust = "ntp"
    interval_ms: int = 10_000
    worst: float = 0.0  # slots off
    doubts: frozenset[Reason] = frozenset({Reason.GOOD})


HELD = frozenset({Reason.GOOD, Reason.CLOCK_RESTAMPED})
CASES = {
    "one hour back, and forth": Case(set_and_back(-HOUR_MS)),
    "a week ahead, and back": Case(set_and_back(WEEK_MS)),
    "an hour back under system": Case(set_and_back(-HOUR_MS), "system"),
    "a week ahead under server": Case(set_and_back(WEEK_MS), "server"),
    "1970, then synchronised": Case(known_late(TO_1970_MS), doubts=HELD),
    "last shutdown's time, then synchronised": Case(known_late(-3 * DAY_MS - 3456), doubts=HELD),
    "a week ahead, then synchronised": Case(known_late(WEEK_MS + 1), worst=1, doubts=HELD),
    "the right time all along": Case(known_late(0), doubts=HELD),
    "a clock chip comes up late": Case(known_late(-DAY_MS - 1, "is_rtc_kept"), doubts=HELD),
    "restarted before it was known": Case(restart_while_unknown, doubts=HELD),
    "restarted in a wrong hour": Case(restart_in_a_wrong_hour),
    "forward within a slot": Case(steps_within_a_slot(4000), worst=1),
    "back within a slot": Case(steps_within_a_slot(-4000), worst=1),
    "just over a boundary": Case(steps_within_a_slot(-900), worst=1),
    "a leap second": Case(leap_second, interval_ms=1000, worst=10),
    "a day of 500 ppm fast": Case(drifts(500), interval_ms=60_000, worst=1),
    "a day of 500 ppm slow": Case(drifts(-500), interval_ms=60_000, worst=1),
    "the server alone": Case(server_alone, "server", worst=1, doubts=HELD),
}


def run(folder: Path, scenario: Scenario, interval_ms: int = 10_000, trust: Trust = "ntp") -> Bench:
    async def in_time(_: VirtualClock) -> Bench:
        bench = Bench(folder, interval_ms, trust)
        await scenario(bench)
        return bench

    return in_virtual_time(in_time)


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_lost_nothing_doubled_and_times_are_right(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    b = run(tmp_path, case.scenario, case.interval_ms, case.trust)
    slots = b.slots()
    assert slots == list(range(slots[0], slots[-1] + 1, case.interval_ms))
    assert b.missed == 0
    assert not b.outbox.held_boots()
    assert max(b.errors()) <= case.worst
    assert b.doubts() == case.doubts
    assert all(-1.001 <= lag <= case.interval_ms / 1000 + 1 for lag in b.lags_s())


def test_a_time_that_is_never_known_is_never_sent(tmp_path: Path) -> None:
    async def scenario(b: Bench) -> None:
        b.boots("b1", TO_1970_MS)
        async with b.runs():
            await asyncio.sleep(DAY_MS / 1000)
            assert b.clock.values() == {"clock_known": 0.0, "clock_steps_total": 0.0}

    b = run(tmp_path, scenario, 60_000)
    assert len(b.slots()) == 1440
    assert len(set(b.slots())) == 1440
    assert all(r.mark is not None for r in b.outbox.rounds)


def test_two_boots_without_time_come_between_what_was_known_and_what_is(tmp_path: Path) -> None:
    async def scenario(b: Bench) -> None:
        b.boots("b0").is_synced = True
        async with b.runs():
            await asyncio.sleep(700)
        for boot in ("b1", "b2"):
            await asyncio.sleep(500)
            b.boots(boot, TO_1970_MS if boot == "b1" else WEEK_MS)
            async with b.runs():
                await asyncio.sleep(305)
        await asyncio.sleep(500)
        b.boots("b3", TO_1970_MS)
        async with b.runs():
            await asyncio.sleep(105)
            b.machine.wall_off_ms, b.machine.is_synced = 0, True
            await asyncio.sleep(105)

    b = run(tmp_path, scenario)
    slots, rounds = b.slots(), b.outbox.rounds
    assert slots == sorted(set(slots))
    guessed = [i for i, r in enumerate(rounds) if r.doubt is Reason.CLOCK_UNSYNCED]
    assert len(guessed) == 61
    exact = [e for i, e in enumerate(b.errors()) if i not in guessed]
    assert max(exact) == 0
    began_ms = b.machine.booted_ms
    assert all(r.slot_ms < began_ms for r in rounds if r.doubt is Reason.CLOCK_UNSYNCED)


def test_a_machine_that_slept_has_missed_slots_and_doubles_none(tmp_path: Path) -> None:
    async def scenario(b: Bench) -> None:
        b.boots("b1").is_synced = True
        async with b.runs():
            await asyncio.sleep(103)
            b.machine.booted_ms -= 300_000  # uptime goes on while nothing runs
            b.machine.wall_off_ms += 300_000
            await asyncio.sleep(100)

    b = run(tmp_path, scenario)
    slots = b.slots()
    assert slots == sorted(set(slots))
    assert b.missed == 30
    assert len(slots) + b.missed == (slots[-1] - slots[0]) // 10_000 + 1


def test_every_step_is_told_once_with_its_size_and_counted(tmp_path: Path) -> None:
    async def scenario(b: Bench) -> None:
        machine = b.boots("b1", -30_000)
        machine.is_synced = True
        async with b.runs(server_of(machine)):
            await asyncio.sleep(60)
            machine.wall_off_ms = 0  # the source was wrong, and says so itself
            await asyncio.sleep(60)
            machine.is_synced, machine.wall_off_ms = False, -HOUR_MS
            await asyncio.sleep(600)
            machine.is_synced, machine.wall_off_ms = True, 0
            await asyncio.sleep(60)
            values = b.clock.values()
            assert values["clock_steps_total"] == 3
            assert abs(values["clock_offset_s"]) <= 0.6

    with capture_logs() as logs:
        run(tmp_path, scenario)
    told = [(e["event"], round(e["seconds"])) for e in logs if "seconds" in e]
    assert told == [
        ("clock_stepped", 30),
        ("clock_jump_not_believed", -3600),
        ("clock_jump_not_believed", 3600),
    ]
    assert [e["event"] for e in logs if "server_ahead_s" in e] == [
        "clock_disagrees", "clock_agrees",
    ]  # fmt: skip


def test_a_source_that_says_otherwise_than_the_server_is_not_followed(tmp_path: Path) -> None:
    async def scenario(b: Bench) -> None:
        machine = b.boots("b1")
        machine.is_synced = True
        async with b.runs(server_of(machine)):
            await asyncio.sleep(60)
            machine.wall_off_ms = WEEK_MS  # synchronised still, with a time that has gone wrong
            await asyncio.sleep(300)
            assert abs(b.clock.now_ms() - truth_ms()) < 10

    b = run(tmp_path, scenario)
    assert max(b.errors()) == 0


def test_a_source_that_was_wrong_for_a_while_is_followed_back(tmp_path: Path) -> None:
    async def scenario(b: Bench) -> None:
        machine = b.boots("b1", HOUR_MS)
        machine.is_synced = True
        async with b.runs():
            await asyncio.sleep(60)
            machine.wall_off_ms = 0
            await asyncio.sleep(4000)

    b = run(tmp_path, scenario)
    right = [r for r, e in zip(b.outbox.rounds, b.errors(), strict=True) if e == 0]
    assert len(right) >= 398
    slots = [r.slot_ms for r in right]
    assert slots == list(range(slots[0], slots[-1] + 1, 10_000))


def anything(seed: int) -> Scenario:
    """Clocks set, synchronised, restarts and power cuts as they come; synchronised at the end."""
    rng = random.Random(seed)

    async def boot(b: Bench, number: int) -> None:
        off_ms = rng.choice([0, TO_1970_MS, -DAY_MS - 777, WEEK_MS + 5])
        machine = b.boots(f"b{number}", off_ms)
        for _ in range(rng.randint(1, 3)):  # processes
            async with b.runs():
                for _ in range(rng.randint(1, 4)):
                    await asyncio.sleep(rng.uniform(7, 150))
                    machine.is_synced = rng.random() < 0.4
                    machine.wall_off_ms = rng.choice([0, -HOUR_MS, WEEK_MS, 3333])
                    if machine.is_synced:
                        machine.wall_off_ms = 0

    async def scenario(b: Bench) -> None:
        for number in range(rng.randint(2, 5)):
            await asyncio.sleep(rng.uniform(30, 600))  # no power
            await boot(b, number)
        await asyncio.sleep(60)
        b.boots("last").is_synced = True
        async with b.runs():
            await asyncio.sleep(60)

    return scenario


@pytest.mark.parametrize("seed", range(40))
def test_whatever_happens_no_slot_is_doubled_and_no_known_time_is_wrong(
    tmp_path: Path, seed: int
) -> None:
    b = run(tmp_path, anything(seed))
    slots = b.slots()
    assert len(slots) == len(set(slots))
    assert not b.outbox.held_boots()
    assert b.missed == 0
    by_boot: dict[str, list[Kept]] = {}
    for r in b.outbox.rounds:
        by_boot.setdefault(r.boot_id, []).append(r)
    for rounds in by_boot.values():
        each = [r.slot_ms for r in rounds]
        assert each == list(range(each[0], each[-1] + 1, 10_000))
    for r, off in zip(b.outbox.rounds, b.errors(), strict=True):
        assert off <= 1 or r.doubt is Reason.CLOCK_UNSYNCED
