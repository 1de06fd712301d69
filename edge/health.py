"""Health: the agent's own points, and word to systemd."""

import os
import socket
from collections.abc import Mapping

from contract.clock import Clock
from contract.line import encode
from contract.reading import PointId, Reading
from edge.config import AgentConfig
from edge.outbox import Outbox


def health_lines(
    config: AgentConfig, values: Mapping[str, float], time_ms: int
) -> tuple[list[str], int]:
    """Give the agent's own readings as lines, and how many they are."""
    readings = [
        Reading(PointId(config.site, config.agent, name), time_ms, float(value))
        for name, value in values.items()
    ]
    return encode(readings), len(readings)


def outbox_values(outbox: Outbox) -> dict[str, float]:
    """Give what the outbox holds and has lost, by measurand."""
    rounds, size = outbox.waiting()
    return {
        "outbox_rounds": rounds,
        "outbox_bytes": size,
        "outbox_dropped": outbox.tally("dropped"),
        "outbox_quarantined": outbox.tally("quarantined"),
    }


class Progress:
    """Says whether every loop has moved since it was last asked."""

    def __init__(self, names: list[str], clock: Clock) -> None:
        self._clock = clock
        self._seen = dict.fromkeys(names, clock.monotonic_s())

    def moved(self, name: str) -> None:
        """Take note that a loop has finished a turn."""
        self._seen[name] = self._clock.monotonic_s()

    def stalled(self, within_s: float) -> list[str]:
        """Give the loops without a turn in the last `within_s` seconds."""
        now_s = self._clock.monotonic_s()
        return [name for name, seen_s in self._seen.items() if now_s - seen_s > within_s]


def tell_systemd(message: str) -> None:
    """Send READY=1, WATCHDOG=1, STATUS=… to systemd; nothing happens without it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.connect("\0" + address[1:] if address[0] == "@" else address)
        channel.sendall(message.encode("utf-8"))
