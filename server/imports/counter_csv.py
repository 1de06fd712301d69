"""Counter readings and meter exchanges from CSV files; every bad cell is told, all at once."""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from contract.errors import ConfigError, Problem
from server.rollup.counter import MOST
from server.series import Series
from server.site.model import Replacement

TIME, METER, VALUE = "time", "meter", "value"
SHOWN_PROBLEMS = 50
FIRST_YEAR, LAST_YEAR = 1970, 2200


@dataclass(slots=True)
class _Door:
    """Reads cells of one file and collects what is wrong with them."""

    path: Path
    zone: ZoneInfo
    problems: list[Problem] = field(default_factory=list)

    def rows(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Give (line number, cells by column)."""
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file)
                if reader.fieldnames is None or TIME not in reader.fieldnames:
                    got = ", ".join(reader.fieldnames or ()) or "an empty file"
                    self.wrong("line 1", "a header with the column time", got, "name the columns")
                    return
                names = [str(name).strip() for name in reader.fieldnames]
                doubles = sorted({name for name in names if names.count(name) > 1})
                if doubles:
                    self.wrong("line 1", "each column once", ", ".join(doubles), "rename one")
                    return
                for number, row in enumerate(reader, 2):
                    if None in row or None in row.values():
                        self.wrong(
                            f"line {number}", "as many cells as columns", "others", "mend it"
                        )
                        continue
                    yield number, {str(k).strip(): v.strip() for k, v in row.items()}
        except (OSError, UnicodeDecodeError) as error:
            self.wrong("(file)", "a readable UTF-8 file", str(error), "check path and encoding")

    def time_ms(self, number: int, text: str) -> int | None:
        """Give an instant; a time without offset is the zone's."""
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.wrong(f"line {number}, time", "an ISO 8601 time", repr(text), "2026-03-02 08:00")
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self.zone)
        if not FIRST_YEAR < moment.year < LAST_YEAR:
            self.wrong(f"line {number}, time", "a time from 1971 to 2199", repr(text), "mend it")
            return None
        return round(moment.timestamp() * 1000)

    def number(self, number: int, column: str, text: str) -> float | None:
        """Give a finite number that is not negative."""
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 <= value <= MOST:
            expected = f"a counter reading, 0 to {MOST:g}"
            self.wrong(f"line {number}, {column}", expected, repr(text), "mend it")
            return None
        return value

    def wrong(self, key: str, expected: str, got: str, fix: str) -> None:
        """Take note of a problem."""
        if len(self.problems) < SHOWN_PROBLEMS:
            self.problems.append(Problem(str(self.path), key, expected, got, fix))

    def close(self) -> None:
        """Raise what was found."""
        if self.problems:
            raise ConfigError(self.problems)


def read_counters(path: Path, zone: ZoneInfo) -> dict[str, Series]:
    """Give each meter's series: columns time,meter,value, or time and a column for each meter.

    An empty cell is a missing reading.  Rows may come in any order; of two readings of one time
    the later row counts.  ConfigError names file, line, column, expected, got, fix.
    """
    door = _Door(path, zone)
    found: dict[str, dict[int, float]] = {}
    for number, row in door.rows():
        time_ms = door.time_ms(number, row[TIME])
        cells = {row[METER]: row[VALUE]} if METER in row and VALUE in row else {
            k: v for k, v in row.items() if k != TIME
        }  # fmt: skip
        for meter, text in cells.items():
            value = door.number(number, meter, text) if text else None
            if value is not None and time_ms is not None:
                found.setdefault(meter, {})[time_ms] = value
    if not found and not door.problems:
        door.wrong("(whole file)", "readings", "none", "a column for each meter beside time")
    door.close()
    return {m: _series(readings) for m, readings in found.items()}


def _series(readings: dict[int, float]) -> Series:
    times = np.array(sorted(readings), np.int64)
    return Series(times, np.array([readings[int(t)] for t in times], np.float64))


def read_replacements(path: Path, zone: ZoneInfo) -> dict[str, tuple[Replacement, ...]]:
    """Give meter exchanges: columns time,meter,closing,opening."""
    door = _Door(path, zone)
    found: dict[str, list[Replacement]] = {}
    for number, row in door.rows():
        if not {METER, "closing", "opening"} <= set(row):
            door.wrong("line 1", "time,meter,closing,opening", ", ".join(row), "name the columns")
            break
        at_ms = door.time_ms(number, row[TIME])
        closing = door.number(number, "closing", row["closing"])
        opening = door.number(number, "opening", row["opening"])
        if at_ms is not None and closing is not None and opening is not None:
            found.setdefault(row[METER], []).append(Replacement(at_ms, closing, opening))
    door.close()
    return {m: tuple(sorted(rows, key=lambda r: r.at_ms)) for m, rows in found.items()}
