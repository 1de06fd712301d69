"""A plain RTU master that counts answers it cannot read, over a real serial port."""

import asyncio

import serial

from contract.errors import DeviceError
from contract.reading import Reason
from edge.config import Connection, ModbusRtu
from edge.drivers.protocol import LinkStats
from edge.plan import RawBlock, ReadBlock
from tests.edge.test_modbus_guard import crc

WAIT_S = 0.05


class CountingMaster:
    """Asks once; whatever comes back is noise here, and counted as such."""

    def __init__(self, connection: Connection) -> None:
        assert isinstance(connection, ModbusRtu)
        self.port = serial.Serial(connection.device, connection.baud, timeout=0)
        self.stats = LinkStats()

    async def read(
        self, unit: int, block: ReadBlock, pause_s: float = 0.0, timeout_s: float | None = None
    ) -> RawBlock:
        frame = bytes([unit, block.function, 0, block.address, 0, block.count])
        self.port.write(frame + crc(frame))
        await asyncio.sleep(WAIT_S)
        answer = self.port.read(256)
        if not answer:
            self.stats.timeouts += 1
            raise DeviceError(Reason.TIMEOUT)
        assert crc(answer[:-2]) != answer[-2:]
        self.stats.crc_errors += 1
        raise DeviceError(Reason.PROTOCOL, "bad CRC")

    async def close(self) -> None:
        self.port.close()
