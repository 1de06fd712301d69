"""Series: what a point said over time, as arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]
Values = NDArray[np.float64]
Flags = NDArray[np.int8]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Good and uncertain values of one point.

    times_ms: (n,) int64, epoch ms UTC, strictly increasing.
    values:   (n,) float64, canonical unit, all finite.  A missing reading has no row.
    """

    times_ms: Times
    values: Values

    def __post_init__(self) -> None:
        """Check the shapes once, at the door."""
        if self.times_ms.shape != self.values.shape or self.times_ms.ndim != 1:
            raise ValueError(f"shapes {self.times_ms.shape} and {self.values.shape} differ")

    def __len__(self) -> int:
        """Give the number of values."""
        return len(self.times_ms)

    @classmethod
    def empty(cls) -> "Series":
        """Give a series without values."""
        return cls(np.empty(0, np.int64), np.empty(0, np.float64))
