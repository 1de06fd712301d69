"""Config: agent.yaml → AgentConfig.  What this agent reads and where it sends it."""

from edge.config.file import load_config
from edge.config.keys import ed25519_key
from edge.config.model import (
    AgentConfig,
    ClockConfig,
    Connection,
    CopyConfig,
    DeviceConfig,
    FleetConfig,
    Intervals,
    ModbusRtu,
    ModbusRtuTcp,
    ModbusTcp,
    OpcUa,
    OutboxConfig,
    PushConfig,
    Rs485,
)

__all__ = [
    "AgentConfig",
    "ClockConfig",
    "Connection",
    "CopyConfig",
    "DeviceConfig",
    "FleetConfig",
    "Intervals",
    "ModbusRtu",
    "ModbusRtuTcp",
    "ModbusTcp",
    "OpcUa",
    "OutboxConfig",
    "PushConfig",
    "Rs485",
    "ed25519_key",
    "load_config",
]
