"""A site of two buildings, and rollups made by hand for it."""

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import numpy as np

from server.periods import Interval, Step, edges
from server.rollup.model import Grade, Rollup
from server.site.model import Building, Carrier, Dated, Gate, Meter, Role, Site, WorkHours

ZONE = ZoneInfo("Asia/Shanghai")


def at(text: str) -> int:
    """Give epoch ms of a site time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp() * 1000)


def _meter(meter: str, building: str, role: Role, end_use: str, *tags: str) -> Meter:
    return Meter(
        meter, f"表{meter}", meter, "energy_import_kwh", Carrier.ELECTRICITY, role, building,
        end_use, tags=frozenset(tags),
    )  # fmt: skip


SITE = Site(
    "s",
    "示例大院",
    "示例机关事务和接待中心",
    ZONE,
    (
        Building("a", "甲楼", (Dated(date(2020, 1, 1), 1000.0),), (Dated(date(2020, 1, 1), 50.0),)),
        Building("b", "乙楼", (Dated(date(2020, 1, 1), 500.0),), (Dated(date(2020, 1, 1), 25.0),)),
    ),
    (
        _meter("E0", "s", Role.MAIN, "01000"),
        _meter("E1", "a", Role.MAIN, "01000"),
        _meter("E2", "a", Role.SUB, "01B00"),
        _meter("E3", "a", Role.SUB, "01A20", "lighting"),
        _meter("E4", "b", Role.MAIN, "01000"),
        Meter("W1", "水表", "W1", "volume_m3", Carrier.WATER, Role.MAIN, "a", "02000"),
    ),
    gates=(Gate("G1", "大门", "a"),),
    work_hours=(WorkHours(time(8), time(12)), WorkHours(time(14, 30), time(17, 30))),
    electricity_tariff="hunan-tou",
    water_tariff="hengnan-water",
    sealed_area_m2=(Dated(date(2020, 1, 1), 100.0),),
    local_days=((date(2026, 3, 1), True),),
)


def flat(meter: str, interval: Interval, per_quarter: float) -> Rollup:
    """Give a rollup of the same consumption in every quarter."""
    grid = edges(interval, Step.QUARTER, ZONE)
    n = len(grid) - 1
    return Rollup(
        meter, Step.QUARTER, grid, np.full(n, per_quarter), np.ones(n),
        np.full(n, Grade.MEASURED, np.int8),
    )  # fmt: skip
