"""The ledger of office buildings 办公用房台账 and the list of meters 计量表清单 → site.yaml.

Rows add to a site document: a new area or number of people becomes a dated row, a known meter is
brought up to date, nothing is ever removed.
"""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from server.imports.table import Table, write_xlsx

LEDGER = {
    "id": "编号", "name": "名称", "area_m2": "建筑面积", "people": "用能人数", "from": "生效日期",
    "scope": "范围",
}  # fmt: skip
METERS = {
    "id": "编号", "name": "名称", "kind": "类型", "device": "设备", "channel": "回路",
    "measurand": "被测量", "carrier": "能源", "role": "层级", "building": "建筑", "area": "区域",
    "end_use": "分项编码", "parent": "上级表", "expression": "表达式", "of": "差值总表",
    "ratio": "倍率", "rollover": "量程", "max_power": "最大功率",
}  # fmt: skip
SCOPES = {"大院": "compound", "台账": "ledger"}
KINDS = {"实表": "real", "虚表": "virtual", "差值": "residual", "账单": "billed"}
CARRIERS = {"电": "electricity", "水": "water"}
ROLES = {"总表": "main", "分表": "sub"}
_CHOICES = {"kind": KINDS, "carrier": CARRIERS, "role": ROLES}
_NUMBERS = ("ratio", "rollover", "max_power")
_DEFAULT_MEASURAND = {"electricity": "energy_import_kwh", "water": "volume_m3"}
_EXAMPLES = {
    "办公用房台账": (LEDGER, (
        ("office", "办公楼", 8600, 210, "2015-01-01", "大院"),
        ("town01", "某某镇政府", 3200, 64, "2015-01-01", "台账"),
    )),
    "计量表清单": (METERS, (
        ("E01", "办公楼总表", "实表", "E01", "", "energy_import_kwh", "电", "总表", "office", "",
         "01000", "", "", "", 40, 999999.99, 400),
        ("E02", "空调一路", "实表", "E02", "", "energy_import_kwh", "电", "分表", "office", "",
         "01B00", "E01", "", "", "", "", ""),
        ("E01-R", "办公楼其他", "差值", "", "", "", "电", "分表", "office", "", "01D60", "E01", "",
         "E01", "", "", ""),
    )),
}  # fmt: skip


def write_templates(folder: Path) -> list[Path]:
    """Write the two Excel templates, with example rows; give their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for title, (names, examples) in _EXAMPLES.items():
        path = folder / f"{title}.xlsx"
        write_xlsx(path, title, [list(names.values()), *examples])
        paths.append(path)
    return paths


def with_ledger(document: dict[str, Any], path: Path, default_from: date) -> dict[str, Any]:
    """Give a site document with the ledger's buildings; ConfigError names every bad cell."""
    table = Table(path, LEDGER)
    buildings = {b["id"]: dict(b) for b in document.get("buildings", [])}
    for number, row in table.rows(["id", "name"]):
        building = buildings.setdefault(row.get("id", ""), {"id": row.get("id", "")})
        building["name"] = row.get("name", building.get("name", ""))
        if "scope" in row:
            building["scope"] = table.choice(number, "scope", row["scope"], SCOPES)
        valid_from = default_from
        if "from" in row:
            valid_from = table.day(number, "from", row["from"]) or default_from
        for key in ("area_m2", "people"):
            value = table.number(number, key, row[key]) if key in row else None
            if value is not None:
                building[key] = _dated(building.get(key, []), valid_from, value)
    table.close()
    return {**document, "buildings": list(buildings.values())}


def _dated(rows: list[Mapping[str, Any]], valid_from: date, value: float) -> list[dict[str, Any]]:
    """Add a dated row; a value that already holds then adds nothing."""
    known = [{**r, "from": date.fromisoformat(str(r["from"]))} for r in rows]
    before = [r for r in known if r["from"] <= valid_from]
    if before and before[-1]["value"] == value:
        return known
    kept = [r for r in known if r["from"] != valid_from]
    return sorted([*kept, {"from": valid_from, "value": value}], key=lambda r: r["from"])


def with_meters(document: dict[str, Any], path: Path) -> dict[str, Any]:
    """Give a site document with the list's meters; ConfigError names every bad cell."""
    table = Table(path, METERS)
    meters = {m["id"]: dict(m) for m in document.get("meters", [])}
    for number, row in table.rows(["id", "name", "carrier", "role", "building", "end_use"]):
        meter = meters.setdefault(row.get("id", ""), {"id": row.get("id", "")})
        for key, text in row.items():
            if key in _CHOICES:
                meter[key] = table.choice(number, key, text, _CHOICES[key])
            elif key in _NUMBERS:
                meter[key] = table.number(number, key, text)
            else:
                meter[key] = text
        if meter.get("kind", "real") == "real" and "measurand" not in meter:
            meter["measurand"] = _DEFAULT_MEASURAND.get(str(meter.get("carrier")), "")
    table.close()
    return {**document, "meters": list(meters.values())}
