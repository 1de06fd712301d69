"""Frames against pymodbus and against the standard, bit by bit."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer.rtu import FramerRTU
from pymodbus.framer.socket import FramerSocket
from pymodbus.pdu import DecodePDU, ExceptionResponse
from pymodbus.pdu.register_message import ReadHoldingRegistersResponse, ReadInputRegistersResponse

from contract.reading import Reason
from edge.drivers.frames import crc16, judge_rtu, mbap_request, rtu_due, rtu_request
from edge.drivers.link import Failure, Kind
from edge.plan import ReadBlock
from tests.edge.torture.slaves import crc

UNIT, ADDRESS, COUNT = st.integers(1, 247), st.integers(0, 0xFFFF), st.integers(1, 125)
FUNCTION = st.sampled_from((3, 4))
WORDS = st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=125)
RTU, SOCKET = FramerRTU(DecodePDU(False)), FramerSocket(DecodePDU(False))


def answered(unit: int, function: int, words: list[int]) -> bytes:
    kind = ReadInputRegistersResponse if function == 4 else ReadHoldingRegistersResponse
    return bytes(RTU.buildFrame(kind(registers=words, dev_id=unit)))


@given(UNIT, FUNCTION, ADDRESS, COUNT)
def test_requests_are_what_the_standard_says(u: int, f: int, address: int, count: int) -> None:
    body = struct.pack(">BBHH", u, f, address, count)
    assert rtu_request(u, f, address, count) == body + crc(body)
    assert mbap_request(u, f, address, count) == bytes((0, 0, 0, 6)) + body


@given(st.binary(max_size=260))
def test_the_checksum_is_pymodbus_and_the_standards(data: bytes) -> None:
    assert crc16(data).to_bytes(2, "little") == crc(data)
    assert crc16(data) == int.from_bytes(FramerRTU.compute_CRC(data).to_bytes(2, "big"), "little")
    assert crc16(data + crc(data)) == 0


@given(UNIT, FUNCTION, ADDRESS, WORDS)
def test_an_answer_gives_the_words_that_pymodbus_put_in(
    unit: int, function: int, address: int, words: list[int]
) -> None:
    frame = answered(unit, function, words)
    block = ReadBlock(function, address, len(words), ())
    assert rtu_due(frame, len(words)) == len(frame)
    assert judge_rtu(frame, unit, block) == tuple(words)


@given(WORDS, st.data())
def test_a_frame_with_anything_wrong_is_refused_as_a_whole(
    words: list[int], data: st.DataObject
) -> None:
    frame = answered(7, 3, words)
    block = ReadBlock(3, 0, len(words), ())
    bit = data.draw(st.integers(0, 8 * len(frame) - 1))
    flipped = bytearray(frame)
    flipped[bit // 8] ^= 1 << bit % 8
    noise = data.draw(st.binary(min_size=1, max_size=8))
    for wrong in (bytes(flipped), noise + frame, frame + noise, frame[:-1], frame[1:], b""):
        assert isinstance(judge_rtu(wrong, 7, block), Failure)


@given(WORDS)
def test_a_good_frame_of_another_question_is_foreign(words: list[int]) -> None:
    frame, n = answered(7, 3, words), len(words)
    for unit, function, count in ((8, 3, n), (7, 4, n), (7, 3, n + 1), (7, 3, n - 1)):
        answer = judge_rtu(frame, unit, ReadBlock(function, 0, count, ()))
        assert isinstance(answer, Failure)
        assert answer.kind is Kind.FOREIGN


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1, Reason.DEVICE_EXCEPTION),
        (2, Reason.ILLEGAL_ADDRESS),
        (6, Reason.DEVICE_EXCEPTION),
        (11, Reason.TIMEOUT),  # the gateway's word for a unit that says nothing
        (77, Reason.DEVICE_EXCEPTION),
    ],
)
def test_an_exception_keeps_its_meaning(code: int, reason: Reason) -> None:
    frame = bytes(RTU.buildFrame(ExceptionResponse(3, code, device_id=9)))
    answer = judge_rtu(frame, 9, ReadBlock(3, 0x10, 2, ()))
    assert isinstance(answer, Failure)
    assert (answer.kind, answer.reason) == (Kind.EXCEPTION, reason)
    assert f"exception {code} (" in answer.detail
