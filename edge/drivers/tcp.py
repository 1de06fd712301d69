"""Modbus TCP: every answer carries its transaction id, so a late one is known and dropped.

Framing and matching are ours, not pymodbus's: less than half the processor time, and an answer
with the wrong number of registers is refused.
"""

from collections.abc import Awaitable
from dataclasses import replace

from edge.drivers.frames import MBAP, exception, mbap_request, words_at
from edge.drivers.link import Answer, Failure, Kind, damaged, foreign
from edge.drivers.protocol import LinkStats
from edge.drivers.stream import Stream, StreamLink
from edge.plan import ReadBlock

HEAD_LENGTH = 9  # MBAP, function, and one byte more
LONGEST_BODY = 254


class TcpLink(StreamLink["MbapStream"]):
    """A Modbus TCP device or gateway.  Asking again keeps the transaction id, so that either
    answer will do.
    """

    is_guarded = False
    floor_s = 0.03

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        super().__init__(MbapStream, host, port, timeout_s)
        self._transaction = 0

    def _ask(
        self, stream: "MbapStream", unit: int, block: ReadBlock, wait_s: float, *, again: bool
    ) -> Awaitable[Answer]:
        if not again:
            self._transaction = self._transaction % 0xFFFF + 1
        return stream.ask_for(self._transaction, unit, block, wait_s)


class MbapStream(Stream):
    """A stream of MBAP messages; one that loses its framing is closed."""

    def __init__(self, stats: LinkStats) -> None:
        super().__init__(stats)
        self._block = ReadBlock(3, 0, 0, ())
        self._transaction = self._unit = 0
        self._good = b""  # how the right answer begins
        self._rest = b""  # a message that is not complete yet
        self._found: Answer | None = None  # our answer, while more of the stream is to be read
        self._odd: Failure | None = None

    def ask_for(
        self, transaction: int, unit: int, block: ReadBlock, wait_s: float
    ) -> Awaitable[Answer]:
        """Ask for a block under a transaction id."""
        count, function = block.count, block.function
        self._transaction, self._unit, self._block = transaction, unit, block
        self._good = MBAP.pack(transaction, 0, 3 + 2 * count, unit, function, 2 * count)
        self._found = self._odd = None
        request = mbap_request(unit, function, block.address, count)
        return self.ask(transaction.to_bytes(2, "big") + request, wait_s)

    def data_received(self, data: bytes) -> None:
        """Find our answer; the usual case is one whole message and nothing else."""
        count = self._block.count
        if len(data) == HEAD_LENGTH + 2 * count and not self._rest and data.startswith(self._good):
            self.settle(words_at(data, HEAD_LENGTH, count))
            return
        if self._rest and _is_message(data):
            self._broken("an answer that ends too early")
            return
        self._rest += data
        while len(self._rest) >= HEAD_LENGTH or self._rest[2:4].strip(b"\0"):
            size = _message_size(self._rest)
            if size is None:
                self._broken(f"no Modbus TCP: {self._rest[:16].hex(' ')}")
                return
            if len(self._rest) < size:
                return
            message, self._rest = self._rest[:size], self._rest[size:]
            self._found = self._judged(message) or self._found
        if self._found is not None and not self._rest:
            self.settle(self._found)

    def overdue(self) -> Answer:
        """Give what was heard instead; a message that is still not complete ends the stream."""
        if self._rest:
            self.abort()
            return damaged(f"an answer of which only {len(self._rest)} bytes came")
        return self._odd or super().overdue()

    def _broken(self, detail: str) -> None:
        self.abort()
        self.settle(damaged(detail))

    def _judged(self, message: bytes) -> Answer | None:
        """Give our answer's words or failure; None when the message is not ours."""
        transaction, _, length, unit, function, third = MBAP.unpack_from(message)
        block = self._block
        if transaction != self._transaction or not self.is_asked:
            self.stats.foreign += 1  # late, or doubled
            return None
        if unit == self._unit and function == block.function | 0x80 and length == 3:
            return exception(third, block)
        if message.startswith(self._good):
            return words_at(message, HEAD_LENGTH, block.count)
        asked = f"unit {self._unit} function {block.function} x {block.count}"
        got = f"unit {unit} function {function}, {length} bytes"
        failure = foreign(f"{got}, to {asked}")
        if unit == self._unit and function == block.function:
            return failure  # the device's own, and short or long: nothing better will come
        self.stats.foreign += 1
        self._odd = replace(failure, kind=Kind.SILENT)  # ours may still come
        return None


def _message_size(head: bytes) -> int | None:
    """Give the length of the message that begins here; None when none does."""
    if len(head) < HEAD_LENGTH:
        return None  # asked only when the protocol id is wrong
    _, protocol, length, _, _, _ = MBAP.unpack_from(head)
    return None if protocol or not 3 <= length <= LONGEST_BODY else 6 + length


def _is_message(data: bytes) -> bool:
    return len(data) >= HEAD_LENGTH and _message_size(data) == len(data)
