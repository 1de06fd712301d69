"""Doctor: what would keep this agent from its work, found before it is missed.

Nothing here stops a start: what is found may heal by itself (a network that comes later) or by
somebody's hand, and until then everything else goes on.
"""

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from edge.config import AgentConfig, ModbusRtu
from edge.host import free_bytes, host_values, is_time_synchronised
from edge.host.facts import ROOT

LOW_BYTES, LEAST_BYTES = 500_000_000, 50_000_000
HOT_C = 80.0
EARLIEST_MS = 1_767_225_600_000  # 2026-01-01: this program is younger
_CONNECT_S = 3.0
_DEFAULT_PORTS = {"http": 80, "https": 443}
log = structlog.get_logger()


class Verdict(StrEnum):
    """What a finding means for the agent's work."""

    OK = "ok"
    WARN = "warn"  # it works, but not for ever
    BAD = "bad"  # something does not work until it is mended


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; its texts are `doctor_<name>_<verdict>` of the catalogue."""

    name: str
    verdict: Verdict
    values: dict[str, object] = field(default_factory=dict)


def findings(config: AgentConfig, now_ms: int, root: Path = ROOT) -> Iterator[Finding]:
    """Look at disk, clock, token, ports, power and server, in this order."""
    yield _folder(config.outbox.path.parent)
    yield _space(config)
    yield from _set_aside(config.outbox.path)
    yield _clock(now_ms, root)
    yield _token(config.push.token_file)
    for connection in config.connections:
        if isinstance(connection, ModbusRtu):
            yield _port(connection.id, connection.device)
    yield from _machine(host_values(config.outbox.path, root))
    yield _server(config.push.url)


def log_findings(config: AgentConfig, now_ms: int) -> None:
    """Log what is not as it should be, a line a finding, or one line that all is well."""
    found = [f for f in findings(config, now_ms) if f.verdict is not Verdict.OK]
    for it in found:
        name, values = f"check_{it.name}", {k: str(v) for k, v in it.values.items()}
        log.warning(name, verdict=it.verdict.value, **values)
    if not found:
        log.info("checks_passed")


def _folder(folder: Path) -> Finding:
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as file:
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return Finding("folder", Verdict.BAD, {"path": folder, "error": error.strerror})
    return Finding("folder", Verdict.OK, {"path": folder})


def _space(config: AgentConfig) -> Finding:
    free = free_bytes(config.outbox.path.parent)
    if free is None:
        return Finding("space", Verdict.BAD, {"mb": "?"})
    try:
        held = config.outbox.path.stat().st_size
    except OSError:
        held = 0
    wanted = min(LOW_BYTES, max(config.outbox.max_bytes - held, 0) + LEAST_BYTES)
    verdict = Verdict.BAD if free < LEAST_BYTES else Verdict.WARN if free < wanted else Verdict.OK
    return Finding("space", verdict, {"mb": round(free / 1e6)})


def _set_aside(outbox: Path) -> Iterator[Finding]:
    broken = sorted(p.name for p in outbox.parent.glob(f"{outbox.name}.broken-*"))
    if broken:
        yield Finding("broken", Verdict.WARN, {"files": ", ".join(broken)})


def _clock(now_ms: int, root: Path) -> Finding:
    if now_ms < EARLIEST_MS:
        return Finding("clock", Verdict.BAD)
    if is_time_synchronised(root) is False:
        return Finding("clock", Verdict.WARN)
    return Finding("clock", Verdict.OK)


def _token(path: Path) -> Finding:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        path.read_bytes()
    except OSError as error:
        return Finding("token", Verdict.BAD, {"path": path, "error": error.strerror})
    verdict = Verdict.WARN if mode & 0o007 else Verdict.OK
    return Finding("token", verdict, {"path": path, "mode": f"{mode:04o}"})


def _port(connection: str, device: str) -> Finding:
    values: dict[str, object] = {"bus": connection, "port": device}
    if not Path(device).exists():
        return Finding("port", Verdict.BAD, values)
    if not os.access(device, os.R_OK | os.W_OK):
        return Finding("access", Verdict.BAD, values)
    return Finding("port", Verdict.OK, values)


def _machine(values: dict[str, float]) -> Iterator[Finding]:
    state = values.get("host_undervoltage_state")
    if state is not None:
        yield Finding("power", Verdict.WARN if state else Verdict.OK)
    heat_c = values.get("cpu_temperature_c")
    if heat_c is not None:
        hot = heat_c >= HOT_C
        yield Finding("heat", Verdict.WARN if hot else Verdict.OK, {"c": round(heat_c, 1)})


def _server(url: str) -> Finding:
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
        socket.create_connection((parts.hostname or "", port), timeout=_CONNECT_S).close()
    except (OSError, ValueError) as error:  # ValueError: no port number, no host name
        why = getattr(error, "strerror", None) or str(error)
        return Finding("server", Verdict.WARN, {"url": url, "error": why})
    return Finding("server", Verdict.OK, {"url": url})
