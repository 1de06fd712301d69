"""Forms of a rule's page: what was learned pinned or let go, expected use entered or ended."""

import math

from server.access import Editor
from server.rules.model import Rule
from server.state.books import AuditRow
from server.state.learned import LearnedRow
from server.web.acting import NAME_LIMIT, Form, entry_of, signed
from server.web.books import FormError
from server.web.views import today_of


def ruled(editing: Editor, rule: Rule, body: str) -> tuple[str, bool]:
    """Take a form of a rule's page; give what to tell, and whether it was done."""
    try:
        form = Form.of(body)
        by = signed(form, editing)
        match form.one("do"):
            case "pin":
                return _pin(editing, rule, form, by), True
            case "unpin":
                return _unpin(editing, rule, form, by), True
            case "allow":
                return _allow(editing, rule, form, by), True
            case "disallow":
                return _disallow(editing, rule, form, by), True
        raise FormError("请选择要做的处理。")
    except FormError as error:
        return str(error), False


def _meter(editing: Editor, rule: Rule, form: Form) -> str:
    given = form.one("meter")
    if given not in {m.id for m in rule.targets(editing.analysis.site)}:
        raise FormError(f"这条规则不判断这块表：{given or '（空）'}。")
    return given


def _pin(editing: Editor, rule: Rule, form: Form, by: str) -> str:
    meter, name = _meter(editing, rule, form), form.text("name", "学得值的名称", NAME_LIMIT)
    if not editing.analysis.works.state.learned.has(rule.id, meter, name):
        raise FormError(f"这条规则没有从 {meter} 学得 {name}，无从固定。")
    try:
        value = float(form.one("value"))
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise FormError("固定值应为不小于 0 的数。")
    reason, asked = form.text("reason", "固定原因"), editing.analysis
    now_ms, day = asked.clock.now_ms(), today_of(asked).isoformat()
    asked.works.state.learned.pin(LearnedRow(rule.id, meter, name, day, value, by, now_ms, reason))
    about = f"{rule.id}/{meter}/{name}"
    asked.works.state.books.note_audit(AuditRow(now_ms, by, "pin", about, reason, f"{value:g}"))
    return f"已固定 {meter} 的值为 {value:g}，自今日起按此判断，直至取消固定。"


def _unpin(editing: Editor, rule: Rule, form: Form, by: str) -> str:
    meter, name = form.one("meter"), form.one("name")
    asked = editing.analysis
    if not asked.works.state.learned.unpin(rule.id, meter, name):
        raise FormError("没有这项固定值。")
    about = f"{rule.id}/{meter}/{name}"
    now_ms = asked.clock.now_ms()
    asked.works.state.books.note_audit(AuditRow(now_ms, by, "unpin", about, "", ""))
    return f"已取消固定 {meter}，重新按学得值判断。"


def _allow(editing: Editor, rule: Rule, form: Form, by: str) -> str:
    meter, asked = _meter(editing, rule, form), editing.analysis
    entry = entry_of(form, rule.id, meter, by, form.one("why"), asked)
    number = asked.works.state.inbox.allow(entry, asked.clock.now_ms())
    return f"已登记白名单 {number}，此后所选时段不再告警。"


def _disallow(editing: Editor, rule: Rule, form: Form, by: str) -> str:
    given, asked = form.one("entry"), editing.analysis
    mine = {str(e.id) for e in asked.works.state.inbox.allowed(rule.id)}
    if given not in mine or not asked.works.state.inbox.disallow(
        int(given), by, asked.clock.now_ms()
    ):
        raise FormError("没有生效中的这条白名单。")
    return f"已终止白名单 {given}；此前已覆盖的时段不受影响。"
