"""What the report is composed from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from server.delivery import Proof
from server.factbook.book import Factbook
from server.metrics.answer import Answer
from server.site.model import Site


@dataclass(frozen=True, slots=True)
class AlertStatistic:
    """Alerts of one rule over the span: how many, how many are over, what they wasted."""

    title: str
    count: int
    resolved: int
    hours: float
    excess: float
    unit: str
    yuan: Decimal | None
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EndUse:
    """One end use and its energy."""

    code: str
    name: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class ReportInputs:
    """Everything the energy section needs; answers by metric id.

    first_on, last_on: first and last day covered; is_whole_year: nothing of the year is ahead.
    deliveries: of every agent that was heard of, whether its readings of the span arrived.
    previous: the same span a year before; entered: facts people typed in, by slot name.
    """

    site: Site
    factbook: Factbook
    year: int
    first_on: date
    last_on: date
    is_whole_year: bool
    answers: Mapping[str, Answer]
    previous: Mapping[str, Answer]
    buildings: Mapping[str, Mapping[str, Answer]]
    end_uses: tuple[EndUse, ...]
    alerts: tuple[AlertStatistic, ...]
    calendar_states: frozenset[str]
    entered: Mapping[str, str] = field(default_factory=dict)
    deliveries: tuple[Proof, ...] = ()
