"""From a connection of agent.yaml to its driver."""

from edge.config import Connection, ModbusRtu, ModbusRtuTcp, ModbusTcp, OpcUa
from edge.drivers.modbus import ModbusDriver
from edge.drivers.protocol import Driver
from edge.drivers.rtu_tcp import RtuOverTcpLink
from edge.drivers.serial_rtu import SerialLink
from edge.drivers.tcp import TcpLink
from edge.drivers.wire import Wire


def open_driver(connection: Connection) -> Driver:
    """Give the driver of a connection; nothing is opened before the first read."""
    match connection:
        case ModbusTcp():
            return ModbusDriver(TcpLink(connection.host, connection.port, connection.timeout_s))
        case ModbusRtuTcp():
            return ModbusDriver(
                RtuOverTcpLink(connection.host, connection.port, connection.timeout_s)
            )
        case ModbusRtu():
            wire = Wire(
                connection.baud, connection.parity, connection.stopbits, connection.gap_ms / 1000
            )
            return ModbusDriver(
                SerialLink(connection.device, wire, connection.timeout_s, connection.rs485)
            )
        case OpcUa():
            from edge.drivers.opcua import OpcUaDriver  # asyncua is 25 MiB: only where it is used

            return OpcUaDriver(connection.url, connection.timeout_s)
