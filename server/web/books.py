"""The page of the books: what was mended, what moved, what is closed."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

from server.access import Editor
from server.analysis import Analysis
from server.jobs.entries import faults_of, fixed_before
from server.jobs.reviews import doubts_of_bills
from server.jobs.tracks import real_meters
from server.periods import DAY_MS
from server.state.books import NewRepair, Repair, RepairKind

KINDS = {
    RepairKind.EXCLUDE: "剔除", RepairKind.REPLACE: "替换", RepairKind.READING: "人工抄表",
    RepairKind.BILL: "账单", RepairKind.CURVE: "负荷曲线",
}  # fmt: skip
EVENTS = {
    "gap": "缺数", "rollover": "计数翻转", "guessed_rollover": "疑似翻转", "reset": "计数归零",
    "jump": "原因不明的跳变", "garbage": "乱码", "stale": "倒退读数", "frozen": "停走",
    "delayed": "时刻有误", "pending": "待判定",
}  # fmt: skip
FORM_KINDS = ("exclude", "reading", "bill")
EVENT_DAYS, SHOWN = 45, 200


class FormError(Exception):
    """A form that cannot be taken; the text says why."""


def books_page(asked: Analysis) -> dict[str, Any]:
    """Give what the page shows."""
    books, now_ms = asked.works.state.books, asked.clock.now_ms()
    meters = real_meters(asked.site)
    names = {m.id: m.name for m in asked.site.meters}
    events = books.events(names, now_ms - EVENT_DAYS * DAY_MS, now_ms)
    return {
        "meters": meters,
        "names": names,
        "kinds": KINDS,
        "event_names": EVENTS,
        "repairs": list(reversed(books.repairs(standing=False)))[:SHOWN],
        "content": content_text,
        "notes": books.notes()[:SHOWN],
        "periods": books.periods(),
        "corrections": books.corrections(is_open=True)[:SHOWN],
        "open_corrections": len(books.corrections(is_open=True)),
        "events": [e for e in reversed(events) if e.kind != "rollover"][:SHOWN],
        "local": lambda ms: at_text(ms, asked.site.zone),
        "said": "",
        "is_done": True,
    }


def at_text(at_ms: int, zone: ZoneInfo) -> str:
    """Give an instant in site time."""
    return f"{datetime.fromtimestamp(at_ms / 1000, zone):%Y-%m-%d %H:%M}"


def content_text(repair: Repair) -> str:
    """Give a repair's content in a few words."""
    content = repair.content
    if "quantity" in content:
        yuan = f"，{content['yuan']} 元" if "yuan" in content else ""
        return f"{content['quantity']}{yuan}"
    if "readings" in content:
        return f"{len(content['readings'])} 个读数"
    if "intervals" in content:
        return f"{len(content['intervals'])} 个时段"
    return "—"


def entered(editing: Editor, body: str) -> tuple[str, bool]:
    """Take a form; give what to tell, and whether it was done."""
    asked = editing.analysis
    form = {k: v[0].strip() for k, v in parse_qs(body).items()}
    try:
        author = form.get("author") or editing.name
        if not author or not form.get("reason"):
            raise FormError("请填写经办人和原因。")
        if "undo" in form:
            return _undone(asked, form, author)
        new = _repair(asked, form, author)
        fixed_ms = fixed_before(asked.works.state, asked.site.meter(new.meter))
        faults = list(faults_of(new, asked.clock.now_ms(), fixed_ms))
        if faults:
            raise FormError(f"不能登记：{'；'.join(faults)}")
    except FormError as error:
        return str(error), False
    doubts = doubts_of_bills(asked.site, asked.works.state.books.repairs(), [new])
    if doubts and form.get("accept") != "yes":
        text = "；".join(f"{d.subject}：{d.text}" for d in doubts)
        return f"存疑，未登记：{text}。核实无误后勾选“已核实”再提交。", False
    (number,) = asked.works.state.books.enter([new], asked.clock.now_ms())
    asked.forget()
    return f"已登记，编号 {number}；相关时段将自动重算。", True


def _undone(asked: Analysis, form: Mapping[str, str], author: str) -> tuple[str, bool]:
    number = int(form["undo"]) if form["undo"].isdigit() else -1
    done = asked.works.state.books.undo(number, author, form["reason"], asked.clock.now_ms())
    if done is None:
        return f"没有可撤销的修补 {form['undo']}。", False
    asked.forget()
    return f"已撤销 {number}；相关时段将自动重算。", True


def _repair(asked: Analysis, form: Mapping[str, str], author: str) -> NewRepair:
    kind = form.get("kind", "")
    if kind not in FORM_KINDS:
        raise FormError(f"不认识的类别：{kind or '（空）'}。")
    meter = form.get("meter", "")
    if meter not in {m.id for m in real_meters(asked.site)}:
        raise FormError(f"没有这块表：{meter or '（空）'}。")
    start = _moment(form, "start", asked.site.zone)
    content: dict[str, Any] = {}
    if kind == RepairKind.READING:
        content = {"readings": [[start, float(_amount(form, "register", "读数"))]]}
        end = start + 1
    else:
        end = _moment(form, "end", asked.site.zone)
    if end <= start:
        raise FormError("结束时刻应晚于开始时刻。")
    if kind == RepairKind.BILL:
        content = {"quantity": _amount(form, "quantity", "数量")}
        if form.get("yuan"):
            content["yuan"] = _amount(form, "yuan", "金额")
    return NewRepair(RepairKind(kind), meter, start, end, content, form["reason"], author)


def _moment(form: Mapping[str, str], key: str, zone: ZoneInfo) -> int:
    try:
        at = datetime.fromisoformat(form.get(key, ""))
    except ValueError as error:
        name = "开始" if key == "start" else "结束"
        raise FormError(f"请填写{name}时刻，例如 2026-03-02T08:00。") from error
    return round((at if at.tzinfo else at.replace(tzinfo=zone)).timestamp() * 1000)


def _amount(form: Mapping[str, str], key: str, name: str) -> str:
    try:
        value = Decimal(form.get(key, ""))
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or value < 0:
        raise FormError(f"{name}应为不小于 0 的数。")
    return str(value)
