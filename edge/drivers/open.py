"""From a connection of agent.yaml to its driver."""

from edge.config import Connection, ModbusRtu, ModbusRtuTcp, ModbusTcp, OpcUa
from edge.drivers.modbus import ModbusDriver, rtu_link, rtu_over_tcp_link, tcp_link
from edge.drivers.protocol import Driver


def open_driver(connection: Connection) -> Driver:
    """Give the driver of a connection; nothing is opened before the first read."""
    match connection:
        case ModbusTcp():
            return ModbusDriver(tcp_link(connection.host, connection.port, connection.timeout_s))
        case ModbusRtuTcp():
            return ModbusDriver(
                rtu_over_tcp_link(connection.host, connection.port, connection.timeout_s)
            )
        case ModbusRtu():
            return ModbusDriver(
                rtu_link(
                    connection.device,
                    connection.baud,
                    connection.parity,
                    connection.stopbits,
                    connection.timeout_s,
                )
            )
        case OpcUa():
            from edge.drivers.opcua import OpcUaDriver  # asyncua is 25 MiB: only where it is used

            return OpcUaDriver(connection.url, connection.timeout_s)
