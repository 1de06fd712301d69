"""TCP connections that carry one Modbus question at a time, and the link that each of them is."""

import asyncio
import math
import socket
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar, cast
from weakref import WeakKeyDictionary

from contract.errors import DeviceError
from contract.reading import Reason
from edge.drivers.link import Answer, lost, silent
from edge.drivers.protocol import LinkStats
from edge.plan import ReadBlock

UNACKNOWLEDGED_MS = 10_000  # a peer that is gone is noticed; a silent unit behind it is not one
IDLE_PROBE_S = 30
CONNECT_LEAST_S = 1.0  # a connection takes longer to make than an answer


class Deadlines:
    """The open questions of a loop's streams.  One timer serves them all: it stands at the
    earliest time at which one is due, and is seldom moved, as most are answered before.
    """

    def __init__(self) -> None:
        self._asked: set[Stream] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = math.inf

    def add(self, stream: "Stream") -> None:
        """Watch over a stream's question, until `remove`."""
        self._asked.add(stream)
        if stream.due_s < self._timer_s:
            self._set(stream.due_s)

    def remove(self, stream: "Stream") -> None:
        """Watch over it no more."""
        self._asked.discard(stream)

    def _set(self, at_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_s = at_s
        self._timer = asyncio.get_running_loop().call_at(at_s, self._sweep)

    def _sweep(self) -> None:
        self._timer, self._timer_s = None, math.inf
        now_s = asyncio.get_running_loop().time()
        for stream in [s for s in self._asked if s.is_asked and s.due_s <= now_s]:
            stream.settle(stream.overdue())
        self._set_next()

    def _set_next(self) -> None:
        earliest_s = min((s.due_s for s in self._asked if s.is_asked), default=math.inf)
        if earliest_s < self._timer_s:
            self._set(earliest_s)


_deadlines: WeakKeyDictionary[asyncio.AbstractEventLoop, Deadlines] = WeakKeyDictionary()


class Stream(asyncio.Protocol):
    """One connection.  asked_s, due_s, heard_at_s: loop times of the newest question."""

    def __init__(self, stats: LinkStats) -> None:
        self.stats = stats
        self.is_open = False
        self.asked_s = self.due_s = self.heard_at_s = 0.0
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self._deadlines = _deadlines.setdefault(self._loop, Deadlines())
        self._transport: asyncio.Transport
        self._answer: asyncio.Future[Answer] | None = None

    async def ask(self, frame: bytes, wait_s: float) -> Answer:
        """Send a frame and give what `settle` is told, or what `overdue` says after `wait_s`."""
        if not self.is_open:
            return lost("the connection is closed")
        answer: asyncio.Future[Answer] = self._loop.create_future()
        self._answer = answer
        self.asked_s = self.now()
        self.due_s = self.asked_s + wait_s
        self._deadlines.add(self)
        self._transport.write(frame)
        try:
            return await answer
        finally:
            self._answer = None
            self._deadlines.remove(self)

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
        return silent(self.due_s - self.asked_s)

    def abort(self) -> None:
        """Close the connection at once."""
        self.is_open = False
        self._transport.abort()

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


class StreamLink(ABC, Generic[S]):
    """A device or gateway behind one connection of the kind `make` makes."""

    def __init__(
        self, make: Callable[[LinkStats], S], host: str, port: int, timeout_s: float
    ) -> None:
        self.host, self.port, self.timeout_s = host, port, timeout_s
        self.stats = LinkStats()
        self.took_s = 0.0
        self._make = make
        self._stream: S | None = None
        self._quiet_at_s = 0.0

    @property
    def is_open(self) -> bool:
        """Say whether a request can be sent now."""
        return self._stream is not None and self._stream.is_open

    def answer_wire_s(self, count: int) -> float:
        """Give 0: the speed of a line behind is not known."""
        return 0.0

    async def open(self) -> None:
        """Connect; DeviceError(REFUSED) says why that fails."""
        await self.close()
        make = self._make
        self._stream = await connect(lambda: make(self.stats), self.host, self.port, self.timeout_s)

    async def exchange(
        self, unit: int, block: ReadBlock, pause_s: float, wait_s: float, *, again: bool
    ) -> Answer:
        """Ask once, at least `pause_s` after the answer before."""
        stream = self._stream
        if stream is None:
            return lost("the link is not open")
        if pause_s:
            await asyncio.sleep(self._quiet_at_s + pause_s - stream.now())
        answer = await self._ask(stream, unit, block, wait_s, again=again)
        self._quiet_at_s = stream.heard_at_s
        self.took_s = stream.heard_at_s - stream.asked_s
        return answer

    async def close(self) -> None:
        """Close the connection."""
        if self._stream is not None:
            self._stream.abort()
            self._stream = None

    @abstractmethod
    def _ask(
        self, stream: S, unit: int, block: ReadBlock, wait_s: float, *, again: bool
    ) -> Awaitable[Answer]: ...
