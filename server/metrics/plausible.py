"""The checks a statistics office makes: unit price, year on year, area and people.  Pure.

Source of the checks: review practice of the public-institution statistics (单价审核, 同比审核,
areas and people that change by more than a tenth).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from server.site.model import Carrier, Scope, Site, value_on

PRICE_BANDS = {
    Carrier.ELECTRICITY: (Decimal("0.30"), Decimal("1.50")),
    Carrier.WATER: (Decimal("1.0"), Decimal("8.0")),
}
YEAR_ON_YEAR = 0.20
DENOMINATOR_CHANGE = 0.10


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something a reviewer would ask about."""

    subject: str
    text: str


def doubt_price(subject: str, carrier: Carrier, quantity: Decimal, yuan: Decimal) -> Doubt | None:
    """Doubt a bill whose price per kWh or m³ is out of the band."""
    low, high = PRICE_BANDS[carrier]
    if not quantity:
        return Doubt(subject, "数量为 0 而有费用 / a cost without a quantity") if yuan else None
    price = yuan / quantity
    if low <= price <= high:
        return None
    text = f"单价 {price:.4f} 元/{carrier.unit}，应在 {low}～{high} / unit price out of band"
    return Doubt(subject, text)


def doubt_year(subject: str, now: float | None, before: float | None) -> Doubt | None:
    """Doubt a quantity that changed by more than a fifth on the year before."""
    if now is None or not before:
        return None
    change = now / before - 1
    if abs(change) <= YEAR_ON_YEAR:
        return None
    return Doubt(
        subject, f"同比 {change:+.1%} / changed by more than {YEAR_ON_YEAR:.0%} on a year ago"
    )


def doubt_places(site: Site, year: int) -> Iterator[Doubt]:
    """Doubt areas and people that changed by more than a tenth within a year."""
    first, last = date(year - 1, 12, 31), date(year, 12, 31)
    for building in site.buildings:
        for rows, zh, en in (
            (building.area_m2, "建筑面积", "floor area"), (building.people, "用能人数", "people"),
        ):  # fmt: skip
            old, new = value_on(rows, first), value_on(rows, last)
            if old and new is not None and abs(new / old - 1) > DENOMINATOR_CHANGE:
                change = new / old - 1
                yield Doubt(
                    building.id,
                    f"{building.name}{zh} {old:g} → {new:g}（{change:+.1%}）"
                    f" / {en} changed by more than {DENOMINATOR_CHANGE:.0%}",
                )
        if building.scope is Scope.COMPOUND and not building.area_m2:
            yield Doubt(building.id, f"{building.name}缺建筑面积 / no floor area")
