"""Channels, groups, and what every notifier promises."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from enum import StrEnum
from typing import Protocol

KEYWORD = "节能提醒"  # robots are set to take only texts that contain it
RANKS: Mapping[str, int] = {"notice": 0, "warning": 1, "severe": 2}


class ChannelKind(StrEnum):
    """What a channel speaks."""

    WECOM = "wecom"  # 企业微信群机器人
    DINGTALK = "dingtalk"  # 钉钉自定义机器人
    FEISHU = "feishu"  # 飞书自定义机器人
    APPRISE = "apprise"  # mail, webhooks and the rest, by an apprise URL
    SYSLOG = "syslog"
    CONSOLE = "console"  # the server's own log


@dataclass(frozen=True, slots=True)
class Channel:
    """One way to people; per_minute: what it takes in any sixty seconds; secret: to sign with."""

    name: str
    kind: ChannelKind
    url: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    per_minute: int = 20

    @property
    def max_bytes(self) -> int:
        """Give the bytes of UTF-8 a message may have; 企业微信 takes 2048."""
        return 2000 if self.kind is ChannelKind.WECOM else 15_000


@dataclass(frozen=True, slots=True)
class Group:
    """Who is told what: empty buildings and rules mean all of them."""

    name: str
    channels: tuple[str, ...]
    buildings: frozenset[str] = frozenset()
    rules: frozenset[str] = frozenset()
    least: str = "notice"

    def hears(self, rule: str, building: str, severity: str) -> bool:
        """Say whether an alert concerns the group."""
        return (
            (not self.rules or rule in self.rules)
            and (not self.buildings or building in self.buildings)
            and RANKS.get(severity, 0) >= RANKS[self.least]
        )


@dataclass(frozen=True, slots=True)
class NotifyPlan:
    """When which group is told; times are the site's; quiet None: never."""

    channels: tuple[Channel, ...]
    groups: tuple[Group, ...]
    console_url: str = ""
    quiet: tuple[time, time] | None = (time(22), time(7))
    morning: time | None = time(8, 30)
    weekly_on: int | None = 1  # ISO weekday of the weekly list
    digest_ms: int = 15 * 60_000
    escalate_ms: Mapping[str, int] = field(default_factory=dict)  # by severity
    escalate_to: tuple[str, ...] = ()  # groups
    reopen_ms: int = 24 * 3_600_000

    def is_quiet(self, at: time) -> bool:
        """Say whether only what is severe may be told at a time of the site's day."""
        if self.quiet is None:
            return False
        start, end = self.quiet
        return start <= at < end if start <= end else at >= start or at < end

    def channel(self, name: str) -> Channel | None:
        """Give a channel by name."""
        return next((c for c in self.channels if c.name == name), None)


class Notifier(Protocol):
    """A channel that is open.

    `send` returns when the far side has said that it took the message, and raises DeliveryError
    otherwise: permanent where the same message would be refused again, with `retry_after_s` where
    the channel asked for silence.
    """

    def send(self, title: str, body: str) -> None:
        """Hand a message over."""
        ...


LOG_ONLY = NotifyPlan(
    channels=(Channel("console", ChannelKind.CONSOLE, per_minute=600),),
    groups=(Group("all", ("console",)),),
    escalate_ms={"severe": 3_600_000, "warning": 4 * 3_600_000, "notice": 24 * 3_600_000},
)
