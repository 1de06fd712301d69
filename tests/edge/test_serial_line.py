"""A serial port as a Modbus line: its silences, its faults, and its coming and going."""

import asyncio
import random
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
import serial

from contract.errors import DeviceError
from contract.reading import Reason
from edge.config import Rs485
from edge.drivers.modbus import ModbusDriver, rtu_link
from edge.drivers.wire import Wire
from edge.plan import ReadBlock
from simulators.line_model import MASTER, LineModel, Respond, Said, Talk, violations
from tests.edge.torture.slaves import crc

BLOCK = ReadBlock(3, 100, 4, ())
WORDS = (100, 101, 102, 103)


def answer(request: bytes, unit: int | None = None) -> bytes:
    """Give the right answer: each register holds its own address."""
    address, count = struct.unpack(">HH", request[2:6])
    words = struct.pack(f">{count}H", *range(address, address + count))
    body = bytes((unit or request[0], request[1], 2 * count)) + words
    return body + crc(body)


def right(request: bytes) -> list[Said]:
    return [Said(0, answer(request))]


def driver_on(path: str, timeout_s: float = 0.2, baud: int = 921_600) -> ModbusDriver:
    return ModbusDriver(rtu_link(path, baud, "N", 1, timeout_s))


async def reason_of(driver: ModbusDriver, unit: int = 1) -> DeviceError:
    with pytest.raises(DeviceError) as caught:
        await driver.read(unit, BLOCK)
    return caught.value


def test_the_silence_follows_speed_and_framing() -> None:
    assert Wire(9600, "N", 1).silence_s == pytest.approx(0.003646, abs=1e-6)
    assert Wire(9600, "E", 1).silence_s == pytest.approx(0.004010, abs=1e-6)
    assert Wire(9600, "E", 2).silence_s == pytest.approx(0.004375, abs=1e-6)
    assert Wire(115_200, "N", 1).silence_s == 0.00175


def misbehaving(wire: Wire, ceiling_s: float, seed: int) -> Respond:
    """Give slaves that mix right answers with faults; a late one is over before the drain is."""
    rng = random.Random(seed)

    def respond(request: bytes) -> Sequence[Said]:
        whole, unit = answer(request), f"unit {request[0]}"
        t35_s, roll = wire.silence_s, rng.random()
        if roll < 0.06:
            return []
        if roll < 0.12:
            late_s = 1.05 * ceiling_s
            return [Said(late_s, whole, unit, latest_s=time.monotonic() + 1.2 * ceiling_s)]
        if roll < 0.18:
            return [Said(t35_s, bytes((whole[0] ^ 1,)) + whole[1:], unit)]
        if roll < 0.24:
            body = bytes((request[0], request[1] | 0x80, 6))
            return [Said(t35_s, body + crc(body), unit)]
        if roll < 0.30:
            return [Said(t35_s, whole + b"\x00\xff", unit)]
        return [Said(t35_s, whole, unit)]

    return respond


@pytest.mark.parametrize("baud", [9600, 19_200, 115_200])
def test_nobody_talks_over_another_and_every_silence_is_kept(baud: int) -> None:
    wire, ceiling_s, reasons = Wire(baud, "E", 1), 0.12, Counter[Reason]()

    async def run(path: str) -> int:
        driver = ModbusDriver(rtu_link(path, baud, "E", 1, ceiling_s))
        good = 0
        for i in range(60):
            try:
                got = await driver.read(1 + i % 3, ReadBlock(3, 10 * i, 2 + i % 4, ()))
            except DeviceError as error:
                reasons[error.reason] += 1
            else:
                assert got.words == tuple(range(10 * i, 10 * i + 2 + i % 4))
                good += 1
        await driver.close()
        return good

    with LineModel(misbehaving(wire, ceiling_s, baud), wire.character_s) as line:
        good = asyncio.run(run(line.path))
    assert good > 20
    assert {Reason.TIMEOUT, Reason.DEVICE_EXCEPTION} <= set(reasons)
    assert len({t.who for t in line.log}) == 4
    assert violations(line.log, wire.silence_s) == []


