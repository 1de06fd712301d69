"""The machine's clocks, its boot, and what it says of its own time.  Only reads, never sets."""

import asyncio
import ctypes
import math
import os
import secrets
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from contract.clock import SystemClock
from edge.clock.truth import Look, Trust

BOOT_ID_VARIABLE = "COMPOUND_BOOT_ID"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_STATUS = Path("/proc/self/status")
_TIMESYNC = Path("/run/systemd/timesync/synchronized")
_RTC = Path("/sys/class/rtc/rtc0")
_STA_UNSYNC, _TIME_ERROR = 0x40, 5
_RTC_AGREES_MS = 2_000
_CHRONY_WITHIN_S, _CHRONY_AGAIN_MS = 3.0, 60_000
_CHRONY_REFERENCE, _CHRONY_LEAP = 3, 13  # columns of `chronyc -c tracking`


class Machine(Protocol):
    """What a clock is built on."""

    boot_id: str

    def uptime_ms(self) -> float:
        """Give milliseconds since boot, suspended time included."""

    def look(self) -> Look:
        """Give the clocks and what vouches for the wall clock."""

    async def ask_daemon(self) -> None:
        """Ask the time daemon for what the kernel does not know; kept for the next look."""


class ThisMachine:
    """The machine we run on."""

    def __init__(self, timesync: Path = _TIMESYNC, rtc: Path = _RTC) -> None:
        self.boot_id = boot_id()
        self._timesync, self._rtc = timesync, rtc
        self._clock = SystemClock()
        self.uptime_ms = self._clock.uptime_ms
        self._kernel = kernel_state()
        self._chronyc = shutil.which("chronyc")
        self._chrony_ref: float | None = None
        self._chrony_asked_ms = -math.inf

    def look(self) -> Look:
        """Give the clocks and what vouches for the wall clock: kernel, timesyncd, chronyd, RTC."""
        is_synced, token = self._kernel is not None and self._kernel(), None
        if not is_synced:
            token = self._chrony_ref
            if self._kernel is None and token is None:
                token = self._timesync_touched()
        is_rtc_kept = self._is_rtc_kept()
        before_ms, wall_ms, after_ms = self.uptime_ms(), self._clock.now_ms(), self.uptime_ms()
        return Look(
            (before_ms + after_ms) / 2, wall_ms, is_synced or token is not None, token, is_rtc_kept
        )

    async def ask_daemon(self) -> None:
        """Ask chronyd, which tells the kernel only where it is set up with `rtcsync`."""
        is_enough = self._kernel is not None and self._kernel()
        if self._chronyc is None or is_enough:
            self._chrony_ref = None
            return
        if self.uptime_ms() - self._chrony_asked_ms < _CHRONY_AGAIN_MS:
            return
        self._chrony_ref, self._chrony_asked_ms = None, self.uptime_ms()
        asked = await asyncio.create_subprocess_exec(
            self._chronyc, "-n", "-c", "tracking",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with asyncio.timeout(_CHRONY_WITHIN_S):
                said, _ = await asked.communicate()
        except TimeoutError:
            asked.kill()
            await asked.wait()
            return
        self._chrony_ref = chrony_reference(said.decode("utf-8", "replace"))

    def _timesync_touched(self) -> float | None:
        try:
            return self._timesync.stat().st_mtime
        except OSError:
            return None

    def _is_rtc_kept(self) -> bool:
        """Say whether the kernel has set its time from a clock chip that still agrees with it."""
        try:
            if (self._rtc / "hctosys").read_text("ascii").strip() != "1":
                return False
            kept_ms = int((self._rtc / "since_epoch").read_text("ascii")) * 1000
        except (OSError, ValueError):
            return False
        return abs(kept_ms + 500 - self._clock.now_ms()) <= _RTC_AGREES_MS


def chrony_reference(line: str) -> float | None:
    """Give the time of chronyd's last update; None when it is not synchronised."""
    columns = line.strip().split(",")
    if len(columns) <= _CHRONY_LEAP or columns[_CHRONY_LEAP] == "Not synchronised":
        return None
    try:
        return float(columns[_CHRONY_REFERENCE]) or None
    except ValueError:
        return None


def boot_id() -> str:
    """Give the name of this boot; one of this process only where a sandbox hides it."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return os.environ.get(BOOT_ID_VARIABLE) or f"process-{secrets.token_hex(8)}"


def usual_trust() -> Trust:
    """Give whose word is taken where agent.yaml does not say: boards often have no clock chip."""
    return "server" if os.uname().machine.startswith(("arm", "aarch64")) else "system"


class _Timex(ctypes.Structure):
    _fields_ = [
        ("modes", ctypes.c_uint),  # 0: only read
        *((name, ctypes.c_long) for name in ("offset", "freq", "maxerror", "esterror")),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    ]


def _is_kernel_synced() -> bool:
    state = _Timex()
    answer = ctypes.CDLL(None).adjtimex(ctypes.byref(state))
    return answer not in {-1, _TIME_ERROR} and not state.status & _STA_UNSYNC


def kernel_state() -> Callable[[], bool] | None:
    """Give the question whether the kernel is synchronised; None where it cannot be asked.

    A sandbox may forbid the call on pain of death, so that there a child asks first.
    """
    try:
        is_filtered = "\nSeccomp:\t0" not in _STATUS.read_text("ascii")
    except OSError:
        is_filtered = True
    try:
        if is_filtered and not _child_survives():
            return None
        _is_kernel_synced()
    except (OSError, AttributeError):
        return None
    return _is_kernel_synced


def _child_survives() -> bool:
    child = os.posix_spawn(
        sys.executable,
        [sys.executable, "-I", "-S", "-c",
         "import ctypes; ctypes.CDLL(None).adjtimex(ctypes.byref((ctypes.c_byte * 512)()))"],
        os.environ,
    )  # fmt: skip
    return os.waitpid(child, 0)[1] == 0
