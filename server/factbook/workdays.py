"""Which days and hours the site works: local days, the published calendar, then an estimate."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import chinese_calendar
import numpy as np
from numpy.typing import NDArray

from server.periods import MINUTE_MS, Interval, days_in
from server.series import Times
from server.site.model import Site

WARN_FROM_MONTH = 11
PUBLISHED, ESTIMATED, LOCAL = "published", "estimated", "local"


@dataclass(frozen=True, slots=True)
class DayType:
    """Whether a day is worked, and how well that is known (published, estimated, local)."""

    is_workday: bool
    state: str
    note: str = ""


def day_type(day: date, site: Site) -> DayType:
    """Give the type of a site day.

    Beyond the published calendar only statutory holidays are known, not 调休: `estimated`.
    """
    for local, is_workday in site.local_days:
        if local == day:
            return DayType(is_workday, LOCAL)
    try:
        is_holiday, name = chinese_calendar.get_holiday_detail(day)
    except NotImplementedError:
        import holidays  # loads slowly, and is for years not yet published

        calendar = holidays.country_holidays("CN", years=day.year)
        worked = day.weekday() < 5 and day not in calendar
        return DayType(worked, ESTIMATED, "国务院尚未公布或尚未收录该年安排")
    return DayType(not is_holiday, PUBLISHED, name or "")


def calendar_gap(today: date) -> int | None:
    """Give the year whose published calendar is missing though it should be there; None: none is.

    The State Council publishes a year's days in the October or November before it.
    """
    years = (today.year, today.year + 1) if today.month >= WARN_FROM_MONTH else (today.year,)
    for year in years:
        if _is_estimated(year):
            return year
    return None


def _is_estimated(year: int) -> bool:
    try:
        chinese_calendar.get_holiday_detail(date(year, 1, 1))
    except NotImplementedError:
        return True
    return False


def work_span(day: date, site: Site, grace_min: int = 0) -> Interval | None:
    """Give first start to last end of a workday's hours, widened by the grace; None if not worked.

    The midday break counts as work time: people stay in the building.
    """
    hours = site.hours_on(day)
    if not hours or not day_type(day, site).is_workday:
        return None
    first = min(h.start for h in hours)
    last = max(h.end for h in hours)
    grace = timedelta(minutes=grace_min)
    start, end = _at(day, first, site) - grace, _at(day, last, site) + grace
    return Interval(int(start.timestamp() * 1000), int(end.timestamp() * 1000))


def work_mask(edges_ms: Times, site: Site, grace_min: int = 0) -> NDArray[np.bool_]:
    """Say for each interval whether its middle lies in work time."""
    mask = np.zeros(max(0, len(edges_ms) - 1), bool)
    if not len(mask):
        return mask
    middle = edges_ms[:-1] + np.diff(edges_ms) // 2
    for day in days_in(Interval(int(edges_ms[0]), int(edges_ms[-1])), site.zone):
        span = work_span(day, site, grace_min)
        if span is not None:
            i, j = np.searchsorted(middle, [span.start_ms, span.end_ms])
            mask[i:j] = True
    return mask


def minute_of_day(times_ms: Times, site: Site) -> NDArray[np.int64]:
    """Give minutes since the site's midnight."""
    out = np.empty(len(times_ms), np.int64)
    if not len(times_ms):
        return out
    span = Interval(int(times_ms[0]), int(times_ms[-1]) + 1)
    for day in days_in(span, site.zone):
        midnight = int(_at(day, time(0), site).timestamp() * 1000)
        after = int(_at(day + timedelta(days=1), time(0), site).timestamp() * 1000)
        i, j = np.searchsorted(times_ms, [midnight, after])
        out[i:j] = (times_ms[i:j] - midnight) // MINUTE_MS
    return out


def _at(day: date, at: time, site: Site) -> datetime:
    return datetime.combine(day, at, tzinfo=site.zone)
