"""What a metric is computed from, and which meters stand for what."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from server.factbook.book import Factbook
from server.periods import Interval, day_of
from server.rollup.combine import combine
from server.rollup.model import Rollup
from server.site.model import Building, Carrier, Dated, Meter, Role, Scope, Site, value_on


@dataclass(frozen=True, slots=True)
class MetricInputs:
    """One place and interval: the site, or a building, or an end use of either.

    rollups: 15-minute rollups by meter id, all on the same grid over the interval.
    """

    site: Site
    interval: Interval
    rollups: Mapping[str, Rollup]
    factbook: Factbook
    building: str | None = None
    end_use: str | None = None

    def meters(self, carrier: Carrier) -> tuple[Meter, ...]:
        """Give the meters whose sum stands for the place: never a main and its subs together.

        For an end use the sub meters; for a building its mains; for the site its own main, or
        the mains of its buildings when it has none.
        """
        site = self.site
        if self.end_use is not None:
            return site.meters_of(
                carrier, building=self.building, role=Role.SUB, end_use=self.end_use
            )
        place = self.building or site.id
        mains = site.meters_of(carrier, building=place, role=Role.MAIN)
        if mains or self.building is not None:
            return mains
        return tuple(m for m in site.meters_of(carrier, role=Role.MAIN) if m.parent is None)

    def rollup(self, carrier: Carrier) -> Rollup | None:
        """Give the place's rollup; None when it has no meter, or one without rollups."""
        parts = [self.rollups[m.id] for m in self.meters(carrier) if m.id in self.rollups]
        if not parts or not len(parts[0].values):
            return None
        return combine(self.building or self.site.id, parts)

    def area_m2(self) -> float | None:
        """Give the floor area at the end of the interval, sealed areas taken off for the site."""
        total = self._dated(lambda b: b.area_m2)
        if total is None or self.building is not None:
            return total
        return total - self.site.sealed_m2(self._last_day())

    def people(self) -> float | None:
        """Give the people who use energy here 用能人数, at the end of the interval."""
        return self._dated(lambda b: b.people)

    def _dated(self, rows_of: Callable[[Building], Sequence[Dated]]) -> float | None:
        compound = self.site.buildings_in(Scope.COMPOUND)
        buildings = compound if self.building is None else [self.site.building(self.building)]
        values = [value_on(rows_of(b), self._last_day()) for b in buildings]
        known = [v for v in values if v is not None]
        return sum(known) if known and len(known) == len(values) else None

    def _last_day(self) -> date:
        return day_of(self.interval.end_ms - 1, self.site.zone)
