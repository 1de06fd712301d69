"""A small real site: two Modbus TCP lines of simulated meters, and the agent.yaml to read them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from contract.clock import Clock
from edge.profile import find_profile
from simulators.devices import Device
from simulators.modbus_server import Served, serve_tcp

PROFILE = "acrel/adl400"
METERS = {"line1": "E1", "line2": "E2"}
POINTS = ["energy_import_kwh", "power_kw"]
INTERVAL_S = 0.2


def meter(name: str) -> Device:
    """Give a meter whose counter tells the time: a tenth of a kWh every tenth of a second."""
    rest = {p.measurand: 1.0 for p in find_profile(PROFILE).points}

    def values(now_ms: int) -> Mapping[str, float]:
        return {**rest, "energy_import_kwh": now_ms // 100 % 10_000_000 / 10}

    return Device(name, PROFILE, values)


async def served_meters(clock: Clock) -> dict[str, int]:
    """Serve each line from the running loop; give their ports."""
    lines = {line: [Served(1, meter(name))] for line, name in METERS.items()}
    return {line: (await serve_tcp(some, clock))[1] for line, some in lines.items()}


def write_agent(
    folder: Path, url: str, ports: Mapping[str, int], push: Mapping[str, object] | None = None
) -> Path:
    """Write agent.yaml and its token; give its path."""
    (folder / "token").write_text("t")
    document: dict[str, Any] = {
        "site": "k",
        "agent": "a1",
        "interval_s": INTERVAL_S,
        "clock": {"trust": "system"},
        "outbox": {"path": "./a1.outbox.db", "commit_interval_s": 0.05},
        "push": {
            "url": url, "token_file": "./token", "interval_s": 0.1, "timeout_s": 2,
            "replay_share": 1, "replay_bytes_per_s": 1e12, **(push or {}),
        },
        "connections": [
            {"id": line, "driver": "modbus-tcp", "host": "127.0.0.1", "port": port,
             "turnaround_ms": 1, "timeout_s": 0.5}
            for line, port in ports.items()
        ],
        "devices": [
            {"id": METERS[line], "connection": line, "profile": PROFILE, "points": POINTS}
            for line in ports
        ],
    }  # fmt: skip
    path = folder / "agent.yaml"
    path.write_text(yaml.safe_dump(document))
    return path
