"""The same store on InfluxDB 2.x: line protocol in (influxdb-client), InfluxQL out (httpx).

Only what InfluxDB 2, InfluxDB 3 and openGemini share is used.  Raw measurements are the media of
the contract; rollups are `<carrier>_15m`, `_1h`, `_1d` with tags site, meter, building, end_use,
role and fields energy_kwh or volume_m3, coverage, grade.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import numpy as np
from influxdb_client import (
    BucketRetentionRules,
    InfluxDBClient,
    Permission,
    PermissionResource,
)
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

from contract.errors import DeliveryError
from contract.line import QUALITY_SUFFIX, LineError, parse_line, readings_of
from contract.measurand import MEASURANDS, Medium
from contract.reading import PointId, Reading, Reason
from server.periods import Interval, Step, edges
from server.rollup.model import Grade, Rollup
from server.series import Series
from server.site.model import Carrier, Meter, Site
from server.store.protocol import Receipt, WriteResult

VALUE_FIELD = {Carrier.ELECTRICITY: "energy_kwh", Carrier.WATER: "volume_m3"}
_RECEIPT = ("sequence_first", "sequence_last", "oldest_ms", "newest_ms", "readings_sent")
_CONTENT_ERRORS = frozenset({400, 422})
_BATCH = 5000


class InfluxStore:
    """Store on one bucket of an InfluxDB."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        scheme = "https" if parts.scheme.endswith("s") else "http"
        self._address = f"{scheme}://{parts.netloc}"
        self._bucket = parts.path.strip("/")
        self._org = parse_qs(parts.query).get("org", ["compound"])[0]
        self._client = InfluxDBClient(self._address, token, org=self._org, timeout=60_000)
        self._writer = self._client.write_api(write_options=SYNCHRONOUS)
        headers = {"Authorization": f"Token {token}"} if token else {}
        self._http = httpx.Client(base_url=self._address, headers=headers, timeout=60.0)

    def write_lines(self, body: bytes, precision: str = "ms") -> WriteResult:
        """Check lines against the contract, and write the good ones."""
        good, errors = [], []
        for number, line in enumerate(body.decode("utf-8", "replace").splitlines(), 1):
            if not line or line.startswith("#"):
                continue
            try:
                readings_of(parse_line(line, number, precision), number, line)
            except LineError as error:
                errors.append(str(error))
            else:
                good.append(line)
        for i in range(0, len(good), _BATCH):
            errors += self._write(good[i : i + _BATCH], precision)
        return WriteResult(len(good), tuple(errors))

    def read_series(self, point: PointId, interval: Interval) -> Series:
        """Give a point's values with start <= time < end."""
        known = MEASURANDS.get(point.measurand)  # lag_s stands beside every medium
        media = [known.medium] if known else list(Medium)
        where = f"site = {_text(point.site)} AND device = {_text(point.device)}"
        rows = self._select(
            f"SELECT {_name(point.measurand)} FROM {','.join(_name(m) for m in media)}"
            f" WHERE {where} AND {_during(interval)}"
        )
        pairs = [(r["time"], r[point.measurand]) for r in rows if r[point.measurand] is not None]
        if not pairs:
            return Series.empty()
        times, values = zip(*pairs, strict=True)
        return Series(np.array(times, np.int64), np.array(values, np.float64))

    def read_many(self, points: Sequence[PointId], interval: Interval) -> dict[PointId, Series]:
        """Give several points' values."""
        return {p: self.read_series(p, interval) for p in points}

    def read_last(self, site: str) -> Sequence[Reading]:
        """Give the newest reading of every point of a site, bad ones included."""
        newest: dict[PointId, dict[str, tuple[int, float]]] = {}
        for medium in Medium:
            query = (
                f"SELECT * FROM {_name(medium)} WHERE site = {_text(site)}"
                " GROUP BY device ORDER BY time DESC LIMIT 1"
            )
            for row in self._select(query):
                for field, value in row.items():
                    measurand = field.removesuffix(QUALITY_SUFFIX)
                    if measurand in MEASURANDS and value is not None:
                        point = PointId(site, row["device"], measurand)
                        kind = "reason" if field != measurand else "value"
                        newest.setdefault(point, {})[kind] = (row["time"], value)
        return [_last(p, found) for p, found in newest.items()]

    def read_receipts(self, site: str, since_ms: int) -> Sequence[Receipt]:
        """Give the delivery receipts sent at or after an instant, oldest first."""
        rows = self._select(
            f"SELECT * FROM {_name(Medium.DELIVERY)} WHERE site = {_text(site)}"
            f" AND time >= {since_ms}ms GROUP BY device"
        )
        receipts = [
            Receipt(agent=r["device"], sent_ms=r["time"], **{k: int(r[k]) for k in _RECEIPT})
            for r in rows
            if all(r.get(k) is not None for k in _RECEIPT)
        ]
        return sorted(receipts, key=lambda r: (r.sent_ms, r.agent))

    def write_rollups(self, site: Site, rollups: Sequence[Rollup]) -> None:
        """Write rollups; missing intervals are left out."""
        meters = {m.id: m for m in site.meters}
        lines = [ln for r in rollups for ln in rollup_lines(site, meters[r.meter], r)]
        for i in range(0, len(lines), _BATCH):
            errors = self._write(lines[i : i + _BATCH], "ms")
            if errors:
                raise DeliveryError(errors[0], permanent=True)

    def read_rollups(
        self, site: Site, meters: Sequence[str], step: Step, interval: Interval
    ) -> dict[str, Rollup]:
        """Give the rollups of meters on the step grid that covers the interval; gaps are NaN."""
        grid = edges(interval, step, site.zone)
        n = max(0, len(grid) - 1)
        by_id = {m.id: m for m in site.meters}
        out = {}
        for meter in meters:
            grades = np.full(n, Grade.MISSING, np.int8)
            r = Rollup(meter, step, grid, np.full(n, np.nan), np.zeros(n), grades)
            if n:
                span = Interval(int(grid[0]), int(grid[-1]))
                self._fill(site, by_id[meter], r, span)
            out[meter] = r
        return out

    def maintain(self) -> None:
        """Nothing: InfluxDB compacts by itself."""

    def close(self) -> None:
        """Release the connections."""
        self._http.close()
        self._client.close()

    def _fill(self, site: Site, meter: Meter, r: Rollup, span: Interval) -> None:
        field = VALUE_FIELD[meter.carrier]
        rows = self._select(
            f"SELECT {field}, coverage, grade FROM {_name(f'{meter.carrier}_{r.step}')}"
            f" WHERE site = {_text(site.id)} AND meter = {_text(meter.id)} AND {_during(span)}"
        )
        for row in rows:
            at = int(np.searchsorted(r.edges_ms, row["time"]))
            r.values[at], r.coverage[at] = row[field], row["coverage"]
            r.grades[at] = int(row["grade"])

    def _write(self, lines: Sequence[str], precision: str) -> list[str]:
        try:
            self._writer.write(self._bucket, self._org, "\n".join(lines), precision)
        except ApiException as error:
            if error.status in _CONTENT_ERRORS:
                return [_message(error.body)]
            raise DeliveryError(
                f"store answered {error.status}", permanent=error.status in {401, 403, 404}
            ) from error
        return []

    def _select(self, query: str) -> Iterator[dict[str, Any]]:
        """Give the rows of an InfluxQL SELECT: columns, tags of the group, time in epoch ms."""
        params = {"db": self._bucket, "q": query, "epoch": "ms"}
        try:
            answer = self._http.get("/query", params=params)
            answer.raise_for_status()
            result = answer.json()["results"][0]
        except (httpx.HTTPError, ValueError, LookupError) as error:
            raise DeliveryError(f"store does not answer: {error}", permanent=False) from error
        if "error" in result:
            raise DeliveryError(str(result["error"]), permanent=True)
        for series in result.get("series", ()):
            for values in series.get("values", ()):
                yield {
                    **series.get("tags", {}),
                    **dict(zip(series["columns"], values, strict=True)),
                }


