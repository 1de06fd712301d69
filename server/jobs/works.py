"""What every job needs."""

from collections.abc import Callable
from dataclasses import dataclass

from server.factbook.book import Factbook
from server.periods import Interval, day_interval, day_of
from server.rules.model import Rule
from server.site.model import Site
from server.state import State
from server.store.protocol import Store

Report = Callable[[float], None]


def silent(_: float) -> None:
    """Report progress to nobody."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What telling needs: no readings, so it works beside a running server."""

    state: State
    site: Site
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Works:
    """The running parts."""

    store: Store
    state: State
    site: Site
    factbook: Factbook
    rules: tuple[Rule, ...]

    @property
    def desk(self) -> Desk:
        """Give the parts that telling needs."""
        return Desk(self.state, self.site, self.rules)


def whole_days(interval: Interval, site: Site) -> Interval:
    """Give the whole site days that an interval touches."""
    first = day_interval(day_of(interval.start_ms, site.zone), site.zone)
    last = day_interval(day_of(max(interval.start_ms, interval.end_ms - 1), site.zone), site.zone)
    return Interval(first.start_ms, last.end_ms)
