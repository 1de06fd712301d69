"""Kinds for the measuring itself: silent, frozen, implausible, clock, gate.  Pure.

Data that is not there is what they are about: they are never unknown where they can be asked.
"""

from collections.abc import Mapping

import numpy as np

from server.rules.model import Bools, Evidence, Judgement, Learned
from server.rules.windows import judged, trailing_min

P = Mapping[str, float]


def _told(e: Evidence, is_true: Bools, is_known: Bools | None = None) -> Judgement:
    n = e.power.shape[-1]
    known = np.ones(n, bool) if is_known is None else is_known
    zero = np.zeros(n)
    return judged(e, is_true, known, zero, zero, needs_power=False, above=zero)


def silent(p: P, e: Evidence, learned: Learned) -> Judgement:
    """Judge intervals without any reading; one that spoke at some time is asked."""
    del p, learned
    return _told(e, np.nan_to_num(e.series("coverage")) <= 0)


def frozen(p: P, e: Evidence, learned: Learned) -> Judgement:
    """Judge a meter whose power has read exactly the same, and not nothing, for long."""
    del learned
    shown = e.series("gauge_kw")
    width = max(1, round(p["same_min"] / 15))
    change = np.abs(np.diff(shown, axis=-1, prepend=np.nan))
    same = np.where(np.isnan(change), 0.0, (change <= p["least_change"]).astype(np.float64))
    return _told(e, (trailing_min(same, width) > 0) & (shown > p["least"]), ~np.isnan(shown))


def implausible(p: P, e: Evidence, learned: Learned) -> Judgement:
    """Judge load that the place can never draw, or that runs backwards."""
    del learned
    most = e.series("max_power") * p["times_most"]
    wrong = (e.power > most) | (e.power < -p["least"])
    return _told(e, wrong, ~np.isnan(e.power))


def clock(p: P, e: Evidence, learned: Learned) -> Judgement:
    """Judge an agent's clock that is off the server's."""
    del learned
    offset = np.abs(e.series("clock_offset_s"))
    return _told(e, offset > p["most_s"], ~np.isnan(offset))


def gate_silent(p: P, e: Evidence, learned: Learned) -> Judgement:
    """Judge a gate that says nothing."""
    del p, learned
    if e.occupancy is None:
        return _told(e, np.zeros(e.power.shape, bool))
    there = np.ones((1,), bool) if e.has_gate is None else e.has_gate
    return _told(e, np.isnan(e.occupancy) & there)
