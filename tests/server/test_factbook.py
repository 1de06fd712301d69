"""Facts have papers: dated, sourced, verified or not; days and bands are exact."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from contract.errors import ConfigError
from server.factbook.load import load_factbook
from server.factbook.workdays import day_type, work_mask, work_span
from server.metrics.equivalent import total_kgce
from server.periods import QUARTER_MS, Step, day_interval, edges
from tests.server.small_site import SITE, at

BOOK = load_factbook()


def test_a_period_uses_the_latest_factor_of_its_own_region() -> None:
    row = BOOK.factor("kgco2_per_kwh", date(2026, 6, 1), "湖南")
    assert row is not None
    assert (row.id, row.value) == ("co2-hunan-2022", 0.49)
    early = BOOK.factor("kgco2_per_kwh", date(2021, 6, 1), "湖南")
    assert early is not None
    assert early.value == 0.5138
    assert BOOK.factor("kgco2_per_kwh", date(2019, 1, 1), "湖南") is None


def test_the_worked_example_of_a_public_institution_comes_out() -> None:
    quantities = [
        (12_500, 0.1229), (2_000, 0.7143), (12_340 * 0.725, 1.4714), (4_200 * 0.83, 1.4571),
        (6_000, 1.2143),
    ]  # fmt: skip
    assert total_kgce(quantities) / 1000 == pytest.approx(28.49, abs=0.01)


@pytest.mark.parametrize(
    ("moment", "band"),
    [
        ("2025-07-31T12:30", "peak"),  # the old table
        ("2025-08-01T12:30", "valley"),  # from this day on
        ("2026-03-02T05:45", "valley"),
        ("2026-03-02T06:00", "flat"),
        ("2026-03-02T15:45", "flat"),
        ("2026-03-02T16:00", "peak"),
        ("2026-07-02T19:45", "peak"),
        ("2026-07-02T20:00", "sharp"),
        ("2026-01-02T21:45", "sharp"),
        ("2026-01-02T22:00", "peak"),
    ],
)
def test_every_quarter_lies_in_the_band_of_its_day(moment: str, band: str) -> None:
    start = at(moment)
    grid = np.array([start, start + QUARTER_MS], np.int64)
    assert BOOK.bands("hunan-tou", grid, SITE.zone).bands[0] == band


def test_a_flat_day_pays_the_flat_price() -> None:
    row = BOOK.tariff("hunan-tou", date(2026, 3, 2))
    assert row is not None
    prices = [row.price_of(row.band_at(3, m)) for m in range(1440)]
    assert sum(prices) / 1440 == row.price_of("flat")


def test_rows_of_ones_own_may_not_overlap(tmp_path: Path) -> None:
    (tmp_path / "tariffs.yaml").write_text(
        "- {id: mine, tariff: hunan-tou, carrier: electricity, valid_from: 2026-01-01,"
        " valid_to: 2027-01-01, price_yuan: '0.6', source: 供电合同, verified: true}\n",
        "utf-8",
    )
    with pytest.raises(ConfigError, match="hunan-tou-2025 and mine"):
        load_factbook(tmp_path)


def test_a_row_without_a_source_is_refused(tmp_path: Path) -> None:
    (tmp_path / "factors.yaml").write_text(
        "- {id: x, key: k, region: 全国, valid_from: 2026-01-01,"
        " value: 1, unit: u, verified: true}\n"
    )
    with pytest.raises(ConfigError, match="source"):
        load_factbook(tmp_path)


@pytest.mark.parametrize(
    ("day", "is_workday", "state"),
    [
        (date(2026, 2, 14), True, "published"),
        (date(2026, 2, 17), False, "published"),
        (date(2027, 10, 1), False, "estimated"),
        (date(2027, 3, 3), True, "estimated"),
        (date(2026, 3, 1), True, "local"),
    ],
)
def test_days_are_known_published_estimated_or_local(
    day: date,
    is_workday: bool,
    state: str,
) -> None:
    found = day_type(day, SITE)
    assert (found.is_workday, found.state) == (is_workday, state)


def test_the_work_span_has_grace_and_no_midday_hole() -> None:
    span = work_span(date(2026, 3, 2), SITE, 30)
    assert span is not None
    assert (span.start_ms, span.end_ms) == (at("2026-03-02T07:30"), at("2026-03-02T18:00"))
    day = day_interval(date(2026, 3, 2), SITE.zone)
    mask = work_mask(edges(day, Step.QUARTER, SITE.zone), SITE, 30)
    assert mask.sum() == (18 - 7.5) * 4
    assert work_span(date(2026, 3, 7), SITE) is None


def test_money_is_decimal() -> None:
    row = BOOK.tariff("hengnan-water", date(2026, 1, 1))
    assert row is not None
    assert row.price_of("flat") == Decimal("3.49")
