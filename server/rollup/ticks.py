"""Ticks: quantities as whole numbers of 10⁻⁶ kWh or m³, so that sums are exact in any order.

A double holds every multiple of a tick up to 9·10⁹ kWh apart from its neighbours, so values may
travel as doubles (through any store, any JSON) and come back as the same whole number.
"""

import numpy as np
from numpy.typing import NDArray

from server.series import Values

Ticks = NDArray[np.int64]
PER_UNIT = 1_000_000


def to_ticks(values: Values) -> Ticks:
    """Give quantities (n,) in ticks, rounded to the nearest; the values must be finite."""
    return np.rint(np.asarray(values, np.float64) * PER_UNIT).astype(np.int64)


def to_values(ticks: Ticks) -> Values:
    """Give ticks (n,) in kWh or m³: the double nearest to the decimal number."""
    return np.asarray(ticks / PER_UNIT, np.float64)


def exact_sum(values: Values) -> float:
    """Give the sum of quantities, the same for every order; the values must be finite."""
    return float(int(to_ticks(values).sum()) / PER_UNIT)


def tick(value: float) -> int:
    """Give one quantity in ticks."""
    return round(value * PER_UNIT)
