"""Serial ports: which names stay with a port when the machine starts again."""

import re
from pathlib import Path

BY_ID = Path("/dev/serial/by-id")
_STABLE = re.compile(
    r"/dev/serial/by-(id|path)/[^/]+"  # names that udev makes from the adapter or its socket
    r"|/dev/(ttyAMA\d+|serial[01]|ttyS\d+)"  # on-board UARTs
    r"|/dev/pts/\d+"  # simulators
)


def stable_port(device: str) -> str:
    """Give the name back if it is one that stays; ValueError with the names there are."""
    if _STABLE.fullmatch(device):
        return device
    wanted = "/dev/serial/by-id/…, /dev/serial/by-path/…, /dev/ttyAMA0, /dev/serial0 or /dev/ttyS0"
    if re.fullmatch(r"/dev/tty(USB|ACM)\d+", device):
        wanted += " (ttyUSB and ttyACM numbers change at a restart)"
    raise ValueError(f"{wanted}; fix: {_advice()}")


def _advice() -> str:
    names = sorted(p.name for p in BY_ID.iterdir()) if BY_ID.is_dir() else []
    if names:
        return "use one of " + ", ".join(f"{BY_ID}/{name}" for name in names)
    return f"plug the adapter in and use its name in {BY_ID} (none is there now)"
