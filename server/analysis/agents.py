"""Agents as pages, API and commands show them: how each is, and what it needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from contract.measurand import MEASURANDS, Medium
from contract.reading import PointId, Reading
from server.analysis.questions import Analysis
from server.delivery import AgentLog, Proof, Why, prove
from server.fleet import config_hash
from server.jobs.receipts import agent_logs
from server.periods import DAY_MS, HOUR_MS, MINUTE_MS, Interval
from server.series import Series
from server.state.fleet import AgentConfigRow, ConfigState, ConfigStateRow

OFFLINE_MS = 10 * MINUTE_MS  # an agent tells of itself every minute
BACKLOG_H = 0.25
OFFSET_S = 5.0
HOT_C = 80.0
FLASH_MB = 120.0  # a day: what a card carries for ten years
STALLED_MS = 20 * MINUTE_MS  # a bus without a request for so long, while its agent speaks
FLASH_LEAST_MS = HOUR_MS  # less says nothing about a day
_OF_AGENT = "uptime_s"  # a point that every agent has, and no bus and no device
_OF_BUS = "bus_requests_total"


@dataclass(frozen=True, slots=True)
class BusRow:
    """A bus of an agent; stalled None: nothing is known of it yet."""

    name: str
    stalled: bool | None


@dataclass(frozen=True, slots=True)
class AgentRow:
    """An agent as it was last heard of; None: not known.  `states`: what is wrong, worst first.

    version is major.minor.patch; backlog_h the age of the oldest reading that waits; config_*: the
    configuration it has, and the one it is meant to have.
    """

    agent: str
    states: tuple[str, ...]
    version: str | None
    seen_ms: int | None
    backlog_parcels: int | None
    backlog_bytes: int | None
    backlog_h: float | None
    clock_offset_s: float | None
    clock_known: bool | None
    config_hash: str | None
    config_serial: int | None
    wanted_hash: str | None
    wanted_serial: int | None
    config_state: str | None
    in_ram: bool | None
    flash_mb_per_day: float | None
    cpu_temperature_c: float | None
    undervoltage: str | None
    buses: tuple[BusRow, ...]

    @property
    def stalled(self) -> tuple[str, ...]:
        """Give the buses that stand still."""
        return tuple(b.name for b in self.buses if b.stalled)


def agent_rows(analysis: Analysis) -> list[AgentRow]:
    """Give every agent that spoke or is meant to have a configuration, by name."""
    works, now_ms = analysis.works, analysis.clock.now_ms()
    last: dict[str, dict[str, Reading]] = {}
    for reading in works.store.read_last(works.site.id):
        if MEASURANDS[reading.point.measurand].medium in {Medium.AGENT, Medium.DELIVERY}:
            last.setdefault(reading.point.device, {})[reading.point.measurand] = reading
    logs = agent_logs(works)
    wanted = {c.agent: c for c in works.state.fleet.configs()}  # the newest of each
    said: dict[str, list[ConfigStateRow]] = {}
    for row in works.state.fleet.config_states():
        said.setdefault(row.agent, []).append(row)
    names = logs.keys() | wanted.keys() | {d for d, known in last.items() if _OF_AGENT in known}
    buses = _buses(analysis, sorted(d for d, known in last.items() if _OF_BUS in known), now_ms)
    flash = _flash(analysis, sorted(names), now_ms)
    rows = []
    for name in sorted(names):
        proof = prove(logs.get(name, AgentLog(name)), Interval(0, now_ms + 1), now_ms)
        mine = tuple(
            BusRow(d.removeprefix(f"{name}."), stalled)
            for d, stalled in buses.items()
            if _owner(d, names) == name
        )
        sources = _Sources(name, last.get(name, {}), proof, mine, flash[name])
        rows.append(_row(sources, wanted.get(name), said.get(name, ()), now_ms))
    return rows


@dataclass(frozen=True, slots=True)
class _Sources:
    """Where a row's values come from."""

    agent: str
    last: Mapping[str, Reading]
    proof: Proof
    buses: tuple[BusRow, ...]
    flash_mb: float | None

    def value(self, measurand: str) -> float | None:
        """Give the newest value of one of the agent's points."""
        reading = self.last.get(measurand)
        return None if reading is None else reading.value

    def flag(self, measurand: str) -> bool | None:
        """Give a point that is yes or no."""
        value = self.value(measurand)
        return None if value is None else value > 0

    def whole(self, measurand: str) -> int | None:
        """Give a point that counts."""
        value = self.value(measurand)
        return None if value is None else int(value)

    def seen_ms(self) -> int | None:
        """Give when the agent last spoke."""
        times = [r.time_ms for r in self.last.values()]
        word = self.proof.last_word_ms
        return max(times + ([] if word is None else [word]), default=None)


