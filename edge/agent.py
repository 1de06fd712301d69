"""The agent: wiring in one place, and the supervisors that keep every loop alive."""

import asyncio
import random
import signal
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from contract.clock import SystemClock, slot_of
from contract.errors import ConfigError, DeliveryError
from contract.line import encode
from edge.apply import ConfigBook
from edge.budget import plan_of, refusals
from edge.clock import AgentClock, server_asker, watch_clock
from edge.config import AgentConfig, Connection, DeviceConfig, load_config
from edge.decode import Source
from edge.doctor import log_findings
from edge.drivers.open import open_driver
from edge.health import (
    Progress,
    Utilisation,
    agent_readings,
    bus_readings,
    outbox_values,
    tell_systemd,
)
from edge.life import Life
from edge.outbox import PRIMARY, Bounds, DeliveryLines, Outbox, Terms
from edge.poller import Bus, HoleBook, Unit, run_bus, stagger_ms, tick_ms
from edge.profile import Pace, find_profile, known_refs
from edge.push import Pusher
from edge.status import VERSION, StatusServer, bus_status, socket_path

HEALTH_INTERVAL_MS = 60_000
WATCHDOG_INTERVAL_S = 10.0
PATIENCE_LEAST_S, PATIENCE_INTERVALS = 400.0, 3.0
RESTART_FIRST_S, RESTART_MAX_S = 1.0, 60.0
_DAY_MS = 86_400_000
log = structlog.get_logger()


def read_config(path: Path, folder: Path | None = None) -> AgentConfig:
    """Read agent.yaml against the shipped profiles and what its buses can carry.

    Relative paths are seen from `folder`, or from the file's own.  ConfigError: every problem.
    """
    config = load_config(path, known_refs(), folder)
    if problems := refusals(config, str(path)):
        raise ConfigError(problems)
    return config


def unit_of(config: AgentConfig, device: DeviceConfig, book: HoleBook | None = None) -> Unit:
    """Give a configured device as the poller sees it: its plan and its ratios.

    `book` says which registers it is known to refuse.
    """
    profile = find_profile(device.profile)
    source = Source(
        config.site,
        device.id,
        ct_ratio=Fraction(str(device.ct_ratio)),
        pt_ratio=Fraction(str(device.pt_ratio)),
    )
    unit = Unit(
        source,
        device.unit,
        plan_of(config, device).all_blocks,
        profile.limits.pause_ms / 1000,
        profile.limits.timeout_ms / 1000,
        device.priority,
        profile.limits,
    )
    if book is not None:
        unit.refused = book.of(device.id, profile.ref, unit.plan_name)
        unit.rebuild()
    return unit


def open_outbox(config: AgentConfig) -> Outbox:
    """Open the outbox as configured; a broken one, or none to write to, stops no start."""
    box = config.outbox
    copies = {c.id: Bounds(c.max_bytes, int(c.max_age_days * _DAY_MS)) for c in config.copies}
    return Outbox(
        box.path,
        Bounds(box.max_bytes, int(box.max_age_days * _DAY_MS)),
        Terms(config.commit_interval_s, box.ram_max_bytes),
        copies=copies,
        delivery=DeliveryLines(config.site, config.agent, SystemClock()),
    )


def pace_ms_of(config: AgentConfig, connection: Connection) -> dict[Pace, int]:
    """Give the interval of each pace on a connection in milliseconds."""
    intervals = config.intervals_of(connection)
    return {p: round(getattr(intervals, p.value) * 1000) for p in Pace}


def buses_of(config: AgentConfig, book: HoleBook | None = None) -> list[Bus]:
    """Give a bus for each connection that has devices, none ticking with another."""
    used = [c for c in config.connections if config.devices_of(c.id)]
    out = []
    for number, connection in enumerate(used):
        units = [unit_of(config, d, book) for d in config.devices_of(connection.id)]
        pace_ms = pace_ms_of(config, connection)
        interval_ms = tick_ms((r.pace for u in units for r in u.reads), pace_ms)
        offset_ms = stagger_ms(number, len(used), interval_ms)
        driver = open_driver(connection)
        bus = Bus(connection.id, driver, units, interval_ms, pace_ms=pace_ms, offset_ms=offset_ms)
        bus.book = book
        out.append(bus)
    return out


@dataclass(slots=True)
class PushState:
    """How pushing goes: the last success (monotonic), and what is wrong now."""

    good_at_s: float | None = None
    error: str | None = None


