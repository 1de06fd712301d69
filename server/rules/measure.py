"""Measure: what a rule said beside what was so.  Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from server.periods import MINUTE_MS
from server.rules.engine import AlertSpan
from server.rules.model import Bools
from server.series import Times

EDGE_MS = 30 * MINUTE_MS  # an alert may begin or end this much beside its waste
Spans = Sequence[tuple[int, int]]


@dataclass(slots=True)
class Score:
    """Wastes and alerts counted; amounts in kWh or m³; NaN where nothing can be said."""

    wastes: int = 0
    found: int = 0
    alerts: int = 0
    right: int = 0
    minutes: list[float] = field(default_factory=list)
    flagged: float = 0.0

    @property
    def precision(self) -> float:
        """Give the share of alerts that are right."""
        return self.right / self.alerts if self.alerts else float("nan")

    @property
    def recall(self) -> float:
        """Give the share of wastes that were told."""
        return self.found / self.wastes if self.wastes else float("nan")

    @property
    def minutes_to_alarm(self) -> float:
        """Give the median time from a waste's beginning to its alert's firing."""
        return median(self.minutes) if self.minutes else float("nan")


def measure(found: Sequence[AlertSpan], truth: Spans, end_ms: int) -> Score:
    """Pair alerts with wastes that they overlap; end_ms: where open alerts are cut."""
    score = Score(len(truth), 0, len(found), flagged=sum(a.excess for a in found))
    told: set[int] = set()
    for a in found:
        stop = end_ms if a.end_ms is None else a.end_ms
        met = [
            k for k, (s, e) in enumerate(truth) if a.start_ms < e + EDGE_MS and s - EDGE_MS < stop
        ]
        score.right += bool(met)
        for k in set(met) - told:
            told.add(k)
            score.minutes.append(max(0.0, (a.fired_ms - truth[k][0]) / MINUTE_MS))
    score.found = len(told)
    return score


def runs(here: Bools, edges_ms: Times) -> list[tuple[int, int]]:
    """Give the [start, end) of runs of true, (n,) over (n + 1,) edges."""
    cuts = np.flatnonzero(np.diff(here.astype(np.int8), prepend=0, append=0))
    return [
        (int(edges_ms[a]), int(edges_ms[b])) for a, b in zip(cuts[::2], cuts[1::2], strict=True)
    ]
