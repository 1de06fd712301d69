"""Money: energy of each 15 minutes at the price of its band on its day, in Decimal."""

from decimal import ROUND_HALF_UP, Decimal

import numpy as np

from server.factbook.book import BANDS, TariffRow
from server.metrics.answer import Answer
from server.metrics.inputs import MetricInputs
from server.rollup.combine import total
from server.rollup.model import Rollup
from server.site.model import Carrier

FEN = Decimal("0.01")


def price_rollup(
    rollup: Rollup, tariff: str, inputs: MetricInputs
) -> tuple[Decimal, tuple[TariffRow, ...]] | None:
    """Give (元, tariff rows used) of a rollup's known intervals; None without a valid tariff."""
    priced = inputs.factbook.bands(tariff, rollup.edges_ms, inputs.site.zone)
    known = ~np.isnan(rollup.values)
    if not known.any() or (priced.row_of[known] < 0).any():
        return None
    yuan = Decimal(0)
    for i, row in enumerate(priced.rows):
        for band in BANDS:
            here = known & (priced.row_of == i) & (priced.bands == band)
            if here.any():
                quantity = Decimal(repr(round(float(rollup.values[here].sum()), 6)))
                yuan += quantity * row.price_of(band)
    return yuan.quantize(FEN, ROUND_HALF_UP), priced.rows


def cost(metric: str, carrier: Carrier, inputs: MetricInputs) -> Answer | None:
    """Give the cost of a place's electricity or water; None when it cannot be priced."""
    site = inputs.site
    tariff = site.electricity_tariff if carrier is Carrier.ELECTRICITY else site.water_tariff
    r = inputs.rollup(carrier)
    priced = price_rollup(r, tariff, inputs) if r is not None and tariff else None
    if r is None or priced is None:
        return None
    yuan, rows = priced
    _, coverage, grade = total(r)
    notes = tuple(f"电价行 {t.id}" + ("" if t.verified else "，未核实") for t in rows)
    if carrier is Carrier.WATER:
        notes = tuple(n.replace("电价", "水价") for n in notes)
    return Answer(
        metric, inputs.interval, yuan, "元", coverage, grade, notes,
        tuple(m.id for m in inputs.meters(carrier)), tuple(t.id for t in rows),
    )  # fmt: skip
