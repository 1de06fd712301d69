"""Push: batches of the outbox → the server; a parcel is forgotten only when the server keeps it.

| answer                | what happens                                                           |
|-----------------------|------------------------------------------------------------------------|
| 204                   | accepted: settled                                                      |
| 400, 422              | a line is poison: bisected out and quarantined, the rest is delivered  |
| 413                   | the batch was too big: half of it next time                            |
| 401, 403, 404         | our settings are wrong: everything is kept, tried again slowly         |
| 429, 503, 5xx, none   | kept; back-off with jitter, Retry-After honoured                       |
"""

import json
import random
from dataclasses import dataclass
from urllib.parse import urlencode

import urllib3

from contract.clock import Clock
from contract.errors import DeliveryError
from contract.line import LAG_FIELD, PRECISION, series_key
from contract.measurand import Medium
from edge.config import AgentConfig
from edge.outbox import Batch, Outbox, Parcel, Refused, gzip_lines

BACKOFF_FIRST_S, BACKOFF_MAX_S = 1.0, 300.0
SETTINGS_WAIT_S = 60.0
POISON = frozenset({400, 422})
TOO_LARGE = 413
SETTINGS = frozenset({401, 403, 404})
KEPT = 204


@dataclass(frozen=True, slots=True)
class Pushed:
    """What one push did: readings delivered, lines quarantined, whether more waits."""

    readings: int
    quarantined: int
    more: bool


class _RefusedError(Exception):
    """The server refuses the body's content."""


class _TooLargeError(Exception):
    """The server refuses the body's size."""


class Pusher:
    """Delivers one outbox to one server.  Used by one thread."""

    def __init__(self, config: AgentConfig, token: str, outbox: Outbox, clock: Clock) -> None:
        self._config, self.outbox, self._clock = config, outbox, clock
        query = {"org": config.push.org, "bucket": config.push.bucket, "precision": PRECISION}
        self._url = f"{config.push.url.rstrip('/')}/api/v2/write?{urlencode(query)}"
        self._headers = {
            "Authorization": f"Token {token}",
            "Content-Encoding": "gzip",
            "Content-Type": "text/plain; charset=utf-8",
        }
        ca = config.push.ca_file
        self._pool = urllib3.PoolManager(
            maxsize=1,
            retries=False,
            timeout=urllib3.Timeout(total=config.push.timeout_s),
            ca_certs=str(ca) if ca else None,
        )
        self._batch_bytes = config.push.batch_bytes
        self._failures = 0
        self.failures_total = 0

    def push(self) -> Pushed:
        """Deliver one batch; DeliveryError (nothing lost) when it could not be delivered."""
        batch = self.outbox.take(self._batch_bytes)
        if not batch:
            return Pushed(0, 0, more=False)
        try:
            rejected = self._deliver(batch)
        except _TooLargeError:
            return self._shrink(batch)
        except DeliveryError:
            self._failures += 1
            self.failures_total += 1
            raise
        self._failures = 0
        self._batch_bytes = min(self._batch_bytes * 2, self._config.push.batch_bytes)
        self.outbox.settle(batch, rejected)
        readings = sum(p.readings for p in batch)
        return Pushed(readings, len(rejected), more=self.outbox.waiting()[0] > 0)

    def wait_s(self, error: DeliveryError) -> float:
        """Give how long to wait after a failure: the server's word, else back-off with jitter."""
        if error.permanent:
            return SETTINGS_WAIT_S
        backoff = min(BACKOFF_FIRST_S * 2.0 ** min(self._failures - 1, 16), BACKOFF_MAX_S)
        return max(error.retry_after_s or 0.0, backoff * random.uniform(0.5, 1.0))

    def _shrink(self, batch: Batch) -> Pushed:
        if len(batch) == 1:
            why = "the server takes no body as large as this one parcel"
            lines = batch[0].lines()
            self.outbox.settle(batch, [_refused(batch[0], line, why) for line in lines])
            return Pushed(0, len(lines), more=self.outbox.waiting()[0] > 0)
        self._batch_bytes = max(1, sum(len(p.body) for p in batch) // 2)
        return Pushed(0, 0, more=True)

    def _deliver(self, batch: Batch) -> list[Refused]:
        try:
            self._post(_joined(batch), batch)
        except _RefusedError:
            if len(batch) == 1:
                return self._sift(batch[0], batch[0].lines())
            half = len(batch) // 2
            return self._deliver(batch[:half]) + self._deliver(batch[half:])
        return []

    def _sift(self, one: Parcel, lines: list[str]) -> list[Refused]:
        """Deliver a parcel's good lines; give the poison ones."""
        try:
            self._post(gzip_lines(lines), (one,))
        except _RefusedError as error:
            if len(lines) == 1:
                return [_refused(one, lines[0], str(error))]
            half = len(lines) // 2
            return self._sift(one, lines[:half]) + self._sift(one, lines[half:])
        return []

    def _post(self, body: bytes, batch: Batch) -> None:
        try:
            answer = self._pool.request(
                "POST",
                self._url,
                body=body + gzip_lines([self._receipt(batch)]),
                headers=self._headers,
            )
        except urllib3.exceptions.HTTPError as error:
            why = str(error).rsplit(": ", 1)[-1]
            raise DeliveryError(f"no answer: {why}", permanent=False) from error
        status, said = answer.status, _message(answer.data)
        if status == KEPT:
            return
        if status in POISON:
            raise _RefusedError(said)
        if status == TOO_LARGE:
            raise _TooLargeError
        raise DeliveryError(
            f"answer {status}: {said}",
            permanent=status in SETTINGS,
            retry_after_s=_seconds(answer.headers.get("Retry-After")),
        )

    def _receipt(self, batch: Batch) -> str:
        config = self._config
        outbox_id = batch[0].outbox_id
        fields = {
            "sequence_first": batch[0].sequence,
            "sequence_last": batch[-1].sequence,
            "oldest_ms": min(p.oldest_ms for p in batch),
            "newest_ms": max(p.newest_ms for p in batch),
            "readings_sent": sum(p.readings for p in batch),
            "outbox_id": outbox_id,
            "sequence_next": self.outbox.sequence_next(outbox_id),
            LAG_FIELD: 0,
        }
        text = ",".join(f"{name}={float(value)!r}" for name, value in fields.items())
        key = series_key(Medium.DELIVERY, config.site, config.agent)
        return f"{key} {text} {self._clock.now_ms()}"


def _refused(parcel: Parcel, line: str, reason: str) -> Refused:
    return Refused(parcel.outbox_id, parcel.sequence, line, reason)


def _joined(batch: Batch) -> bytes:
    return b"".join(p.body for p in batch)


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])[:500]
    except (ValueError, KeyError, TypeError):
        return body[:200].decode("utf-8", "replace")


def _seconds(header: str | None) -> float | None:
    return float(header) if header and header.isdigit() else None
