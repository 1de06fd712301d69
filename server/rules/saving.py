"""What closing an alert saved: excess a day before and after, like days compared.  Pure."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from server.rules.model import Bools
from server.series import Values

ENOUGH_DAYS, LAST_DAYS = 14, 28
_LEAST_OF_A_CLASS = 2


class ProofState(StrEnum):
    """How sure a saving is."""

    ESTIMATED = "estimated"  # 估算
    VERIFIED = "verified"  # the whole range lies above zero, over two weeks or more
    NOT_SHOWN = "not_shown"  # after four weeks the range still holds zero


@dataclass(frozen=True, slots=True)
class Saving:
    """Saved over the days compared, with its 95 % range, in the unit of the excess."""

    saved: float
    low: float
    high: float
    days_before: int
    days_after: int
    state: ProofState


def saving(before: Values, after: Values, work_before: Bools, work_after: Bools) -> Saving | None:
    """Compare excess a day (n,) before and after, NaN unknown, workdays and others each with their
    like; None where no class of days has two days on either side.

    Welch's range: variances of the two sides are not held to be equal.
    """
    saved = variance = freedom = 0.0
    days = [0, 0]
    for is_work in (True, False):
        b = before[(work_before == is_work) & ~np.isnan(before)]
        a = after[(work_after == is_work) & ~np.isnan(after)]
        if min(len(a), len(b)) < _LEAST_OF_A_CLASS:
            continue
        saved += len(a) * float(b.mean() - a.mean())
        variance += len(a) ** 2 * float(b.var(ddof=1) / len(b) + a.var(ddof=1) / len(a))
        freedom += min(len(a), len(b)) - 1
        days = [days[0] + len(b), days[1] + len(a)]
    if not days[1]:
        return None
    reach = _t95(freedom) * variance**0.5
    low, high = saved - reach, saved + reach
    return Saving(saved, low, high, days[0], days[1], _state(low, len(after), days[1]))


def _state(low: float, days_passed: int, days_known: int) -> ProofState:
    if low > 0 and days_known >= ENOUGH_DAYS:
        return ProofState.VERIFIED
    return ProofState.NOT_SHOWN if days_passed >= LAST_DAYS else ProofState.ESTIMATED


def _t95(freedom: float) -> float:
    """Give Student's two-sided 95 % quantile, within 1 % from three degrees of freedom on."""
    f = max(freedom, 1.0)
    return float(1.96 + 2.372 / f + 2.82 / f**2 + 2.55 / f**3 + 3.0 / f**4)
