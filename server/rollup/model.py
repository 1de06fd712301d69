"""What a rollup is: consumption per interval, how much of it was seen, and how it was obtained."""

from dataclasses import dataclass
from enum import IntEnum

from server.periods import Step
from server.series import Flags, Times, Values


class Grade(IntEnum):
    """How a value was obtained 等级; a sum has the worst grade of its parts (the largest code)."""

    MEASURED = 0
    DERIVED = 1
    ALLOCATED = 2
    ESTIMATED = 3
    MANUAL = 4
    MISSING = 9  # no value at all; the value is NaN


@dataclass(frozen=True, slots=True, eq=False)
class Rollup:
    """Consumption of one meter per interval, (n,) arrays; interval i is [edges[i], edges[i+1]).

    edges_ms: (n + 1,) int64; values: (n,) float64 in kWh or m³, NaN where nothing is known;
    coverage: (n,) float64 in 0..1, share of the interval between readings no further apart than
    the meter's longest normal spacing, 0 where the value is missing; grades: (n,) int8 Grade codes.
    The values of any span add up to the counter's difference over it.
    """

    meter: str
    step: Step
    edges_ms: Times
    values: Values
    coverage: Values
    grades: Flags

    @property
    def starts_ms(self) -> Times:
        """Give the (n,) interval starts, which label the intervals."""
        return self.edges_ms[:-1]
