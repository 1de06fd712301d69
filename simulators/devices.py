"""Devices: what each one shows at an instant, and the faults that can be switched on."""

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from simulators.compound import Compound
from simulators.layout import PLACES, THERMOMETER, SimMeter

PHASE_VOLTAGE = 230.0
PHASES = ("l1", "l2", "l3")


class Fault(StrEnum):
    """What can go wrong with a device."""

    NONE = "none"
    SILENT = "silent"  # no answer
    SLOW = "slow"  # an answer long after the usual timeout
    EXCEPTION = "exception"  # an exception answer: device busy
    GARBAGE = "garbage"  # noise instead of the answer
    FROZEN = "frozen"  # the values of the moment the fault began
    COUNTER_RESET = "counter_reset"  # counters start again at zero
    ROLLOVER = "rollover"  # counters stand just below their last digit


ROLLOVER_AT = {"electricity": 10_000_000.0, "water": 100_000.0}


@dataclass(slots=True)
class FaultState:
    """The fault of one device and what it needs to know."""

    kind: Fault = Fault.NONE
    since_ms: int = 0


@dataclass(slots=True)
class Device:
    """One simulated device: values by measurand in canonical units, faults, polls counted."""

    id: str
    profile: str
    source: Callable[[int], Mapping[str, float]]
    counters: tuple[str, ...] = ()
    rollover_at: float = math.inf
    ct_ratio: int = 1
    pt_ratio: int = 1
    auxiliary: dict[str, float] = field(default_factory=dict)  # what ratio registers mean
    fault: FaultState = field(default_factory=FaultState)
    polls: int = 0
    _offset: dict[str, float] = field(default_factory=dict)

    def values(self, now_ms: int) -> dict[str, float]:
        """Give what the device shows now."""
        frozen = self.fault.kind is Fault.FROZEN
        out = dict(self.source(self.fault.since_ms if frozen else now_ms))
        for name in self.counters:
            out[name] = (out[name] + self._offset.get(name, 0.0)) % self.rollover_at
        return out

    def set_fault(self, kind: Fault, now_ms: int) -> None:
        """Switch a fault on (NONE: off); resets and rollovers stay until the next one."""
        if kind in {Fault.COUNTER_RESET, Fault.ROLLOVER}:
            shown = self.source(now_ms)
            for name in self.counters:
                margin = self.rollover_at - 0.5 if kind is Fault.ROLLOVER else 0.0
                self._offset[name] = margin - shown[name]
        self.fault = FaultState(kind, now_ms)


class DeviceSet:
    """All devices of a compound, by id.  Thread-safe for faults and counts."""

    def __init__(self, compound: Compound) -> None:
        self._lock = threading.Lock()
        self.devices: dict[str, Device] = {}
        for meter in compound.meters.values():
            self.devices[meter.id] = _meter_device(compound, meter)
        for place in PLACES:
            if place.gate:
                self.devices[place.gate] = _gate_device(compound, place.gate)
        self.devices[THERMOMETER] = _thermometer(compound)

    def set_fault(self, device: str, kind: Fault, now_ms: int) -> None:
        """Switch a device's fault; KeyError for an unknown device."""
        with self._lock:
            self.devices[device].set_fault(kind, now_ms)

    def polls(self) -> dict[str, int]:
        """Give the answered requests so far, by device."""
        return {k: d.polls for k, d in self.devices.items()}


def _meter_device(compound: Compound, meter: SimMeter) -> Device:
    if meter.carrier == "water":
        return Device(
            meter.id, meter.profile, lambda t: _water_values(compound, meter, t),
            ("volume_m3",), ROLLOVER_AT["water"],
        )  # fmt: skip
    return Device(
        meter.id, meter.profile, lambda t: _electric_values(compound, meter, t),
        ("energy_import_kwh", "energy_total_kwh"), ROLLOVER_AT["electricity"], meter.ct_ratio,
    )  # fmt: skip


def _electric_values(compound: Compound, meter: SimMeter, now_ms: int) -> dict[str, float]:
    power = float(compound.load_at(meter.id, now_ms))
    energy = float(compound.counter(meter.id, now_ms))
    factor = 0.93 if meter.load.startswith("ac") else 0.96
    phases = (1,) if "sdm120" in meter.profile else (0.35, 0.34, 0.31)
    apparent = power / factor
    out = {
        "energy_import_kwh": energy, "energy_export_kwh": 0.0, "energy_total_kwh": energy,
        "reactive_energy_import_kvarh": energy * 0.3, "reactive_energy_export_kvarh": 0.0,
        "power_kw": power, "apparent_power_kva": apparent, "power_factor": factor,
        "reactive_power_kvar": math.sqrt(apparent**2 - power**2), "frequency_hz": 50.0,
        "demand_kw": power, "current_neutral_a": 0.4,
    }  # fmt: skip
    for phase, share in zip(PHASES, phases, strict=False):
        volt = PHASE_VOLTAGE + 1.5 * math.sin(now_ms / 6e5 + ord(phase[1]))
        out[f"voltage_{phase}_v"] = volt
        out[f"power_{phase}_kw"] = power * share
        out[f"power_factor_{phase}"] = factor
        out[f"current_{phase}_a"] = apparent * share * 1000 / volt
    return out


def _water_values(compound: Compound, meter: SimMeter, now_ms: int) -> dict[str, float]:
    return {
        "volume_m3": float(compound.counter(meter.id, now_ms)),
        "volume_reverse_m3": 0.0,
        "flow_m3_per_h": float(compound.load_at(meter.id, now_ms)),
        "pipe_state": 0x00AA,
        "water_pressure_mpa": 0.32,
        "water_temperature_c": 18.0,
    }


def _gate_device(compound: Compound, gate: str) -> Device:
    def values(now_ms: int) -> dict[str, float]:
        ins, outs = compound.doors_at(gate, now_ms)
        return {
            "door_in_total": int(ins),
            "door_out_total": int(outs),
            "people_now": int(ins) - int(outs),
            "device_ok": 1,
        }

    return Device(gate, "generic/opcua-gate", values)


def _thermometer(compound: Compound) -> Device:
    def values(now_ms: int) -> dict[str, float]:
        celsius = float(np.round(compound.temperature_at(now_ms), 1))
        return {"temperature_c": celsius, "humidity_percent": 68.0}

    return Device(THERMOMETER, "generic/xy-md02", values)