def test_the_line_model_sees_a_master_that_keeps_no_silence() -> None:
    wire = Wire(9600, "E", 1)
    request = bytes.fromhex("010300640004") + crc(bytes.fromhex("010300640004"))
    with (
        LineModel(lambda r: [Said(wire.silence_s, answer(r))], wire.character_s) as line,
        serial.Serial(line.path, 9600, timeout=1.0) as port,
    ):
        for _ in range(3):
            port.write(request)
            assert len(port.read(13)) == 13
        port.write(request)
        assert port.read(1)  # the answer has begun: this request talks over it
        port.write(request)
        spoiled = port.read(12)
    assert spoiled != answer(request)[1:]
    found = violations(line.log, wire.silence_s)
    assert any("of silence" in v for v in found)
    assert any("still talked" in v for v in found)
    assert sum(t.who == MASTER for t in line.log) == 5


def test_violations_are_found_in_any_order() -> None:
    first, second = Talk(MASTER, 0.0, 1.0, b""), Talk("unit 1", 1.5, 2.0, b"")
    soon, over = Talk(MASTER, 2.1, 3.0, b""), Talk("unit 2", 2.9, 3.1, b"")
    assert len(violations([over, soon, second, first], 0.2)) == 2
    assert violations([second, first], 0.2) == []


def test_a_wanted_gap_is_kept_beyond_the_lines_own() -> None:
    async def run(path: str) -> None:
        driver = ModbusDriver(rtu_link(path, 921_600, "N", 1, 1.0, gap_s=0.03))
        for _ in range(3):
            await driver.read(1, BLOCK)
        await driver.read(1, BLOCK, pause_s=0.06)
        await driver.close()

    with LineModel(right) as line:
        asyncio.run(run(line.path))
    asked = [t for t in line.log if t.who == MASTER]
    said = [t for t in line.log if t.who != MASTER]
    gaps = [a.start_s - s.end_s for s, a in zip(said, asked[1:], strict=False)]
    assert min(gaps[:2]) >= 0.03
    assert gaps[2] >= 0.06


def with_line(respond: Respond, ask: Callable[[ModbusDriver], Awaitable[None]]) -> ModbusDriver:
    async def run(path: str) -> ModbusDriver:
        driver = driver_on(path)
        await ask(driver)
        await driver.close()
        return driver

    with LineModel(respond) as line:
        return asyncio.run(run(line.path))


def test_noise_between_requests_is_read_away() -> None:
    def noisy(request: bytes) -> list[Said]:
        return [Said(0, answer(request)), Said(0.01, bytes.fromhex("0103080102030405060708"))]

    async def ask(driver: ModbusDriver) -> None:
        for _ in range(4):
            assert (await driver.read(1, BLOCK)).words == WORDS
            await asyncio.sleep(0.05)

    driver = with_line(noisy, ask)
    assert (driver.stats.retries, driver.stats.crc_errors) == (0, 0)


def test_a_line_that_is_never_quiet_is_told_so() -> None:
    def babbling(_: bytes) -> list[Said]:
        return [Said(0.005 * i, b"\xaa") for i in range(500)]

    async def run(path: str) -> None:
        driver = ModbusDriver(rtu_link(path, 921_600, "N", 1, 0.2, gap_s=0.1))
        error = await reason_of(driver)
        assert error.reason is Reason.PROTOCOL
        assert "never quiet" in error.detail
        await driver.close()

    with LineModel(babbling) as line:
        asyncio.run(run(line.path))


