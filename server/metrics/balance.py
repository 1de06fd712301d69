"""Main meters against the meters below them: what is lost on the way, or metered twice.  Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from server.rollup.combine import total
from server.rollup.model import Rollup
from server.series import Values
from server.site.model import MeterKind, Site


@dataclass(frozen=True, slots=True)
class BalanceRow:
    """One main meter over a span.

    loss: main − subs in kWh or m³; ratio: loss ÷ main, None when either side is not known;
    coverage: the least of main and subs.
    """

    main: str
    subs: tuple[str, ...]
    main_value: float | None
    subs_value: float | None
    ratio: float | None
    coverage: float
    limit: float

    @property
    def is_broken(self) -> bool:
        """Say whether more is lost, or gained, than the limit allows."""
        return self.ratio is not None and abs(self.ratio) > self.limit


def subs_of(site: Site, main: str) -> tuple[str, ...]:
    """Give the meters directly below a main that should add up to it."""
    return tuple(
        m.id for m in site.meters
        if m.parent == main and m.is_counted and m.kind is not MeterKind.RESIDUAL
    )  # fmt: skip


def balances(site: Site, rollups: Mapping[str, Rollup]) -> tuple[BalanceRow, ...]:
    """Give the balance of every main that is fully sub-metered."""
    rows = []
    for main in site.meters:
        subs = subs_of(site, main.id)
        if not subs or not main.is_fully_sub_metered or main.id not in rollups:
            continue
        whole, coverage, _ = total(rollups[main.id])
        parts = [total(rollups[s]) for s in subs if s in rollups]
        known = [v for v, _, _ in parts if v is not None]
        is_known = whole is not None and len(known) == len(subs)
        below = sum(known) if is_known else None
        ratio = None
        if whole and below is not None:
            ratio = (whole - below) / whole
        least = min([coverage, *(c for _, c, _ in parts)])
        rows.append(BalanceRow(main.id, subs, whole, below, ratio, least, site.balance_limit))
    return tuple(rows)


def loss_ratios(main: Rollup, subs: Mapping[str, Rollup]) -> Values:
    """Give (main − subs) ÷ main for each interval, NaN where a part is missing or main is 0."""
    below = np.sum([r.values for r in subs.values()], axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (main.values - below) / main.values
    return np.where(main.values > 0, ratio, np.nan)