def _row(
    s: _Sources, wanted: AgentConfigRow | None, said: Sequence[ConfigStateRow], now_ms: int
) -> AgentRow:
    if wanted is not None and wanted.cancelled_ms is not None:
        wanted = None
    latest = [w for w in said if wanted is not None and w.serial == wanted.serial]
    hashed = s.whole("config_hash")
    parcels = s.whole("queued_parcels")
    undervoltage = s.whole("host_undervoltage_state")
    values = AgentRow(
        agent=s.agent,
        states=(),
        version=_version(s.whole("agent_version")),
        seen_ms=s.seen_ms(),
        backlog_parcels=s.whole("outbox_rounds") if parcels is None else parcels,
        backlog_bytes=s.whole("outbox_bytes"),
        backlog_h=_backlog_h(s.proof, now_ms),
        clock_offset_s=s.value("clock_offset_s"),
        clock_known=s.flag("clock_known"),
        config_hash=None if hashed is None else f"{hashed:012x}",
        config_serial=s.whole("config_serial"),
        wanted_hash=None if wanted is None else config_hash(wanted.config),
        wanted_serial=None if wanted is None else wanted.serial,
        config_state=latest[-1].state.value if latest else None,
        in_ram=s.flag("outbox_in_ram"),
        flash_mb_per_day=s.flash_mb,
        cpu_temperature_c=s.value("cpu_temperature_c"),
        undervoltage=None if undervoltage is None else ("no", "was", "is")[min(undervoltage, 2)],
        buses=s.buses,
    )
    return _with_states(values, s.proof, now_ms)


def _with_states(r: AgentRow, proof: Proof, now_ms: int) -> AgentRow:
    """Name what is wrong; an agent of which nothing is wrong is `fine`."""
    if r.seen_ms is None:
        return replace(r, states=("never_seen",))
    whys = {f.why for f in proof.findings if f.end_ms >= now_ms - 7 * DAY_MS}
    said_no = {ConfigState.REFUSED.value, ConfigState.ROLLED_BACK.value}
    checks = (
        ("offline", now_ms - r.seen_ms > OFFLINE_MS),
        ("lost", Why.UNKNOWN in whys),
        ("dropped", Why.DROPPED in whys),
        ("in_ram", r.in_ram),
        ("stalled", bool(r.stalled)),
        ("backlog", r.backlog_h is not None and r.backlog_h > BACKLOG_H),
        ("quarantined", Why.QUARANTINED in whys),
        ("clock", r.clock_known is False or abs(r.clock_offset_s or 0.0) > OFFSET_S),
        ("config_failed", r.config_state in said_no),
        ("config_waits", r.wanted_serial is not None and r.config_state is None),
        ("undervoltage", r.undervoltage == "is"),
        ("hot", (r.cpu_temperature_c or 0.0) >= HOT_C),
        ("flash", (r.flash_mb_per_day or 0.0) > FLASH_MB),
    )
    return replace(r, states=tuple(name for name, is_so in checks if is_so) or ("fine",))


def _backlog_h(proof: Proof, now_ms: int) -> float | None:
    """Give the age of the oldest reading that waits; 0: nothing does, None: nobody knows."""
    waiting = [f for f in proof.findings if f.why in {Why.QUEUED, Why.PENDING}]
    told = [f.start_ms for f in waiting if f.last is not None]
    if told:
        return max(0.0, (now_ms - min(told)) / HOUR_MS)
    return None if waiting or proof.last_word_ms is None else 0.0


def _version(number: int | None) -> str | None:
    if number is None:
        return None
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def _owner(bus: str, names: set[str]) -> str | None:
    """Give the agent whose bus a device is: the longest name that it begins with."""
    owners = [n for n in names if bus.startswith(f"{n}.")]
    return max(owners, key=len, default=None)


def _buses(analysis: Analysis, devices: Sequence[str], now_ms: int) -> dict[str, bool | None]:
    """Say of buses whether they stand still: no request for long, though their agent counts."""
    span = Interval(now_ms - 2 * STALLED_MS, now_ms + DAY_MS)
    points = [PointId(analysis.site.id, d, _OF_BUS) for d in devices]
    found = analysis.works.store.read_many(points, span)
    return {p.device: _is_stalled(found[p]) for p in points}


def _is_stalled(series: Series) -> bool | None:
    if not len(series) or series.times_ms[-1] - series.times_ms[0] < STALLED_MS:
        return None
    recent = series.values[series.times_ms >= series.times_ms[-1] - STALLED_MS]
    return bool(recent.max() == recent.min())


def _flash(analysis: Analysis, names: Sequence[str], now_ms: int) -> dict[str, float | None]:
    """Give the megabytes a day that agents wrote in the last day; a restart begins at 0 again."""
    span = Interval(now_ms - DAY_MS, now_ms + DAY_MS)
    points = [PointId(analysis.site.id, n, "flash_written_bytes_total") for n in names]
    found = analysis.works.store.read_many(points, span)
    return {p.device: _mb_per_day(found[p]) for p in points}


def _mb_per_day(series: Series) -> float | None:
    if not len(series):
        return None
    over_ms = int(series.times_ms[-1] - series.times_ms[0])
    if over_ms < FLASH_LEAST_MS:
        return None
    steps = np.diff(series.values)
    written = np.where(steps >= 0, steps, series.values[1:]).sum()
    return float(written / 1e6 * DAY_MS / over_ms)