def set_up(
    url: str, admin_token: str, org: str, bucket: str, retention_days: int, agents: Sequence[str]
) -> dict[str, str]:
    """Make the bucket if it is not there, a write-only token an agent, and a read-write one.

    Every bucket has a virtual DBRP mapping, so InfluxQL finds it as db=<bucket>.  Gives the
    tokens by name (`server` is the server's own); DeliveryError when InfluxDB refuses.
    """
    try:
        with InfluxDBClient(url, admin_token, org=org, timeout=30_000) as client:
            owner = client.organizations_api().find_organizations(org=org)[0]
            buckets = client.buckets_api()
            found = buckets.find_bucket_by_name(bucket)
            if found is None:
                rules = BucketRetentionRules(every_seconds=retention_days * 86_400)
                found = buckets.create_bucket(None, bucket, org=owner.id, retention_rules=rules)
            granted = dict.fromkeys(agents, ("write",)) | {"server": ("read", "write")}
            made = {}
            for name, actions in granted.items():
                resource = PermissionResource(type="buckets", id=found.id, org_id=owner.id)
                permissions = [Permission(action=a, resource=resource) for a in actions]
                authorization = client.authorizations_api().create_authorization(
                    owner.id, permissions
                )
                made[name] = str(authorization.token)
            return made
    except (ApiException, IndexError) as error:
        raise DeliveryError(f"InfluxDB refused the set-up: {error}", permanent=True) from error


def rollup_lines(site: Site, meter: Meter, r: Rollup) -> Iterator[str]:
    """Give a rollup as line protocol, missing intervals left out."""
    place = site.name if meter.building == site.id else site.building(meter.building).name
    tags = {
        "building": place, "end_use": meter.end_use, "meter": meter.id,
        "role": meter.role.value, "site": site.id,
    }  # fmt: skip
    head = f"{meter.carrier}_{r.step}," + ",".join(f"{k}={_tag(v)}" for k, v in tags.items())
    field = VALUE_FIELD[meter.carrier]
    known = ~np.isnan(r.values)
    rows = zip(
        r.values[known].tolist(),
        r.coverage[known].tolist(),
        r.grades[known].tolist(),
        r.starts_ms[known].tolist(),
        strict=True,
    )
    for value, coverage, grade, start_ms in rows:
        yield f"{head} {field}={value!r},coverage={coverage!r},grade={float(grade)!r} {start_ms}"


def _last(point: PointId, found: dict[str, tuple[int, float]]) -> Reading:
    time_ms, value = found.get("value", (-1, 0.0))
    reason_ms, code = found.get("reason", (-1, 0.0))
    reason = Reason(int(code)) if reason_ms >= time_ms else Reason.GOOD
    return Reading(point, max(time_ms, reason_ms), None if reason.is_bad else value, reason)


def _tag(text: str) -> str:
    return text.replace("\\", "\\\\").replace(" ", "\\ ").replace(",", "\\,").replace("=", "\\=")


def _name(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _during(interval: Interval) -> str:
    return f"time >= {interval.start_ms}ms AND time < {interval.end_ms}ms"


def _message(body: Any) -> str:
    try:
        return str(json.loads(body)["message"])[:500]
    except (ValueError, KeyError, TypeError):
        return str(body)[:500]
