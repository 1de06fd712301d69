"""Reading ⇄ line protocol: the only place that knows measurement, tag and field names.

One line is one device at one slot:

  electricity,device=E01,site=hengnan power_kw=12.5,energy_import_kwh=991.2,lag_s=0.0 1767225600000

- measurement  the medium of the measurands; a device of two media gives two lines
- tags         always exactly `device` and `site`, in this order
- fields       measurand name = value (always a float); `<measurand>_q` = reason code when not good
               (a bad point has only its `_q`); `lag_s` once a line
- time         epoch milliseconds (the writer says `precision=ms`)
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from contract.measurand import MEASURANDS
from contract.reading import PointId, Reading, Reason

LAG_FIELD = "lag_s"
QUALITY_SUFFIX = "_q"
PRECISION = "ms"
END_OF_TIME_MS = 7_258_118_400_000  # the year 2200: no clock is wrong by that much and useful
_PER_MS = {"ns": 1_000_000, "us": 1_000, "ms": 1}


class LineError(ValueError):
    """A line that is not ours or not line protocol; `number` counts from 1 in its batch."""

    def __init__(self, number: int, line: str, expected: str, got: str) -> None:
        self.number, self.line, self.expected, self.got = number, line, expected, got
        super().__init__(f"line {number}: expected {expected}, got {got}: {line[:120]!r}")


@dataclass(frozen=True, slots=True)
class Parsed:
    """One line taken apart: measurement, tags, float fields, time in epoch ms (None: absent)."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, float]
    time_ms: int | None


@lru_cache(maxsize=4096)
def _escape_tag(text: str) -> str:
    if "\n" in text or not text:
        raise ValueError(f"a tag value must be non-empty and without line breaks, got {text!r}")
    return text.replace("\\", "\\\\").replace(" ", "\\ ").replace(",", "\\,").replace("=", "\\=")


@lru_cache(maxsize=4096)
def series_key(measurement: str, site: str, device: str) -> str:
    """Give the escaped `measurement,device=…,site=…` head of a line."""
    return f"{measurement},device={_escape_tag(device)},site={_escape_tag(site)}"


def encode(readings: Iterable[Reading]) -> list[str]:
    """Give the lines of some readings: one per (device, slot, medium), in order of appearance."""
    lines: dict[tuple[str, int], list[str]] = {}
    lags: dict[tuple[str, int], float] = {}
    for r in readings:
        medium = MEASURANDS[r.point.measurand].medium
        key = (series_key(medium, r.point.site, r.point.device), r.time_ms)
        lines.setdefault(key, []).extend(_fields(r))
        lags[key] = max(lags.get(key, r.lag_s), r.lag_s)
    return [
        f"{key} {','.join(fields)},{LAG_FIELD}={lags[key, t]!r} {t}"
        for (key, t), fields in lines.items()
    ]


def _fields(r: Reading) -> list[str]:
    name = r.point.measurand
    out = []
    if r.value is not None:
        if not math.isfinite(r.value):
            raise ValueError(f"{r.point}: a value on the wire must be finite, got {r.value}")
        out.append(f"{name}={float(r.value)!r}")
    if r.reason is not Reason.GOOD:
        out.append(f"{name}{QUALITY_SUFFIX}={float(r.reason)!r}")
    return out


@dataclass(frozen=True, slots=True)
class Template:
    """The fixed text of some points' fields: `line,head` and `name=` for each."""

    heads: tuple[str, ...]
    names: tuple[str, ...]
    head: str  # the one head of all, or empty


def template(points: Sequence[PointId]) -> Template:
    """Give the template of points that are encoded together at every slot."""
    heads = tuple(series_key(MEASURANDS[p.measurand].medium, p.site, p.device) for p in points)
    head = heads[0] if len(set(heads)) == 1 else ""
    return Template(heads, tuple(f"{p.measurand}=" for p in points), head)


Column = tuple[Template, Sequence[float], Mapping[int, Reason], float]  # values, doubts, lag_s


def encode_columns(columns: Iterable[Column], time_ms: int) -> list[str]:
    """Give the lines of one slot's values in columns: the very lines `encode` gives of readings.

    Values are finite floats where `doubts` (by index) has no bad reason.
    """
    lines: dict[str, list[str]] = {}
    lags: dict[str, float] = {}
    for form, values, doubts, lag_s in columns:
        if form.head and not doubts:
            fields = [f"{name}{value!r}" for name, value in zip(form.names, values, strict=True)]
            lines.setdefault(form.head, []).extend(fields)
            lags[form.head] = max(lags.get(form.head, lag_s), lag_s)
            continue
        for i, (head, name, value) in enumerate(zip(form.heads, form.names, values, strict=True)):
            fields = lines.setdefault(head, [])
            reason = doubts.get(i, Reason.GOOD)
            if not reason.is_bad:
                fields.append(f"{name}{value!r}")
            if reason is not Reason.GOOD:
                fields.append(f"{name[:-1]}{QUALITY_SUFFIX}={float(reason)!r}")
            lags[head] = max(lags.get(head, lag_s), lag_s)
    return [
        f"{head} {','.join(fields)},{LAG_FIELD}={lags[head]!r} {time_ms}"
        for head, fields in lines.items()
    ]


