"""Metrics by hand: sums, peaks, ratios, money; and what is not known is never zero."""

from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from server.factbook.load import load_factbook
from server.metrics.catalogue import METRICS, compute
from server.metrics.inputs import MetricInputs
from server.periods import Interval, day_interval
from server.rollup.model import Grade, Rollup
from tests.server.small_site import SITE, ZONE, flat

DAY = day_interval(date(2026, 3, 2), ZONE)
BOOK = load_factbook()


def inputs(
    rollups: dict[str, Rollup] | None = None,
    building: str | None = None,
    end_use: str | None = None,
    interval: Interval = DAY,
) -> MetricInputs:
    if rollups is None:
        rates = {"E0": 6.0, "E1": 3.5, "E2": 2.0, "E3": 0.5, "E4": 2.5, "W1": 0.1}
        rollups = {k: flat(k, interval, v) for k, v in rates.items()}
    return MetricInputs(SITE, interval, rollups, BOOK, building, end_use)


@pytest.mark.parametrize(
    ("metric", "building", "end_use", "expected"),
    [
        ("energy_kwh", None, None, 576),  # the site's own main, not the sum of everything
        ("energy_kwh", "a", None, 336),
        ("energy_kwh", None, "01B00", 192),
        ("energy_kwh", "a", "01A00", 48),
        ("volume_m3", "a", None, 9.6),
        ("peak_demand_kw", None, None, 24),
        ("baseload_kw", "a", None, 14),
        ("load_factor", None, None, 1),
        ("energy_per_area_kwh_per_m2", None, None, 576 / 1400),  # sealed area taken off
        ("energy_per_area_kwh_per_m2", "a", None, 0.336),
        ("energy_equivalent_kgce", None, None, 576 * 0.1229),
        ("intensity_kgce_per_person", None, None, 576 * 0.1229 / 75),
        ("carbon_kgco2", None, None, 576 * 0.49),
        ("water_per_person_m3", "a", None, 9.6 / 50),
        ("data_coverage_percent", None, None, 100),
    ],
)
def test_figures_come_out_as_by_hand(
    metric: str, building: str | None, end_use: str | None, expected: float
) -> None:
    answer = compute(metric, inputs(building=building, end_use=end_use))
    assert answer.value == pytest.approx(expected)
    assert answer.grade is Grade.MEASURED


def test_cost_is_each_band_at_its_price() -> None:
    # 6 kWh a quarter: 8 h valley at 0.33, 8 h flat at 0.75, 8 h peak at 1.17
    answer = compute("electricity_cost_yuan", inputs())
    assert answer.value == Decimal("432.00")
    assert answer.facts == ("hunan-tou-2025",)
    assert "未核实" in answer.caveats[0]


def test_a_year_without_a_tariff_has_no_cost() -> None:
    old = day_interval(date(2015, 3, 2), ZONE)
    answer = compute("electricity_cost_yuan", inputs(interval=old))
    assert answer.value is None
    assert answer.caveats


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_nothing_known_is_none_with_a_caveat_never_zero(metric: str) -> None:
    answer = compute(metric, inputs(rollups={}))
    assert answer.value is None
    assert answer.caveats


def test_holes_lower_the_coverage_and_the_grade() -> None:
    r = flat("E0", DAY, 6.0)
    r.values[:48], r.coverage[:48], r.grades[:48] = np.nan, 0.0, Grade.MISSING
    answer = compute("energy_kwh", inputs(rollups={"E0": r}))
    assert answer.value == 288
    assert answer.coverage == 0.5
    assert answer.grade is Grade.ESTIMATED
    assert any("50.0%" in c for c in answer.caveats)


def test_an_estimated_quarter_is_no_peak() -> None:
    r = flat("E0", DAY, 6.0)
    r.values[10], r.grades[10] = 500.0, Grade.ESTIMATED
    assert compute("peak_demand_kw", inputs(rollups={"E0": r})).value == 24


def test_every_number_names_its_meters_and_facts() -> None:
    answer = compute("carbon_kgco2", inputs())
    assert answer.sources == ("E0",)
    assert answer.facts == ("co2-hunan-2022",)
