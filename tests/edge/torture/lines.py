"""The three kinds of line, each with its slaves, and the reads that are counted on them."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from contract.errors import DeviceError
from contract.reading import Reason
from edge.drivers.link import Answer
from edge.drivers.modbus import ModbusDriver
from edge.plan import ReadBlock
from simulators.line_model import Said
from tests.edge.torture.slaves import UNITS, Fault, Slaves, content

EXCEPTIONS = {Reason.ILLEGAL_ADDRESS, Reason.DEVICE_EXCEPTION}


@dataclass
class Score:
    """Reads that were right, wrong, and (by reason) failed."""

    right: int = 0
    wrong: int = 0
    failed: Counter[Reason] = field(default_factory=Counter)

    def __add__(self, other: "Score") -> "Score":
        return Score(self.right + other.right, self.wrong + other.wrong, self.failed + other.failed)

    def __str__(self) -> str:
        failed = ", ".join(f"{n} {r.name.lower()}" for r, n in sorted(self.failed.items()))
        return f"{self.right} right, {self.wrong} wrong, failed: {failed or 'none'}"


class Server:
    """A TCP port in front of slaves.

    As a serial server does, it gives what a slave says to whoever is connected at that moment.
    """

    def __init__(self, slaves: Slaves, head: int) -> None:
        self._slaves, self._head = slaves, head
        self._writer: asyncio.StreamWriter | None = None
        self._loop = asyncio.get_running_loop()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        try:
            while True:
                request = await reader.readexactly(self._head + 6 + (2 if not self._head else 0))
                for said in self._slaves.answers(request[self._head :], request[:2]):
                    self._loop.call_later(said.after_s, self._say, said)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
        except asyncio.CancelledError:
            writer.close()

    def _say(self, said: Said) -> None:
        if self._writer is not None and time.monotonic() <= said.latest_s:
            self._writer.write(said.frame)


@asynccontextmanager
async def served(slaves: Slaves, *, with_mbap: bool) -> AsyncIterator[int]:
    """Serve slaves on a free loopback port."""
    port = Server(slaves, 6 if with_mbap else 0)
    server = await asyncio.start_server(port.serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


Read = Callable[[int, ReadBlock], Awaitable[tuple[int, ...]]]


def reader_of(driver: ModbusDriver, slaves: Slaves) -> Read:
    """Give the driver's read; the slaves are told when each question was begun."""
    exchange = driver.link.exchange

    async def watched(
        unit: int, block: ReadBlock, pause_s: float, wait_s: float, *, again: bool
    ) -> Answer:
        slaves.asked_at_s[block.address] = time.monotonic()
        return await exchange(unit, block, pause_s, wait_s, again=again)

    driver.link.exchange = watched  # type: ignore[method-assign] # only to look on

    async def read(unit: int, block: ReadBlock) -> tuple[int, ...]:
        return (await driver.read(unit, block)).words

    return read


async def tortured(read: Read, slaves: Slaves, reads: int, seed: int) -> Score:
    """Read blocks at random; what comes back must be of this unit, address and moment."""
    rng = random.Random(seed)
    score = Score()
    for moment in range(1, reads + 1):
        unit, function = rng.choice(UNITS), rng.choice((3, 4))
        block = ReadBlock(function, moment * 7 % 60_000, rng.choice((2, 4, 4, 10, 40)), ())
        slaves.moment = moment
        slaves.done.clear()
        try:
            words = await read(unit, block)
        except DeviceError as error:
            score.failed[error.reason] += 1
            if error.reason is Reason.REFUSED:
                await asyncio.sleep(0.1)  # the link backs off; do not count every try
            if error.reason in EXCEPTIONS and Fault.EXCEPTION not in slaves.done:
                score.wrong += 1  # nobody said so
            continue
        if words == content(unit, function, block.address, block.count, moment):
            score.right += 1
        else:
            score.wrong += 1
    return score
