"""The door of notify.yaml: channels, groups, times; secrets are read from files of their own."""

from collections.abc import Iterator
from datetime import time
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from contract.errors import ConfigError, Problem
from server.notify.model import LOG_ONLY, Channel, ChannelKind, Group, NotifyPlan
from server.yaml_file import Strict, checked, read_mapping

Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\s:]+$")]
Severity = Literal["notice", "warning", "severe"]
Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Hours = Annotated[float, Field(gt=0, le=720)]
_HOUR_MS, _MINUTE_MS = 3_600_000, 60_000
_ROBOTS = frozenset({ChannelKind.WECOM, ChannelKind.DINGTALK, ChannelKind.FEISHU})


class _Channel(Strict):
    kind: ChannelKind
    url_file: Path | None = None
    secret_file: Path | None = None
    per_minute: Annotated[int, Field(ge=1, le=600)] = 20


class _Group(Strict):
    channels: Annotated[tuple[Name, ...], Field(min_length=1)]
    buildings: frozenset[str] = frozenset()
    rules: frozenset[str] = frozenset()
    least: Severity = "notice"


class _Escalate(Strict):
    severe: Hours | None = 1.0
    warning: Hours | None = 4.0
    notice: Hours | None = 24.0


class _File(Strict):
    console_url: Annotated[str, Field(pattern=r"^(https?://\S+)?$")] = ""
    channels: Annotated[dict[Name, _Channel], Field(min_length=1)]
    groups: Annotated[dict[Name, _Group], Field(min_length=1)]
    quiet: Annotated[str, Field(pattern=r"^(\d\d:\d\d-\d\d:\d\d)?$")] = "22:00-07:00"
    morning: Clock | None = "08:30"
    weekly_on: Annotated[int, Field(ge=1, le=7)] | None = 1
    digest_min: Annotated[int, Field(ge=1, le=720)] = 15
    escalate_h: _Escalate = _Escalate()
    escalate_to: tuple[Name, ...] = ()
    reopen_h: Annotated[float, Field(ge=1, le=720)] = 24.0


def load_notify(path: Path | None) -> NotifyPlan:
    """Read and check notify.yaml; ConfigError with every problem.  None: the server's log alone."""
    if path is None:
        return LOG_ONLY
    file = checked(path, read_mapping(path), _File)
    problems = [Problem(str(path), *p) for p in _faults(path, file)]
    if problems:
        raise ConfigError(problems)
    return NotifyPlan(
        channels=tuple(
            Channel(name, c.kind, _secret(path, c.url_file), _secret(path, c.secret_file),
                    c.per_minute)
            for name, c in file.channels.items()
        ),
        groups=tuple(
            Group(name, g.channels, g.buildings, g.rules, g.least)
            for name, g in file.groups.items()
        ),
        console_url=file.console_url.rstrip("/"),
        quiet=_quiet(file.quiet) if file.quiet else None,
        morning=None if file.morning is None else time.fromisoformat(file.morning),
        weekly_on=file.weekly_on,
        digest_ms=file.digest_min * _MINUTE_MS,
        escalate_ms={
            k: round(h * _HOUR_MS) for k, h in file.escalate_h.model_dump().items() if h is not None
        },
        escalate_to=file.escalate_to,
        reopen_ms=round(file.reopen_h * _HOUR_MS),
    )  # fmt: skip


def _faults(path: Path, file: _File) -> Iterator[tuple[str, str, str, str]]:
    for name, channel in file.channels.items():
        yield from _channel_faults(path, f"channels.{name}", channel)
    for name, group in file.groups.items():
        for channel_name in group.channels:
            if channel_name not in file.channels:
                known = ", ".join(file.channels)
                yield f"groups.{name}.channels", f"one of {known}", channel_name, "correct it"
    for name in file.escalate_to:
        if name not in file.groups:
            yield "escalate_to", f"one of {', '.join(file.groups)}", name, "correct it"
    if file.quiet:
        try:
            _quiet(file.quiet)
        except ValueError:
            yield "quiet", "hours such as 22:00-07:00", file.quiet, "correct it"


def _channel_faults(path: Path, key: str, channel: _Channel) -> Iterator[tuple[str, str, str, str]]:
    is_robot = channel.kind in _ROBOTS
    if (is_robot or channel.kind is ChannelKind.APPRISE) and channel.url_file is None:
        yield f"{key}.url_file", "a file with the address", "nothing", "add url_file"
    for part, given in (("url_file", channel.url_file), ("secret_file", channel.secret_file)):
        if given is None:
            continue
        try:
            secret = _secret(path, given)
        except OSError as error:
            yield f"{key}.{part}", "a readable file", f"{given}: {error.strerror}", "create it"
            continue
        is_address = secret.startswith(("https://", "http://"))
        if not secret:
            yield f"{key}.{part}", "one line", f"{given} is empty", "put it in"
        elif part == "url_file" and is_robot and not is_address:
            fix = "copy the robot's webhook address"
            yield f"{key}.url_file", "an address https://…", "something else", fix


def _secret(path: Path, name: Path | None) -> str:
    return "" if name is None else (path.parent / name).read_text("utf-8").strip()


def _quiet(text: str) -> tuple[time, time]:
    start, _, end = text.partition("-")
    return time.fromisoformat(start), time.fromisoformat(end)