def decode(text: str, precision: str = PRECISION) -> list[Reading]:
    """Give the readings of a line-protocol text; the inverse of `encode`.

    Raises LineError at the first line that is malformed or speaks of an unknown measurand.
    """
    out: list[Reading] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line and not line.startswith("#"):
            out.extend(readings_of(parse_line(line, number, precision), number, line))
    return out


def readings_of(parsed: Parsed, number: int, line: str) -> list[Reading]:
    """Give the readings of one parsed line of ours."""
    try:
        site, device = parsed.tags["site"], parsed.tags["device"]
    except KeyError as error:
        raise LineError(number, line, "the tags site and device", f"no {error}") from error
    if parsed.time_ms is None:
        raise LineError(number, line, "a time stamp", "none")
    lag = parsed.fields.get(LAG_FIELD, 0.0)
    names = dict.fromkeys(f.removesuffix(QUALITY_SUFFIX) for f in parsed.fields if f != LAG_FIELD)
    out = []
    for name in names:
        if name not in MEASURANDS or MEASURANDS[name].medium != parsed.measurement:
            raise LineError(number, line, f"a measurand of {parsed.measurement}", repr(name))
        reason = _reason(parsed.fields.get(name + QUALITY_SUFFIX, 0.0), name, number, line)
        value = parsed.fields.get(name)
        if (value is None) != reason.is_bad:
            raise LineError(number, line, "a value or a bad reason", f"{value} and {reason.name}")
        out.append(Reading(PointId(site, device, name), parsed.time_ms, value, reason, lag))
    return out


def _reason(code: float, name: str, number: int, line: str) -> Reason:
    try:
        return Reason(int(code))
    except ValueError:
        raise LineError(
            number, line, f"a reason code in {name}{QUALITY_SUFFIX}", repr(code)
        ) from None


def parse_line(line: str, number: int = 1, precision: str = PRECISION) -> Parsed:
    """Take one line of line protocol apart; string fields are refused (the contract is numeric).

    Raises LineError naming the line's number, what was expected and what was found.
    """
    head, fields_text, time_text = _sections(line, number)
    measurement, *tag_texts = _split(head, ",")
    tags = dict(_pair(t, number, line, "tag=value") for t in tag_texts)
    fields = {}
    for item in _split(fields_text, ","):
        name, raw = _pair(item, number, line, "field=value")
        fields[name] = _number(raw, number, line)
    return Parsed(_plain(measurement), tags, fields, _time(time_text, number, line, precision))


def _sections(line: str, number: int) -> tuple[str, str, str]:
    parts = [p for p in _split(line, " ") if p]
    if len(parts) not in (2, 3) or not parts[0] or parts[0].startswith(","):
        raise LineError(number, line, "measurement,tags fields time", f"{len(parts)} sections")
    return parts[0], parts[1], parts[2] if len(parts) == 3 else ""


def _split(text: str, separator: str) -> Sequence[str]:
    if "\\" not in text:
        return text.split(separator)
    parts, current, escaped = [], "", False
    for char in text:
        if char == separator and not escaped:
            parts.append(current)
            current = ""
        else:
            current += char
        escaped = char == "\\" and not escaped
    return [*parts, current]


def _pair(text: str, number: int, line: str, expected: str) -> tuple[str, str]:
    parts = _split(text, "=")
    if len(parts) != 2 or not parts[0] or not parts[1]:
        raise LineError(number, line, expected, repr(text))
    return _plain(parts[0]), _plain(parts[1])


def _plain(text: str) -> str:
    if "\\" not in text:
        return text
    out, escaped = "", False
    for char in text:
        if escaped and char not in " ,=\\":
            out += "\\"
        escaped = char == "\\" and not escaped
        if not escaped:
            out += char
    return out + ("\\" if escaped else "")


def _number(raw: str, number: int, line: str) -> float:
    text = raw[:-1] if raw[-1] in "iu" else raw
    try:
        value = float(text)
    except ValueError:
        raise LineError(number, line, "a numeric field", repr(raw)) from None
    if not math.isfinite(value):
        raise LineError(number, line, "a finite number", repr(raw))
    return value


def _time(raw: str, number: int, line: str, precision: str) -> int | None:
    if not raw:
        return None
    try:
        given = int(raw)
    except ValueError:
        raise LineError(number, line, "an integer time stamp", repr(raw[:30])) from None
    time_ms = given * 1000 if precision == "s" else given // _PER_MS[precision]
    if not 0 <= time_ms < END_OF_TIME_MS:
        raise LineError(number, line, "a time stamp from 1970 to 2199", repr(raw[:30]))
    return time_ms
