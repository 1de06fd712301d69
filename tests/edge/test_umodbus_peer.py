"""Our driver reads a server of another make: uModbus (pure Python, no pymodbus)."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import TCPServer

import pytest
from umodbus.server.tcp import RequestHandler, get_server

from contract.errors import DeviceError
from contract.reading import Reason
from edge.drivers.modbus import ModbusDriver, tcp_link
from edge.plan import ReadBlock


@contextmanager
def umodbus_server() -> Iterator[int]:
    """Serve units 1 and 2, registers 0 to 199, each holding 1000 x unit + address."""
    server: TCPServer = get_server(TCPServer, ("127.0.0.1", 0), RequestHandler)

    def value(slave_id: int, function_code: int, address: int) -> int:
        return 1000 * slave_id + address

    route = server.route(  # type: ignore[attr-defined] # uModbus adds it
        slave_ids=[1, 2], function_codes=[3, 4], addresses=list(range(200))
    )
    route(value)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_umodbus_server_is_read() -> None:
    async def run(port: int) -> None:
        driver = ModbusDriver(tcp_link("127.0.0.1", port, 2.0))
        for unit, function, address, count in ((1, 3, 0, 125), (2, 4, 75, 125), (1, 4, 199, 1)):
            got = await driver.read(unit, ReadBlock(function, address, count, ()))
            first = 1000 * unit + address
            assert got.words == tuple(range(first, first + count))
        with pytest.raises(DeviceError) as caught:
            await driver.read(1, ReadBlock(3, 190, 20, ()))
        assert caught.value.reason is Reason.ILLEGAL_ADDRESS
        await driver.close()

    with umodbus_server() as port:
        asyncio.run(run(port))
