"""History: months of 15-minute readings of every device, through the same ingest path."""

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import numpy as np
import urllib3

from contract.clock import Clock, SystemClock
from contract.line import LAG_FIELD, series_key
from contract.measurand import Medium
from simulators.compound import Compound
from simulators.conditions import Ints
from simulators.layout import PLACES, SITE, THERMOMETER

QUARTER_MS = 900_000
DAY_MS = 86_400_000
BLOCK_DAYS = 2
AGENT = "history"


class HistoryError(RuntimeError):
    """The server did not take a body of the history."""


@dataclass(frozen=True, slots=True)
class Body:
    """One body: gzip line protocol, the readings in it, the span it covers."""

    content: bytes
    readings: int
    start_ms: int
    end_ms: int


def bodies(
    compound: Compound, start_ms: int, end_ms: int, clock: Clock | None = None
) -> Iterator[Body]:
    """Give the bodies of [start_ms, end_ms], oldest first, both edges included."""
    clock = clock or SystemClock()
    first = -(-start_ms // QUARTER_MS) * QUARTER_MS
    slots = np.arange(first, end_ms + 1, QUARTER_MS, dtype=np.int64)
    width = BLOCK_DAYS * DAY_MS // QUARTER_MS
    for number, i in enumerate(range(0, len(slots), width), 1):
        block = slots[i : i + width]
        lines, readings = block_lines(compound, block)
        lines.append(_receipt(number, block, readings, clock.now_ms()))
        content = gzip.compress("\n".join(lines).encode("utf-8"), 1)
        yield Body(content, readings, int(block[0]), int(block[-1]))


def block_lines(compound: Compound, slots: Ints) -> tuple[list[str], int]:
    """Give the lines of all devices at some slots, and how many readings they hold."""
    out: list[str] = []
    for meter in compound.meters.values():
        counters = compound.counter(meter.id, slots)
        loads = np.round(compound.load_at(meter.id, slots), 4)
        load_name = "flow_m3_per_h" if meter.carrier == "water" else "power_kw"
        out += _lines(
            meter.carrier, meter.id, slots, [(meter.measurand, counters), (load_name, loads)]
        )
    for place in PLACES:
        if place.gate:
            ins, outs = compound.doors_at(place.gate, slots)
            columns = [("door_in_total", ins.astype(float)), ("door_out_total", outs.astype(float))]
            out += _lines(Medium.ACCESS, place.gate, slots, columns)
    celsius = np.round(compound.temperature_at(slots), 1)
    readings = 2 * len(out)
    out += _lines(Medium.ENVIRONMENT, THERMOMETER, slots, [("temperature_c", celsius)])
    return out, readings + len(slots)


def _lines(
    medium: str, device: str, slots: Ints, columns: Sequence[tuple[str, np.ndarray]]
) -> list[str]:
    key = series_key(medium, SITE, device)
    names = ",".join(f"{name}=%r" for name, _ in columns)
    template = f"{key} {names} %d"
    rows = zip(*(values.tolist() for _, values in columns), slots.tolist(), strict=True)
    return [template % row for row in rows]


def _receipt(number: int, block: Ints, readings: int, sent_ms: int) -> str:
    fields = {
        "sequence_first": number, "sequence_last": number, "oldest_ms": block[0],
        "newest_ms": block[-1], "readings_sent": readings, LAG_FIELD: 0,
    }  # fmt: skip
    text = ",".join(f"{k}={float(v)!r}" for k, v in fields.items())
    return f"{series_key(Medium.DELIVERY, SITE, AGENT)} {text} {sent_ms}"


class HistoryWriter:
    """Posts bodies to the ingest path."""

    def __init__(self, url: str, token: str, org: str = "compound", bucket: str = "energy") -> None:
        query = urlencode({"org": org, "bucket": bucket, "precision": "ms"})
        self._url = f"{url}/api/v2/write?{query}"
        self._headers = {"Authorization": f"Token {token}", "Content-Encoding": "gzip"}
        self._pool = urllib3.PoolManager(maxsize=1, timeout=urllib3.Timeout(total=60.0))

    def post(self, body: Body) -> None:
        """Post one body; HistoryError when the server does not keep it."""
        answer = self._pool.request("POST", self._url, body=body.content, headers=self._headers)
        if answer.status != 204:
            said = answer.data[:300].decode("utf-8", "replace")
            raise HistoryError(f"answer {answer.status}: {said}")
