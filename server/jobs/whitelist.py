"""The whitelist applied: hours in which use is expected are judged false.  Pure."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from server.factbook.workdays import minute_of_day
from server.periods import Interval, day_interval, days_in
from server.rules.model import Bools, Judgement, Truth
from server.site.model import Site
from server.state.alerts import WhitelistEntry


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
