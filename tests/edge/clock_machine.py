"""A machine in virtual time whose clocks do what a test says, and an outbox that remembers."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate

from contract.reading import Reason
from edge.clock import ClockMark, Look, ToSlot, restamped
from tests.edge.virtual import T0_MS

HOUR_MS, DAY_MS = 3_600_000, 86_400_000


def truth_ms() -> float:
    """Give what time it really is."""
    return T0_MS + asyncio.get_running_loop().time() * 1000


class VirtualMachine:
    """Booted at `booted_ms` of true time.

    wall_off_ms: how far the wall clock is off; ppm: how much too fast the uptime runs
    """

    def __init__(self, boot_id: str = "boot-1", wall_off_ms: float = 0.0, ppm: float = 0.0) -> None:
        self._loop = asyncio.get_running_loop()  # other threads ask for the time too
        self.boot_id, self.wall_off_ms, self.ppm = boot_id, wall_off_ms, ppm
        self.booted_ms = self._truth_ms() - 20_000
        self.is_synced = self.is_rtc_kept = False
        self.token: float | None = None

    def _truth_ms(self) -> float:
        return T0_MS + self._loop.time() * 1000

    def uptime_ms(self) -> float:
        return (self._truth_ms() - self.booted_ms) * (1 + self.ppm * 1e-6)

    def look(self) -> Look:
        wall_ms = self._truth_ms() + self.wall_off_ms
        return Look(self.uptime_ms(), wall_ms, self.is_synced, self.token, self.is_rtc_kept)

    async def ask_daemon(self) -> None:
        pass

    def monotonic_s(self) -> float:
        return self.uptime_ms() / 1000


def silent_server() -> tuple[str | None, float]:
    """Be a server that cannot be reached."""
    raise OSError("no way there")


def server_of(machine: VirtualMachine, off_ms: float = 0.0) -> Callable[[], tuple[str, float]]:
    """Give a server whose clock is off by so much and that tells whole seconds."""
    return lambda: (
        formatdate((truth_ms() + off_ms) // 1000, usegmt=True),
        machine.monotonic_s(),
    )


@dataclass(slots=True)
class Kept:
    """A round as it is kept: its slot may still be given anew."""

    slot_ms: int
    lines: list[str]
    mark: ClockMark | None
    true_ms: float  # when it was really put
    boot_id: str
    doubt: Reason = Reason.GOOD


@dataclass(slots=True)
class RecordingOutbox:
    """Keeps all rounds in memory, over restarts of the agent."""

    rounds: list[Kept] = field(default_factory=list)
    boot_id: str = ""

    def put(
        self, bus: str, slot_ms: int, lines: Sequence[str], readings: int,
        mark: ClockMark | None = None,
    ) -> None:  # fmt: skip
        self.rounds.append(Kept(slot_ms, list(lines), mark, truth_ms(), self.boot_id))

    def last_slot(self, bus: str) -> int | None:
        return self.rounds[-1].slot_ms if self.rounds else None

    def held_boots(self) -> list[str]:
        return list(dict.fromkeys(r.mark.boot_id for r in self.rounds if r.mark))

    def restamp(self, boot_id: str, to_slot: ToSlot, doubt: Reason) -> int:
        found = [r for r in self.rounds if r.mark and r.mark.boot_id == boot_id]
        for r in found:
            assert r.mark is not None
            r.lines = restamped(r.lines, to_slot, r.mark.interval_ms, doubt)
            r.slot_ms = to_slot(r.slot_ms, r.mark.interval_ms)
            r.mark, r.doubt = None, doubt
        return len(found)
