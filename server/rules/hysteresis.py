"""Where a condition is only just below its threshold: what fires goes on firing there.  Pure."""

import numpy as np

from server.rules.model import Bools, Evidence, Judgement, Rule

CLEAR_SHARE = 0.9  # of the threshold: below it an alert may resolve
_GATED = frozenset({"load_while_unoccupied", "load_outside_hours"})
_PLAIN = frozenset({"flow_never_zero", "demand"})


def near(rule: Rule, e: Evidence, j: Judgement) -> Bools | None:
    """Say where the load lies between the clearing and the firing threshold, (n,) as the judgement;
    None for kinds whose threshold is not one of the load itself.

    Where people are back, or work has begun, nothing is held.
    """
    kind = str(rule.kind)
    if kind not in _GATED | _PLAIN:
        return None
    i = int(np.searchsorted(e.edges_ms, j.edges_ms[0]))
    part = slice(i, i + len(j.truth))
    power = e.power[part]
    held = (power > CLEAR_SHARE * j.threshold) & (power <= j.threshold)
    if kind in _PLAIN:
        return np.asarray(held)
    counts = e.occupancy if kind == "load_while_unoccupied" else None
    empty = ~e.is_work_time[part] if counts is None else counts[part] == 0
    return np.asarray(held & empty)
