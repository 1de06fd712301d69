"""Verdicts: what the pipeline says beside what the simulator knows.  Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Span = tuple[str, int, int]  # meter, start_ms, end_ms
EDGE_MS = 30 * 60_000  # a span may begin or end this much beside the truth and still be its alert


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the verdict: what was compared, both sides, and whether it holds."""

    title: str
    found: str
    truth: str
    holds: bool


@dataclass(frozen=True, slots=True)
class MeterCheck:
    """One meter's consumption: pipeline against truth, and the step its counter allows."""

    meter: str
    found: float | None
    truth: float
    step: float

    @property
    def error(self) -> float:
        """Give the absolute difference; infinite where the pipeline knows nothing."""
        return float("inf") if self.found is None else abs(self.found - self.truth)

    @property
    def holds(self) -> bool:
        """Say whether the difference is within one counter step (and float rounding)."""
        return self.error <= self.step + 1e-9 * max(1.0, abs(self.truth))


def energy_check(title: str, unit: str, meters: Sequence[MeterCheck]) -> Check:
    """Sum up per-meter checks: all must hold, and there must be some."""
    wrong = [m for m in meters if not m.holds]
    known = [m.found for m in meters if m.found is not None]
    found = f"{sum(known):,.2f} {unit}" if known else "—"
    if wrong:
        worst = max(wrong, key=lambda m: m.error / m.step)
        found += f"（{len(wrong)} 块不符，如 {worst.meter} 差 {worst.error:.4g}）"
    steps = max((m.error / m.step for m in meters), default=float("nan"))
    truth = f"{sum(m.truth for m in meters):,.2f} {unit} · 最大偏差 {steps:.2f} 步"
    title = f"{title} · {len(meters)} 块表逐块核对（所列为各表之和）"
    return Check(title, found, truth, bool(meters) and not wrong)


@dataclass(frozen=True, slots=True)
class Match:
    """How alerts and wastes pair up: wastes found, wastes missed, alerts without a waste."""

    found: int
    missed: tuple[Span, ...]
    stray: tuple[Span, ...]


def match(alerts: Iterable[Span], wastes: Iterable[Span]) -> Match:
    """Pair alerts with wastes of the same meter that they overlap."""
    alert_list, waste_list = list(alerts), list(wastes)
    by_meter: dict[str, list[Span]] = {}
    for span in alert_list:
        by_meter.setdefault(span[0], []).append(span)
    missed = tuple(w for w in waste_list if not _overlaps_any(w, by_meter.get(w[0], [])))
    truths: dict[str, list[Span]] = {}
    for span in waste_list:
        truths.setdefault(span[0], []).append(span)
    stray = tuple(a for a in alert_list if not _overlaps_any(a, truths.get(a[0], [])))
    return Match(len(waste_list) - len(missed), missed, stray)


def _overlaps_any(span: Span, others: Sequence[Span]) -> bool:
    return any(s < span[2] + EDGE_MS and span[1] - EDGE_MS < e for _, s, e in others)


def alert_check(title: str, result: Match, wastes: int) -> Check:
    """Every waste must have its alert, and every alert its waste."""
    found = f"{result.found} 件" + (f"，误报 {len(result.stray)}" if result.stray else "，无误报")
    return Check(title, found, f"{wastes} 件", not result.missed and not result.stray)


def slot_gaps(times_ms: Sequence[int], interval_ms: int) -> tuple[int, int]:
    """Give (missing, doubled) slots of a series between its first and last slot."""
    if not len(times_ms):
        return 0, 0
    times = np.sort(np.asarray(times_ms, dtype=np.int64))
    unique = np.unique(times)
    expected = int((unique[-1] - unique[0]) // interval_ms) + 1
    return expected - len(unique), len(times) - len(unique)


def rates(counts: Mapping[str, int]) -> str:
    """Give counts as one short line."""
    return " · ".join(f"{k} {v:,}" for k, v in counts.items())
