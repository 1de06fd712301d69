"""The readings of the benchmarks: meters whose voltages wander and whose counters grow."""

import random
from collections.abc import Iterator

from contract.line import Template, encode_columns, template
from contract.reading import PointId

FIELDS = (
    "power_kw", "energy_import_kwh", "frequency_hz", "power_factor", "reactive_power_kvar",
    *(f"{what}_l{i}_{unit}" for what, unit in (("voltage", "v"), ("current", "a"), ("power", "kw"))
      for i in (1, 2, 3)),
    "apparent_power_kva", "demand_kw", "energy_export_kwh", "energy_total_kwh",
    "reactive_energy_import_kvarh", "current_neutral_a",
)  # fmt: skip
T0_MS = 1_772_380_800_000


class Site:
    """Some meters of some fields each, read together; values as meters give them, rounded."""

    def __init__(self, meters: int, fields: int, seed: int = 1) -> None:
        self._rng = random.Random(seed)
        names = FIELDS[:fields]
        self.forms: list[Template] = [
            template([PointId("bench", f"E{m:03}", n) for n in names]) for m in range(meters)
        ]
        self.names = names
        self._values = [[self._start(n) for n in names] for _ in range(meters)]
        self.readings = meters * fields

    def values(self) -> list[list[float]]:
        """Give the values of the next round, by meter."""
        for row in self._values:
            for i, name in enumerate(self.names):
                if name.startswith(("energy", "reactive_energy")):
                    row[i] = round(row[i] + self._rng.random() / 50, 2)
                else:
                    row[i] = round(row[i] + self._rng.uniform(-0.3, 0.3), 1)
        return self._values

    def lines(self, slot_ms: int) -> list[str]:
        """Give the lines of the next round."""
        rows = zip(self.forms, self.values(), strict=True)
        return encode_columns(((form, row, {}, 0.125) for form, row in rows), slot_ms)

    def rounds(self, count: int, interval_ms: int) -> Iterator[tuple[int, list[str]]]:
        """Give (slot, lines) of rounds."""
        for i in range(count):
            slot_ms = T0_MS + i * interval_ms
            yield slot_ms, self.lines(slot_ms)

    def _start(self, name: str) -> float:
        if name.startswith(("energy", "reactive_energy")):
            return round(self._rng.uniform(1000, 90_000), 2)
        return 230.0 if name.startswith("voltage") else round(self._rng.uniform(1, 60), 1)
