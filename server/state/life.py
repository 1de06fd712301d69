"""The working life of an alert: who may do what to it when.  Pure.

The condition (pending, firing, resolved) is the rule's to say; the work is people's.  The two
run side by side: an alert may be closed while its condition holds, and is then reopened by the
system if that lasts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from contract.errors import ConfigError, Problem


class Condition(StrEnum):
    """What the rule says of an alert; kept in `alert.phase`."""

    PENDING = "pending"  # true, not yet for the rule's hold time
    FIRING = "firing"
    RESOLVED = "resolved"
    LAPSED = "lapsed"  # was pending and never fired
    WITHDRAWN = "withdrawn"  # late data showed that it was never true


class Work(StrEnum):
    """How far people are with an alert; kept in `alert.work`."""

    NEW = "new"
    ACKNOWLEDGED = "acknowledged"
    ASSIGNED = "assigned"
    CLOSED = "closed"
    FALSE_ALARM = "false_alarm"


class Action(StrEnum):
    """What a person may do; also the `to_phase` of the transition it leaves."""

    ACKNOWLEDGE = "acknowledged"
    ASSIGN = "assigned"
    NOTE = "noted"
    MUTE = "muted"
    FALSE_ALARM = "false_alarm"
    CLOSE = "closed"
    REOPEN = "reopened"


PENDING, FIRING, RESOLVED = "pending", "firing", "resolved"
ESCALATED, CORRECTED = "escalated", "corrected"
SYSTEM = "system"
MAX_MUTE_MS = 90 * 86_400_000

_OPEN = frozenset({Work.NEW, Work.ACKNOWLEDGED, Work.ASSIGNED})


@dataclass(frozen=True, slots=True)
class Step:
    """From which works an action leads to which (None: it stays), and what it must say."""

    before: frozenset[Work]
    after: Work | None
    needs: str = ""


LIFE: Mapping[Action, Step] = {
    Action.ACKNOWLEDGE: Step(frozenset({Work.NEW}), Work.ACKNOWLEDGED),
    Action.ASSIGN: Step(_OPEN, Work.ASSIGNED, "to"),
    Action.NOTE: Step(frozenset(Work), None, "text"),
    Action.MUTE: Step(_OPEN, None, "until_ms"),
    Action.FALSE_ALARM: Step(_OPEN, Work.FALSE_ALARM, "reason"),
    Action.CLOSE: Step(_OPEN, Work.CLOSED, "reason"),
    Action.REOPEN: Step(frozenset({Work.CLOSED, Work.FALSE_ALARM}), Work.NEW, "reason"),
}

# false alarms for a reason that will come again are whitelisted
WHITELIST_REASONS: Mapping[str, str] = {
    "duty_room": "值班室", "server_room": "机房", "fire_safety": "消防", "cold_store": "冷库",
    "night_irrigation": "夜间灌溉", "weekly_cleaning": "每周大扫除",
}  # fmt: skip
FALSE_ALARM_REASONS: Mapping[str, str] = {
    **WHITELIST_REASONS, "overtime": "会议加班", "works": "检修施工", "bad_data": "数据异常",
    "bad_rule": "规则不当",
}  # fmt: skip
_TEXT_LIMIT, _NAME_LIMIT = 300, 64


def actions_of(work: Work) -> tuple[Action, ...]:
    """Give what may be done to an alert in a state of work, in the order of the table."""
    return tuple(a for a, step in LIFE.items() if work in step.before)


def check(number: int, work: Work, action: Action, detail: Mapping[str, object], now: int) -> None:
    """Refuse what the life table does not allow; ConfigError says what would be."""
    step = LIFE[action]
    file = f"alert {number}"
    if work not in step.before:
        expected = ", ".join(sorted(step.before))
        fix = f"allowed now: {', '.join(actions_of(work))}"
        raise ConfigError([Problem(file, str(action), expected, str(work), fix)])
    if step.needs:
        expected = _fault(step.needs, action, detail.get(step.needs), now)
        if expected:
            got = repr(detail.get(step.needs))
            raise ConfigError([Problem(file, step.needs, expected, got, f"give {step.needs}")])


def _fault(key: str, action: Action, value: object, now_ms: int) -> str:
    """Say what was expected of a detail; empty: it is right."""
    if key == "until_ms":
        last = now_ms + MAX_MUTE_MS
        is_right = isinstance(value, int) and not isinstance(value, bool) and now_ms < value <= last
        return "" if is_right else "an instant after now, at most 90 days on"
    if action is Action.FALSE_ALARM:
        known = value in FALSE_ALARM_REASONS
        return "" if known else f"one of {', '.join(FALSE_ALARM_REASONS)}"
    limit = _NAME_LIMIT if key == "to" else _TEXT_LIMIT
    fits = isinstance(value, str) and value.strip() != "" and len(value) <= limit
    return "" if fits else f"a text of 1 to {limit} characters"