@dataclass(slots=True)
class Agent:
    """A running agent."""

    config: AgentConfig
    outbox: Outbox
    pushers: list[Pusher]  # the primary destination's first
    buses: list[Bus]
    clock: AgentClock
    progress: Progress
    started_s: float
    life: Life
    pushing: dict[str, PushState] = field(default_factory=lambda: defaultdict(PushState))
    utilisation: dict[str, float] = field(default_factory=dict)  # of the last health interval
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    is_again: bool = False  # it stops in order to start again, with another configuration

    @classmethod
    def build(
        cls,
        config: AgentConfig,
        clock: AgentClock | None = None,
        configs: ConfigBook | None = None,
    ) -> "Agent":
        """Wire an agent up; opens the outbox, but no link.  `configs` is of its agent.yaml."""
        book = HoleBook(Path(f"{config.outbox.path}.holes.json"))
        buses = buses_of(config, book)
        if book.broken is not None:
            log.warning("holes_unreadable", file=str(book.path), error=book.broken)
        outbox = open_outbox(config)
        if clock is None:
            reached_ms = max((outbox.last_slot(b.name) or 0 for b in buses), default=0)
            kept = Path(f"{config.outbox.path}.clock.json")
            clock = AgentClock.build(kept, config.clock.trust, reached_ms)
        outbox.use(clock)
        progress = Progress(_patience_s(config, buses), clock)
        progress.watch("outbox", lambda: not outbox.is_writing())
        pushers = [Pusher(config, outbox, clock)]
        pushers += [Pusher(config, outbox, clock, copy, copy.id) for copy in config.copies]
        token, started_s = config.push.token_file.read_text("utf-8").strip(), clock.monotonic_s()
        life = Life.of(config, token, started_s, configs, read_config)
        return cls(config, outbox, pushers, buses, clock, progress, started_s, life)

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT; what waits stays in the outbox."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self.stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self.life.reload.set)
        tasks = [
            asyncio.create_task(self._kept_alive(b.name, partial(self._poll, b)))
            for b in self.buses
        ]
        tasks += [
            asyncio.create_task(self._kept_alive(name_of(p), partial(self._push, p)))
            for p in self.pushers
        ]
        tasks += [
            asyncio.create_task(self._kept_alive("clock", self._watch_clock)),
            asyncio.create_task(self._kept_alive("health", self._health)),
            asyncio.create_task(self._kept_alive("watchdog", self._watchdog)),
            asyncio.create_task(asyncio.to_thread(self._check)),
        ]
        tasks += [
            asyncio.create_task(self._kept_alive(name, life))
            for name, life in self.life.loops(self.buses, self.clock, self._start_again).items()
        ]
        status = StatusServer(socket_path(self.config.outbox.path), self.status)
        try:
            await status.open()
        except OSError as error:
            log.warning("status_unavailable", error=str(error))
        log.info("agent_started", agent=self.config.agent, buses=len(self.buses))
        tell_systemd("READY=1")
        await self.stopping.wait()
        tell_systemd("RELOADING=1\nWATCHDOG=1" if self.is_again else "STOPPING=1")
        await status.close()
        await all_cancelled(tasks)
        for bus in self.buses:
            await bus.driver.close()
        self.outbox.close()
        log.info("agent_stopped", agent=self.config.agent)

    def _start_again(self) -> None:
        self.is_again = True
        self.stopping.set()

    def _check(self) -> None:
        log_findings(self.config, self.clock.now_ms())

    async def _kept_alive(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        """Supervise a loop: whatever ends it is logged once, and it is started again."""
        wait_s = RESTART_FIRST_S
        while True:
            started_s = self.clock.monotonic_s()
            try:
                await loop()
            except Exception as error:  # noqa: BLE001 - the supervisor: no loop may end the agent
                log.error(
                    "loop_failed", loop=name, error=repr(error), restart_in_s=round(wait_s, 1)
                )
            if self.clock.monotonic_s() - started_s > RESTART_MAX_S:
                wait_s = RESTART_FIRST_S
            await asyncio.sleep(wait_s * random.uniform(0.8, 1.2))
            wait_s = min(wait_s * 2, RESTART_MAX_S)

    async def _poll(self, bus: Bus) -> None:
        await run_bus(bus, self.outbox, self.clock, self.progress.moved)

    async def _watch_clock(self) -> None:
        push = self.config.push
        ask = server_asker(push.url, push.ca_file, self.clock.monotonic_s)
        await watch_clock(self.clock, self.outbox, ask)

    async def _push(self, pusher: Pusher) -> None:
        state, name = self.pushing[pusher.name], name_of(pusher)
        while True:
            try:
                pushed = await asyncio.to_thread(pusher.push)
            except DeliveryError as error:
                wait_s = pusher.wait_s(error)
                if state.error is None:
                    waiting = self.outbox.waiting()[0]
                    log.warning("push_failed", loop=name, error=str(error), parcels=waiting)
                state.error = str(error)
            else:
                wait_s = pushed.wait_s
                if state.error is not None and pushed.parcels:
                    waiting = self.outbox.waiting()[0]
                    log.info("push_recovered", loop=name, parcels_waiting=waiting)
                    state.error = None
                if pushed.parcels:
                    state.good_at_s = self.clock.monotonic_s()
                if pushed.quarantined:
                    log.warning("lines_quarantined", loop=name, lines=pushed.quarantined)
            self.progress.moved(name)
            if self.outbox.is_writing():
                self.progress.moved("outbox")
            await asyncio.sleep(wait_s)

    async def _health(self) -> None:
        meters = {b.name: Utilisation(self.started_s) for b in self.buses}
        while True:
            await asyncio.sleep(HEALTH_INTERVAL_MS / 1000)
            now_s = self.clock.monotonic_s()
            slot_ms = slot_of(self.clock.now_ms(), HEALTH_INTERVAL_MS)
            mark = self.clock.mark(slot_ms, HEALTH_INTERVAL_MS)
            readings = agent_readings(self.config, self._values(), slot_ms)
            for bus in self.buses:
                percent = self.utilisation[bus.name] = meters[bus.name].percent(bus, now_s)
                readings += bus_readings(self.config, bus, percent, now_s, slot_ms)
            self.outbox.put("agent", slot_ms, encode(readings), len(readings), mark)

    def _values(self) -> dict[str, float]:
        return {
            **outbox_values(self.outbox),
            **self.clock.values(),
            "polls_total": sum(b.tally.polls for b in self.buses),
            "poll_errors_total": sum(b.tally.errors for b in self.buses),
            "push_failures_total": sum(p.failures_total for p in self.pushers),
            "uptime_s": self.clock.monotonic_s() - self.started_s,
            **self.life.values(),
        }

    def _percent(self, bus: Bus, now_s: float) -> float:
        """Give a bus's utilisation in the last health interval, or so far."""
        so_far = Utilisation(self.started_s).percent(bus, now_s)
        return self.utilisation.get(bus.name, so_far)

    def status(self) -> dict[str, Any]:
        """Give everything as plain data, for whoever asks at the status socket."""
        now_s = self.clock.monotonic_s()
        return {
            "version": VERSION,
            "agent": self.config.agent,
            "site": self.config.site,
            "time_ms": self.clock.now_ms(),
            "clock": self.clock.status(),
            "values": self._values(),
            "push": self._push_status(self.pushers[0], now_s),
            "copies": {p.name: self._push_status(p, now_s) for p in self.pushers[1:]},
            "outbox_in_ram": self.outbox.in_ram,
            "stalled": self.progress.stalled(),
            **self.life.status(now_s),
            "time_synchronised": self.clock.is_known,
            "buses": [bus_status(b, self._percent(b, now_s), now_s) for b in self.buses],
        }

    def _push_status(self, pusher: Pusher, now_s: float) -> dict[str, Any]:
        state = self.pushing[pusher.name]
        age_s = None if state.good_at_s is None else now_s - state.good_at_s
        return {"url": pusher.to.url, "last_good_age_s": age_s, "error": state.error}

    async def _watchdog(self) -> None:
        """Feed systemd's watchdog only while every bus, the outbox and the push loop move."""
        while True:
            self.life.note(self.clock.monotonic_s())
            stalled = self.progress.stalled()
            if stalled:
                log.error("loops_stalled", loops=",".join(stalled))
            else:
                tell_systemd("WATCHDOG=1")
            await asyncio.sleep(WATCHDOG_INTERVAL_S)


async def all_cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended: wait_for of Python 3.11 may lose a cancellation."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=1.0)


def name_of(pusher: Pusher) -> str:
    """Give the name of a destination's loop."""
    return PRIMARY if pusher.name == PRIMARY else f"{PRIMARY}:{pusher.name}"


def _patience_s(config: AgentConfig, buses: Sequence[Bus]) -> dict[str, float]:
    """Give how long each loop may take for a turn."""
    intervals_s = {b.name: b.interval_ms / 1000 for b in buses} | {PRIMARY: config.push.interval_s}
    intervals_s |= {"outbox": config.commit_interval_s}
    intervals_s |= {f"{PRIMARY}:{copy.id}": copy.interval_s for copy in config.copies}
    return {n: max(PATIENCE_INTERVALS * s, PATIENCE_LEAST_S) for n, s in intervals_s.items()}
