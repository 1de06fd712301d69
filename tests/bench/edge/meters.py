"""The bench's meters: profiles laid beside the shipped ones, registers, agent.yaml files.

The registers hold floats, high word first, with values that fit each other (P = Σ phases, P ≤ S),
so that no check of the agent has anything to say.  Gauges tremble, one counter runs.
"""

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from contract.measurand import MEASURANDS
from edge.profile.model import UNITS

FIXED, JITTER, COUNTING = 0, 1, 2
_METER = {
    "voltage_l1_v": 230.0, "voltage_l2_v": 230.0, "voltage_l3_v": 230.0,
    "current_l1_a": 45.8, "current_l2_a": 45.8, "current_l3_a": 45.8,
    "power_l1_kw": 10.0, "power_l2_kw": 10.0, "power_l3_kw": 10.0,
    "power_factor_l1": 0.95, "power_factor_l2": 0.95, "power_factor_l3": 0.95,
    "power_kw": 30.0, "apparent_power_kva": 31.6, "reactive_power_kvar": 9.9,
    "power_factor": 0.95, "frequency_hz": 50.0, "demand_kw": 28.0,
    "energy_import_kwh": 12_345.0, "energy_export_kwh": 17.0,
}  # fmt: skip
_MORE = {
    "current_neutral_a": 3.0, "energy_total_kwh": 12_345.0,
    "reactive_energy_import_kvarh": 3000.0, "reactive_energy_export_kvarh": 40.0,
    "volume_m3": 5000.0, "volume_reverse_m3": 2.0, "flow_m3_per_h": 3.5,
    "water_temperature_c": 16.0, "water_pressure_mpa": 0.4, "door_in_total": 900.0,
    "door_out_total": 800.0, "people_now": 100.0, "temperature_c": 25.0,
    "humidity_percent": 60.0, "co2_ppm": 700.0, "illuminance_lux": 300.0,
}  # fmt: skip
FLOATS_20 = tuple(_METER)
FLOATS_36 = (*_METER, *_MORE)
_COUNTERS = {"energy_import_kwh": COUNTING}


def lay_profile(folder: Path, model: str, measurands: Sequence[str]) -> str:
    """Write the profile of a meter with one float after the other; give its ref."""
    own_unit = {canonical: unit for unit, (canonical, factor) in UNITS.items() if factor == 1}
    points = [
        {
            "measurand": name,
            "function": 3,
            "address": 2 * i,
            "type": "f32",
            "order": "ABCD",
            "scale": 1,
            "unit": own_unit[MEASURANDS[name].unit],
            "basis": "direct",
        }
        for i, name in enumerate(measurands)
    ]
    profile = {
        "maker": "bench",
        "model": model,
        "title": f"台架表 bench meter of {len(points)} floats",
        "protocol": "modbus",
        "evidence": "simulated",
        "sources": [{"document": "tests/bench/edge/meters.py"}],
        "limits": {"max_registers": 125, "max_gap": 0, "pause_ms": 0, "timeout_ms": 1000},
        "points": points,
    }
    path = folder / "device_profiles" / "bench" / f"{model}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(profile, allow_unicode=True, sort_keys=False), "utf-8")
    return f"bench/{model}"


def write_image(path: Path) -> Path:
    """Write what the slaves serve: value and manner of each register (FLOATS_36 from 0 on)."""
    words = [(0, FIXED)] * 65_536
    for i, (name, value) in enumerate({**_METER, **_MORE}.items()):
        high, low = struct.unpack(">HH", struct.pack(">f", value))
        is_counter = MEASURANDS[name].kind.value == "counter"
        manner = _COUNTERS.get(name, FIXED if is_counter else JITTER)
        words[2 * i : 2 * i + 2] = [(high, FIXED), (low, manner)]
    path.write_bytes(b"".join(struct.pack("=HH", *w) for w in words))
    return path


def write_agent(
    path: Path,
    connections: Iterable[dict[str, Any]],
    devices: Iterable[dict[str, Any]],
    interval_s: float,
    push_url: str = "http://127.0.0.1:9",
) -> Path:
    """Write an agent.yaml (and its token) whose outbox lies beside it."""
    (path.parent / "token").write_text("bench\n", "utf-8")
    content = {
        "site": "bench",
        "agent": "a1",
        "interval_s": interval_s,
        "outbox": {"path": f"{path.stem}.outbox.db"},
        "push": {"url": push_url, "token_file": "token", "interval_s": 1},
        "connections": list(connections),
        "devices": list(devices),
    }
    path.write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
    return path


def tcp_agent(
    path: Path,
    port: int,
    ref: str,
    count: int,
    interval_s: float,
    push_url: str = "http://127.0.0.1:9",
) -> Path:
    """Write the agent.yaml of `count` meters, each with a connection of its own."""
    connections = [
        {
            "id": f"c{i}", "driver": "modbus-tcp", "host": f"127.0.0.{i + 1}", "port": port,
            "timeout_s": 1.0,
        }
        for i in range(count)
    ]  # fmt: skip
    devices = [{"id": f"M{i}", "connection": f"c{i}", "profile": ref} for i in range(count)]
    return write_agent(path, connections, devices, interval_s, push_url)
