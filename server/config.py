"""server.yaml: where readings live, who may write them, what the server listens on."""

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field

from contract.errors import ConfigError, Problem
from server.yaml_file import Strict, checked, read_mapping

AGENT_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


class _Store(Strict):
    url: Annotated[str, Field(pattern=r"^(duckdb:///|influxdb(s)?://).+")]
    token_file: Path | None = None


class _State(Strict):
    url: str = "sqlite:///./state.db"


class _Jobs(Strict):
    roll_up_s: Annotated[float, Field(ge=0.2, le=3600)] = 20.0
    keep_raw_months: Annotated[int, Field(ge=2)] | None = None


class _Grafana(Strict):
    url: Annotated[str, Field(pattern=r"^https?://[^/\s]+(/.*)?$")]
    token_file: Path


class _Listen(Strict):
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8650


class _File(Strict):
    site_file: Path
    store: _Store
    state: _State = _State()
    listen: _Listen = _Listen()
    write_tokens_file: Path | None = None
    write_tokens: dict[Annotated[str, Field(pattern=AGENT_NAME, max_length=64)], Path] | None = None
    console_token_file: Path | None = None
    factbook_folder: Path | None = None
    notify_file: Path | None = None
    grafana: _Grafana | None = None
    max_body_bytes: Annotated[int, Field(ge=10_000)] = 20_000_000
    jobs: _Jobs = _Jobs()


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """A checked server.yaml with absolute paths and the secrets read."""

    site_file: Path
    store_url: str
    store_token: str
    state_url: str
    host: str
    port: int
    write_tokens: tuple[str, ...]  # all of them, an agent's own too
    console_token: str  # empty: the console is open, which only a loopback address may have
    factbook_folder: Path | None
    max_body_bytes: int
    roll_up_s: float = 20.0
    # None: readings are kept for ever; rollups always are.  The last month kept is context only:
    # what is older than the others is not computed again.
    keep_raw_months: int | None = None
    agent_tokens: Mapping[str, str] = field(default_factory=dict)  # of agents with one of their own
    notify_file: Path | None = None  # None: alerts are told in the server's log alone
    grafana: tuple[str, str] | None = None  # (URL, token) of one that shows alerts


def load_config(path: Path) -> ServerConfig:
    """Read and check server.yaml; ConfigError with every problem."""
    file = checked(path, read_mapping(path), _File)
    folder = path.parent.resolve()
    problems: list[Problem] = []

    def secrets(key: str, name: Path | None) -> tuple[str, ...]:
        if name is None:
            return ()
        try:
            lines = (folder / name).read_text("utf-8").split()
        except OSError as error:
            problems.append(
                Problem(str(path), key, "a readable file", f"{name}: {error.strerror}", "create it")
            )
            return ()
        if not lines:
            problems.append(Problem(str(path), key, "a token", f"{name} is empty", "put one in"))
        return tuple(lines)

    tokens = secrets("write_tokens_file", file.write_tokens_file)
    own = {
        agent: lines[0]
        for agent, name in (file.write_tokens or {}).items()
        if (lines := secrets(f"write_tokens.{agent}", name))
    }
    problems += _token_problems(path, file, tokens, own)
    store_token = secrets("store.token_file", file.store.token_file)
    grafana_token = secrets("grafana.token_file", file.grafana.token_file if file.grafana else None)
    console_token = secrets("console_token_file", file.console_token_file)
    if not (folder / file.site_file).is_file():
        got = f"none at {folder / file.site_file}"
        problems.append(Problem(str(path), "site_file", "a file", got, "check the path"))
    if not _is_loopback(file.listen.host) and file.console_token_file is None:
        problems.append(
            Problem(
                str(path), "console_token_file", "a token file when others can reach the console",
                "nothing", "add console_token_file, or listen on 127.0.0.1",
            )
        )  # fmt: skip
    if problems:
        raise ConfigError(problems)
    return ServerConfig(
        site_file=folder / file.site_file,
        store_url=_absolute(file.store.url, "duckdb:///", folder),
        store_token=store_token[0] if store_token else "",
        state_url=_absolute(file.state.url, "sqlite:///", folder),
        host=file.listen.host,
        port=file.listen.port,
        write_tokens=(*tokens, *own.values()),
        agent_tokens=own,
        notify_file=folder / file.notify_file if file.notify_file else None,
        grafana=(file.grafana.url, grafana_token[0]) if file.grafana and grafana_token else None,
        console_token=console_token[0] if console_token else "",
        factbook_folder=folder / file.factbook_folder if file.factbook_folder else None,
        max_body_bytes=file.max_body_bytes,
        roll_up_s=file.jobs.roll_up_s,
        keep_raw_months=file.jobs.keep_raw_months,
    )


def _token_problems(
    path: Path, file: _File, shared: tuple[str, ...], own: Mapping[str, str]
) -> Iterator[Problem]:
    if file.write_tokens_file is None and not file.write_tokens:
        fix = "add write_tokens_file, or write_tokens with a file for each agent"
        yield Problem(str(path), "write_tokens_file", "a token for agents", "none", fix)
    held = [*shared, *own.values()]
    for agent, token in own.items():
        if held.count(token) > 1:
            fix = "make a token of its own for each agent"
            got = "one that is in another place too"
            yield Problem(str(path), f"write_tokens.{agent}", "this agent's token alone", got, fix)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _absolute(url: str, scheme: str, folder: Path) -> str:
    if not url.startswith(scheme):
        return url
    return scheme + str(folder / url.removeprefix(scheme))
