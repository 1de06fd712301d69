"""Modbus TCP on a scripted device: what is not the answer never becomes a value."""

import asyncio
import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import pytest

from contract.errors import DeviceError
from contract.reading import Reason
from edge.drivers.modbus import ModbusDriver, tcp_link
from edge.plan import ReadBlock

BLOCK = ReadBlock(3, 100, 4, ())
WORDS = (100, 101, 102, 103)
CLOSE = b"close"


def message(request: bytes, count: int = 4, unit: int | None = None, transaction: int = 0) -> bytes:
    """Give the answer whose registers hold their own addresses; transaction: added to the id."""
    (asked, address) = struct.unpack(">H6xH", request[:10])
    words = struct.pack(f">{count}H", *range(address, address + count))
    body = bytes((unit or request[6], request[7], 2 * count)) + words
    return struct.pack(">HHH", (asked + transaction) & 0xFFFF, 0, len(body)) + body


Script = Callable[[int, bytes], Sequence[bytes]]


@dataclass
class Device:
    """Answers request number n (from 0) with the pieces that a script gives."""

    script: Script
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                request = await reader.readexactly(12)
                self.requests.append(request)
                for piece in self.script(len(self.requests) - 1, request):
                    if piece is CLOSE:
                        writer.close()
                        return
                    writer.write(piece)
                    await asyncio.sleep(0.005)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
        except asyncio.CancelledError:
            writer.close()


def asked(
    script: Script, ask: Callable[[ModbusDriver], Awaitable[object]], timeout_s: float = 0.1
) -> tuple[Device, ModbusDriver]:
    device = Device(script)

    async def run() -> ModbusDriver:
        server = await asyncio.start_server(device.talk, "127.0.0.1", 0)
        driver = ModbusDriver(tcp_link("127.0.0.1", server.sockets[0].getsockname()[1], timeout_s))
        try:
            await ask(driver)
        finally:
            await driver.close()
            server.close()
        return driver

    return device, asyncio.run(run())


async def reads_right(driver: ModbusDriver) -> None:
    assert (await driver.read(1, BLOCK)).words == WORDS


def fails(reason: Reason) -> Callable[[ModbusDriver], Awaitable[None]]:
    async def ask(driver: ModbusDriver) -> None:
        with pytest.raises(DeviceError) as caught:
            await driver.read(1, BLOCK)
        assert caught.value.reason is reason

    return ask


def test_an_answer_may_come_in_pieces() -> None:
    def pieces(_: int, request: bytes) -> list[bytes]:
        answer = message(request)
        return [answer[:3], answer[3:11], answer[11:]]

    asked(pieces, reads_right)


def test_a_lost_request_is_sent_again_under_the_same_id() -> None:
    device, driver = asked(lambda n, r: [message(r)] if n else [], reads_right)
    assert device.requests[0] == device.requests[1]
    assert (driver.stats.requests, driver.stats.retries, driver.stats.timeouts) == (2, 1, 1)
    assert device.connections == 1


def test_each_question_has_an_id_of_its_own() -> None:
    async def twice(driver: ModbusDriver) -> None:
        await reads_right(driver)
        await reads_right(driver)

    device, _ = asked(lambda _, r: [message(r)], twice)
    assert device.requests[0][:2] != device.requests[1][:2]


def test_late_doubled_and_foreign_answers_are_passed_over() -> None:
    def script(_: int, request: bytes) -> list[bytes]:
        return [
            message(request, transaction=-1),
            message(request, unit=7),
            message(request) + message(request),
        ]

    async def twice(driver: ModbusDriver) -> None:
        await reads_right(driver)
        await reads_right(driver)

    device, driver = asked(script, twice)
    assert device.connections == 1
    assert driver.stats.foreign >= 4


def test_only_a_neighbours_answer_is_a_protocol_failure() -> None:
    asked(lambda _, r: [message(r, unit=7)], fails(Reason.PROTOCOL))


@pytest.mark.parametrize("count", [3, 5, 0])
def test_an_answer_of_another_length_is_refused(count: int) -> None:
    device, driver = asked(lambda _, r: [message(r, count)], fails(Reason.PROTOCOL))
    assert len(device.requests) == 1
    assert driver.stats.foreign == 1


def test_a_byte_count_that_does_not_fit_is_refused() -> None:
    def script(_: int, request: bytes) -> list[bytes]:
        answer = bytearray(message(request))
        answer[8] = 6
        return [bytes(answer)]

    asked(script, fails(Reason.PROTOCOL))


