"""The host's own points, each only where the host offers it: what is missing is no point.

`root` is where the machine's files begin, so that a folder can stand for a machine.
"""

import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")
_COLDEST_C, _HOTTEST_C = -40.0, 150.0
_CPU_ZONES = ("cpu", "soc", "pkg")
# the Raspberry Pi's firmware: bits of now, and the same bits since boot 16 higher
_UNDERVOLTAGE, _HELD_BACK, _SINCE_BOOT = 0b0001, 0b1110, 16
_FIRMWARE = "sys/devices/platform/soc*/soc*firmware/get_throttled"
_STATM_RESIDENT = 1


def host_values(outbox: Path, root: Path = ROOT) -> dict[str, float]:
    """Give what the host offers, by measurand: °C, bytes, seconds; states are 0 no, 1 was, 2 is."""
    found = {
        "cpu_temperature_c": _cpu_temperature_c(root),
        **_power_states(root),
        "disk_free_bytes": free_bytes(outbox.parent),
        "memory_rss_bytes": _rss_bytes(root),
        "boot_uptime_s": boot_s(root),
    }
    return {name: value for name, value in found.items() if value is not None}


def free_bytes(folder: Path) -> float | None:
    """Give the bytes this user may still write to a folder's file system; None if unknown."""
    try:
        it = os.statvfs(folder)
    except OSError:
        return None
    return float(it.f_bavail * it.f_frsize)


def boot_s(root: Path = ROOT) -> float | None:
    """Give the seconds since the machine was started; None if it does not say."""
    words = (text_of(root / "proc/uptime") or "").split()
    return _number(words[0]) if words else None


def is_time_synchronised(root: Path = ROOT) -> bool | None:
    """Say whether systemd-timesyncd has set the clock since boot; None without timesyncd."""
    folder = root / "run/systemd/timesync"
    return (folder / "synchronized").exists() if folder.is_dir() else None


def text_of(path: Path) -> str | None:
    """Give a small file's text without blanks around it; None if it cannot be read."""
    try:
        return path.read_text("ascii", "replace").strip()
    except OSError:
        return None


def _cpu_temperature_c(root: Path) -> float | None:
    """Give the hottest zone of the processor, or of all zones where none is named after it."""
    zones = [z for z in _zones(root) if _COLDEST_C <= z[1] <= _HOTTEST_C]
    of_cpu = [c for kind, c in zones if any(word in kind for word in _CPU_ZONES)]
    return max(of_cpu or [c for _, c in zones], default=None)


def _zones(root: Path) -> Iterator[tuple[str, float]]:
    for zone in sorted(root.glob("sys/class/thermal/thermal_zone*")):
        milli_c = _number(text_of(zone / "temp"))
        if milli_c is not None:
            yield (text_of(zone / "type") or "").lower(), milli_c / 1000


def _power_states(root: Path) -> dict[str, float]:
    for path in sorted(root.glob(_FIRMWARE)):
        try:
            bits = int(text_of(path) or "", 16)
        except ValueError:
            continue
        return {
            "host_undervoltage_state": _state(bits, _UNDERVOLTAGE),
            "host_throttled_state": _state(bits, _HELD_BACK),
        }
    for monitor in sorted(root.glob("sys/class/hwmon/hwmon*")):
        if text_of(monitor / "name") == "rpi_volt":
            alarm = _number(text_of(monitor / "in0_lcrit_alarm"))
            return {} if alarm is None else {"host_undervoltage_state": 2.0 if alarm else 0.0}
    return {}


def _state(bits: int, mask: int) -> float:
    if bits & mask:
        return 2.0
    return 1.0 if bits >> _SINCE_BOOT & mask else 0.0


def _rss_bytes(root: Path) -> float | None:
    words = (text_of(root / "proc/self/statm") or "").split()
    pages = _number(words[_STATM_RESIDENT]) if len(words) > _STATM_RESIDENT else None
    return None if pages is None else pages * os.sysconf("SC_PAGE_SIZE")


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None
