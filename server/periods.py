"""Half-open UTC intervals and the grids of site time laid over them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

import numpy as np

from server.series import Times

MINUTE_MS = 60_000
QUARTER_MS = 15 * MINUTE_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


class Step(StrEnum):
    """The lengths of intervals; days and months are those of the site."""

    QUARTER = "15m"
    HOUR = "1h"
    DAY = "1d"
    MONTH = "1mo"


KEPT_STEPS = (Step.QUARTER, Step.HOUR, Step.DAY)  # in the store; a month is the sum of its days


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """[start_ms, end_ms) in epoch milliseconds UTC."""

    start_ms: int
    end_ms: int

    def __post_init__(self) -> None:
        """Refuse an interval that ends before it starts."""
        if self.end_ms < self.start_ms:
            raise ValueError(f"interval ends before it starts: {self.start_ms} > {self.end_ms}")

    @property
    def hours(self) -> float:
        """Give the length in hours."""
        return (self.end_ms - self.start_ms) / HOUR_MS


def midnight_ms(day: date, zone: ZoneInfo) -> int:
    """Give the instant a day begins at the site, epoch ms."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)


def day_of(time_ms: int, zone: ZoneInfo) -> date:
    """Give the site's date at an instant."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(zone).date()


def day_interval(day: date, zone: ZoneInfo) -> Interval:
    """Give a day of the site."""
    return Interval(midnight_ms(day, zone), midnight_ms(day + timedelta(days=1), zone))


def month_interval(year: int, month: int, zone: ZoneInfo) -> Interval:
    """Give a calendar month of the site."""
    after = date(year + month // 12, month % 12 + 1, 1)
    return Interval(midnight_ms(date(year, month, 1), zone), midnight_ms(after, zone))


def year_interval(year: int, zone: ZoneInfo) -> Interval:
    """Give a calendar year of the site."""
    return Interval(midnight_ms(date(year, 1, 1), zone), midnight_ms(date(year + 1, 1, 1), zone))


def days_in(interval: Interval, zone: ZoneInfo) -> Iterator[date]:
    """Give every site day that the interval touches, in order."""
    day = day_of(interval.start_ms, zone)
    while midnight_ms(day, zone) < interval.end_ms:
        yield day
        day += timedelta(days=1)


def edges(interval: Interval, step: Step, zone: ZoneInfo) -> Times:
    """Give the (n + 1,) step edges, epoch ms, of the whole steps that cover the interval.

    Hours and quarters are laid from the site's midnight, so that zones with odd offsets come out
    right; days follow the site's calendar (23 and 25 hours long where clocks change).
    """
    days = [midnight_ms(d, zone) for d in days_in(interval, zone)]
    if not days:
        return np.empty(0, np.int64)
    last = day_interval(day_of(days[-1], zone), zone).end_ms
    if step is Step.DAY:
        return np.array([*days, last], np.int64)
    if step is Step.MONTH:
        months = dict.fromkeys((d.year, d.month) for d in days_in(interval, zone))
        whole = [month_interval(year, month, zone) for year, month in months]
        return np.array([*(m.start_ms for m in whole), whole[-1].end_ms], np.int64)
    width = QUARTER_MS if step is Step.QUARTER else HOUR_MS
    grid = np.arange(days[0], last + 1, width, dtype=np.int64)
    first = int(np.searchsorted(grid, interval.start_ms, "right")) - 1
    stop = int(np.searchsorted(grid, interval.end_ms, "left"))
    return grid[first : stop + 1]
