"""The factbook: factors, tariffs and codes as dated rows, each with its source.  Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from server.periods import DAY_MS, MINUTE_MS, days_in, midnight_ms
from server.periods import Interval as Span
from server.series import Times

MINUTES_A_DAY = 1440
BANDS = ("valley", "flat", "peak", "sharp")


@dataclass(frozen=True, slots=True)
class FactRow:
    """One dated fact and its papers."""

    id: str
    key: str
    region: str
    valid_from: date
    value: float
    unit: str
    source: str
    verified: bool


@dataclass(frozen=True, slots=True)
class Sharp:
    """Months and minutes of the day in which the sharp band replaces the others."""

    months: frozenset[int]
    from_minute: int
    to_minute: int


@dataclass(frozen=True, slots=True)
class TariffRow:
    """One dated tariff; `minute_bands` has a band for each minute of the day (empty: one price)."""

    id: str
    tariff: str
    valid_from: date
    valid_to: date
    price_yuan: Decimal
    fixed_yuan: Decimal
    ratios: Mapping[str, Decimal]
    minute_bands: tuple[str, ...]
    sharp: tuple[Sharp, ...]
    source: str
    verified: bool

    def price_of(self, band: str) -> Decimal:
        """Give the all-in price of a band, 元 per kWh or m³."""
        return self.price_yuan * self.ratios.get(band, Decimal(1)) + self.fixed_yuan

    def band_at(self, month: int, minute: int) -> str:
        """Give the band of a minute of the day."""
        for s in self.sharp:
            if month in s.months and s.from_minute <= minute < s.to_minute:
                return "sharp"
        return self.minute_bands[minute] if self.minute_bands else "flat"


@dataclass(frozen=True, slots=True)
class Priced:
    """The price of each interval and the rows used; NaN where no tariff is valid."""

    bands: NDArray[np.object_]
    rows: tuple[TariffRow, ...]
    row_of: NDArray[np.int64]  # index into rows, -1: none


@dataclass(frozen=True, slots=True)
class Factbook:
    """All rows."""

    factors: tuple[FactRow, ...]
    tariffs: tuple[TariffRow, ...]
    end_uses: Mapping[str, str] = field(default_factory=dict)

    def factor(self, key: str, day: date, region: str = "全国") -> FactRow | None:
        """Give the latest row that begins on or before a day: the region's own, else 全国's."""
        for where in (region, "全国"):
            rows = [
                f for f in self.factors
                if f.key == key and f.region == where and f.valid_from <= day
            ]  # fmt: skip
            if rows:
                return max(rows, key=lambda f: f.valid_from)
        return None

    def tariff(self, tariff: str, day: date) -> TariffRow | None:
        """Give the row of a tariff valid on a day."""
        for row in self.tariffs:
            if row.tariff == tariff and row.valid_from <= day < row.valid_to:
                return row
        return None

    def end_use_name(self, code: str) -> str:
        """Give the Chinese name of an end-use code; the code itself when it has none."""
        return self.end_uses.get(code, code)

    def bands(self, tariff: str, edges_ms: Times, zone: ZoneInfo) -> Priced:
        """Give the band and tariff row of each interval, by its start; whole 15 minutes or less.

        Bands begin and end on quarter hours in every row, so an interval lies in one band.
        """
        n = max(0, len(edges_ms) - 1)
        bands = np.full(n, "", dtype=object)
        row_of = np.full(n, -1, np.int64)
        rows: list[TariffRow] = []
        starts = edges_ms[:-1]
        for day in days_in(Span(int(edges_ms[0]), int(edges_ms[-1])), zone) if n else ():
            row = self.tariff(tariff, day)
            if row is None:
                continue
            if row not in rows:
                rows.append(row)
            midnight = midnight_ms(day, zone)
            i, j = np.searchsorted(starts, [midnight, midnight + DAY_MS])
            minutes = (starts[i:j] - midnight) // MINUTE_MS
            bands[i:j] = [row.band_at(day.month, int(m)) for m in minutes]
            row_of[i:j] = rows.index(row)
        return Priced(bands, tuple(rows), row_of)


def overlaps(rows: Sequence[TariffRow]) -> list[tuple[TariffRow, TariffRow]]:
    """Give pairs of rows of one tariff that are valid on the same day."""
    return [
        (a, b)
        for i, a in enumerate(rows)
        for b in rows[i + 1 :]
        if a.tariff == b.tariff and a.valid_from < b.valid_to and b.valid_from < a.valid_to
    ]
