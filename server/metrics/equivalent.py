"""Coal equivalent of several energies: 综合能耗 = Σ physical quantity × factor (GB/T 2589)."""

from collections.abc import Iterable


def total_kgce(quantities: Iterable[tuple[float, float]]) -> float:
    """Give kgce of (quantity, kgce per unit of it) pairs."""
    return sum(quantity * factor for quantity, factor in quantities)
