"""Consumption of plain counter files: what `compound-server consumption` computes.  Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np

from server.periods import HOUR_MS, Interval, Step, edges
from server.rollup.combine import coarsen, total
from server.rollup.interval import rollup
from server.rollup.model import Grade, Rollup
from server.rollup.track import FOREVER_MS, Counting
from server.series import Series
from server.site.model import Replacement

USUAL, UNUSUAL, FEW_STEPS = 0.9, 20.0, 3
MOST = 1e12
HEADER = ("meter", "start", "value", "coverage", "grade")


@dataclass(frozen=True, slots=True)
class Settings:
    """How a file is to be read.

    rollover: the register's width; max_power: the most it can count an hour, in the file's unit;
    None: neither is known, and what is believed is taken from the file's own steps.
    """

    step: Step
    zone: ZoneInfo
    rollover: float | None
    max_spacing_ms: int
    max_power: float | None = None


def consumption(
    meter: str, series: Series, replacements: tuple[Replacement, ...], settings: Settings
) -> Rollup:
    """Give a meter's consumption on the whole steps its readings touch."""
    times = [*series.times_ms.tolist(), *(r.at_ms for r in replacements)]
    span = Interval(min(times), max(times))
    fine_edges = np.unique(
        np.concatenate(
            [edges(span, settings.step, settings.zone), np.array([span.start_ms, span.end_ms])]
        )
    )
    fine = rollup(
        meter, series, fine_edges, settings.step,
        how=_counting(series, replacements, settings), zone=settings.zone,
    )  # fmt: skip
    return coarsen(fine, edges(span, settings.step, settings.zone), settings.step)


def _counting(
    series: Series, replacements: tuple[Replacement, ...], settings: Settings
) -> Counting:
    """Say how to read a register nothing is known of: steps far beyond the usual are not believed.

    The usual is the step, and the rate, that nine in ten of the rising steps do not exceed.
    """
    max_power, slack = settings.max_power, 0.0
    steps, spans = np.diff(series.values), np.diff(series.times_ms)
    rising = steps > 0
    if max_power is None:
        max_power = MOST
        if np.count_nonzero(rising) > FEW_STEPS:
            rates = steps[rising] / spans[rising] * HOUR_MS
            max_power = UNUSUAL * float(np.quantile(rates, USUAL, method="lower"))
            slack = UNUSUAL * float(np.median(steps[rising]))
    return Counting(
        widths=((FOREVER_MS, settings.rollover),), replacements=replacements,
        max_power=max_power, slack=slack, max_spacing_ms=settings.max_spacing_ms,
    )  # fmt: skip


def rows(r: Rollup, zone: ZoneInfo) -> Iterator[tuple[str, str, str, str, str]]:
    """Give the output rows: local start with offset, value (empty: missing), coverage, grade."""
    for start_ms, value, coverage, grade in zip(
        r.starts_ms.tolist(), r.values.tolist(), r.coverage.tolist(), r.grades.tolist(), strict=True
    ):
        local = datetime.fromtimestamp(start_ms / 1000, UTC).astimezone(zone)
        shown = "" if np.isnan(value) else repr(round(value, 9))
        yield r.meter, local.isoformat(), shown, f"{coverage:.4f}", Grade(grade).name.lower()


def summary(found: Mapping[str, Rollup]) -> Iterator[tuple[str, str, str, str]]:
    """Give (meter, total, coverage, grade) of each meter."""
    for meter, r in found.items():
        value, coverage, grade = total(r)
        shown = "—" if value is None else f"{value:,.6g}" if value < 1 else f"{value:,.3f}"
        yield meter, shown, f"{coverage:.1%}", grade.name.lower()
