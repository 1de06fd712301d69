"""Evidence from a plain CSV file whose columns are named by the caller; every bad cell is told."""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from contract.errors import ConfigError, Problem
from server.factbook.workdays import day_type, minute_of_day, work_mask
from server.periods import Interval, Step, day_interval, day_of, days_in, edges, midnight_ms
from server.rules.model import Bools, Evidence
from server.rules.windows import percentile_before
from server.series import Series, Times, Values
from server.site.model import Carrier, Site

GRACE_MIN = 30
CO2_ABOVE_PPM = 150.0  # of the file's own night level: somebody is there
SHOWN_PROBLEMS = 50
LOADS = ("power", "flow", "light")
SERIES = {"temperature": "room_c", "outdoor": "outdoor_c", "reactive": "reactive_kvar"}


@dataclass(frozen=True, slots=True, eq=False)
class Plain:
    """A file as evidence: for each load column its carrier and evidence; truth (n,) per quarter."""

    evidence: Mapping[str, Evidence]
    truth: Bools
    has: frozenset[str]  # further series that are there

    @property
    def carriers(self) -> Mapping[str, Carrier]:
        """Give what each load column measures."""
        return {n: Carrier.WATER if n == "flow" else Carrier.ELECTRICITY for n in self.evidence}


def read_evidence(path: Path, columns: Mapping[str, str], site: Site) -> Plain:
    """Read a file; columns: what (time, truth, power, flow, presence …) → the file's column.

    Rows may lie any distance apart and are brought to quarters by their mean (presence: the most).
    ConfigError with every problem.
    """
    found = _series(path, columns, site)
    times = found["truth"].times_ms
    first = midnight_ms(day_of(int(times[0]), site.zone), site.zone)
    last = day_interval(day_of(int(times[-1]), site.zone), site.zone).end_ms
    grid = edges(Interval(first, last), Step.QUARTER, site.zone)
    shared = _calendar(grid, site)
    more = {SERIES[k]: means(s, grid) for k, s in found.items() if k in SERIES}
    presence = _presence(found, shared, grid)
    truth = np.nan_to_num(means(found["truth"], grid)) >= 0.5
    evidence = {
        name: Evidence(
            grid, means(found[name], grid), presence, shared.is_work_time, shared.minute,
            shared.is_workday, more=more,
        )
        for name in LOADS if name in found
    }  # fmt: skip
    return Plain(evidence, truth, frozenset(more))


def _calendar(grid: Times, site: Site) -> Evidence:
    n = len(grid) - 1
    is_workday = np.zeros(n, bool)
    for day in days_in(Interval(int(grid[0]), int(grid[-1])), site.zone):
        whole = day_interval(day, site.zone)
        i, j = np.searchsorted(grid[:-1], [whole.start_ms, whole.end_ms])
        is_workday[i:j] = day_type(day, site).is_workday
    work, minute = work_mask(grid, site, GRACE_MIN), minute_of_day(grid[:-1], site)
    return Evidence(grid, np.full(n, np.nan), None, work, minute, is_workday)


def _presence(found: Mapping[str, Series], shared: Evidence, grid: Times) -> Values | None:
    """Give persons by the presence column, else 1 or 0 by CO₂ above its own level at night."""
    if "presence" in found:
        return _most(found["presence"], grid)
    if "co2" not in found:
        return None
    ppm = means(found["co2"], grid)
    air = Evidence(grid, ppm, None, shared.is_work_time, shared.minute, shared.is_workday)
    night = (shared.minute < 300) | (shared.minute >= 1380)
    level = percentile_before(air, night, 25)[(grid[:-1] - grid[0]) // 86_400_000]
    known = ~np.isnan(ppm) & ~np.isnan(level)
    return np.where(known, (ppm > level + CO2_ABOVE_PPM).astype(np.float64), np.nan)


def means(series: Series, grid: Times) -> Values:
    """Give the mean of each interval, (n,); NaN where the file says nothing."""
    at = np.searchsorted(grid, series.times_ms, "right") - 1
    total = np.bincount(at, series.values, len(grid) - 1)[: len(grid) - 1]
    count = np.bincount(at, minlength=len(grid) - 1)[: len(grid) - 1]
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _most(series: Series, grid: Times) -> Values:
    out = np.full(len(grid) - 1, -np.inf)
    np.maximum.at(out, np.searchsorted(grid, series.times_ms, "right") - 1, series.values)
    return np.where(np.isinf(out), np.nan, out)


def _series(path: Path, columns: Mapping[str, str], site: Site) -> dict[str, Series]:
    problems: list[Problem] = []
    times: dict[str, list[int]] = {name: [] for name in columns}
    values: dict[str, list[float]] = {name: [] for name in columns}
    for number, row in _rows(path, columns, problems):
        when = _moment(row[columns["time"]], site)
        if when is None:
            got = repr(row[columns["time"]])
            key = f"line {number}, {columns['time']}"
            problems.append(Problem(str(path), key, "an ISO 8601 time", got, "2026-03-02 08:00"))
            continue
        for name, column in columns.items():
            text = row[column].strip()
            if name == "time" or not text:
                continue  # an empty cell is a missing value
            value = _number(text)
            if value is None:
                key = f"line {number}, {column}"
                problems.append(Problem(str(path), key, "a number", repr(text), "mend or empty it"))
                continue
            times[name].append(when)
            values[name].append(value)
    if not problems and not times["truth"]:
        problems.append(Problem(str(path), columns["truth"], "0 or 1 in rows", "none", "add them"))
    if problems:
        raise ConfigError(problems[:SHOWN_PROBLEMS])
    return {n: _sorted(times[n], values[n]) for n in columns if n != "time"}


def _sorted(times: list[int], values: list[float]) -> Series:
    index = np.argsort(np.array(times, np.int64), kind="stable")
    ordered = np.array(times, np.int64)[index]
    last = np.append(ordered[1:] != ordered[:-1], True)[: len(ordered)]
    return Series(ordered[last], np.array(values, np.float64)[index][last])


def _rows(
    path: Path, columns: Mapping[str, str], problems: list[Problem]
) -> list[tuple[int, dict[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            header = list(reader.fieldnames or ())
            missing = [c for c in columns.values() if c not in header]
            problems += [
                Problem(str(path), c, "a column of the file", ", ".join(header), "name it")
                for c in missing
            ]
            if missing:
                return []
            return [
                (number, {k: row[k] or "" for k in columns.values()})
                for number, row in enumerate(reader, 2)
            ]
    except UnicodeDecodeError as error:
        raise ConfigError(
            [Problem(str(path), "(file)", "UTF-8 text", str(error), "save it as UTF-8")]
        ) from error


def _moment(text: str, site: Site) -> int | None:
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=site.zone)
    if not 1970 < at.year < 2200:
        return None
    return round(at.timestamp() * 1000)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
