"""Health: the agent's own points, those of its buses and devices, and word to systemd."""

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from contract.clock import Clock
from contract.reading import PointId, Reading
from edge.config import AgentConfig
from edge.outbox import Outbox
from edge.poller import Bus, Unit


def agent_readings(config: AgentConfig, values: Mapping[str, float], time_ms: int) -> list[Reading]:
    """Give the agent's own readings."""
    return _readings(config.site, config.agent, values, time_ms)


def bus_readings(
    config: AgentConfig, bus: Bus, utilisation_percent: float, now_s: float, time_ms: int
) -> list[Reading]:
    """Give the readings of a bus, as the device `<agent>.<bus>`, and of its devices."""
    values = bus_values(bus) | {"bus_utilisation_percent": utilisation_percent}
    out = _readings(config.site, f"{config.agent}.{bus.name}", values, time_ms)
    for unit in bus.units:
        name, known = unit.source.device, device_values(unit, now_s)
        # a line of the device itself may have this time: with its lag, neither hides the other's
        out += _readings(config.site, name, known, time_ms, unit.lag_s)
    return out


def bus_values(bus: Bus) -> dict[str, float]:
    """Give what a bus has done, by measurand; latencies are left out before the first answer."""
    stats = bus.driver.stats
    values: dict[str, float] = {
        "bus_lost_s": bus.lost_s,
        "bus_requests_total": stats.requests,
        "bus_retries_total": stats.retries,
        "bus_timeouts_total": stats.timeouts,
        "bus_crc_errors_total": stats.crc_errors,
        "bus_reads_shed_total": bus.tally.shed,
        "slots_missed_total": bus.tally.slots_missed,
    }
    for name, share in (("bus_latency_p50_ms", 0.5), ("bus_latency_p99_ms", 0.99)):
        latency_s = stats.latency_s(share)
        if latency_s is not None:
            values[name] = latency_s * 1000
    return values


def device_values(unit: Unit, now_s: float) -> dict[str, float]:
    """Give how a device behaves, by measurand; no age before it has ever answered."""
    age_s = unit.good_age_s(now_s)
    values = {
        "device_breaker_state": float(unit.breaker.state(now_s)),
        "device_lost_s": unit.lost_s,
    }
    return values if age_s is None else values | {"device_last_good_age_s": age_s}


def outbox_values(outbox: Outbox) -> dict[str, float]:
    """Give what the outbox holds and has lost, by measurand."""
    parcels, size = outbox.waiting()
    return {
        "outbox_rounds": parcels,
        "outbox_bytes": size,
        "outbox_dropped": outbox.tally("dropped"),
        "outbox_dropped_readings": outbox.tally("dropped_readings"),
        "outbox_quarantined": outbox.tally("quarantined"),
        "outbox_set_aside": outbox.tally("set_aside"),
        "outbox_in_ram": float(outbox.in_ram is not None),
    }


@dataclass(slots=True)
class Utilisation:
    """Tells the share of time that a link was in use, answered or waited for, since last asked."""

    seen_s: float
    used_s: float = 0.0

    def percent(self, bus: Bus, now_s: float) -> float:
        """Give the share of the time since the last call."""
        used_s = bus.driver.stats.busy_s + bus.driver.stats.lost_s
        share = (used_s - self.used_s) / max(now_s - self.seen_s, 1e-9)
        self.seen_s, self.used_s = now_s, used_s
        return min(max(100 * share, 0.0), 100.0)  # a request is counted whole where it ends


class Progress:
    """Says whether every loop has moved within its patience in seconds."""

    def __init__(self, patience_s: Mapping[str, float], clock: Clock) -> None:
        self._clock, self._patience_s = clock, dict(patience_s)
        self._seen = dict.fromkeys(patience_s, clock.monotonic_s())
        self._stuck: dict[str, Callable[[], bool]] = {}

    def watch(self, name: str, is_stuck: Callable[[], bool]) -> None:
        """Ask somebody who keeps his own time, such as the outbox's committer."""
        self._stuck[name] = is_stuck

    def moved(self, name: str) -> None:
        """Take note that a loop has finished a turn."""
        self._seen[name] = self._clock.monotonic_s()

    def stalled(self) -> list[str]:
        """Give the loops that have not moved for longer than their patience."""
        now_s = self._clock.monotonic_s()
        late = [n for n, seen_s in self._seen.items() if now_s - seen_s > self._patience_s[n]]
        return late + [name for name, is_stuck in self._stuck.items() if is_stuck()]


def is_under_systemd() -> bool:
    """Say whether systemd has started this process and listens to it."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def tell_systemd(message: str) -> None:
    """Send READY=1, WATCHDOG=1, STATUS=… to systemd; nothing happens without it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.connect("\0" + address[1:] if address[0] == "@" else address)
        channel.sendall(message.encode("utf-8"))


def _readings(
    site: str, device: str, values: Mapping[str, float], time_ms: int, lag_s: float = 0.0
) -> list[Reading]:
    return [
        Reading(PointId(site, device, name), time_ms, float(value), lag_s=lag_s)
        for name, value in values.items()
    ]
