"""What is wrong with a configuration that reads well: devices that do not fit, buses too slow."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from contract.errors import Problem
from edge.budget import remedy
from edge.budget.bus import RESERVE, BusBudget, bus_budgets
from edge.budget.line import ANSWERED, ASKED
from edge.config import AgentConfig, Connection, DeviceConfig, ModbusRtu, ModbusRtuTcp, OpcUa
from edge.config.words import nearest
from edge.messages import say
from edge.profile import Basis, DeviceProfile, Pace, Protocol, find_profile

_Finding = tuple[str, str, str, str]  # key, expected, got, fix


def refusals(config: AgentConfig, file: str = "agent.yaml") -> list[Problem]:
    """Give what the agent must not be started with: first the devices', then the buses' problems.

    ConfigError if a shipped profile is itself wrong.
    """
    found = [f for i, d in enumerate(config.devices) for f in _device_findings(config, i, d)]
    if not found:
        found = [_too_slow(config, b) for b in bus_budgets(config) if b.share > 1]
    return [Problem(file, *finding) for finding in found]


def warnings(config: AgentConfig) -> list[str]:
    """Give what a person should look at; `config` has no refusals."""
    out: list[str] = []
    used = {d.connection for d in config.devices}
    out += [say("warn_unused", name=c.id) for c in config.connections if c.id not in used]
    for bus in bus_budgets(config):
        out += _bus_warnings(bus)
        out += _line_warnings(bus)
    return out


def _device_findings(config: AgentConfig, i: int, device: DeviceConfig) -> Iterator[_Finding]:
    key = f"devices.{i}"
    (connection,) = (c for c in config.connections if c.id == device.connection)
    profile = find_profile(device.profile)
    if (profile.protocol is Protocol.OPCUA) != isinstance(connection, OpcUa):
        got = f"{device.profile} ({profile.protocol.value}) on {connection.id}"
        wanted = f"a profile for {connection.driver}"
        yield f"{key}.profile", wanted, got, "change the profile, or the connection"
        return
    yield from _names(key, device, profile)
    yield from _ratios(key, device, profile)
    for point in profile.points:
        if point.words > profile.limits.max_registers:
            got = f"{point.measurand} takes {point.words}"
            limit = f"points of at most {profile.limits.max_registers} registers"
            yield f"{key}.profile", limit, got, f"mend device_profiles/{device.profile}.yaml"


def _names(key: str, device: DeviceConfig, profile: DeviceProfile) -> Iterator[_Finding]:
    offered = [p.measurand for p in profile.points]
    hint = "compound-edge profiles --json lists them"
    wanted = device.points
    if wanted is not None:
        if not wanted:
            fix = "name what is to be read, or remove points to read all"
            yield f"{key}.points", "at least one measurand", "none", fix
        for name in dict.fromkeys(n for n in wanted if n not in offered):
            fix = nearest(name, offered) + hint
            yield f"{key}.points", f"measurands of {profile.ref}", name, fix
        for name in dict.fromkeys(n for n in wanted if wanted.count(n) > 1):
            yield f"{key}.points", "each measurand once", name, "remove one"
    for name in device.pace:
        if name not in offered:
            fix = nearest(name, offered) + hint
            yield f"{key}.pace.{name}", f"a measurand of {profile.ref}", name, fix
        elif wanted is not None and name not in wanted:
            got = "one that is not read"
            yield f"{key}.pace.{name}", "a measurand of points", got, "add it to points"


def _ratios(key: str, device: DeviceConfig, profile: DeviceProfile) -> Iterator[_Finding]:
    if any(p.basis is Basis.SECONDARY for p in profile.points):
        return
    bases = ", ".join(sorted({p.basis.value for p in profile.points}))
    for name, value in (("ct_ratio", device.ct_ratio), ("pt_ratio", device.pt_ratio)):
        if value != 1:
            wanted = f"no ratio: {profile.ref} gives {bases} values, nothing is multiplied"
            fix = f"remove {name}; set the ratio in the meter, or use a profile of secondary values"
            yield f"{key}.{name}", wanted, f"{value:g}", fix


def _too_slow(config: AgentConfig, bus: BusBudget) -> _Finding:
    key = f"connections.{config.connections.index(bus.connection)} ({bus.connection.id})"
    expected = say("budget_expected", tick=bus.tick_s, reserve=RESERVE)
    return key, expected, arithmetic(bus), "; ".join(_remedies(bus))


def arithmetic(bus: BusBudget) -> str:
    """Give how the time of the fullest tick comes about."""
    line, blocks = bus.line, remedy.fullest_blocks(bus)
    each_s = bus.pace_s(Pace.FAST) + bus.pace_s(Pace.NORMAL)
    parts = [
        say("budget_requests", count=len(blocks), ms=line.overhead_s * 1000),
        say("budget_registers", count=sum(b.count for b in blocks), ms=line.register_s * 1000),
        say("budget_pauses", s=bus.pauses_s((Pace.FAST, Pace.NORMAL))),
        say("budget_slow", s=bus.busiest_s - each_s),
    ]
    used = (
        bool(blocks),
        line.register_s > 0,
        bus.pauses_s(tuple(Pace)) > 0,
        Pace.SLOW in bus.paces,
    )
    total = " + ".join(part for part, is_used in zip(parts, used, strict=True) if is_used)
    if line.baud is None:
        why = say("budget_request_tcp", turnaround=line.turnaround_s * 1000)
    else:
        why = say(
            "budget_request",
            characters=ASKED + ANSWERED, character=line.character_s * 1000, baud=line.baud,
            turnaround=max(line.silence_s, line.turnaround_s) * 1000, between=line.between_s * 1000,
        )  # fmt: skip
    return say(
        "budget_got", s=bus.busiest_s, share=bus.share, total=total, why=why, count=len(bus.loads)
    )


def _remedies(bus: BusBudget) -> Iterator[str]:
    key = "interval_s" if len(set(bus.intervals.model_dump().values())) == 1 else "intervals"
    tick_s = remedy.shortest_tick_s(bus)
    yield say(f"fix_{key}", s=tick_s, times=tick_s / bus.tick_s)
    if bus.line.baud is not None:
        baud = remedy.lowest_baud(bus)
        best = baud or remedy.BAUDS[-1]
        s = remedy.at_baud(bus, best).busiest_s
        yield say("fix_baud" if baud else "fix_no_baud", baud=best, s=s)
    fitting, lines = remedy.devices_that_fit(bus), remedy.lines_needed(bus)
    if len(bus.loads) > 1:
        values = {"fitting": fitting, "count": len(bus.loads), "lines": lines}
        yield say("fix_devices" if lines else "fix_no_devices", **values)
    registers = remedy.registers_each(bus)
    yield say("fix_points" if registers else "fix_no_points", registers=registers)


def _bus_warnings(bus: BusBudget) -> Iterator[str]:
    name, tick_s = bus.connection.id, bus.tick_s
    if not bus.fits:
        values = {"busiest": bus.busiest_s, "share": bus.share, "reserve": RESERVE}
        yield say("warn_reserve", name=name, tick=tick_s, fix="; ".join(_remedies(bus)), **values)
    if len(bus.loads) > 1 and bus.worst_s > tick_s:
        yield say("warn_worst", name=name, worst=bus.worst_s, tick=tick_s)
    if isinstance(bus.connection, ModbusRtuTcp) and bus.connection.line_baud is None:
        yield say("warn_line_baud", name=name)


def _line_warnings(bus: BusBudget) -> Iterator[str]:
    """Warn of meters that leave the factory with other settings, or may need longer to answer."""
    other: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    slow: defaultdict[tuple[str, float], list[str]] = defaultdict(list)
    for load in bus.loads:
        profile = find_profile(load.device.profile)
        factory = _factory(profile, bus.connection)
        if factory is not None:
            other[profile.ref, factory].append(load.device.id)
        patience_s = profile.limits.timeout_ms / 1000
        if patience_s > bus.connection.timeout_s:
            slow[profile.ref, patience_s].append(load.device.id)
    for (ref, factory), ids in other.items():
        line = _settings(bus.connection)
        yield say("warn_serial", names=_listed(ids), profile=ref, factory=factory, line=line)
    for (ref, patience_s), ids in slow.items():
        values = {"wanted": patience_s, "given": bus.connection.timeout_s}
        yield say("warn_timeout", names=_listed(ids), profile=ref, **values)


def _factory(profile: DeviceProfile, connection: Connection) -> str | None:
    serial = profile.serial
    if serial is None or not isinstance(connection, ModbusRtu):
        return None
    factory = f"{serial.baud} 8{serial.parity}{serial.stopbits}"
    return None if factory == _settings(connection) else factory


def _settings(connection: Connection) -> str:
    if not isinstance(connection, ModbusRtu):
        return ""
    return f"{connection.baud} 8{connection.parity}{connection.stopbits}"


def _listed(ids: Sequence[str], most: int = 6) -> str:
    return ", ".join(ids[:most]) + (f" … ({len(ids)})" if len(ids) > most else "")
