"""A TCP connection that carries one Modbus question at a time."""

import asyncio
import socket
from collections.abc import Callable
from typing import TypeVar, cast

from contract.errors import DeviceError
from contract.reading import Reason
from edge.drivers.link import Answer, lost, silent
from edge.drivers.protocol import LinkStats

UNACKNOWLEDGED_MS = 10_000  # a peer that is gone is noticed; a silent unit behind it is not one
IDLE_PROBE_S = 30
CONNECT_LEAST_S = 1.0  # a connection takes longer to make than an answer


class Stream(asyncio.Protocol):
    """One connection.  One timer is moved along instead of one being made for each question."""

    def __init__(self, stats: LinkStats) -> None:
        self.stats = stats
        self.is_open = False
        self.heard_at_s = 0.0
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self._transport: asyncio.Transport
        self._answer: asyncio.Future[Answer] | None = None
        self._wait_s = self._due_s = self._timer_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def ask(self, frame: bytes, wait_s: float) -> Answer:
        """Send a frame and give what `settle` is told, or what `overdue` says after `wait_s`."""
        if not self.is_open:
            return lost("the connection is closed")
        answer: asyncio.Future[Answer] = self._loop.create_future()
        self._answer = answer
        self._wait_s = wait_s
        due_s = self._due_s = self.now() + wait_s
        if self._timer is None:
            self._timer_s = due_s
            self._timer = self._loop.call_at(due_s, self._tick)
        elif self._timer_s > due_s:
            self._timer.cancel()
            self._timer_s = due_s
            self._timer = self._loop.call_at(due_s, self._tick)
        self._transport.write(frame)
        try:
            return await answer
        finally:
            self._answer = None

    @property
    def is_asked(self) -> bool:
        """Say whether an answer is waited for."""
        return self._answer is not None and not self._answer.done()

    def settle(self, answer: Answer) -> None:
        """Give the open question its answer."""
        if self._answer is not None and not self._answer.done():
            self.heard_at_s = self.now()
            self._answer.set_result(answer)

    def overdue(self) -> Answer:
        """Say what it means that the time is over."""
        return silent(self._wait_s)

    def abort(self) -> None:
        """Close the connection at once."""
        self.is_open = False
        self._transport.abort()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; let the kernel notice a peer that is gone."""
        self._transport = cast("asyncio.Transport", transport)
        sock: socket.socket = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, IDLE_PROBE_S)
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        """End the open question."""
        self.is_open = False
        self.settle(lost(str(exc) if exc else "the device closed the connection"))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        if not self.is_asked:
            return
        if self.now() >= self._due_s:
            self.settle(self.overdue())
        else:
            self._timer_s = self._due_s
            self._timer = self._loop.call_at(self._due_s, self._tick)


S = TypeVar("S", bound=Stream)


async def connect(make: Callable[[], S], host: str, port: int, timeout_s: float) -> S:
    """Open a connection; DeviceError(REFUSED) names the peer and says why not."""
    timeout_s = max(timeout_s, CONNECT_LEAST_S)
    try:
        async with asyncio.timeout(timeout_s):
            _, stream = await asyncio.get_running_loop().create_connection(make, host, port)
    except TimeoutError as error:
        detail = f"{host}:{port}: no connection in {timeout_s:g} s"
        raise DeviceError(Reason.REFUSED, detail) from error
    except OSError as error:
        raise DeviceError(Reason.REFUSED, f"{host}:{port}: {error.strerror or error}") from error
    return stream
