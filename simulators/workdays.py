"""Which days the compound works: the published calendar, and Monday to Friday beyond it."""

from datetime import date
from functools import cache

import chinese_calendar


@cache
def is_workday(day: date) -> bool:
    """Say whether a day is worked, 调休 included."""
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:  # not published for that year
        return day.weekday() < 5
