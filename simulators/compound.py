"""The compound with its known truth: every load, counter, gate and waste at any instant."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from simulators.conditions import STEP_MS, Conditions, Floats, Ints, conditions
from simulators.layout import PLACES, WATER, SimMeter, meters
from simulators.loads import draw
from simulators.wastes import Waste, apply, draw_wastes


@dataclass(frozen=True, slots=True, eq=False)
class Compound:
    """Loads are constant within five minutes; counters are their exact integrals.

    load:  by meter, (n,) kW or m³/h
    total: by meter, (n + 1,) kWh or m³ since the start, at the step edges
    """

    conditions: Conditions
    load: dict[str, Floats]
    total: dict[str, Floats]
    ins: dict[str, Ints]  # by gate, (n,) persons in since the start, at the step starts
    outs: dict[str, Ints]
    wastes: tuple[Waste, ...]
    meters: dict[str, SimMeter]

    @classmethod
    def build(cls, seed: int, start_ms: int, end_ms: int, now_ms: int | None = None) -> "Compound":
        """Build the compound for [start_ms, end_ms); the same arguments give the same compound.

        now_ms: the instant that counts as the present; the latest wastes lie before it.
        """
        start_ms = start_ms // STEP_MS * STEP_MS
        rng = np.random.default_rng(seed)
        now = conditions(rng, start_ms, end_ms)
        wastes = draw_wastes(rng, now, end_ms if now_ms is None else now_ms)
        load = {m.id: draw(rng, now, m) for m in meters() if m.load != "sum"}
        for waste in wastes:
            apply(waste, load[waste.meter], start_ms)
        for meter in reversed([m for m in meters() if m.load == "sum"]):
            below = [load[m.id] for m in meters() if m.parent == meter.id]
            load[meter.id] = np.sum(below, axis=0)
        total = {k: np.concatenate([[0.0], np.cumsum(v)]) / 12.0 for k, v in load.items()}
        gates = {p.gate: _gate(rng, now.presence[p.id]) for p in PLACES if p.gate}
        ins = {k: v[0] for k, v in gates.items()}
        outs = {k: v[1] for k, v in gates.items()}
        return cls(now, load, total, ins, outs, wastes, {m.id: m for m in meters()})

    def consumed(self, meter: str, time_ms: ArrayLike) -> Floats:
        """Give the exact kWh or m³ since the start at some instants."""
        steps = (np.asarray(time_ms, np.float64) - self.conditions.start_ms) / STEP_MS
        total = self.total[meter]
        return np.asarray(np.interp(steps, np.arange(len(total)), total))

    def truth(self, meter: str, start_ms: int, end_ms: int) -> float:
        """Give the exact kWh or m³ of [start_ms, end_ms)."""
        start, end = self.consumed(meter, [start_ms, end_ms])
        return float(end - start)

    def load_at(self, meter: str, time_ms: ArrayLike) -> Floats:
        """Give kW or m³/h at some instants."""
        return np.asarray(self.load[meter][self._step(time_ms)])

    def temperature_at(self, time_ms: ArrayLike) -> Floats:
        """Give outdoor °C at some instants."""
        return np.asarray(self.conditions.temperature_c[self._step(time_ms)])

    def doors_at(self, gate: str, time_ms: ArrayLike) -> tuple[Ints, Ints]:
        """Give a gate's (in, out) totals at some instants."""
        step = self._step(time_ms)
        return np.asarray(self.ins[gate][step]), np.asarray(self.outs[gate][step])

    def counter(self, meter: str, time_ms: ArrayLike) -> Floats:
        """Give what the device's register shows: initial reading plus truth, in whole steps."""
        m = self.meters[meter]
        step = m.native_step
        steps = np.floor((m.initial + self.consumed(meter, time_ms)) / step + 1e-9)
        shown = np.rint(steps * step * 1e6) / 1e6
        if m.profile == WATER or "adl400" not in m.profile:
            return _as_float32(shown, m.ct_ratio)
        return np.asarray(shown)

    def counter_step(self, meter: str) -> float:
        """Give the largest step of the register at its present height, float32 included."""
        m = self.meters[meter]
        highest = (m.initial + float(self.total[meter][-1])) / m.ct_ratio
        resolution = float(np.spacing(np.float32(highest))) * m.ct_ratio
        return m.native_step if "adl400" in m.profile else m.native_step + resolution

    def _step(self, time_ms: ArrayLike) -> Ints:
        step = (np.asarray(time_ms, np.int64) - self.conditions.start_ms) // STEP_MS
        return np.asarray(np.clip(step, 0, self.conditions.steps - 1))


def _as_float32(shown: Floats, ct_ratio: int) -> Floats:
    """Give what a float32 register on the secondary side can hold, on the primary side."""
    return np.asarray((shown / ct_ratio).astype(np.float32).astype(np.float64) * ct_ratio)


def _gate(rng: np.random.Generator, presence: Ints) -> tuple[Ints, Ints]:
    """Give in and out totals whose difference is the presence, with some coming and going."""
    change = np.diff(presence, prepend=presence[:1])
    churn = np.where(presence > 0, rng.poisson(0.02 * presence), 0)
    first = int(presence[0])
    ins = np.cumsum(np.maximum(change, 0) + churn) + first
    return ins, np.cumsum(np.maximum(-change, 0) + churn)
