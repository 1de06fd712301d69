"""A hundred thousand reads of misbehaving slaves: a read may fail, but never lie.

SOAK_READS=n (make soak) reads n times instead.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence

import pytest
from pymodbus import FramerType, ModbusException
from pymodbus.client import AsyncModbusTcpClient

from contract.errors import DeviceError
from contract.reading import Reason
from edge.drivers.modbus import ModbusDriver, rtu_link, rtu_over_tcp_link, tcp_link
from edge.plan import ReadBlock
from simulators.line_model import LineModel
from tests.edge.torture.lines import Score, reader_of, served, tortured
from tests.edge.torture.slaves import Slaves, mbap, rtu

READS = int(os.environ.get("SOAK_READS", "102000"))
CEILING_S = 0.03
BAUD = 921_600
Line = Callable[[int, int], Awaitable[Score]]
HONEST = {Reason.TIMEOUT, Reason.PROTOCOL, Reason.REFUSED, Reason.ILLEGAL_ADDRESS,
          Reason.DEVICE_EXCEPTION}  # fmt: skip


async def over_tcp(reads: int, seed: int) -> Score:
    slaves = Slaves(seed, mbap, CEILING_S)
    async with served(slaves, with_mbap=True) as port:
        driver = ModbusDriver(tcp_link("127.0.0.1", port, CEILING_S))
        score = await tortured(reader_of(driver, slaves), slaves, reads, seed)
        await driver.close()
    return score


async def rtu_over_tcp(reads: int, seed: int) -> Score:
    slaves = Slaves(seed, rtu, CEILING_S)
    async with served(slaves, with_mbap=False) as port:
        driver = ModbusDriver(rtu_over_tcp_link("127.0.0.1", port, CEILING_S))
        score = await tortured(reader_of(driver, slaves), slaves, reads, seed)
        await driver.close()
    return score


async def serial_rtu(reads: int, seed: int) -> Score:
    slaves = Slaves(seed, rtu, CEILING_S)
    with LineModel(slaves.answers) as line:
        driver = ModbusDriver(rtu_link(line.path, BAUD, "N", 1, CEILING_S))
        score = await tortured(reader_of(driver, slaves), slaves, reads, seed)
        await driver.close()
    return score


def total(scores: Sequence[Score]) -> Score:
    out = sum(scores, Score())
    sys.stdout.write(f"{out}\n")
    return out


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize(
    ("line", "share", "lines"),
    [(over_tcp, 0.5, 16), (rtu_over_tcp, 0.3, 16), (serial_rtu, 0.2, 8)],
    ids=["tcp", "rtu_over_tcp", "serial_rtu"],
)
def test_no_misbehaviour_of_a_line_becomes_a_value(line: Line, share: float, lines: int) -> None:
    async def run() -> Sequence[Score]:
        each = round(READS * share) // lines
        return await asyncio.gather(*(line(each, seed) for seed in range(lines)))

    score = total(asyncio.run(run()))
    assert score.wrong == 0
    assert set(score.failed) <= HONEST
    assert score.right > 0.7 * READS * share
    assert sum(score.failed.values()) > 0.005 * READS * share


def test_the_same_slaves_make_a_client_without_the_guard_lie() -> None:
    async def run() -> Score:
        slaves = Slaves(1, rtu, CEILING_S)
        async with served(slaves, with_mbap=False) as port:
            client = AsyncModbusTcpClient(
                "127.0.0.1", port=port, framer=FramerType.RTU, timeout=CEILING_S, retries=1,
                reconnect_delay=0.01, reconnect_delay_max=0.01,
            )  # fmt: skip
            await client.connect()

            async def read(unit: int, block: ReadBlock) -> tuple[int, ...]:
                ask = (
                    client.read_input_registers
                    if block.function == 4
                    else client.read_holding_registers
                )
                try:
                    answer = await ask(block.address, count=block.count, device_id=unit)
                except ModbusException as error:
                    raise DeviceError(Reason.TIMEOUT) from error
                if answer.isError():
                    raise DeviceError(Reason.PROTOCOL)
                return tuple(answer.registers)

            score = await tortured(read, slaves, 1000, 1)
            client.close()
        return score

    score = total([asyncio.run(run())])
    assert score.wrong > 0
    assert score.right > 0
