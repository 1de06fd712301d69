"""Kinds for the supply: demand, power factor, balance of phases.  Pure."""

from collections.abc import Mapping

import numpy as np

from server.rules.model import Evidence, Judgement, Learned
from server.rules.windows import QUARTERS_A_DAY, judged, percentile_before, trailing_mean
from server.series import Values

P = Mapping[str, float]


def demand(p: P, e: Evidence, learned: Learned) -> Judgement:
    """Judge apparent load against a share of the transformer's kVA."""
    del learned
    kva = e.series("capacity_kva")
    reactive = e.series("reactive_kvar")
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = e.power / np.hypot(e.power, reactive)
    limit = p["share_of_capacity"] * kva * np.where(np.isnan(factor), p["power_factor"], factor)
    return judged(e, e.power > limit, ~np.isnan(limit), limit, np.nan_to_num(limit))


def power_factor(p: P, e: Evidence, learned: Learned) -> Judgement:
    """Judge the last 24 hours' power factor against the account's standard.

    By the energies, P ÷ √(P² + Q²), rounded to 0.01 as the bill does.
    """
    del learned
    factor = day_factor(e)
    known = ~np.isnan(factor) & (trailing_mean(e.power, QUARTERS_A_DAY) > p["least_kw"])
    limit = np.full(e.power.shape[-1], p["standard"])
    zero = np.zeros(e.power.shape[-1])
    return judged(e, factor < p["standard"] - 1e-9, known, limit, zero, above=zero)


def day_factor(e: Evidence) -> Values:
    """Give the power factor of the last 24 hours, (…, n); NaN where half of it is not known."""
    reactive = np.abs(e.series("reactive_kvar"))
    both = ~np.isnan(reactive) & ~np.isnan(e.power)
    active = trailing_mean(np.where(both, e.power, np.nan), QUARTERS_A_DAY)
    reactive = trailing_mean(np.where(both, reactive, np.nan), QUARTERS_A_DAY)
    share = trailing_mean(both.astype(np.float64), QUARTERS_A_DAY)
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = np.round(active / np.hypot(active, reactive), 2)
    return np.where(share >= 0.5, factor, np.nan)


def penalty_share(p: P, e: Evidence, start_ms: int, end_ms: int) -> float:
    """Give the share that a span's power factor adds to its cost, 0.. ; one meter's evidence (n,).

    The bill goes by the month: a span's share is what it contributes if the month stays like it.
    """
    a, b = np.searchsorted(e.edges_ms, [start_ms, end_ms])
    active, reactive = e.power[a:b], np.abs(e.series("reactive_kvar")[a:b])
    both = ~np.isnan(active + reactive)
    total = float(np.hypot(active[both].sum(), reactive[both].sum()))
    if total <= 0:
        return 0.0
    factor = round(float(active[both].sum()) / total, 2)
    return max(0.0, adjustment_share(p["standard"], factor))


def adjustment_share(standard: float, factor: float) -> float:
    """Give the share of the bill added (> 0) or taken off (< 0) for a month's power factor.

    The closed form of the table of (83) 水电财字 215: see docs/detection.md.
    """
    steps = round((standard - factor) * 100)
    if steps > 0:
        return (0.5 * min(steps, 20) + min(max(steps - 20, 0), 5) + 2 * max(steps - 25, 0)) / 100
    if standard >= 0.9:
        return -0.15 * min(-steps, 5) / 100
    first = max(0, round((0.9 - standard) * 100))
    most = 1.1 if standard >= 0.85 else 1.3
    return -min(0.1 * min(-steps, first) + 0.15 * max(-steps - first, 0), most) / 100


def learn_full(p: P, e: Evidence, from_day: int) -> Learned:
    """Learn the full load."""
    every = np.ones(len(e.minute), bool)
    return {"full_kw": percentile_before(e, every, 99, from_day=from_day)}


def phase_imbalance(p: P, e: Evidence, learned: Learned) -> Judgement:
    """Judge (Imax − Imin) ÷ Imax of the phases while the load is worth speaking of."""
    amps = np.stack([np.abs(e.series(f"current_l{i}_a")) for i in (1, 2, 3)])
    most, least = amps.max(0), amps.min(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (most - least) / most
    limit = p["share_of_full"] * learned["full_kw"]
    loaded = e.power > limit
    known = (~np.isnan(share) | ~loaded) & ~np.isnan(limit)
    zero = np.zeros(e.power.shape[-1])
    return judged(e, loaded & (share > p["most_share"]), known, limit, zero, above=zero)
