"""Rollups of rollups: coarser steps, and sums of meters."""

from collections.abc import Sequence

import numpy as np

from server.periods import Step
from server.rollup.model import Grade, Rollup
from server.rollup.ticks import exact_sum, to_ticks, to_values
from server.series import Times, Values


def coarsen(fine: Rollup, edges_ms: Times, step: Step) -> Rollup:
    """Sum fine intervals into coarser ones whose edges lie on the fine grid.

    Missing parts add nothing and lower the coverage; an interval without any value is missing.
    """
    n = max(0, len(edges_ms) - 1)
    bins = np.searchsorted(edges_ms, fine.starts_ms, "right") - 1
    inside = (bins >= 0) & (bins < n)
    known = inside & ~np.isnan(fine.values)
    width = np.diff(fine.edges_ms)
    ticks = to_ticks(fine.values[known]).astype(np.float64)  # whole numbers: exact in any order
    values = to_values(np.rint(np.bincount(bins[known], ticks, n)).astype(np.int64))
    seen = np.bincount(bins[inside], (fine.coverage * width)[inside], n)
    has_value = np.bincount(bins[known], minlength=n) > 0
    grades = np.zeros(n, np.int8)
    np.maximum.at(grades, bins[known], fine.grades[known])
    partial = np.bincount(bins[inside & np.isnan(fine.values)], minlength=n) > 0
    grades = np.where(partial, np.maximum(grades, Grade.ESTIMATED), grades)
    return Rollup(
        fine.meter,
        step,
        edges_ms,
        np.where(has_value, values, np.nan),
        np.clip(seen / np.maximum(np.diff(edges_ms), 1), 0.0, 1.0),
        np.where(has_value, grades, Grade.MISSING).astype(np.int8),
    )


def coarsen_all(fine: Sequence[Rollup], edges_ms: Times, step: Step) -> list[Rollup]:
    """Do the same for many rollups on one grid whose parts fill the coarser intervals wholly."""
    if not fine:
        return []
    first = np.searchsorted(fine[0].starts_ms, edges_ms[:-1])
    width = np.diff(fine[0].edges_ms).astype(np.float64)
    whole = np.diff(edges_ms).astype(np.float64)
    values = np.stack([r.values for r in fine])
    known = ~np.isnan(values)
    ticks = np.add.reduceat(to_ticks(np.where(known, values, 0.0)), first, axis=1)
    seen = np.add.reduceat(np.stack([r.coverage for r in fine]) * width, first, axis=1)
    any_known = np.logical_or.reduceat(known, first, axis=1)
    all_known = np.logical_and.reduceat(known, first, axis=1)
    grades = np.stack([r.grades for r in fine])
    worst = np.maximum.reduceat(np.where(known, grades, 0), first, axis=1)
    worst = np.where(all_known, worst, np.maximum(worst, Grade.ESTIMATED))
    worst = np.where(any_known, worst, Grade.MISSING).astype(np.int8)
    sums = np.where(any_known, to_values(ticks), np.nan)
    coverage = np.clip(seen / whole, 0.0, 1.0)
    return [
        Rollup(r.meter, step, edges_ms, sums[i], coverage[i], worst[i]) for i, r in enumerate(fine)
    ]


def combine(name: str, parts: Sequence[Rollup]) -> Rollup:
    """Sum meters on the same grid: the known parts, the mean coverage, the worst grade."""
    first = parts[0]
    values = np.stack([p.values for p in parts])
    known = ~np.isnan(values)
    any_known = known.any(axis=0)
    grades = np.max(np.where(known, np.stack([p.grades for p in parts]), Grade.ESTIMATED), axis=0)
    return Rollup(
        name,
        first.step,
        first.edges_ms,
        np.where(any_known, to_values(to_ticks(np.nan_to_num(values)).sum(axis=0)), np.nan),
        np.mean([p.coverage for p in parts], axis=0),
        np.where(any_known, grades, Grade.MISSING).astype(np.int8),
    )


def total(rollup: Rollup) -> tuple[float | None, float, Grade]:
    """Give (sum or None, coverage of the whole span, worst grade)."""
    width = np.diff(rollup.edges_ms)
    span = float(width.sum())
    coverage = float((rollup.coverage * width).sum() / span) if span else 0.0
    known = ~np.isnan(rollup.values)
    if not known.any():
        return None, coverage, Grade.MISSING
    worst = Grade(int(rollup.grades[known].max()))
    if not known.all():
        worst = max(worst, Grade.ESTIMATED)
    return exact_sum(rollup.values[known]), coverage, worst


def mean_power_kw(rollup: Rollup) -> Values:
    """Give kWh (or m³) per interval as kW (or m³/h), NaN where missing."""
    return np.asarray(rollup.values / (np.diff(rollup.edges_ms) / 3_600_000))
