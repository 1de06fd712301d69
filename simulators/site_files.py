"""site.yaml and the agents' agent.yaml for a served compound."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from simulators.layout import ORGANIZATION, PLACES, SITE, SITE_NAME, THERMOMETER, meters

SINCE = "2015-01-01"


def site_document() -> dict[str, Any]:
    """Give site.yaml as plain data."""
    return {
        "site": {
            "id": SITE, "name": SITE_NAME, "organization": ORGANIZATION,
            "timezone": "Asia/Shanghai", "region": "湖南",
        },
        "work_hours": ["08:00-12:00", "14:30-17:30"],
        "tariffs": {"electricity": "hunan-tou", "water": "hengnan-water"},
        "thermometer": THERMOMETER,
        "sealed_area_m2": [{"from": SINCE, "value": 0}],
        "buildings": [
            {
                "id": p.id, "name": p.name,
                "area_m2": [{"from": SINCE, "value": p.area_m2}],
                "people": [{"from": SINCE, "value": p.people}],
            }
            for p in PLACES
        ],
        "meters": [_meter(m) for m in meters()],
        "gates": [
            {"device": p.gate, "name": f"{p.name}大门", "building": p.id} for p in PLACES if p.gate
        ],
    }  # fmt: skip


def _meter(m: Any) -> dict[str, Any]:
    row = {
        "id": m.id, "name": m.name, "device": m.id, "measurand": m.measurand,
        "carrier": m.carrier, "role": m.role, "building": m.building, "end_use": m.end_use,
    }  # fmt: skip
    if m.parent:
        row["parent"] = m.parent
    if m.tags:
        row["tags"] = list(m.tags)
    return row


def write_site(folder: Path) -> Path:
    """Write site.yaml; give its path."""
    return _write(folder / "site.yaml", site_document())


def write_agent(
    folder: Path,
    agent: str,
    connections: Sequence[Mapping[str, Any]],
    devices: Sequence[Mapping[str, Any]],
    push: Mapping[str, Any],
    interval_s: int,
) -> Path:
    """Write one agent's file; give its path."""
    document = {
        "site": SITE,
        "agent": agent,
        "interval_s": interval_s,
        "outbox": {"path": f"./{agent}.outbox.db", "commit_interval_s": 1},
        "push": dict(push),
        "connections": [dict(c) for c in connections],
        "devices": [dict(d) for d in devices],
    }
    return _write(folder / f"{agent}.yaml", document)


def _write(path: Path, document: object) -> Path:
    path.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), "utf-8")
    return path
