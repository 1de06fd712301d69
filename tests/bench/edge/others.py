"""The same reads by others: pymodbus as it is shipped, and a plain blocking loop on a port."""

import time
from collections.abc import Awaitable, Callable

import serial
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient


def silence_s(baud: int) -> float:
    """Give t3.5 of 11-bit characters; the serial line guide fixes it above 19200 baud."""
    return 0.00175 if baud > 19_200 else 3.5 * 11 / baud


def crc16(frame: bytes) -> bytes:
    crc = 0xFFFF
    for byte in frame:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")


def plain_rtu(
    device: str, baud: int, reads: int, registers: int, cpu_s: Callable[[], float]
) -> dict[str, float]:
    """Write, read the known length, check the CRC, keep t3.5: what minimalmodbus does."""
    frame = bytes((1, 3, 0, 0, 0, registers))
    frame += crc16(frame)
    gap_s = silence_s(baud)
    good, before_s = 0, 0.0
    with serial.Serial(device, baud, stopbits=2, timeout=1.0) as port:
        for i in range(reads + 1):
            if i == 1:
                good, before_s = 0, cpu_s()
            port.write(frame)
            answer = port.read(5 + 2 * registers)
            ended_s = time.monotonic()
            good += len(answer) == 5 + 2 * registers and crc16(answer[:-2]) == answer[-2:]
            time.sleep(max(0.0, ended_s + gap_s - time.monotonic()))
    return {"good": good, "cpu_s": cpu_s() - before_s}


async def pymodbus_rtu(device: str, baud: int, registers: int) -> Callable[[], Awaitable[bool]]:
    client = AsyncModbusSerialClient(device, baudrate=baud, stopbits=2)
    await client.connect()

    async def read() -> bool:
        answer = await client.read_holding_registers(0, count=registers, device_id=1)
        return len(answer.registers) == registers

    return read


async def pymodbus_block(port: int, registers: int) -> Callable[[], Awaitable[int]]:
    """Give a read of one block, its registers left as they are; it counts no values."""
    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    await client.connect()

    async def read() -> int:
        answer = await client.read_holding_registers(0, count=registers, device_id=1)
        return 0 * len(answer.registers)

    return read


async def pymodbus_single(port: int, registers: int) -> Callable[[], Awaitable[int]]:
    """Give a read that asks for each float by itself, and decodes it; it counts the values."""
    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    await client.connect()
    kind = client.DATATYPE.FLOAT32

    async def read() -> int:
        for address in range(0, registers, 2):
            answer = await client.read_holding_registers(address, count=2, device_id=1)
            client.convert_from_registers(answer.registers, kind)
        return registers // 2

    return read
