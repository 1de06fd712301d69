"""Telling: changes of state → messages for channels, stored before anything is sent."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from server.factbook.workdays import calendar_gap
from server.jobs.works import Works
from server.notify import texts
from server.notify.model import Channel, Group, NotifyPlan
from server.notify.texts import Told, Words
from server.periods import DAY_MS, HOUR_MS
from server.state import AlertRow, life
from server.state.alert_rows import TransitionRow
from server.state.found import is_muted
from server.state.life import Condition, Work
from server.state.outbound import NewMessage

OLD_MS = DAY_MS  # what was true longer ago when it was found is history, for the console alone
BRIEF_MS = 3 * HOUR_MS  # a server that starts later than this after the hour sends no brief
MANY = 3  # more urgent ones at once go in one message
_TOLD = frozenset({life.FIRING, life.RESOLVED, life.ESCALATED, life.CORRECTED, "reopened"})
Pair = tuple[TransitionRow, AlertRow]


def plan_messages(works: Works, plan: NotifyPlan, now_ms: int) -> int:
    """Decide how each change of state is told and store the messages; give how many."""
    outbound, zone = works.state.outbound, works.site.zone
    pairs = outbound.unplanned()
    spoken_of = outbound.told(sorted({a.id for _, a in pairs}))
    is_quiet = plan.is_quiet(datetime.fromtimestamp(now_ms / 1000, zone).time())
    slot_ms = now_ms // plan.digest_ms * plan.digest_ms
    silent: list[int] = []
    urgent: list[Pair] = []
    later: list[Pair] = []
    for t, a in pairs:
        if not _is_worth(t, a, now_ms, is_known=a.id in spoken_of):
            silent.append(t.id)
            continue
        spoken_of.add(a.id)
        if a.severity == "severe" or t.to_phase == life.ESCALATED:
            urgent.append((t, a))
        elif not is_quiet and t.recorded_ms < slot_ms:
            later.append((t, a))
    composed = _Composed(works, plan, now_ms)
    messages = [*composed.urgent(urgent), *composed.digests(later, slot_ms)]
    settled = [*silent, *(t.id for t, _ in urgent), *(t.id for t, _ in later)]
    if not settled or not outbound.plan(settled, messages, now_ms):
        return 0
    return len(messages)


def plan_briefs(works: Works, plan: NotifyPlan, now_ms: int) -> int:
    """Store the morning brief, the weekly list and the calendar's warning, each once a channel."""
    at = datetime.fromtimestamp(now_ms / 1000, works.site.zone)
    if plan.morning is None:
        return 0
    begins = datetime.combine(at.date(), plan.morning, tzinfo=works.site.zone)
    if not 0 <= now_ms - int(begins.timestamp() * 1000) < BRIEF_MS:
        return 0
    composed = _Composed(works, plan, now_ms)
    wanted = list(composed.briefs("morning", f"{at.month}月{at.day}日早间简报", at))
    if at.isoweekday() == plan.weekly_on:
        wanted += composed.briefs("weekly", "近七天清单", at)
    year = calendar_gap(at.date())
    if year is not None:
        wanted += composed.calendar(year, at)
    outbound = works.state.outbound
    new = [m for m in wanted if not outbound.is_planned(m.channel, m.dedupe)]
    return sum(outbound.plan((), [m], now_ms) for m in new)


def _is_worth(t: TransitionRow, a: AlertRow, now_ms: int, *, is_known: bool) -> bool:
    """Say whether anybody is to be told of a change of state."""
    if t.to_phase not in _TOLD or a.parent_id is not None or is_muted(a, now_ms):
        return False
    if t.to_phase == "reopened":
        return t.by == life.SYSTEM
    if t.to_phase == life.FIRING:
        is_news = t.recorded_ms - (a.end_ms or t.at_ms) < OLD_MS
        return is_news and a.condition is not Condition.WITHDRAWN and a.work is not Work.FALSE_ALARM
    if t.to_phase == life.RESOLVED:
        return is_known and a.work not in {Work.CLOSED, Work.FALSE_ALARM}
    return is_known and (t.to_phase != life.ESCALATED or a.condition is Condition.FIRING)


