"""The transaction guard: late, short, foreign or noisy answers never become a value."""

import asyncio
import random
import struct
from collections.abc import Awaitable, Callable

from contract.errors import DeviceError
from contract.reading import Reason
from edge.drivers.modbus import ModbusDriver, rtu_over_tcp_link, silence_s
from edge.plan import ReadBlock

Respond = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


def crc(frame: bytes) -> bytes:
    value = 0xFFFF
    for byte in frame:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
    return struct.pack("<H", value)


def answer(request: bytes, unit: int | None = None, count: int | None = None) -> bytes:
    """Give the right answer: each register holds its own address."""
    address, asked = struct.unpack(">HH", request[2:6])
    n = asked if count is None else count
    words = struct.pack(f">{n}H", *range(address, address + n))
    frame = bytes([unit or request[0], request[1], 2 * n]) + words
    return frame + crc(frame)


async def served(respond: Respond, reads: int, timeout_s: float = 0.05) -> tuple[int, int, int]:
    """Read blocks from a scripted RTU-over-TCP device; give (right, wrong, failed)."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await respond(await reader.readexactly(8), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    driver = ModbusDriver(rtu_over_tcp_link("127.0.0.1", port, timeout_s))
    right = wrong = failed = 0
    for i in range(reads):
        address = 10 * i
        try:
            raw = await driver.read(1, ReadBlock(3, address, 4, ()))
        except DeviceError:
            failed += 1
            continue
        if raw.words == tuple(range(address, address + 4)):
            right += 1
        else:
            wrong += 1
    await driver.close()
    server.close()
    return right, wrong, failed


def test_late_answers_are_never_taken_for_the_next_ones() -> None:
    rng = random.Random(1)

    async def late(request: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(rng.choice([0, 0, 0.055, 0.08]))
        writer.write(answer(request))

    right, wrong, failed = asyncio.run(served(late, 60))
    assert wrong == 0
    assert right > 15
    assert failed > 5


def test_a_neighbours_answer_is_refused() -> None:
    async def foreign(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(request, unit=7))

    assert asyncio.run(served(foreign, 5)) == (0, 0, 5)


def test_a_short_answer_is_refused() -> None:
    async def short(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(request, count=3))

    assert asyncio.run(served(short, 5)) == (0, 0, 5)


def test_noise_is_refused_and_the_line_recovers() -> None:
    calls = 0

    async def noisy(request: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        writer.write(bytes.fromhex("c3aa0055fe817fe0") if calls % 3 == 0 else answer(request))

    right, wrong, failed = asyncio.run(served(noisy, 12))
    assert (right, wrong, failed) == (12, 0, 0)  # noise ends at once, so one more try is safe


def test_an_exception_answer_keeps_its_meaning() -> None:
    async def illegal(request: bytes, writer: asyncio.StreamWriter) -> None:
        frame = bytes([request[0], request[1] | 0x80, 2])
        writer.write(frame + crc(frame))

    async def reason() -> Reason:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await illegal(await reader.readexactly(8), writer)

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        driver = ModbusDriver(rtu_over_tcp_link("127.0.0.1", port, 0.5))
        try:
            await driver.read(1, ReadBlock(3, 0, 2, ()))
        except DeviceError as error:
            return error.reason
        finally:
            await driver.close()
            server.close()
        raise AssertionError("an exception answer must not be data")

    assert asyncio.run(reason()) is Reason.ILLEGAL_ADDRESS


def test_the_silence_between_frames_follows_the_baud_rate() -> None:
    assert round(silence_s(9600) * 1000, 2) == 4.01
    assert silence_s(115_200) == 0.00175


def test_bytes_that_nobody_asked_for_cost_a_new_connection_not_a_wrong_value() -> None:
    connections = 0

    async def run() -> int:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            try:
                while True:
                    whole = answer(await reader.readexactly(8))
                    writer.write(whole)
                    await asyncio.sleep(0.001)
                    writer.write(whole)  # once more, a moment later
            except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        driver = ModbusDriver(
            rtu_over_tcp_link("127.0.0.1", server.sockets[0].getsockname()[1], 0.5)
        )
        for address in (0, 100, 200):
            got = await driver.read(1, ReadBlock(3, address, 4, ()))
            assert got.words == tuple(range(address, address + 4))
            await asyncio.sleep(0.05)
        await driver.close()
        server.close()
        return driver.stats.reopened

    assert asyncio.run(run()) == 2
    assert connections == 3


def test_a_cancelled_question_is_never_answered_in_the_next_ones_place() -> None:
    async def slow(request: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.1)
        writer.write(answer(request))

    async def run() -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while True:
                    await slow(await reader.readexactly(8), writer)
            except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        driver = ModbusDriver(
            rtu_over_tcp_link("127.0.0.1", server.sockets[0].getsockname()[1], 0.3)
        )
        for unit, address in ((11, 0), (12, 100), (13, 200)):
            try:
                async with asyncio.timeout(0.05):
                    await driver.read(unit, ReadBlock(3, 900, 4, ()))
            except TimeoutError:
                got = await driver.read(2, ReadBlock(3, address, 4, ()))
                assert got.words == tuple(range(address, address + 4))
        assert driver.stats.reopened == 3
        await driver.close()
        server.close()

    asyncio.run(run())
