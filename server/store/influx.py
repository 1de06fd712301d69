"""The same store on InfluxDB 2.x: line protocol in (influxdb-client), InfluxQL out (httpx).

Only what InfluxDB 2, InfluxDB 3 and openGemini share is used.  Raw measurements are the media of
the contract; rollups are `<carrier>_15m`, `_1h`, `_1d` and, for places, `<carrier>_place_…`, with
the tags of `tags` and the fields energy_kwh or volume_m3, coverage, grade.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
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
from contract.line import (
    END_OF_TIME_MS,
    LAG_FIELD,
    QUALITY_SUFFIX,
    LineError,
    parse_line,
    readings_of,
)
from contract.measurand import MEASURANDS, Medium
from contract.reading import PointId, Reading, Reason
from server.periods import DAY_MS, Interval, Step, edges
from server.rollup.model import Grade, Rollup
from server.series import Series, Times
from server.site.model import Site
from server.store.influxql import during, escaped, ident, literal, rollup_lines
from server.store.protocol import Receipt, WriteResult, Written
from server.store.receipts import is_delivery, receipts_of
from server.store.tags import named

_CONTENT_ERRORS = frozenset({400, 422})
_BATCH = 5000
_RECEIPTS_OVERLAP_MS = 5 * 60_000  # an agent's clock may be this far behind ours


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
        where = f"site = {literal(point.site)} AND device = {literal(point.device)}"
        rows = self._select(
            f"SELECT {ident(point.measurand)} FROM {','.join(ident(m) for m in media)}"
            f" WHERE {where} AND {during(interval)}"
        )
        pairs = [(r["time"], r[point.measurand]) for r in rows if r[point.measurand] is not None]
        return _series(pairs)

    def read_many(self, points: Sequence[PointId], interval: Interval) -> dict[PointId, Series]:
        """Give several points' values."""
        return {p: self.read_series(p, interval) for p in points}

    def read_doubts(
        self, points: Sequence[PointId], interval: Interval, reason: Reason
    ) -> dict[PointId, Times]:
        """Give when points were said to be doubtful for a reason, sorted; none: left out."""
        out: dict[PointId, Times] = {}
        for p in points:
            if p.measurand not in MEASURANDS:  # of a meter that has no device
                continue
            field = ident(p.measurand + QUALITY_SUFFIX)
            rows = self._select(
                f"SELECT {field} FROM {ident(MEASURANDS[p.measurand].medium)}"
                f" WHERE site = {literal(p.site)} AND device = {literal(p.device)}"
                f" AND {during(interval)} AND {field} = {int(reason)}"
            )
            if times := [r["time"] for r in rows]:
                out[p] = np.array(times, np.int64)
        return out

    def read_last(self, site: str) -> Sequence[Reading]:
        """Give the newest reading of every point of a site, bad ones included."""
        newest: dict[PointId, dict[str, tuple[int, float]]] = {}
        for medium in Medium:
            keys = self._select(f"SHOW FIELD KEYS FROM {ident(medium)}")
            for field in sorted(str(row["fieldKey"]) for row in keys):
                measurand = field.removesuffix(QUALITY_SUFFIX)
                if measurand not in MEASURANDS:
                    continue
                kind = "reason" if field != measurand else "value"
                for row in self._select(
                    f"SELECT LAST({ident(field)}) FROM {ident(medium)}"
                    f" WHERE site = {literal(site)} GROUP BY device"
                ):
                    point = PointId(site, row["device"], measurand)
                    newest.setdefault(point, {})[kind] = (row["time"], row["last"])
        return [_last(p, found) for p, found in newest.items()]

    def first_ms(self, site: str) -> int | None:
        """Give the time of the oldest reading kept."""
        times = [
            row["time"]
            for medium in Medium
            for row in self._select(
                f"SELECT * FROM {ident(medium)} WHERE site = {literal(site)}"
                " ORDER BY time ASC LIMIT 1"
            )
        ]
        return min(times, default=None)

    def read_receipts(self, site: str, since_ms: int) -> Sequence[Receipt]:
        """Give the delivery receipts sent at or after an instant, oldest first."""
        return receipts_of(self.read_delivery(site, Interval(since_ms, END_OF_TIME_MS)))

    def read_delivery(self, site: str, interval: Interval) -> Mapping[str, Mapping[str, Series]]:
        """Give what agents said of deliveries, by agent and field."""
        found: dict[str, dict[str, list[tuple[int, float]]]] = {}
        for row in self._select(
            f"SELECT * FROM {ident(Medium.DELIVERY)} WHERE site = {literal(site)}"
            f" AND {during(interval)} GROUP BY device"
        ):
            said = found.setdefault(row["device"], {})
            for name, value in row.items():
                if value is not None and is_delivery(name):
                    said.setdefault(name, []).append((row["time"], value))
        return {
            agent: {name: _series(pairs) for name, pairs in said.items()}
            for agent, said in found.items()
        }

    def count_readings(self, site: str, interval: Interval) -> int:
        """Count the readings kept, bad ones too, deliveries not."""
        count = 0
        for medium in (m for m in Medium if m is not Medium.DELIVERY):
            where = f"FROM {ident(medium)} WHERE site = {literal(site)} AND {during(interval)}"
            for row in self._select(f"SELECT COUNT(*) {where}"):
                for name, number in row.items():
                    field = name.removeprefix("count_")
                    if field in MEASURANDS:
                        count += number
                    elif field.removesuffix(QUALITY_SUFFIX) in MEASURANDS and number:
                        bad = f"AND {ident(field)} >= {int(Reason.TIMEOUT)}"
                        rows = self._select(f"SELECT COUNT({ident(field)}) {where} {bad}")
                        count += sum(r["count"] for r in rows)
        return count

    def written_since(self, site: str, mark: int, now_ms: int) -> Written:
        """Give the spans that receipts speak of: agents write past us, their receipts tell when.

        The mark is the newest receipt's time; receipts a little older are looked at again, since
        an agent's clock may be behind.
        """
        since_ms = (mark or now_ms - DAY_MS) - _RECEIPTS_OVERLAP_MS
        receipts = self.read_receipts(site, since_ms)
        spans = sorted(
            Interval(min(r.oldest_ms, r.newest_ms), min(r.newest_ms + 1, now_ms + DAY_MS))
            for r in receipts
            if r.newest_ms + 1 <= now_ms + DAY_MS
        )
        joined: list[Interval] = []
        for span in spans:
            if joined and span.start_ms <= joined[-1].end_ms:
                joined[-1] = Interval(joined[-1].start_ms, max(joined[-1].end_ms, span.end_ms))
            else:
                joined.append(span)
        return Written(max([mark, *(r.sent_ms for r in receipts)]), {}, tuple(joined))

    def delete(self, points: Sequence[PointId], interval: Interval) -> int:
        """Delete the points' readings with start <= time < end; give how many there were.

        The engine deletes whole rows of a device; fields of other points are written back.
        """
        count = sum(len(s) for s in self.read_many(points, interval).values())
        for site, device in sorted({(p.site, p.device) for p in points}):
            gone = {p.measurand for p in points if (p.site, p.device) == (site, device)}
            for medium in sorted({MEASURANDS[g].medium for g in gone if g in MEASURANDS}):
                where = (
                    f"{ident(medium)} WHERE site = {literal(site)} AND device = {literal(device)}"
                    f" AND {during(interval)}"
                )
                rows = list(self._select(f"SELECT * FROM {where}"))
                self._run(f"DELETE FROM {where}")
                self._put_back(str(medium), rows, gone)
        return count

    def _put_back(self, medium: str, rows: list[dict[str, Any]], gone: set[str]) -> None:
        lines = []
        for row in rows:
            kept = {
                k: v
                for k, v in row.items()
                if k not in {"time", "site", "device"} and v is not None
                and k.removesuffix(QUALITY_SUFFIX) not in gone
            }  # fmt: skip
            if kept.keys() - {LAG_FIELD}:
                tags = f"device={escaped(row['device'])},site={escaped(row['site'])}"
                fields = ",".join(f"{escaped(k)}={float(v)!r}" for k, v in sorted(kept.items()))
                lines.append(f"{medium},{tags} {fields} {row['time']}")
        for i in range(0, len(lines), _BATCH):
            self._write(lines[i : i + _BATCH], "ms")

    def write_rollups(self, site: Site, rollups: Sequence[Rollup]) -> None:
        """Write rollups; missing intervals are left out.

        Days before hours before quarters: what is cut short is found again by its quarters.
        """
        for step in reversed(Step):
            part = [r for r in rollups if r.step is step]
            for r in part:
                self._remove_missing(site, r)
            lines = [ln for r in part for ln in rollup_lines(site, r)]
            for i in range(0, len(lines), _BATCH):
                errors = self._write(lines[i : i + _BATCH], "ms")
                if errors:
                    raise DeliveryError(errors[0], permanent=True)

    def _remove_missing(self, site: Site, r: Rollup) -> None:
        """Delete the rows of intervals about which nothing is known any more."""
        gone = np.isnan(r.values).astype(np.int8)
        turns = np.flatnonzero(np.diff(np.concatenate([[0], gone, [0]])))
        name = named(site, r.meter)
        key = "place" if "place" in name.tags else "meter"
        for i, j in zip(turns[::2], turns[1::2], strict=True):
            span = Interval(int(r.edges_ms[i]), int(r.edges_ms[j]))
            self._run(
                f"DELETE FROM {ident(name.measurement(r.step))} WHERE site = {literal(site.id)}"
                f" AND {key} = {literal(name.tags[key])} AND {during(span)}"
            )

    def read_rollups(
        self, site: Site, meters: Sequence[str], step: Step, interval: Interval
    ) -> dict[str, Rollup]:
        """Give the rollups of meters on the step grid that covers the interval; gaps are NaN."""
        grid = edges(interval, step, site.zone)
        n = max(0, len(grid) - 1)
        out = {}
        for meter in meters:
            grades = np.full(n, Grade.MISSING, np.int8)
            r = Rollup(meter, step, grid, np.full(n, np.nan), np.zeros(n), grades)
            if n:
                span = Interval(int(grid[0]), int(grid[-1]))
                self._fill(site, r, span)
            out[meter] = r
        return out

    def maintain(self, settled: int, now_ms: int, keep_from_ms: int | None) -> None:
        """Nothing: InfluxDB compacts by itself, and its buckets have a retention of their own."""

    def close(self) -> None:
        """Release the connections."""
        self._http.close()
        self._client.close()

    def _fill(self, site: Site, r: Rollup, span: Interval) -> None:
        name = named(site, r.meter)
        key = "place" if "place" in name.tags else "meter"
        rows = self._select(
            f"SELECT {name.field}, coverage, grade FROM {ident(name.measurement(r.step))}"
            f" WHERE site = {literal(site.id)} AND {key} = {literal(name.tags[key])}"
            f" AND {during(span)}"
        )
        for row in rows:
            at = int(np.searchsorted(r.edges_ms, row["time"]))
            r.values[at], r.coverage[at] = row[name.field], row["coverage"]
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

    def _run(self, query: str) -> None:
        try:
            answer = self._http.post("/query", params={"db": self._bucket, "q": query})
            answer.raise_for_status()
            result = answer.json()["results"][0]
        except (httpx.HTTPError, ValueError, LookupError) as error:
            raise DeliveryError(f"store does not answer: {error}", permanent=False) from error
        if "error" in result:
            raise DeliveryError(str(result["error"]), permanent=True)

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


def _series(pairs: Sequence[tuple[int, float]]) -> Series:
    if not pairs:
        return Series.empty()
    times, values = zip(*pairs, strict=True)
    return Series(np.array(times, np.int64), np.array(values, np.float64))


def _last(point: PointId, found: dict[str, tuple[int, float]]) -> Reading:
    time_ms, value = found.get("value", (-1, 0.0))
    reason_ms, code = found.get("reason", (-1, 0.0))
    reason = Reason(int(code)) if reason_ms >= time_ms else Reason.GOOD
    return Reading(point, max(time_ms, reason_ms), None if reason.is_bad else value, reason)


def _message(body: Any) -> str:
    try:
        return str(json.loads(body)["message"])[:500]
    except (ValueError, KeyError, TypeError):
        return str(body)[:500]