def test_a_broken_frame_is_asked_for_once_more() -> None:
    calls = Counter[str]()

    def broken_at_first(request: bytes) -> list[Said]:
        calls["asked"] += 1
        whole = answer(request)
        return [Said(0, whole if calls["asked"] > 1 else whole[:-1] + b"\x00")]

    async def ask(driver: ModbusDriver) -> None:
        assert (await driver.read(1, BLOCK)).words == WORDS

    driver = with_line(broken_at_first, ask)
    stats = driver.stats
    assert (stats.requests, stats.retries, stats.crc_errors) == (2, 1, 1)
    assert stats.lost_s > 0
    assert stats.busy_s > 0
    assert len(stats.latencies_s) == 1


def test_a_silent_unit_is_not_asked_again_while_it_could_still_answer() -> None:
    def late(request: bytes) -> list[Said]:
        moment = len(asked)
        asked.append(request)
        if moment == 0:  # the first answer, with old contents, comes after twice the timeout
            old = ReadBlock(3, 500, 4, ())
            return [Said(0.4, answer(struct.pack(">BBHH", 1, 3, old.address, 4)))]
        return right(request)

    async def ask(driver: ModbusDriver) -> None:
        assert (await reason_of(driver)).reason is Reason.TIMEOUT
        assert (await driver.read(2, BLOCK)).words == WORDS  # others are not kept waiting
        assert (await driver.read(1, BLOCK)).words == WORDS

    asked: list[bytes] = []
    with_line(late, ask)


def test_a_port_is_ours_alone() -> None:
    async def run(path: str) -> None:
        first, second = driver_on(path), driver_on(path)
        await first.read(1, BLOCK)
        error = await reason_of(second)
        assert error.reason is Reason.REFUSED
        assert f"port {path} is taken" in error.detail
        await first.close()
        await asyncio.sleep(0.3)  # the second's back-off
        assert (await second.read(1, BLOCK)).words == WORDS
        await second.close()

    with LineModel(right) as line:
        asyncio.run(run(line.path))


def test_a_port_is_opened_again_with_the_same_parity() -> None:
    async def run(path: str) -> None:
        driver = ModbusDriver(rtu_link(path, 9600, "E", 1, 1.0))
        for _ in range(3):
            assert (await driver.read(1, BLOCK)).words == WORDS
            await driver.close()

    with LineModel(right) as line:
        asyncio.run(run(line.path))


def test_a_port_that_vanishes_is_found_again(tmp_path: Path) -> None:
    port, seen = tmp_path / "usb", set[Reason]()

    async def until_read(driver: ModbusDriver) -> int:
        for failures in range(200):
            try:
                await driver.read(1, BLOCK)
            except DeviceError as error:
                seen.add(error.reason)
                await asyncio.sleep(0.05)
            else:
                return failures
        raise AssertionError("the port was never found again")

    async def run() -> None:
        driver = driver_on(str(port))
        assert "is not there" in (await reason_of(driver)).detail
        for _ in range(2):
            with LineModel(right) as line:
                port.symlink_to(line.path)
                await until_read(driver)
            port.unlink()
            for _ in range(3):
                assert (await reason_of(driver)).reason is Reason.REFUSED
        assert driver.stats.reopened == 1
        assert seen <= {Reason.REFUSED}
        await driver.close()

    asyncio.run(run())


def test_a_port_that_cannot_turn_rs485_round_says_so() -> None:
    async def run(path: str) -> None:
        driver = ModbusDriver(rtu_link(path, 9600, "N", 1, 0.2, rs485=Rs485()))
        error = await reason_of(driver)
        assert error.reason is Reason.REFUSED
        assert f"port {path} cannot turn RS-485 round" in error.detail
        assert (await reason_of(driver_on(path), unit=9)).reason is Reason.TIMEOUT  # port is free
        await driver.close()

    with LineModel(lambda _: []) as line:
        asyncio.run(run(line.path))


def test_a_cancelled_read_does_not_spoil_the_next() -> None:
    def slow(request: bytes) -> list[Said]:
        return [Said(0.08, answer(request))]

    async def ask(driver: ModbusDriver) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await driver.read(1, ReadBlock(3, 700, 4, ()))
        assert (await driver.read(2, BLOCK)).words == WORDS

    with_line(slow, ask)
