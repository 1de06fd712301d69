"""A serial port as a Modbus line: blocking, for one thread of its own.

The thread sleeps through the time that request and answer are known to take on the wire, so that
it wakes up once or twice for each answer, and keeps t3.5 itself.  pyserial opens and sets up the
port; reading and timing are ours, because pymodbus' asyncio client keeps no silence at all.
"""

import contextlib
import errno
import fcntl
import os
import select
import termios
import time

import serial
from serial.rs485 import RS485Settings

from contract.errors import DeviceError
from contract.reading import Reason
from edge.config import Rs485
from edge.drivers.frames import judge_rtu, rtu_due, rtu_length, rtu_request
from edge.drivers.link import Answer, Kind, damaged, lost, silent
from edge.drivers.wire import Wire
from edge.plan import ReadBlock

DRAIN = 1.5  # waits, from the last byte asked, after which a silent unit leaves the line to others
TORN_S = 0.05  # silence inside an answer after which no more of it comes (USB adapters: 16 ms)
NEVER_QUIET_S = 1.0
CHUNK = 512
BUFFERED = 16  # characters that may be on their way through a UART's buffer
_GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL
_TAKEN = {errno.EAGAIN, errno.EBUSY}
_now = time.monotonic


class SerialLine:
    """One port.  Every method blocks; all are called by one thread."""

    def __init__(self, device: str, wire: Wire, rs485: Rs485 | None = None) -> None:
        self.wire = wire
        self.took_s = 0.0
        self.drained_s = 0.0  # what the newest exchange waited for late answers
        self._device, self._rs485 = device, rs485
        self._port: serial.Serial | None = None
        self._fd = -1
        self._poll = select.poll()
        self._quiet_at_s = self._clean_at_s = 0.0

    @property
    def is_open(self) -> bool:
        """Say whether the port is open."""
        return self._port is not None

    def open(self) -> None:
        """Open the port for us alone; DeviceError(REFUSED) says why that fails."""
        self.close()
        try:
            port = serial.Serial(
                self._device, self.wire.baud, parity="N" if self._is_pty() else self.wire.parity,
                stopbits=self.wire.stopbits, exclusive=True,
            )  # fmt: skip
        except (serial.SerialException, OSError, ValueError, termios.error) as error:
            raise DeviceError(Reason.REFUSED, self._why(error)) from error
        try:
            if self._rs485 is not None:
                port.rs485_mode = _settings(self._rs485)
        except ValueError as error:
            port.close()
            raise DeviceError(
                Reason.REFUSED,
                f"port {self._device} cannot turn RS-485 round ({error.__context__}); "
                "fix: remove rs485 if the adapter does it itself",
            ) from error
        with contextlib.suppress(ValueError, OSError):  # an FTDI would keep bytes for 16 ms
            port.set_low_latency_mode(True)
        if not self._is_pty():  # there the mark would outlive us while its other end is open
            with contextlib.suppress(OSError):
                fcntl.ioctl(port.fileno(), termios.TIOCEXCL)
        self._port, self._fd = port, port.fileno()
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._quiet_at_s = _now()

    def close(self) -> None:
        """Close the port, and let others open it."""
        if self._port is not None:
            with contextlib.suppress(OSError):
                fcntl.ioctl(self._fd, termios.TIOCNXCL)
            with contextlib.suppress(OSError):
                self._port.close()
            self._port, self._fd = None, -1

    def exchange(self, unit: int, block: ReadBlock, pause_s: float, wait_s: float) -> Answer:
        """Ask once; gives the words, or what went wrong.  A port that vanished is closed."""
        try:
            return self._exchange(unit, block, pause_s, wait_s)
        except OSError as error:
            self.close()
            return lost(f"port {self._device} is gone: {error.strerror or error}")

    def _exchange(self, unit: int, block: ReadBlock, pause_s: float, wait_s: float) -> Answer:
        if not self._is_quiet(pause_s):
            return damaged(f"the line was never quiet for {NEVER_QUIET_S:g} s")
        request = rtu_request(unit, block.function, block.address, block.count)
        asked_s = _now() + len(request) * self.wire.character_s + self._turn_s
        os.write(self._fd, request)
        self._quiet_at_s = asked_s
        self._clean_at_s = asked_s + DRAIN * wait_s
        answer_s = rtu_length(block.count) * self.wire.character_s
        _sleep_until(min(asked_s + self.wire.silence_s + answer_s, asked_s + wait_s))
        frame = self._heard(block.count, asked_s + wait_s)
        if not frame:
            return silent(wait_s)
        self.took_s = max(self._quiet_at_s - asked_s, 0.0)
        answer = judge_rtu(frame, unit, block)
        if isinstance(answer, tuple) or answer.kind is Kind.EXCEPTION:
            self._clean_at_s = 0.0
        elif answer.kind is Kind.DAMAGED:
            self._clean_at_s = asked_s + wait_s
        return answer

    @property
    def _turn_s(self) -> float:
        rs485 = self._rs485
        return 0.0 if rs485 is None else (rs485.delay_before_ms + rs485.delay_after_ms) / 1000

    def _is_quiet(self, pause_s: float) -> bool:
        """Wait until the line has been silent long enough; read away what comes meanwhile."""
        gap_s = max(self.wire.silence_s, self.wire.gap_s, pause_s)
        due_s = max(self._quiet_at_s + gap_s, self._clean_at_s)
        self.drained_s = max(0.0, self._clean_at_s - max(self._quiet_at_s + gap_s, _now()))
        give_up_s = max(_now(), due_s) + NEVER_QUIET_S
        _sleep_until(due_s)
        while self._read():
            now_s = _now()
            if now_s > give_up_s:
                return False
            self._quiet_at_s = now_s
            _sleep_until(max(now_s + gap_s, self._clean_at_s))
        return True

    def _heard(self, count: int, deadline_s: float) -> bytes:
        """Collect an answer until it is whole, torn, or overdue."""
        frame = b""
        while True:
            chunk = self._read()
            now_s = _now()
            if chunk:
                frame += chunk
                self._quiet_at_s = now_s
                missing = rtu_due(frame, count) - len(frame)
                if missing <= 0:
                    return frame
                if missing > BUFFERED:
                    rest_s = (missing - BUFFERED) * self.wire.character_s
                    _sleep_until(min(now_s + rest_s, deadline_s))
                    continue
            left_s = deadline_s - now_s
            if frame:
                left_s = min(left_s, self._quiet_at_s + TORN_S - now_s)
            if left_s <= 0:
                return frame
            self._poll.poll(left_s * 1000)

    def _read(self) -> bytes:
        """Give what has come; b"" when nothing has.  OSError when the port is gone."""
        events = self._poll.poll(0)
        if not events:
            return b""
        if events[0][1] & select.POLLIN:
            chunk = os.read(self._fd, CHUNK)
            if chunk:
                return chunk
        raise OSError(errno.EIO, "hung up")

    def _is_pty(self) -> bool:
        """Say whether the port is a pty: it has no parity, and refuses one when opened again."""
        return os.path.realpath(self._device).startswith("/dev/pts/")

    def _why(self, error: Exception) -> str:
        code = getattr(error, "errno", None)
        if code in _TAKEN:
            return f"port {self._device} is taken by another program; fix: stop that program"
        if code == errno.EACCES:
            return f"no permission for port {self._device}; fix: add the user to group dialout"
        if code in {errno.ENOENT, errno.ENODEV, errno.ENXIO}:
            return f"port {self._device} is not there; fix: check the adapter and its cable"
        return f"port {self._device}: {error}"


def _settings(rs485: Rs485) -> RS485Settings:
    return RS485Settings(
        rts_level_for_tx=rs485.rts_on_send,
        rts_level_for_rx=not rs485.rts_on_send,
        delay_before_tx=rs485.delay_before_ms / 1000,
        delay_before_rx=rs485.delay_after_ms / 1000,
    )


def _sleep_until(time_s: float) -> None:
    wait_s = time_s - _now()
    if wait_s > 0:
        time.sleep(wait_s)
