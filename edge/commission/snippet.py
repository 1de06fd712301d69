"""Snippet: what a scan found → the agent.yaml an agent starts from.  Pure."""

import json
from collections.abc import Sequence

from contract.measurand import MEASURANDS, Medium
from edge.commission.fit import is_clear
from edge.commission.scan import Found
from edge.config import Connection, ModbusRtu
from edge.messages import say
from edge.profile import Basis, DeviceProfile, find_profile

_LETTERS = {Medium.ELECTRICITY: "E", Medium.WATER: "W"}
_PREFIXES = {"modbus-rtu": "bus", "modbus-rtu-tcp": "gw", "modbus-tcp": "tcp"}
_RTU_KEYS = ("device", "baud", "parity", "stopbits")


def agent_yaml(found: Sequence[Found], *, whole: bool = False) -> str:
    """Give `connections:` and `devices:`; `whole`: with the rest of agent.yaml before them."""
    names = _names([f.connection for f in found])
    lines = [say("snippet_head")] if whole else []
    lines.append("connections:")
    lines += [_connection(name, connection) for connection, name in names.items()]
    lines.append("devices:")
    numbers: dict[str, int] = {}
    for one in found:
        lines += _device(one, names[one.connection], numbers)
    if not any(f.best for f in found):
        lines.append(f"  # {say('snippet_none')}")
    return "\n".join(lines) + "\n"


def _names(connections: Sequence[Connection]) -> dict[Connection, str]:
    names: dict[Connection, str] = {}
    counts: dict[str, int] = {}
    for connection in connections:
        if connection not in names:
            prefix = _PREFIXES[connection.driver]
            counts[prefix] = counts.get(prefix, 0) + 1
            names[connection] = f"{prefix}{counts[prefix]}"
    return names


def _connection(name: str, connection: Connection) -> str:
    keys = _RTU_KEYS if isinstance(connection, ModbusRtu) else ("host", "port")
    rest = ", ".join(f"{k}: {_yaml(getattr(connection, k))}" for k in keys)
    return f"  - {{id: {name}, driver: {connection.driver}, {rest}, timeout_s: 1.0}}"


def _yaml(value: object) -> str:
    """Give a scalar as YAML reads it back."""
    plain = isinstance(value, str) and value.replace("/", "").replace("-", "").isalnum()
    return str(value) if isinstance(value, int) or plain else json.dumps(value)


def _device(found: Found, connection: str, numbers: dict[str, int]) -> list[str]:
    best = found.best
    if best is None:
        return [f"  # {say('snippet_unknown', unit=found.unit, connection=connection)}"]
    profile = find_profile(best.ref)
    letter = _LETTERS.get(MEASURANDS[profile.points[0].measurand].medium, "T")
    numbers[letter] = numbers.get(letter, 0) + 1
    name = f"{letter}{numbers[letter]:02d}"
    ratio = ", ct_ratio: 1" if needs_ratio(profile) else ""
    place = f"connection: {connection}, unit: {found.unit}"
    line = f"  - {{id: {name}, {place}, profile: {best.ref}{ratio}}}"
    notes = [say("snippet_ratio")] if ratio else []
    if not is_clear(found.fits):
        others = [f.ref for f in found.fits[1:] if f.is_proposed][:2]
        notes.append(say("snippet_unclear", others="、".join(others)))
    return [line + (f"  # {'；'.join(notes)}" if notes else "")]


def needs_ratio(profile: DeviceProfile) -> bool:
    """Say whether agent.yaml must give the ratio: the meter has no register for it."""
    return any(p.basis is Basis.SECONDARY and not (p.ct or p.pt) for p in profile.points)
