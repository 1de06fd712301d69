"""What has to be computed again, and why: readings that came, repairs, a changed site file."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from contract.errors import ConfigError, Problem
from server.jobs.tracks import real_meters
from server.periods import DAY_MS, Interval
from server.site.model import Meter, Since, Site
from server.state import State
from server.state.books import Touch
from server.store.protocol import Written

SITE, _ZONE = "site", "zone"
_COUNTED = (
    "kind", "device", "channel", "measurand", "registers", "ratios", "corrections",
    "replacements", "max_power", "max_spacing_min", "since_ms", "until_ms", "expression", "of",
)  # fmt: skip
_PLACED = ("parent", "building", "area", "role", "carrier", "end_use", "scope")
FIRST_MS = 0


def touched_spans(
    site: Site, written: Written, touches: Sequence[Touch], now_ms: int
) -> tuple[dict[str, list[Interval]], dict[str, str]]:
    """Give the spans to compute by meter, in order, and the reason for each meter."""
    spans: dict[str, list[Interval]] = {}
    causes: dict[str, str] = {}
    for meter in real_meters(site):
        points = (meter.point_device, meter.measurand)
        found = [
            s for p, given in written.spans.items() if (p.device, p.measurand) == points
            for s in given
        ]  # fmt: skip
        found += written.everywhere
        found = [Interval(s.start_ms, min(s.end_ms, now_ms + DAY_MS)) for s in found
                 if s.start_ms < now_ms + DAY_MS]  # fmt: skip
        if found:
            spans[meter.id] = found
            causes[meter.id] = "readings"
    known = {m.id for m in real_meters(site)}
    for t in touches:
        if t.meter in known and t.start_ms < now_ms + DAY_MS:
            end_ms = max(t.start_ms + 1, min(t.end_ms, now_ms))
            spans.setdefault(t.meter, []).append(Interval(t.start_ms, end_ms))
            causes[t.meter] = t.cause
    return {m: sorted(found) for m, found in spans.items()}, causes


def apply_site(state: State, site: Site, first_ms: int) -> list[str]:
    """Compare the site with the one applied last; touch what the difference concerns.

    first_ms: the oldest reading kept; what changed for all time is touched from there on.
    """
    now = _texts(site)
    before_text = state.books.known(SITE)
    changes = [] if before_text is None else list(_changes(json.loads(before_text), now))
    if before_text is not None:
        real = {m.id for m in real_meters(site)}
        for meter, start_ms, why in changes:
            target = meter if meter in real else ""
            state.books.touch(target, max(start_ms, first_ms), 2**52, f"site: {why}")
    state.books.set_known(SITE, json.dumps(now, sort_keys=True))
    return [why for _, _, why in changes]


def keep_zone(state: State, site: Site, file: str) -> None:
    """Keep the site's time zone; ConfigError when it is no longer the one days were laid by."""
    before, now = state.books.known(_ZONE), str(site.zone)
    if before is None:
        state.books.set_known(_ZONE, now)
    elif before != now:
        fix = f"put {before} back, or begin with a new store and state and load the readings again"
        raise ConfigError([Problem(file, "site.timezone", f"{before}, as kept", now, fix)])


def _texts(site: Site) -> dict[str, dict[str, Any]]:
    # through JSON once, so that both sides of a comparison are the same kind of thing
    places: dict[str, dict[str, Any]] = {
        **{f"building {b.id}": {"scope": b.scope} for b in site.buildings},
        **{f"area {a.id}": {"building": a.building, "parent": a.parent} for a in site.areas},
    }
    meters = {m.id: meter_text(m) for m in site.meters}
    texts: dict[str, dict[str, Any]] = json.loads(json.dumps({**places, **meters}))
    return texts


def changes_between(before: Site, after: Site) -> list[tuple[str, int, str]]:
    """Give (meter, from when on, what) of every change that moves consumption."""
    return list(_changes(_texts(before), _texts(after)))


def _changes(
    before: dict[str, dict[str, Any]], now: dict[str, dict[str, Any]]
) -> Iterable[tuple[str, int, str]]:
    """Give (meter, from when on, what changed)."""
    for meter in sorted(before.keys() | now.keys()):
        old, new = before.get(meter), now.get(meter)
        if old is None or new is None:
            yield meter, FIRST_MS, f"{meter} {'added' if old is None else 'removed'}"
            continue
        for key in (*_COUNTED, *_PLACED):
            if old.get(key) != new.get(key):
                yield meter, _first_difference(old.get(key), new.get(key)), f"{key} of {meter}"


def _first_difference(old: Any, new: Any) -> int:
    """Give the instant from which two dated lists differ; the beginning for anything else."""
    if not isinstance(old, list) or not isinstance(new, list):
        return FIRST_MS
    moments = [row[0] for row in [*old, *new] if row not in old or row not in new]
    return min((FIRST_MS if at is None else int(at)) for at in moments) if moments else FIRST_MS


def meter_text(meter: Meter) -> dict[str, Any]:
    """Give what a meter's consumption depends on, as data; dated rows begin with their time."""
    out: dict[str, Any] = {}
    for f in fields(Meter):
        if f.name in {*_COUNTED, *_PLACED}:
            out[f.name] = _plain(getattr(meter, f.name))
    return out


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    if isinstance(value, Since):
        return [value.from_ms, value.value]
    if hasattr(value, "__dataclass_fields__"):
        return [_plain(getattr(value, name)) for name in value.__dataclass_fields__]
    return value if isinstance(value, int | float | str | None) else str(value)
