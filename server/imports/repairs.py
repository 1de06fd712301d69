"""Readings by hand, bills and load curves from CSV or Excel → repairs to be entered."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from server.imports.table import Table
from server.state.books import NewRepair, RepairKind

READINGS = {"meter": "表", "time": "时间", "register": "读数"}
BILLS = {"meter": "表", "start": "起", "end": "止", "quantity": "数量", "yuan": "金额"}
CURVE = {"meter": "表", "start": "起", "end": "止", "quantity": "数量"}


def read_readings(
    path: Path, meters: frozenset[str], zone: ZoneInfo, who: tuple[str, str]
) -> list[NewRepair]:
    """Give hand readings, one repair a meter.  who: (reason, author)."""
    table = Table(path, READINGS)
    found: dict[str, list[list[float]]] = {}
    for number, row in table.rows(["meter", "time", "register"]):
        meter = _meter(table, number, row, meters)
        at = table.moment(number, "time", row.get("time", ""), zone)
        value = table.number(number, "register", row.get("register", ""))
        if meter and at is not None and value is not None:
            found.setdefault(meter, []).append([at, value])
    table.close()
    return [
        NewRepair(
            RepairKind.READING, meter, int(rows[0][0]), int(rows[-1][0]) + 1, {"readings": rows},
            *who,
        )
        for meter, rows in ((m, sorted(r)) for m, r in found.items())
    ]  # fmt: skip


def read_bills(
    path: Path, meters: frozenset[str], zone: ZoneInfo, who: tuple[str, str]
) -> list[NewRepair]:
    """Give bills, one repair each: a quantity, and what it cost, for [start, end)."""
    table = Table(path, BILLS)
    out = []
    for number, row in table.rows(["meter", "start", "end", "quantity"]):
        span = _span(table, number, row, meters, zone)
        yuan = _amount(table, number, "yuan", row["yuan"]) if "yuan" in row else None
        if span is not None:
            content = {"quantity": span[3]} | ({} if yuan is None else {"yuan": yuan})
            out.append(NewRepair(RepairKind.BILL, span[0], span[1], span[2], content, *who))
    table.close()
    return out


def read_curve(
    path: Path, meters: frozenset[str], zone: ZoneInfo, who: tuple[str, str]
) -> list[NewRepair]:
    """Give load curves, one repair a meter."""
    table = Table(path, CURVE)
    found: dict[str, list[tuple[int, int, str]]] = {}
    for number, row in table.rows(["meter", "start", "end", "quantity"]):
        span = _span(table, number, row, meters, zone)
        if span is not None:
            found.setdefault(span[0], []).append(span[1:])
    for meter, rows in found.items():
        rows.sort()
        for (_, end, _), (start, _, _) in pairwise(rows):
            if start < end:
                got = f"intervals of {meter} that overlap"
                table.wrong("起", "intervals one after the other", got, "remove the doubles")
                break
    table.close()
    return [
        NewRepair(
            RepairKind.CURVE, meter, rows[0][0], rows[-1][1],
            {"intervals": [list(r) for r in rows]}, *who,
        )
        for meter, rows in found.items()
    ]  # fmt: skip


def _meter(table: Table, number: int, row: Mapping[str, str], meters: frozenset[str]) -> str:
    meter = row.get("meter", "")
    if meter not in meters:
        table.wrong(
            f"row {number}, 表", "a real or billed meter of site.yaml", repr(meter), "mend it"
        )
        return ""
    return meter


def _span(
    table: Table, number: int, row: Mapping[str, str], meters: frozenset[str], zone: ZoneInfo
) -> tuple[str, int, int, str] | None:
    meter = _meter(table, number, row, meters)
    start = table.moment(number, "start", row.get("start", ""), zone)
    end = table.moment(number, "end", row.get("end", ""), zone)
    quantity = _amount(table, number, "quantity", row.get("quantity", ""))
    if start is not None and end is not None and end <= start:
        table.wrong(f"row {number}, 止", "a time after 起", row["end"], "correct it")
        return None
    if not meter or start is None or end is None or quantity is None:
        return None
    return meter, start, end, quantity


def _amount(table: Table, number: int, column: str, text: str) -> str | None:
    """Give a decimal that is not negative, as text: money and bills are not rounded."""
    try:
        value = Decimal(text.replace(",", ""))
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or value < 0:
        where = f"row {number}, {table.names[column]}"
        table.wrong(where, "a number >= 0", repr(text), "mend it")
        return None
    return str(value)
