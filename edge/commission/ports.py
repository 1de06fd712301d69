"""Ports: the serial ports of this machine, and whether somebody else is using one."""

import errno
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from serial.tools import list_ports

BY_ID = Path("/dev/serial/by-id")
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class SerialPort:
    """A port: the name that survives a restart, the present one, what the adapter says it is."""

    path: str
    device: str
    title: str


def serial_ports(by_id: Path = BY_ID) -> list[SerialPort]:
    """Give the serial ports found, adapters first, each by its lasting name where it has one."""
    lasting = {str(p.resolve()): str(p) for p in sorted(by_id.glob("*"))}
    out = []
    for port in list_ports.comports():
        is_real = port.device in lasting or port.hwid not in {"", "n/a"}
        if is_real:
            title = port.description if port.description != "n/a" else ""
            out.append(SerialPort(lasting.get(port.device, port.device), port.device, title))
    return sorted(out, key=lambda p: (p.path == p.device, p.path))


def lasting_name(path: str, by_id: Path = BY_ID) -> str:
    """Give the name of a port that survives a restart; the path itself where there is none."""
    real = os.path.realpath(path)
    return next((str(p) for p in sorted(by_id.glob("*")) if os.path.realpath(p) == real), path)


def trouble(path: str) -> str | None:
    """Say why a port cannot be opened: "missing", "forbidden", "busy", "strange"; None if it can.

    The agent and pyserial lock a port they use (flock), so a lock that fails means a user.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError as error:
        known = {errno.EACCES: "forbidden", errno.ENOENT: "missing", errno.EBUSY: "busy"}
        return known.get(error.errno or 0, "strange")
    try:
        if not os.isatty(handle):
            return "strange"
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return "busy"
    finally:
        os.close(handle)
    return None


def holders(path: str) -> list[tuple[int, str]]:
    """Give who has a port open, as (pid, command), as far as this user may see."""
    real = os.path.realpath(path)
    return [(pid, command) for pid, command in _processes() if _has_open(pid, real)]


def running_agents() -> list[int]:
    """Give the process ids of agents that run on this machine."""
    return [
        pid
        for pid, command in _processes()
        if "compound-edge" in command and " run" in command.partition("compound-edge")[2]
    ]


def _processes() -> Iterator[tuple[int, str]]:
    for folder in PROC.glob("[0-9]*"):
        if int(folder.name) == os.getpid():
            continue
        try:
            command = (folder / "cmdline").read_bytes()
        except OSError:  # it has just ended, or is another user's
            continue
        yield int(folder.name), command.replace(b"\0", b" ").decode("utf-8", "replace").strip()


def _has_open(pid: int, real: str) -> bool:
    try:
        return any(os.path.realpath(f) == real for f in (PROC / str(pid) / "fd").iterdir())
    except OSError:
        return False
