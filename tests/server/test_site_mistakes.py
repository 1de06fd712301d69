"""Wrong site files: each mistake is told with key, expected, got and fix."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from contract.errors import ConfigError
from server.site.file import load_site

Document = dict[str, Any]
GOOD: Document = {
    "site": {"id": "yard", "name": "大院", "organization": "中心"},
    "buildings": [
        {"id": "hall", "name": "办公楼", "area_m2": [{"from": "2020-01-01", "value": 100}]},
        {"id": "town", "name": "镇政府", "scope": "ledger"},
    ],
    "areas": [
        {"id": "f1", "name": "一层", "building": "hall"},
        {"id": "f1a", "name": "西侧", "building": "hall", "parent": "f1"},
    ],
    "meters": [
        {"id": "E1", "name": "总表", "device": "E1", "measurand": "energy_import_kwh",
         "carrier": "electricity", "role": "main", "building": "hall", "end_use": "01000"},
        {"id": "E2", "name": "分表", "device": "E2", "measurand": "energy_import_kwh",
         "carrier": "electricity", "role": "sub", "building": "hall", "end_use": "01B00",
         "parent": "E1", "area": "f1"},
        {"id": "V1", "name": "虚表", "kind": "virtual", "expression": "E1 - E2",
         "carrier": "electricity", "role": "sub", "building": "hall", "end_use": "01D60"},
        {"id": "R1", "name": "其他", "kind": "residual", "of": "E1",
         "carrier": "electricity", "role": "sub", "building": "hall", "end_use": "01D60"},
        {"id": "B1", "name": "镇政府电费", "kind": "billed", "carrier": "electricity",
         "role": "main", "building": "town", "end_use": "01000"},
        {"id": "W1", "name": "水表", "device": "W1", "measurand": "volume_m3", "carrier": "water",
         "role": "main", "building": "hall", "end_use": "02000"},
    ],
}  # fmt: skip


def meter(number: int, **changes: Any) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        document["meters"][number].update(changes)

    return change


def at(path: str, value: Any) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        *keys, last = path.split(".")
        here: Any = document
        for key in keys:
            here = here[int(key)] if isinstance(here, list) else here[key]
        if isinstance(here, list):
            here[int(last)] = value
        else:
            here[last] = value

    return change


def swaps(*days: int) -> list[dict[str, Any]]:
    return [{"at": f"2026-03-0{d}T10:00", "closing": 5, "opening": 0} for d in days]


CORRECTIONS = [
    {"from": "2026-03-01", "to": "2026-03-05", "factor": 2, "reason": "缺相"},
    {"from": "2026-03-04", "factor": 2, "reason": "缺相"},
]
MISTAKES: dict[str, tuple[Callable[[Document], None], str, str]] = {
    "unknown building": (meter(0, building="nowhere"), "meters.0.building", "nowhere"),
    "unknown parent": (meter(1, parent="E9"), "meters.1.parent", "E9"),
    "parent of another carrier": (meter(1, parent="W1"), "meters.1.parent", "a water meter"),
    "circle of parents": (meter(0, parent="E2"), "meters.0.parent", "E1 lies below itself"),
    "double meter id": (meter(1, id="E1"), "meters", "'E1' 2 times"),
    "double building id": (at("buildings.1.id", "hall"), "buildings", "'hall' 2 times"),
    "double area id": (at("areas.1.id", "f1"), "areas", "'f1' 2 times"),
    "building named as the site": (at("buildings.0.id", "yard"), "buildings.0.id", "yard"),
    "two meters on one register": (meter(1, device="E1"), "meters.1.device", "as E1 has"),
    "unknown meter in an expression": (
        meter(2, expression="E1 + E9"), "meters.2.expression", "E9",
    ),
    "minus without spaces": (meter(2, expression="E1-E2"), "meters.2.expression", "need spaces"),
    "two scopes in one sum": (meter(2, expression="E1 + B1"), "meters.2.expression", "ledger"),
    "two carriers in one sum": (meter(2, expression="E1 + W1"), "meters.2.expression", "water"),
    "expression with a call": (
        meter(2, expression="exec(E1)"), "meters.2.expression", "function call exec(",
    ),
    "expression with an attribute": (
        meter(2, expression="E1.__class__ + 1 kW"), "meters.2.expression", "E1.__class__",
    ),
    "expression with a string": (
        meter(2, expression="'rm' + E1"), "meters.2.expression", "got \"'\"",
    ),
    "expression with a power": (meter(2, expression="E1 ** 2"), "meters.2.expression", "got '*'"),
    "meters multiplied": (meter(2, expression="E1 * E2"), "meters.2.expression", "two meters"),
    "division by zero": (meter(2, expression="E1 / 0"), "meters.2.expression", "other than 0"),
    "constant without unit": (meter(2, expression="E1 + 5"), "meters.2.expression", "unit"),
    "bracket left open": (meter(2, expression="(E1 + E2"), "meters.2.expression", "close the"),
    "empty expression": (meter(2, expression=" "), "meters.2.expression", "got the end"),
    "expression of itself": (meter(2, expression="E1 + V1"), "meters.2.expression", "itself"),
    "residual without subs": (meter(3, of="W1", carrier="water"), "meters.3.of", "W1"),
    "residual of nothing known": (meter(3, of="E9"), "meters.3.of", "E9"),
    "virtual meter with a device": (meter(2, device="E7"), "meters.2", "has no device"),
    "real meter without a device": (meter(0, device=None), "meters.0", "needs device"),
    "billed meter with a ratio": (meter(4, ratio=40), "meters.4", "has no register"),
    "counter that is none": (meter(0, measurand="voltage_a_v"), "meters.0.measurand", "voltage"),
    "water counter on electricity": (
        meter(0, measurand="volume_m3"), "meters.0.measurand", "volume_m3 on electricity",
    ),
    "power meter with a rollover": (
        meter(0, measurand="power_kw", rollover=1000), "meters.0", "power_kw",
    ),
    "exchanges out of order": (meter(0, replacements=swaps(2, 1)), "meters.0.replacements", "sort"),
    "exchange twice at once": (meter(0, replacements=swaps(1, 1)), "meters.0.replacements", "once"),
    "negative closing reading": (
        meter(0, replacements=[{"at": "2026-03-01T10:00", "closing": -1, "opening": 0}]),
        "meters.0.replacements.0.closing", "-1",
    ),
    "overlapping corrections": (
        meter(0, corrections=CORRECTIONS), "meters.0.corrections.1", "none overlapping",
    ),
    "correction without a reason": (
        meter(0, corrections=[{"from": "2026-03-01", "factor": 2, "reason": ""}]),
        "meters.0.corrections.0.reason", "1 character",
    ),
    "ratio rows out of order": (
        meter(0, ratio=[{"from": "2026-03-01", "value": 2}, {"from": "2025-03-01", "value": 1}]),
        "meters.0.ratio", "sort",
    ),
    "ratio of zero": (meter(0, ratio=0), "meters.0.ratio", "greater than 0"),
    "until before since": (
        meter(0, since="2026-03-01", until="2026-02-01"), "meters.0.until", "2026-02-01",
    ),
    "unknown area": (meter(1, area="f9"), "meters.1.area", "f9"),
    "area of another building": (meter(5, area="f1", building="town"), "meters.5.area", "town"),
    "area within itself": (at("areas.0.parent", "f1a"), "areas.0.parent", "within itself"),
    "area under another building's": (
        at("areas.1.building", "town"), "areas.1.parent", "f1 in hall",
    ),
    "sealed spans that overlap": (
        at("areas.0.sealed", [{"from": "2026-01-01"}, {"from": "2026-02-01"}]),
        "areas.0.sealed", "none overlapping",
    ),
    "areas of a building out of order": (
        at("buildings.0.area_m2", [{"from": "2024-01-01", "value": 1},
                                   {"from": "2023-01-01", "value": 2}]),
        "buildings.0.area_m2", "sort",
    ),
    "negative area": (at("buildings.0.area_m2.0.value", -5), "buildings.0.area_m2.0.value", "-5"),
    "unknown scope": (at("buildings.1.scope", "world"), "buildings.1.scope", "world"),
    "unknown zone": (at("site.timezone", "Mars/Olympus"), "site.timezone", "IANA"),
    "hours that overlap": (
        at("work_hours", ["08:00-12:00", "11:00-17:00"]), "work_hours.1", "11:00",
    ),
    "hour that is none": (at("work_hours", ["08:00-25:00"]), "work_hours.0", "25:00"),
    "season from a day that is none": (
        at("seasons", [{"from": "02-30", "to": "10-01", "work_hours": ["08:00-12:00"]}]),
        "seasons.0.from", "02-30",
    ),
    "season of no day": (
        at("seasons", [{"from": "05-01", "to": "05-01", "work_hours": ["08:00-12:00"]}]),
        "seasons.0.to", "05-01",
    ),
    "season with hours that overlap": (
        at("seasons", [
            {"from": "05-01", "to": "10-01", "work_hours": ["08:00-12:00", "11:00-18:00"]}
        ]),
        "seasons.0.work_hours.1", "11:00",
    ),
    "balance limit of nothing": (at("balance", {"limit_percent": 0}), "balance.limit", "0"),
    "key that is none": (at("site.colour", "red"), "site.colour", "no such key"),
    "no meters": (at("meters", []), "meters", "at least 1"),
    "gate of no building": (
        at("gates", [{"device": "G1", "name": "门", "building": "x"}]), "gates.0.building", "x",
    ),
}  # fmt: skip


def written(folder: Path, document: Document) -> Path:
    path = folder / "site.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
    return path


def test_the_file_without_a_mistake_is_right(tmp_path: Path) -> None:
    assert len(load_site(written(tmp_path, GOOD)).meters) == len(GOOD["meters"])


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named(name: str, tmp_path: Path) -> None:
    change, key, said = MISTAKES[name]
    document = copy.deepcopy(GOOD)
    change(document)
    with pytest.raises(ConfigError) as caught:
        load_site(written(tmp_path, document))
    problems = caught.value.problems
    here = [p for p in problems if p.key.startswith(key)]
    assert here, [(p.key, p.got) for p in problems]
    text = " ".join(f"{p.expected} {p.got} {p.fix}" for p in here)
    assert said in text, text
    assert all(p.fix and p.file.endswith("site.yaml") for p in here)
