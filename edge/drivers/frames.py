"""Modbus frames: requests as pymodbus builds them, answers judged here.

pymodbus builds each distinct request once.  Answers are ours to judge: its RTU framer checks the
unit only, takes a short answer as it is, and needs 2.3 times as long for a checksum.
"""

from functools import lru_cache
from struct import Struct

from pymodbus.framer.rtu import FramerRTU
from pymodbus.pdu import DecodePDU
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

from contract.reading import Reason
from edge.drivers.link import Answer, Failure, Kind, damaged, foreign
from edge.plan import ReadBlock

MBAP = Struct(">HHHBBB")  # transaction, protocol 0, bytes that follow, unit, function, next byte
REQUESTS_KEPT = 4096
EXCEPTION_LENGTH = 5
ILLEGAL_ADDRESS, GATEWAY_TARGET_SILENT = 2, 11
_EXCEPTIONS = {
    1: "function not known", 2: "no such register", 3: "length not allowed", 4: "device failure",
    5: "still working", 6: "busy", 8: "memory parity", 10: "gateway has no path to the unit",
    11: "gateway heard nothing from the unit",
}  # fmt: skip
_WORDS = tuple(Struct(f">{count}H") for count in range(126))
_framer = FramerRTU(DecodePDU(False))


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
        table.append(value)
    return tuple(table)


_CRC = _crc_table()


def crc16(data: bytes) -> int:
    """Give the CRC of RTU; 0 over a whole good frame, its two CRC bytes included."""
    crc = 0xFFFF
    table = _CRC
    for byte in data:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    return crc


@lru_cache(REQUESTS_KEPT)
def rtu_request(unit: int, function: int, address: int, count: int) -> bytes:
    """Give the RTU frame that asks for registers by function 3 or 4."""
    kind = {3: ReadHoldingRegistersRequest, 4: ReadInputRegistersRequest}[function]
    return bytes(_framer.buildFrame(kind(address=address, count=count, dev_id=unit)))


@lru_cache(REQUESTS_KEPT)
def mbap_request(unit: int, function: int, address: int, count: int) -> bytes:
    """Give the Modbus TCP request without its transaction id (two bytes, in front)."""
    return b"\x00\x00\x00\x06" + rtu_request(unit, function, address, count)[:-2]


def rtu_length(count: int) -> int:
    """Give the length of an RTU answer of `count` registers."""
    return 5 + 2 * count


def rtu_due(head: bytes, count: int) -> int:
    """Give the length at which an RTU answer that begins so is complete."""
    return EXCEPTION_LENGTH if len(head) > 1 and head[1] & 0x80 else rtu_length(count)


def words_at(frame: bytes, offset: int, count: int) -> tuple[int, ...]:
    """Give `count` registers that begin at a byte of a frame."""
    return _WORDS[count].unpack_from(frame, offset)


def judge_rtu(frame: bytes, unit: int, block: ReadBlock) -> Answer:
    """Give the words of an RTU answer; anything before, after or instead of it is a Failure."""
    due = rtu_due(frame, block.count)
    if len(frame) < EXCEPTION_LENGTH or crc16(frame):
        return damaged(f"{len(frame)} bytes of {due}, or a wrong checksum")
    if len(frame) == due and frame[0] == unit:
        if frame[1] == block.function and frame[2] == 2 * block.count:
            return words_at(frame, 3, block.count)
        if frame[1] == block.function | 0x80:
            return exception(frame[2], block)
    asked = f"unit {unit} function {block.function}"
    return foreign(f"answer of unit {frame[0]} function {frame[1]} ({len(frame)} bytes) to {asked}")


def exception(code: int, block: ReadBlock) -> Failure:
    """Give the failure of an exception answer; a gateway's "nothing heard" is a timeout."""
    reasons = {
        ILLEGAL_ADDRESS: Reason.ILLEGAL_ADDRESS,
        GATEWAY_TARGET_SILENT: Reason.TIMEOUT,
    }
    reason = reasons.get(code, Reason.DEVICE_EXCEPTION)
    meaning = _EXCEPTIONS.get(code, "not in the standard")
    where = f"{block.address:#06x} x {block.count}"
    return Failure(Kind.EXCEPTION, reason, f"exception {code} ({meaning}) at {where}")
