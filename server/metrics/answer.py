"""An answer: a number with its unit and its papers."""

from dataclasses import dataclass, field
from decimal import Decimal

from server.periods import Interval
from server.rollup.model import Grade


@dataclass(frozen=True, slots=True)
class Answer:
    """One metric over one interval; `value is None` means not known, never zero.

    sources: ids of the meters the value was computed from; facts: factbook rows used.
    """

    metric: str  # id in the catalogue
    interval: Interval
    value: float | Decimal | None
    unit: str
    coverage: float
    grade: Grade
    caveats: tuple[str, ...] = ()
    sources: tuple[str, ...] = field(default=())
    facts: tuple[str, ...] = field(default=())
