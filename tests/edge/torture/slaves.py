"""Slaves that misbehave by a seed.  Every register tells its unit, its address, and its moment."""

import random
import struct
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import Enum

from simulators.line_model import Said

UNITS = (1, 2, 3, 4, 5)
LATEST = 2.5  # ceilings: no answer comes later after its question (the driver allows for 4)


class Fault(Enum):
    MISSING = "no answer"
    LATE = "after the time allowed"
    SLOW = "within the time allowed"
    DOUBLE = "twice"
    CROSSED = "another unit's"
    TRUNCATED = "a part of it"
    CORRUPTED = "one byte wrong"
    EXTRA = "noise before or after"
    WRONG_LENGTH = "more or fewer registers"
    EXCEPTION = "refused"


PERCENT = {
    Fault.MISSING: 1, Fault.LATE: 2, Fault.SLOW: 2, Fault.DOUBLE: 2, Fault.CROSSED: 2,
    Fault.TRUNCATED: 1, Fault.CORRUPTED: 2, Fault.EXTRA: 2, Fault.WRONG_LENGTH: 1,
    Fault.EXCEPTION: 1,
}  # fmt: skip


def crc(frame: bytes) -> bytes:
    """Bit by bit from the standard, so that no table is shared with what is tested."""
    value = 0xFFFF
    for byte in frame:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
    return struct.pack("<H", value)


def content(unit: int, function: int, address: int, count: int, moment: int) -> tuple[int, ...]:
    return tuple(
        zlib.crc32(struct.pack(">BBII", unit, function, a, moment)) & 0xFFFF
        for a in range(address, address + count)
    )


def rtu(body: bytes, _transaction: bytes) -> bytes:
    return body + crc(body)


def mbap(body: bytes, transaction: bytes) -> bytes:
    return transaction + b"\0\0" + struct.pack(">H", len(body)) + body


Frame = Callable[[bytes, bytes], bytes]


class Slaves:
    """All slaves of one line.

    moment, done: set before each read; the faults done since
    asked_at_s:   when the driver began to ask for an address (a busy machine delays requests)
    """

    def __init__(self, seed: int, frame: Frame, ceiling_s: float) -> None:
        self.moment = 0
        self.done: set[Fault] = set()
        self.asked_at_s: dict[int, float] = {}
        self._rng = random.Random(seed)
        self._frame, self._ceiling_s = frame, ceiling_s

    def answers(self, request: bytes, transaction: bytes = b"") -> Sequence[Said]:
        """Answer a request (unit to count) with whatever the seed says."""
        unit, function, address, count = struct.unpack(">BBHH", request[:6])
        rng = self._rng
        latest_s = self.asked_at_s.get(address, time.monotonic()) + LATEST * self._ceiling_s
        right = self._answer(transaction, unit, function, address, count)
        if rng.random() > sum(PERCENT.values()) / 100:
            return [Said(0, right, latest_s=latest_s)]
        (fault,) = rng.choices(list(PERCENT), list(PERCENT.values()))
        self.done.add(fault)
        said = Said(0, right)
        match fault:
            case Fault.MISSING:
                return []
            case Fault.SLOW:
                said = Said(rng.uniform(0.1, 0.7) * self._ceiling_s, right)
            case Fault.LATE:
                after_s = rng.uniform(1.05, 0.9 * LATEST) * self._ceiling_s
                said = Said(after_s, right)
            case Fault.CROSSED:
                other = rng.choice([u for u in UNITS if u != unit])
                size = max(count + rng.choice([0, 0, 1, -1, 5]), 1)
                said = Said(0, self._answer(transaction, other, function, address, size))
            case Fault.WRONG_LENGTH:
                size = max(count + rng.choice([-1, 1, -2, 3]), 0)
                said = Said(0, self._answer(transaction, unit, function, address, size))
            case Fault.EXCEPTION:
                body = bytes((unit, function | 0x80, rng.choice([2, 4, 6])))
                said = Said(0, self._frame(body, transaction))
            case _:
                said = Said(0, self._spoiled(fault, right))
        return [replace(said, latest_s=latest_s)]

    def _answer(self, transaction: bytes, unit: int, function: int, at: int, count: int) -> bytes:
        words = content(unit, function, at, count, self.moment)
        body = bytes((unit, function, 2 * count)) + struct.pack(f">{count}H", *words)
        return self._frame(body, transaction)

    def _spoiled(self, fault: Fault, frame: bytes) -> bytes:
        rng = self._rng
        if fault is Fault.DOUBLE:
            return frame + frame
        if fault is Fault.TRUNCATED:
            return frame[: rng.randrange(1, len(frame))]
        if fault is Fault.EXTRA:
            noise = rng.randbytes(rng.randint(1, 6))
            return noise + frame if rng.random() < 0.5 else frame + noise
        spoiled = bytearray(frame)
        # Modbus TCP has no checksum: what its registers hold cannot be checked, its head can
        spoiled[rng.randrange(9 if self._frame is mbap else len(frame))] ^= rng.randint(1, 255)
        return bytes(spoiled)