@pytest.mark.parametrize(
    "garbage", ["c3aa0055fe817fe0", "0001000000010000000000", "000100000fff" + 9 * "00"]
)
def test_a_stream_that_is_not_modbus_is_closed_and_asked_anew(garbage: str) -> None:
    def script(n: int, request: bytes) -> list[bytes]:
        return [message(request)] if n else [bytes.fromhex(garbage) + message(request)]

    device, driver = asked(script, reads_right)
    assert device.connections == 2
    assert (driver.stats.crc_errors, driver.stats.reopened) == (1, 1)


def test_a_torn_answer_is_never_completed_with_the_next_ones_bytes() -> None:
    def script(n: int, request: bytes) -> list[bytes]:
        return [message(request)[:9]] if n == 0 else [message(request)]

    device, _ = asked(script, reads_right)
    assert device.connections == 2

    def torn(_: int, request: bytes) -> list[bytes]:
        return [message(request)[:9], message(request, transaction=-1)]

    asked(torn, fails(Reason.PROTOCOL))


@pytest.mark.parametrize(
    ("code", "reason"),
    [(2, Reason.ILLEGAL_ADDRESS), (4, Reason.DEVICE_EXCEPTION), (11, Reason.TIMEOUT)],
)
def test_an_exception_is_an_answer(code: int, reason: Reason) -> None:
    def script(_: int, request: bytes) -> list[bytes]:
        return [request[:4] + b"\0\3" + bytes((request[6], request[7] | 0x80, code))]

    device, driver = asked(script, fails(reason))
    assert len(device.requests) == 1
    assert (driver.stats.exceptions, driver.stats.timeouts, driver.stats.lost_s) == (1, 0, 0.0)


def test_a_connection_that_ends_is_opened_and_asked_once_more() -> None:
    device, driver = asked(lambda n, r: [message(r)] if n else [CLOSE], reads_right)
    assert device.connections == 2
    assert (driver.stats.retries, driver.stats.reopened) == (1, 1)


def test_a_device_that_always_hangs_up_is_not_stormed() -> None:
    async def often(driver: ModbusDriver) -> None:
        for _ in range(20):
            await fails(Reason.REFUSED)(driver)

    device, _ = asked(lambda _n, _r: [CLOSE], often)
    assert device.connections <= 3


def test_a_peer_that_is_not_there_is_named() -> None:
    async def run() -> str:
        driver = ModbusDriver(tcp_link("127.0.0.1", 1, 0.5))
        with pytest.raises(DeviceError) as caught:
            await driver.read(1, BLOCK)
        assert caught.value.reason is Reason.REFUSED
        return caught.value.detail

    assert asyncio.run(run()).startswith("127.0.0.1:1: ")


def test_a_cancelled_read_leaves_the_link_usable() -> None:
    async def ask(driver: ModbusDriver) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await driver.read(1, BLOCK)
        await reads_right(driver)

    def script(n: int, request: bytes) -> list[bytes]:
        return [message(request)] if n else []

    device, _ = asked(script, ask, timeout_s=5.0)
    assert device.connections == 1


def test_a_unit_that_has_always_been_quick_is_not_waited_for_long() -> None:
    async def ask(driver: ModbusDriver) -> None:
        for _ in range(25):
            await reads_right(driver)
        await reads_right(driver)  # its request is lost

    device, driver = asked(lambda n, r: [] if n == 25 else [message(r)], ask, timeout_s=30.0)
    assert len(device.requests) == 27
    assert 0 < driver.stats.lost_s < 15  # far from the thirty seconds that are allowed


def test_a_short_wait_is_not_held_up_by_a_long_one_and_each_ends_by_itself() -> None:
    heard = asyncio.Event()

    def silent(_: int, request: bytes) -> list[bytes]:
        heard.set()
        return []

    async def run() -> None:
        device = Device(silent)
        server = await asyncio.start_server(device.talk, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        waits = {"long": 60.0, "short": 0.05, "middle": 0.6, "late": 0.05}
        drivers = {name: ModbusDriver(tcp_link("127.0.0.1", port, s)) for name, s in waits.items()}
        ended: list[str] = []

        async def ask(name: str) -> None:
            await fails(Reason.TIMEOUT)(drivers[name])
            ended.append(name)

        long = asyncio.create_task(ask("long"))
        await heard.wait()
        await asyncio.gather(ask("middle"), ask("short"))
        await ask("late")  # after all the short ones were over
        assert ended == ["short", "middle", "late"]
        assert not long.done()
        long.cancel()
        await asyncio.wait([long])
        await ask("short")
        for driver in drivers.values():
            await driver.close()
        server.close()

    asyncio.run(run())
