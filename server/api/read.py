"""The reading half of the API: what pages and other programs ask."""

import json
from dataclasses import asdict
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, HTTPException, Path, Query, Response

from contract.measurand import MEASURANDS
from contract.reading import PointId
from server.access import Asked
from server.metrics.answer import Answer
from server.metrics.catalogue import METRICS
from server.periods import DAY_MS, Interval, Step
from server.rollup.model import Rollup
from server.rollup.places import place_key, places
from server.site.model import Carrier
from server.state import AlertRow

MAX_SPAN_MS = 800 * DAY_MS
From = Annotated[
    int, Query(alias="from", description="epoch ms, inclusive", examples=[1767225600000])
]
To = Annotated[int, Query(description="epoch ms, exclusive", examples=[1769904000000])]


router = APIRouter(prefix="/api/v1", tags=["read 查询"])


@router.get("/site", summary="大院档案 / the site")
def get_site(asked: Asked) -> dict[str, Any]:
    """Give the site."""
    site = asked.site
    return {
        "id": site.id,
        "name": site.name,
        "organization": site.organization,
        "buildings": [{"id": b.id, "name": b.name} for b in site.buildings],
        "meters": len(site.meters),
    }


@router.get("/meters", summary="计量表与最近读数 / meters and their last reading")
def get_meters(asked: Asked) -> list[dict[str, Any]]:
    """Give every meter and the newest word of its counter."""
    return [
        {
            "id": row.meter.id,
            "name": row.meter.name,
            "carrier": row.meter.carrier,
            "building": row.meter.building,
            "end_use": row.meter.end_use,
            "role": row.meter.role,
            "value": row.reading.value if row.reading else None,
            "quality": row.reading.reason.name.lower() if row.reading else "never_heard",
            "time_ms": row.reading.time_ms if row.reading else None,
        }
        for row in asked.meters()
    ]


@router.get("/readings", summary="原始读数 / readings of one point")
def get_readings(asked: Asked, device: str, measurand: str, start: From, to: To) -> dict[str, Any]:
    """Give one point's readings."""
    if measurand not in MEASURANDS and measurand != "lag_s":
        raise HTTPException(422, f"expected a measurand of the contract, got {measurand}")
    point = PointId(asked.site.id, device, measurand)
    series = asked.works.store.read_series(point, interval(start, to))
    return {"times_ms": series.times_ms.tolist(), "values": series.values.tolist()}


@router.get("/rollups", summary="用量汇总 / consumption per interval of one meter")
def get_rollups(asked: Asked, meter: str, step: Step, start: From, to: To) -> dict[str, Any]:
    """Give one meter's consumption per interval; null where missing."""
    if meter not in {m.id for m in asked.site.meters}:
        raise HTTPException(404, f"expected a meter of the site, got {meter}")
    span = interval(start, to)
    r = asked.works.store.read_rollups(asked.site, [meter], step, span)[meter]
    return {
        "starts_ms": r.starts_ms.tolist(),
        "values": [None if np.isnan(v) else v for v in r.values.tolist()],
        "coverage": r.coverage.tolist(),
        "grades": r.grades.tolist(),
    }


@router.get("/series", summary="多表用量序列 / consumption per interval of several meters")
def get_series(
    asked: Asked,
    meters: Annotated[str, Query(examples=["E01,E02"], description="ids, comma between")],
    step: Step,
    start: From,
    to: To,
    detail: bool = False,
) -> Response:
    """Give several meters on one grid; null where missing; coverage and grades with `detail`.

    Keys of places (`<place>:electricity`, `<place>:water`) are taken too.
    """
    keys = meters.split(",")
    known = {m.id for m in asked.site.meters}
    known |= {place_key(p, c) for p in places(asked.site) for c in Carrier}
    unknown = sorted(set(keys) - known)
    if unknown:
        raise HTTPException(404, f"expected meters of the site, got {', '.join(unknown)}")
    found = asked.works.store.read_rollups(asked.site, keys, step, interval(start, to))
    first = found[keys[0]]
    body: dict[str, Any] = {
        "starts_ms": first.starts_ms.tolist(),
        "values": {k: _values(found[k]) for k in keys},
    }
    if detail:
        body["coverage"] = {k: found[k].coverage.tolist() for k in keys}
        body["grades"] = {k: found[k].grades.tolist() for k in keys}
    # tens of thousands of numbers: written at once, not looked at one by one
    text = json.dumps(body, separators=(",", ":"), check_circular=False)
    return Response(text, media_type="application/json")


def _values(r: Rollup) -> list[float | None]:
    values: list[float | None] = r.values.tolist()
    for at in np.flatnonzero(np.isnan(r.values)).tolist():
        values[at] = None
    return values


@router.get("/metrics", summary="指标目录 / the catalogue of metrics")
def get_metrics() -> list[dict[str, str]]:
    """Give the catalogue."""
    return [
        {
            "id": m.id, "label": m.label_zh, "label_en": m.label_en,
            "unit": m.unit, "formula": m.formula,
        }
        for m in METRICS.values()
    ]  # fmt: skip


@router.get("/metrics/{metric}", summary="一个指标 / one metric of a place and span")
def get_metric(
    asked: Asked,
    metric: Annotated[str, Path(examples=["energy_kwh"])],
    start: From,
    to: To,
    building: str | None = None,
    end_use: str | None = None,
) -> dict[str, Any]:
    """Give one metric; null with a caveat where it is not known."""
    if metric not in METRICS:
        raise HTTPException(404, f"expected one of {', '.join(METRICS)}, got {metric}")
    if building is not None and building not in {b.id for b in asked.site.buildings}:
        raise HTTPException(404, f"expected a building of the site, got {building}")
    return answer_json(asked.answer(metric, interval(start, to), building, end_use))


@router.get("/alerts", summary="告警 / alerts that touch a span")
def get_alerts(asked: Asked, start: From = 0, to: To = 2**53) -> list[dict[str, Any]]:
    """Give alerts, newest first."""
    return [alert_json(a) for a in asked.works.state.alerts(start, to)]


@router.get("/delivery", summary="送达回执 / delivery receipts since an instant")
def get_delivery(asked: Asked, start: From = 0) -> list[dict[str, Any]]:
    """Give the agents' delivery receipts."""
    return [asdict(r) for r in asked.receipts(start)]


def interval(start_ms: int, end_ms: int) -> Interval:
    """Give a request's span; 422 when it is none, or too long."""
    if end_ms < start_ms or end_ms - start_ms > MAX_SPAN_MS:
        expected = f"from <= to, at most {MAX_SPAN_MS // DAY_MS} days apart"
        raise HTTPException(422, f"expected {expected}, got {start_ms} and {end_ms}")
    return Interval(start_ms, end_ms)


def answer_json(a: Answer) -> dict[str, Any]:
    """Give an answer with its papers."""
    return {
        "metric": a.metric,
        "value": None if a.value is None else float(a.value),
        "unit": a.unit,
        "coverage": round(a.coverage, 6),
        "grade": a.grade.name.lower(),
        "caveats": list(a.caveats),
        "sources": list(a.sources),
        "facts": list(a.facts),
    }


def alert_json(a: AlertRow) -> dict[str, Any]:
    """Give an alert."""
    return {**asdict(a), "yuan": None if a.yuan is None else float(a.yuan), "phase": a.phase}
