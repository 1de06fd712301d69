"""What is told, in plain Chinese: what, where, since when, cost so far, what to do, link.  Pure.

Counts and places only: no person is named.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from server.notify.model import KEYWORD, RANKS

SEVERITIES = {"notice": "提醒", "warning": "警告", "severe": "严重"}
_HOUR_MS, _MINUTE_MS = 3_600_000, 60_000


@dataclass(frozen=True, slots=True)
class Told:
    """An alert as it is told; what: firing, resolved, reopened, escalated, corrected."""

    number: int
    what: str
    title: str
    severity: str
    place: str
    meter: str
    start_ms: int
    end_ms: int | None
    excess: float
    unit: str
    yuan: Decimal | None
    advice: str
    behind: int = 0  # alerts of the same cause that are not told
    day_state: str = "published"
    note: str = ""
    rule: str = ""
    building: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """A message: title and body."""

    title: str
    body: str


def single(told: Told, now_ms: int, zone: ZoneInfo, console_url: str) -> Words:
    """Tell one alert at once."""
    heads = {
        "escalated": "逾期无人处理", "resolved": "已恢复", "reopened": "重新打开",
        "corrected": "更正",
    }  # fmt: skip
    head = heads.get(told.what, "")
    title = f"【{KEYWORD}·{SEVERITIES[told.severity]}】{head + '：' if head else ''}{told.title}"
    lines = [
        f"地点：{told.place}（{told.meter}）" + _behind(told),
        f"时间：{_span(told, now_ms, zone)}",
        f"损失：{_cost(told)}" + ("" if told.end_ms else "，仍在增加"),
    ]
    if told.day_state == "estimated":
        lines.append("日历：当年放假安排尚未录入，工作日为推算")
    if told.note:
        lines.append(f"说明：{told.note}")
    if told.what in {"firing", "escalated", "reopened"}:
        lines.append(f"请处理：{told.advice}")
    lines.append(f"工单：GD-{told.number:06d}")
    if console_url:
        lines.append(f"详情{_link(console_url, f'alerts/{told.number}')}")
    return Words(title, "\n".join(lines))


def digest(
    head: str, rows: Sequence[Told], now_ms: int, zone: ZoneInfo, console_url: str,
    max_bytes: int,
) -> Words:  # fmt: skip
    """Tell many at once: dearest first, one line for a rule and a place; what does not fit counts.

    max_bytes: of title and body in UTF-8.
    """
    fired = [t for t in rows if t.what in {"firing", "reopened", "escalated"}]
    over = [t for t in rows if t.what == "resolved"]
    mended = [t for t in rows if t.what == "corrected"]
    counts = [
        f"{label}{len(part)}条"
        for label, part in (("新增", fired), ("恢复", over), ("更正", mended))
        if part
    ]
    title = f"【{KEYWORD}】{head}：" + "，".join(counts)
    lines = [f"{_total(rows)}"]
    lines += [f"{i}. {x}" for i, x in enumerate(_grouped(fired, now_ms, zone), 1)]
    lines += [f"已恢复：{x}" for x in _grouped(over, now_ms, zone)]
    lines += [f"更正：{t.title}·{t.place}，{t.note}（GD-{t.number:06d}）" for t in mended]
    last = "全部告警" + (_link(console_url, "alerts") or "见控制台告警页")
    return Words(title, _fitted(lines, last, max_bytes - len(title.encode()) - 1))


def brief(
    head: str, rows: Sequence[Told], now_ms: int, zone: ZoneInfo, console_url: str,
    max_bytes: int, extra: Sequence[str] = (),
) -> Words:  # fmt: skip
    """Tell what is open now: the morning brief and the weekly list."""
    title = f"【{KEYWORD}】{head}：待处理{len(rows)}条"
    lines = [_total(rows) if rows else "目前没有待处理的告警。", *extra]
    lines += [f"{i}. {x}" for i, x in enumerate(_grouped(rows, now_ms, zone), 1)]
    last = "全部告警" + (_link(console_url, "alerts") or "见控制台告警页")
    return Words(title, _fitted(lines, last, max_bytes - len(title.encode()) - 1))


def plain(text: str) -> Words:
    """Tell a sentence."""
    return Words(f"【{KEYWORD}】系统提示", text)


def _grouped(rows: Sequence[Told], now_ms: int, zone: ZoneInfo) -> list[str]:
    """Give a line for each rule and place: most severe first, then dearest."""
    groups: dict[tuple[str, str], list[Told]] = {}
    for told in rows:
        groups.setdefault((told.title, told.place), []).append(told)

    def order(part: list[Told]) -> tuple[int, Decimal]:
        rank = max(RANKS.get(t.severity, 0) for t in part)
        return -rank, -sum((t.yuan or Decimal(0) for t in part), Decimal(0))

    out = []
    for part in sorted(groups.values(), key=order):
        first = min(part, key=lambda t: t.start_ms)
        meters = first.meter if len(part) == 1 else f"{len(part)}块表"
        mark = "" if first.severity == "notice" else f"［{SEVERITIES[first.severity]}］"
        since = _span(first, now_ms, zone)
        text = f"{mark}{first.title}·{first.place}（{meters}）{since}，{_sum(part)}"
        out.append(text + (f"。{first.advice}" if first.what != "resolved" else ""))
    return out


def _fitted(lines: Sequence[str], last: str, max_bytes: int) -> str:
    """Join what fits; say how many lines do not."""
    kept: list[str] = []
    for i, line in enumerate(lines):
        left = len(lines) - i
        tail = last if left == 1 else f"另有{left - 1}条未列出。{last}"
        if len("\n".join([*kept, line, tail]).encode()) > max_bytes:
            return "\n".join([*kept, f"另有{left}条未列出。{last}"])
        kept.append(line)
    return "\n".join([*kept, last])


def _span(told: Told, now_ms: int, zone: ZoneInfo) -> str:
    text = f"{_at(told.start_ms, zone)}起"
    if told.end_ms is None:
        return f"{text}，已持续{_length(now_ms - told.start_ms)}"
    return f"{text}，至{_at(told.end_ms, zone)}，共{_length(told.end_ms - told.start_ms)}"


def _at(time_ms: int, zone: ZoneInfo) -> str:
    at = datetime.fromtimestamp(time_ms / 1000, zone)
    return f"{at.month}月{at.day}日{at:%H:%M}"


def _length(span_ms: int) -> str:
    if span_ms < 2 * _HOUR_MS:
        return f"{max(0, span_ms) // _MINUTE_MS}分钟"
    hours = span_ms // _HOUR_MS
    return f"{hours}小时" if hours < 72 else f"{hours // 24}天"


def _cost(told: Told) -> str:
    amount = f"比正常多用{told.excess:,.1f} {told.unit}"
    return amount if told.yuan is None else f"{amount}，约{told.yuan:,.2f}元"


def _sum(part: Sequence[Told]) -> str:
    amount = f"多用{sum(t.excess for t in part):,.1f} {part[0].unit}"
    priced = [t.yuan for t in part if t.yuan is not None]
    return amount + (f"、约{sum(priced, Decimal(0)):,.2f}元" if priced else "")


def _total(rows: Sequence[Told]) -> str:
    priced = [t.yuan for t in rows if t.yuan is not None and t.what != "corrected"]
    if not priced:
        return "费用暂不能估算。"
    return f"合计多花约{sum(priced, Decimal(0)):,.2f}元。"


def _behind(told: Told) -> str:
    return f"，同一原因另有{told.behind}条" if told.behind else ""


def _link(console_url: str, path: str) -> str:
    return f"：{console_url}/{path}" if console_url else ""
