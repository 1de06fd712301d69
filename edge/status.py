"""Status: what the agent knows of itself, told over a local socket to whoever stands at the door.

One connection, one JSON document, and the connection is closed; nothing is ever read from it.
"""

import asyncio
import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contract.measurand import MEASURANDS
from contract.reading import Reading
from edge.health import bus_values
from edge.poller import Bus, Unit

VERSION = 1
_ANSWER_WITHIN_S = 5.0


def socket_path(outbox: Path) -> Path:
    """Give where the agent with an outbox answers."""
    return outbox.with_name(f"{outbox.name}.status.sock")


def bus_status(bus: Bus, utilisation_percent: float, now_s: float) -> dict[str, Any]:
    """Give a bus and its devices as plain data; None where nothing is known yet."""
    return {
        "name": bus.name,
        "interval_s": bus.interval_ms / 1000,
        "rounds": bus.tally.rounds,
        "utilisation_percent": utilisation_percent,
        "bus_latency_p50_ms": None,
        "bus_latency_p99_ms": None,
        **bus_values(bus),
        "devices": [device_status(unit, now_s) for unit in bus.units],
    }


def device_status(unit: Unit, now_s: float) -> dict[str, Any]:
    """Give a device as plain data: its breaker, its holes, and its newest readings."""
    state = unit.breaker.state(now_s)
    return {
        "device": unit.source.device,
        "unit": unit.unit,
        "priority": unit.priority,
        "breaker": state.name.lower(),
        "asked_again_in_s": max(0.0, unit.breaker.retry_at_s - now_s) if state else None,
        "last_good_age_s": unit.good_age_s(now_s),
        "lost_s": unit.lost_s,
        "holes": sorted([list(hole) for hole in unit.refused.holes], key=str),
        "readings": [_reading(r) for r in unit.newest().values()],
    }


def _reading(r: Reading) -> dict[str, Any]:
    known = MEASURANDS.get(r.point.measurand)
    return {
        "measurand": r.point.measurand,
        "value": r.value,
        "unit": known.unit if known else "",
        "reason": r.reason.name.lower(),
        "time_ms": r.time_ms,
        "lag_s": r.lag_s,
    }


class StatusServer:
    """Answers at a unix socket with mode 0600 while the context is open."""

    def __init__(self, path: Path, compose: Callable[[], Mapping[str, Any]]) -> None:
        self._path, self._compose = path, compose
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begin to answer; OSError when the socket cannot be made.

        What a killed agent left behind is taken away first.
        """
        if _is_answered(self._path):
            raise FileExistsError("another agent answers there")
        self._path.unlink(missing_ok=True)
        door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _short(self._path) as name:
                door.bind(name)
            self._path.chmod(0o600)  # nobody can connect before it listens
            self._server = await asyncio.start_unix_server(self._answer, sock=door)
        except OSError:
            door.close()
            raise

    async def close(self) -> None:
        """Stop answering and take the socket away."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    async def _answer(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        text = json.dumps(self._compose(), ensure_ascii=False)
        try:
            writer.write(text.encode("utf-8"))
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                await writer.drain()
        except (OSError, TimeoutError):
            writer.transport.abort()
        finally:
            writer.close()


def ask(path: Path) -> dict[str, Any]:
    """Give a running agent's status; OSError when no agent answers there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door, _short(path) as name:
        door.settimeout(_ANSWER_WITHIN_S)
        door.connect(name)
        parts = []
        while part := door.recv(65_536):
            parts.append(part)
    try:
        document: dict[str, Any] = json.loads(b"".join(parts))
    except ValueError as error:
        raise ConnectionError("the agent's answer is cut off") from error
    return document


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Name a socket by its folder's descriptor: the address of a unix socket holds 107 bytes."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _is_answered(path: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door, _short(path) as name:
            door.connect(name)
    except OSError:
        return False
    return True
