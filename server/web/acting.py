"""Forms of alerts: acting on one or many, expected use, pins; each is signed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

from contract.errors import ConfigError
from server.access import Editor
from server.analysis import Analysis
from server.periods import midnight_ms
from server.state.alerts import Action, WhitelistEntry
from server.state.life import FALSE_ALARM_REASONS, SYSTEM, WHITELIST_REASONS, actions_of
from server.web.books import FormError
from server.web.labels import ACTIONS, WORKS

MUTE_DAYS = (1, 3, 7, 30, 90)
MOST_AT_ONCE = 500
NAME_LIMIT, _TEXT_LIMIT = 64, 300
_MORNING_HOUR = 8


@dataclass(frozen=True, slots=True)
class Form:
    """What a browser sent: every value of a key, trimmed."""

    values: Mapping[str, list[str]]

    @classmethod
    def of(cls, body: str) -> "Form":
        """Read a form; a body that is none has no keys."""
        try:
            found = parse_qs(body, max_num_fields=3 * MOST_AT_ONCE)
        except ValueError as error:
            raise FormError(f"一次最多处理 {MOST_AT_ONCE} 条。") from error
        return cls({k: [x.strip() for x in v] for k, v in found.items()})

    def one(self, key: str) -> str:
        """Give the first value; empty: there is none."""
        return self.values.get(key, [""])[0]

    def text(self, key: str, name: str, limit: int = _TEXT_LIMIT) -> str:
        """Give a text that must be there; FormError names it."""
        value = self.one(key)
        if not value or len(value) > limit:
            raise FormError(f"请填写{name}（不超过 {limit} 字）。")
        return value


def signed(form: Form, editing: Editor) -> str:
    """Give who acts: as typed, else by the name of the login."""
    by = form.one("author") or editing.name
    if not by or len(by) > NAME_LIMIT or by == SYSTEM:
        raise FormError(f"请填写经办人姓名（不超过 {NAME_LIMIT} 字）。")
    return by


def acted(editing: Editor, body: str) -> tuple[str, bool]:
    """Take a form that acts on alerts; give what to tell, and whether anything was done."""
    try:
        form = Form.of(body)
        action = _action(form)
        by = signed(form, editing)
        numbers = _numbers(form)
        detail = _detail(form, action, editing.analysis)
        expected = _expected(form, action, by, editing.analysis)
    except FormError as error:
        return str(error), False
    done, refused = [], []
    for number in numbers:
        fault = _act(editing.analysis, number, action, by, detail)
        if fault:
            refused.append(fault)
        else:
            done.append(number)
    said = [f"已{ACTIONS[action]} {_listed(done)}。"] if done else []
    if expected is not None and done:
        said.append(_allow(editing.analysis, done, expected))
    return "".join([*said, *refused]), bool(done)


def _listed(numbers: list[int]) -> str:
    names = "、".join(f"GD-{n:06d}" for n in numbers[:5])
    return names if len(numbers) <= 5 else f"{names} 等 {len(numbers)} 条"


def _action(form: Form) -> Action:
    given = form.one("action")
    if given not in set(Action):
        raise FormError("请选择要做的处理。")
    return Action(given)


def _numbers(form: Form) -> list[int]:
    given = form.values.get("alert", [])
    numbers = [int(x) for x in dict.fromkeys(given) if x.isascii() and x.isdigit() and len(x) < 10]
    if not numbers:
        raise FormError("请先勾选告警。")
    if len(numbers) > MOST_AT_ONCE:
        raise FormError(f"一次最多处理 {MOST_AT_ONCE} 条。")
    return numbers


def _detail(form: Form, action: Action, analysis: Analysis) -> dict[str, Any]:
    match action:
        case Action.ASSIGN:
            return {"to": form.text("to", "派给谁", NAME_LIMIT)}
        case Action.NOTE:
            return {"text": form.text("text", "备注")}
        case Action.MUTE:
            return {"until_ms": _mute_until(form, analysis)}
        case Action.CLOSE | Action.REOPEN:
            return {"reason": form.text("reason", "原因")}
        case Action.FALSE_ALARM:
            if form.one("why") not in FALSE_ALARM_REASONS:
                raise FormError("请选择误报原因。")
            return {"reason": form.one("why")}
    return {}


def _mute_until(form: Form, analysis: Analysis) -> int:
    """Give the morning of the day up to which nobody wants to hear of it."""
    if form.one("mute_days") not in {str(d) for d in MUTE_DAYS}:
        raise FormError("请选择静默天数。")
    days, zone = int(form.one("mute_days")), analysis.site.zone
    now_ms = analysis.clock.now_ms()
    last = now_ms + days * 86_400_000
    day = datetime.fromtimestamp(now_ms / 1000, zone).date() + timedelta(days=days)
    return min(midnight_ms(day, zone) + _MORNING_HOUR * 3_600_000, last)


def _act(
    analysis: Analysis, number: int, action: Action, by: str, detail: Mapping[str, Any]
) -> str:
    """Act on one alert; give why not, in Chinese, empty: it is done."""
    inbox = analysis.works.state.inbox
    row = inbox.get(number)
    if row is None:
        return f"没有编号 {number} 的告警。"
    if action not in actions_of(row.work):
        return f"{row.order_number} 现为“{WORKS[row.work]}”，不能{ACTIONS[action]}。"
    try:
        inbox.act(number, action, by, analysis.clock.now_ms(), **detail)
    except ConfigError:  # somebody else was quicker
        return f"{row.order_number} 刚被他人处理过，请刷新后再试。"
    return ""


def _expected(form: Form, action: Action, by: str, analysis: Analysis) -> WhitelistEntry | None:
    """Give expected use as the form of a false alarm has it, not yet of a rule and meter."""
    if action is not Action.FALSE_ALARM or form.one("expect") != "yes":
        return None
    return entry_of(form, "", "", by, form.one("why"), analysis)


def _allow(analysis: Analysis, numbers: list[int], entry: WhitelistEntry) -> str:
    inbox, now_ms = analysis.works.state.inbox, analysis.clock.now_ms()
    for number in numbers:
        row = inbox.get(number)
        if row is not None:
            mine = {"rule": row.rule, "meter": row.meter, "alert_id": number}
            changed = {k: getattr(entry, k) for k in _ENTRY_KEYS} | mine
            inbox.allow(WhitelistEntry(**changed), now_ms)
    return "已登记白名单，此后所选时段不再告警。"


_ENTRY_KEYS = ("reason", "from_ms", "by", "until_ms", "weekdays", "from_minute", "to_minute")


def entry_of(
    form: Form, rule: str, meter: str, by: str, reason: str, analysis: Analysis
) -> WhitelistEntry:
    """Give expected use of a form, from now on; FormError says what is wrong."""
    if reason not in WHITELIST_REASONS:
        known = "、".join(WHITELIST_REASONS.values())
        raise FormError(f"只有{known}可登记白名单，请改选原因或取消“不再告警”。")
    days = "".join(sorted({d for d in form.values.get("weekday", []) if d in set("1234567")}))
    if not days:
        raise FormError("请勾选白名单适用的星期。")
    now_ms = analysis.clock.now_ms()
    until_ms = None if not form.one("until") else _end_of(form.one("until"), analysis.site.zone)
    if until_ms is not None and until_ms <= now_ms:
        raise FormError("白名单截止日期应在今天或以后。")
    return WhitelistEntry(
        rule=rule, meter=meter, reason=reason, from_ms=now_ms, by=by, until_ms=until_ms,
        weekdays=days, from_minute=_minute(form, "from", "开始") % 1440,
        to_minute=_minute(form, "to", "结束") or 1440,
    )  # fmt: skip


def _end_of(text: str, zone: ZoneInfo) -> int:
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a date has no zone
    except ValueError as error:
        raise FormError("请填写白名单截止日期，例如 2026-12-31。") from error
    return midnight_ms(day + timedelta(days=1), zone)


def _minute(form: Form, key: str, name: str) -> int:
    hour, _, minute = form.one(key).partition(":")
    if not (hour.isdigit() and minute.isdigit() and int(hour) <= 24 and int(minute) < 60):
        raise FormError(f"请填写白名单{name}时刻，例如 18:30。")
    return min(int(hour) * 60 + int(minute), 1440)
