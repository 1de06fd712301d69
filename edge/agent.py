"""The agent: wiring in one place, and the supervisors that keep every loop alive."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path

import structlog

from contract.clock import Clock, SystemClock, slot_of
from contract.errors import DeliveryError
from edge.config import AgentConfig, DeviceConfig, load_config
from edge.decode import Source
from edge.drivers.open import open_driver
from edge.health import Progress, health_lines, outbox_values, tell_systemd
from edge.outbox import Bounds, Outbox
from edge.plan import plan
from edge.poller import Bus, Unit, run_bus
from edge.profile import find_profile, known_refs
from edge.push import Pusher

HEALTH_INTERVAL_MS = 60_000
WATCHDOG_INTERVAL_S = 10.0
RESTART_FIRST_S, RESTART_MAX_S = 1.0, 60.0
_DAY_MS = 86_400_000
log = structlog.get_logger()


def read_config(path: Path) -> AgentConfig:
    """Read agent.yaml against the shipped profiles; ConfigError with every problem."""
    return load_config(path, known_refs())


def unit_of(config: AgentConfig, device: DeviceConfig) -> Unit:
    """Give a configured device as the poller sees it: its plan and its ratios."""
    profile = find_profile(device.profile)
    wanted = [p for p in profile.points if device.points is None or p.measurand in device.points]
    source = Source(
        config.site,
        device.id,
        ct_ratio=Fraction(str(device.ct_ratio)),
        pt_ratio=Fraction(str(device.pt_ratio)),
    )
    pause_s = profile.limits.pause_ms / 1000
    return Unit(source, device.unit, plan(wanted, profile.limits), pause_s)


def buses_of(config: AgentConfig) -> list[Bus]:
    """Give a bus for each connection that has devices."""
    out = []
    for connection in config.connections:
        units = [unit_of(config, d) for d in config.devices_of(connection.id)]
        if units:
            driver = open_driver(connection)
            out.append(Bus(connection.id, driver, units, round(config.interval_s * 1000)))
    return out


@dataclass(slots=True)
class Agent:
    """A running agent."""

    config: AgentConfig
    outbox: Outbox
    pusher: Pusher
    buses: list[Bus]
    clock: Clock
    progress: Progress
    started_s: float
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def build(cls, config: AgentConfig, clock: Clock | None = None) -> "Agent":
        """Wire an agent up; opens the outbox, but no link."""
        clock = clock or SystemClock()
        bounds = Bounds(config.outbox.max_bytes, int(config.outbox.max_age_days * _DAY_MS))
        outbox = Outbox(config.outbox.path, bounds)
        if outbox.set_aside is not None:
            log.error("outbox_broken", set_aside=str(outbox.set_aside))
        token = config.push.token_file.read_text("utf-8").strip()
        buses = buses_of(config)
        progress = Progress([b.name for b in buses] + ["push"], clock)
        pusher = Pusher(config, token, outbox, clock)
        return cls(config, outbox, pusher, buses, clock, progress, clock.monotonic_s())

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT; what waits stays in the outbox."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self.stopping.set)
        tasks = [
            asyncio.create_task(self._kept_alive(b.name, partial(self._poll, b)))
            for b in self.buses
        ]
        tasks += [
            asyncio.create_task(self._kept_alive("push", self._push)),
            asyncio.create_task(self._kept_alive("health", self._health)),
            asyncio.create_task(self._kept_alive("watchdog", self._watchdog)),
        ]
        log.info("agent_started", agent=self.config.agent, buses=len(self.buses))
        tell_systemd("READY=1")
        await self.stopping.wait()
        tell_systemd("STOPPING=1")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for bus in self.buses:
            await bus.driver.close()
        self.outbox.close()
        log.info("agent_stopped", agent=self.config.agent)

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

    async def _push(self) -> None:
        failed = False
        while True:
            wait_s = self.config.push.interval_s
            try:
                pushed = await asyncio.to_thread(self.pusher.push)
            except DeliveryError as error:
                wait_s = self.pusher.wait_s(error)
                if not failed:
                    log.warning("push_failed", error=str(error), rounds=self.outbox.waiting()[0])
                failed = True
            else:
                wait_s = 0.0 if pushed.more else wait_s
                if failed:
                    log.info("push_recovered", rounds_waiting=self.outbox.waiting()[0])
                failed = False
                if pushed.quarantined:
                    log.warning("lines_quarantined", lines=pushed.quarantined)
            self.progress.moved("push")
            await asyncio.sleep(wait_s)

    async def _health(self) -> None:
        while True:
            await asyncio.sleep(HEALTH_INTERVAL_MS / 1000)
            values = {
                **outbox_values(self.outbox),
                "polls_total": sum(b.tally.polls for b in self.buses),
                "poll_errors_total": sum(b.tally.errors for b in self.buses),
                "push_failures_total": self.pusher.failures_total,
                "uptime_s": self.clock.monotonic_s() - self.started_s,
            }
            slot_ms = slot_of(self.clock.now_ms(), HEALTH_INTERVAL_MS)
            lines, count = health_lines(self.config, values, slot_ms)
            await asyncio.to_thread(self.outbox.append, "agent", slot_ms, lines, count)

    async def _watchdog(self) -> None:
        """Feed systemd's watchdog only while every bus and the push loop move."""
        patience_s = max(self.config.interval_s * 3.0, 400.0)
        while True:
            stalled = self.progress.stalled(patience_s)
            if stalled:
                log.error("loops_stalled", loops=",".join(stalled))
            else:
                tell_systemd("WATCHDOG=1")
            await asyncio.sleep(WATCHDOG_INTERVAL_S)
