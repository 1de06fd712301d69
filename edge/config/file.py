"""The door of agent.yaml: strict, every error at once, each with key and fix."""

import os
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from contract.errors import ConfigError, Problem, problems_from
from edge.config.keys import ed25519_key
from edge.config.model import AgentConfig, PushConfig
from edge.config.words import worded

_Finding = tuple[str, str, str, str]  # key, expected, got, fix
_To = TypeVar("_To", bound=PushConfig)
_KEY_FIX = "copy the server's public key anew"
_DEFAULT_PORTS = {"modbus-tcp": 502}


def load_config(
    path: Path, profiles: Collection[str] = (), folder: Path | None = None
) -> AgentConfig:
    """Read and check agent.yaml; `profiles` are the known refs.  ConfigError: all problems.

    Relative paths in it are seen from `folder`, by default the file's own.
    """
    raw = _read(path)
    problems = [Problem(str(path), *finding) for finding in _cross_checks(raw)]
    try:
        config = AgentConfig.model_validate(raw, context={"profiles": profiles})
    except ValidationError as error:
        found = problems_from(str(path), [worded(dict(e)) for e in error.errors()])
        raise ConfigError([*found, *problems]) from error
    config = _resolved(config, folder or path.parent)
    problems += [Problem(str(path), *finding) for finding in _missing_files(config)]
    if problems:
        raise ConfigError(problems)
    return config


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, but a key given twice is an error instead of a loss."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key in (k for k, _ in node.value if isinstance(k, yaml.ScalarNode)):
            if key.value in seen:
                at = f"line {key.start_mark.line + 1}, column {key.start_mark.column + 1}"
                raise yaml.YAMLError(f"key {key.value!r} given twice, the second time in {at}")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _read(path: Path) -> dict[str, Any]:
    file = str(path)
    try:
        loader = _Loader(path.read_text("utf-8-sig"))
        loader.name = path.name  # what its messages call the file
        content = loader.get_single_data()
    except OSError as error:
        got = str(error.strerror)
        raise ConfigError(
            [Problem(file, "(file)", "a readable file", got, "check the path")]
        ) from error
    except UnicodeDecodeError as error:
        got, fix = f"another encoding at byte {error.start}", "save the file as UTF-8"
        raise ConfigError([Problem(file, "(file)", "UTF-8", got, fix)]) from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: such as the 31st of February
        got = " ".join(str(error).split())
        raise ConfigError([Problem(file, "(whole file)", "YAML", got, "mend it")]) from error
    if not isinstance(content, dict):
        got = type(content).__name__
        raise ConfigError([Problem(file, "(whole file)", "a mapping", got, "see the example")])
    return content


def _rows(raw: Mapping[str, Any], key: str) -> list[tuple[int, dict[str, Any]]]:
    rows = raw.get(key)
    numbered = enumerate(rows) if isinstance(rows, list) else ()
    return [(i, r) for i, r in numbered if isinstance(r, dict)]


def _cross_checks(raw: Mapping[str, Any]) -> Iterator[_Finding]:
    connections, devices = _rows(raw, "connections"), _rows(raw, "devices")
    if "interval_s" in raw and "intervals" in raw:
        yield "intervals", "interval_s or intervals", "both", "remove one of them"
    for key, rows in (("connections", connections), ("devices", devices)):
        for name, indices in _same((i, str(r.get("id"))) for i, r in rows):
            got = f"{name!r} also at {key}.{indices[0]}"
            yield f"{key}.{indices[-1]}.id", "each id once", got, "rename one"
    known = sorted({str(c.get("id")) for _, c in connections})
    for i, device in devices:
        if known and "connection" in device and str(device["connection"]) not in known:
            got = repr(device["connection"])
            yield f"devices.{i}.connection", f"one of {', '.join(known)}", got, "correct it"
    yield from _shared_units(connections, devices)
    yield from _shared_endpoints(connections)


_Rows = list[tuple[int, dict[str, Any]]]


