"""The whitelist: false alarms feed it, and hours in which use is expected are judged false."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from server.factbook.workdays import minute_of_day
from server.periods import DAY_MS, Interval, day_interval, days_in
from server.rules.model import Bools, Judgement, Truth
from server.site.model import Site
from server.state import AlertRow
from server.state.alerts import ALL_DAYS, Action, Alerts, WhitelistEntry
from server.state.life import WHITELIST_REASONS


def entry_of(alert: AlertRow, reason: str, by: str, now_ms: int, zone: ZoneInfo) -> WhitelistEntry:
    """Give the expected use a false alarm speaks of: its own hours, every day, from now on.

    The weekly cleaning is expected on its own weekday; what lasted a day or longer, at all hours.
    """
    end_ms = now_ms if alert.end_ms is None else alert.end_ms
    begins, ends = (datetime.fromtimestamp(ms / 1000, zone) for ms in (alert.start_ms, end_ms))
    first, last = begins.hour * 60 + begins.minute, ends.hour * 60 + ends.minute
    if end_ms - alert.start_ms >= DAY_MS:
        first, last = 0, 1440
    is_weekly = reason == "weekly_cleaning"
    return WhitelistEntry(
        rule=alert.rule, meter=alert.meter, reason=reason, from_ms=now_ms, by=by,
        weekdays=str(begins.isoweekday()) if is_weekly else ALL_DAYS,
        from_minute=first, to_minute=last or 1440, alert_id=alert.id,
    )  # fmt: skip


def without_expected(j: Judgement, entries: Sequence[WhitelistEntry], site: Site) -> Judgement:
    """Give a judgement that is false, without excess, where an entry says that use is expected."""
    if not entries or not len(j.truth):
        return j
    hidden = np.zeros(len(j.truth), bool)
    for entry in entries:
        hidden |= covered(entry, j, site)
    truth = np.where(hidden & (j.truth == Truth.TRUE), np.int8(Truth.FALSE), j.truth)
    excess = np.where(hidden, 0.0, j.excess)
    return Judgement(j.edges_ms, truth, j.threshold, j.floor, excess)


def covered(entry: WhitelistEntry, j: Judgement, site: Site) -> Bools:
    """Say for each interval whether an entry covers its start; a night belongs to its evening."""
    starts = j.edges_ms[:-1]
    until = np.iinfo(np.int64).max if entry.until_ms is None else entry.until_ms
    minute = minute_of_day(starts, site)
    a, b = entry.from_minute, entry.to_minute
    evening, morning = (minute >= a) & ((minute < b) | (b <= a)), (minute < b) & (b <= a)
    named, named_before = np.zeros(len(starts), bool), np.zeros(len(starts), bool)
    for day in days_in(Interval(int(starts[0]), int(starts[-1]) + 1), site.zone):
        whole = day_interval(day, site.zone)
        i, k = np.searchsorted(starts, [whole.start_ms, whole.end_ms])
        named[i:k] = str(day.isoweekday()) in entry.weekdays
        named_before[i:k] = str((day - timedelta(days=1)).isoweekday()) in entry.weekdays
    in_hours = (evening & named) | (morning & named_before)
    return np.asarray((starts >= entry.from_ms) & (starts < until) & in_hours)


def act_on(
    inbox: Alerts, number: int, action: Action | str, by: str, now_ms: int, zone: ZoneInfo,
    *, feeds: bool = True, **detail: Any,
) -> AlertRow:  # fmt: skip
    """Take a step of an alert's life; a false alarm for a lasting reason feeds the whitelist."""
    row = inbox.act(number, action, by, now_ms, **detail)
    reason = str(detail.get("reason", ""))
    if feeds and action == Action.FALSE_ALARM and reason in WHITELIST_REASONS:
        inbox.allow(entry_of(row, reason, by, now_ms, zone), now_ms)
    return row