class _Composed:
    """Messages of one moment."""

    def __init__(self, works: Works, plan: NotifyPlan, now_ms: int) -> None:
        self._works, self._plan, self._now_ms = works, plan, now_ms
        self._rules = {r.id: r for r in works.rules}
        self._places = {b.id: b.name for b in works.site.buildings}
        self._places[works.site.id] = works.site.name
        self._meters = {m.id: m.name for m in works.site.meters}

    def urgent(self, pairs: Sequence[Pair]) -> Iterable[NewMessage]:
        """Tell each at once; many at once in one message."""
        for channel, heard in self._heard(pairs):
            if len(heard) > MANY:
                words = self._digest("紧急告警", heard, channel)
                yield self._message(channel, f"urgent:{heard[0][0].id}", "urgent", words, heard)
                continue
            for pair in heard:
                words = texts.single(
                    self.told(*pair), self._now_ms, self._works.site.zone, self._plan.console_url
                )
                yield self._message(channel, f"t:{pair[0].id}", "urgent", words, [pair])

    def digests(self, pairs: Sequence[Pair], slot_ms: int) -> Iterable[NewMessage]:
        """Tell what came up in a slot together."""
        if not pairs:
            return
        zone = self._works.site.zone
        first, last = (
            datetime.fromtimestamp(ms / 1000, zone)
            for ms in (min(t.recorded_ms for t, _ in pairs), slot_ms)
        )
        for channel, heard in self._heard(pairs):
            words = self._digest(f"{first:%H:%M}–{last:%H:%M}", heard, channel)
            yield self._message(
                channel, f"digest:{slot_ms}:{heard[0][0].id}", "digest", words, heard
            )

    def briefs(self, kind: str, head: str, at: datetime) -> Iterable[NewMessage]:
        """Tell each group what is open (weekly: what the last seven days cost)."""
        inbox = self._works.state.inbox
        rows = inbox.open(by_cost=True, limit=1000)
        since_ms = self._now_ms - 7 * DAY_MS
        if kind == "weekly":
            rows = [a for a in rows if (a.end_ms or self._now_ms) > since_ms]
        else:
            rows = [a for a in rows if not is_muted(a, self._now_ms)]
        for group in self._plan.groups:
            heard = [a for a in rows if group.hears(a.rule, a.building, a.severity)]
            told = [self.told_of(a, life.FIRING) for a in heard]
            for channel in self._channels([group]):
                words = texts.brief(
                    f"{group.name}{head}", told, self._now_ms, self._works.site.zone,
                    self._plan.console_url, channel.max_bytes,
                )  # fmt: skip
                dedupe = f"{kind}:{group.name}:{at.date()}"
                yield NewMessage(
                    channel.name, dedupe, kind, words.title, words.body, self._now_ms
                )  # fmt: skip

    def calendar(self, year: int, at: datetime) -> Iterable[NewMessage]:
        """Warn once a month that a year's days off are not known."""
        words = texts.plain(
            f"{year}年的放假与调休安排尚未录入，届时工作日只能推算，相关告警会标“推算”。"
            "请在国务院公布后升级本软件，或在 site.yaml 的 local_days 中逐日登记。"
        )
        for channel in self._channels(self._plan.groups):
            dedupe = f"calendar:{year}:{at:%Y-%m}"
            yield NewMessage(
                channel.name, dedupe, "calendar", words.title, words.body, self._now_ms
            )

    def told(self, t: TransitionRow, a: AlertRow) -> Told:
        """Give a change of state as it is told."""
        return replace(self.told_of(a, t.to_phase), note=_note(t.detail, a.unit))

    def told_of(self, a: AlertRow, what: str) -> Told:
        """Give an alert as it is told."""
        rule = self._rules.get(a.rule)
        behind = self._works.state.inbox.children(a.id)
        same = [a, *(b for b in behind if b.rule == a.rule)]
        priced = [b.yuan for b in same if b.yuan is not None]
        return Told(
            number=a.id, what=what, title=rule.title if rule else a.rule, severity=a.severity,
            place=self._places.get(a.building, a.building),
            meter=self._meters.get(a.meter, a.meter), start_ms=a.start_ms, end_ms=a.end_ms,
            excess=sum(b.excess for b in same), unit=a.unit,
            yuan=sum(priced, Decimal(0)) if priced else None,
            advice=rule.advice if rule else "", behind=len(behind), day_state=a.day_state,
            rule=a.rule, building=a.building,
        )  # fmt: skip

    def _digest(self, head: str, heard: Sequence[Pair], channel: Channel) -> Words:
        return texts.digest(
            head, [self.told(t, a) for t, a in _last_word(heard)], self._now_ms,
            self._works.site.zone, self._plan.console_url, channel.max_bytes,
        )  # fmt: skip

    def _heard(self, pairs: Sequence[Pair]) -> Iterable[tuple[Channel, list[Pair]]]:
        """Give what each channel is to be told, once though several of its groups hear it."""
        for channel in self._plan.channels:
            groups = [g for g in self._plan.groups if channel.name in g.channels]
            heard = [p for p in pairs if any(self._hears(g, *p) for g in groups)]
            if heard:
                yield channel, heard

    def _hears(self, group: Group, t: TransitionRow, a: AlertRow) -> bool:
        if t.to_phase == life.ESCALATED and group.name in self._plan.escalate_to:
            return True
        return group.hears(a.rule, a.building, a.severity)

    def _channels(self, groups: Sequence[Group]) -> list[Channel]:
        named = {name for g in groups for name in g.channels}
        return [c for c in self._plan.channels if c.name in named]

    def _message(
        self, channel: Channel, dedupe: str, kind: str, words: Words, pairs: Sequence[Pair]
    ) -> NewMessage:
        told = tuple(t.id for t, _ in pairs)
        return NewMessage(
            channel.name, dedupe, kind, words.title, words.body, self._now_ms, told
        )  # fmt: skip


def _last_word(pairs: Sequence[Pair]) -> list[Pair]:
    """Give one change an alert: that it fired where that is among them, else the last."""
    out: dict[int, Pair] = {}
    for t, a in pairs:
        kept = out.get(a.id)
        if kept is None or kept[0].to_phase != life.FIRING:
            out[a.id] = (t, a)
    return list(out.values())


def _note(detail: Mapping[str, Any], unit: str) -> str:
    """Say what a correction changed."""
    phase, excess = detail.get("phase"), detail.get("excess")
    if phase is not None and phase[1] in {Condition.WITHDRAWN, Condition.PENDING, Condition.LAPSED}:
        return "迟到的数据表明并无此事，原告警撤销"
    if excess is not None:
        return f"迟到的数据使多用量由{excess[0]:,.1f}改为{excess[1]:,.1f} {unit}"
    if "start_ms" in detail or "end_ms" in detail:
        return "迟到的数据改变了起止时间"
    return str(detail.get("reason", ""))