def _shared_units(connections: _Rows, devices: _Rows) -> Iterator[_Finding]:
    nodes = {str(c.get("id")) for _, c in connections if c.get("driver") == "opcua"}
    units = (
        (i, (str(d.get("connection")), str(d.get("unit", 1))))
        for i, d in devices
        if str(d.get("connection")) not in nodes
    )
    for (connection, unit), indices in _same(units):
        names = ", ".join(str(dict(devices)[i].get("id")) for i in indices)
        got = f"unit {unit} {len(indices)} times on {connection}: {names}"
        fix = "give each meter its own unit id"
        yield f"devices.{indices[-1]}.unit", "each unit once on a connection", got, fix


def _shared_endpoints(connections: _Rows) -> Iterator[_Finding]:
    """Two connections to one endpoint would talk into each other's answers."""
    ends = ((i, _endpoint(c)) for i, c in connections)
    for end, indices in _same((i, e) for i, e in ends if e is not None):
        names = ", ".join(str(dict(connections)[i].get("id")) for i in indices)
        fix = "keep one connection and put all its devices on it"
        got = f"{end} {len(indices)} times: {names}"
        yield f"connections.{indices[-1]}", "each port or address once", got, fix


def _endpoint(connection: Mapping[str, Any]) -> str | None:
    if isinstance(connection.get("device"), str):
        return str(os.path.realpath(connection["device"]))  # by-id and by-path may be one port
    if "host" in connection:
        port = connection.get("port", _DEFAULT_PORTS.get(str(connection.get("driver")), "?"))
        return f"{connection['host']}:{port}".lower()
    return str(connection["url"]).rstrip("/") if "url" in connection else None


def _same(rows: Iterator[tuple[int, Any]]) -> Iterator[tuple[Any, list[int]]]:
    found: defaultdict[Any, list[int]] = defaultdict(list)
    for i, value in rows:
        found[value].append(i)
    return ((value, indices) for value, indices in found.items() if len(indices) > 1)


def _resolved(config: AgentConfig, folder: Path) -> AgentConfig:
    outbox = config.outbox.model_copy(update={"path": folder / config.outbox.path})
    push, copies = _found(config.push, folder), tuple(_found(c, folder) for c in config.copies)
    resolved: dict[str, Any] = {"push": push, "copies": copies, "outbox": outbox}
    if config.fleet is not None:
        key = folder / config.fleet.public_key_file
        resolved["fleet"] = config.fleet.model_copy(update={"public_key_file": key})
    return config.model_copy(update=resolved)


def _found(to: _To, folder: Path) -> _To:
    ca = folder / to.ca_file if to.ca_file else None
    return to.model_copy(update={"token_file": folder / to.token_file, "ca_file": ca})


def _bad_key(key: str, path: Path) -> Iterator[_Finding]:
    try:
        ed25519_key(path.read_bytes())
    except ValueError as error:
        yield key, "an Ed25519 public key, PEM or base64 of its 32 bytes", str(error), _KEY_FIX


def _missing_files(config: AgentConfig) -> Iterator[_Finding]:
    key_file = config.fleet.public_key_file if config.fleet else None
    ends: list[tuple[str, PushConfig]] = [("push", config.push)]
    ends += [(f"copies.{i}", copy) for i, copy in enumerate(config.copies)]
    named = [
        (f"{at}.{key}", getattr(to, key)) for at, to in ends for key in ("token_file", "ca_file")
    ]
    for key, path in (*named, ("fleet.public_key_file", key_file)):
        if path is None:
            continue
        if not path.is_file():
            yield key, "a file", f"none at {path}", "create it (mode 0600)"
        elif not os.access(path, os.R_OK):
            yield key, "a file this user may read", f"{path}", "give the agent's user it"
        elif not path.read_bytes().strip():
            yield key, "a file with something in it", f"{path} is empty", "fill it"
        elif path == key_file:
            yield from _bad_key(key, path)
    if config.outbox.path.is_dir():
        yield "outbox.path", "a file", f"a folder at {config.outbox.path}", "name a file in it"
    elif not config.outbox.path.parent.is_dir():
        got = f"none at {config.outbox.path.parent}"
        yield "outbox.path", "an existing folder", got, "create the folder"
