"""Annotating: alerts of the last weeks → annotations of a Grafana, when something changed."""

from dataclasses import dataclass, field

from server.jobs.works import Desk
from server.periods import DAY_MS
from server.state import AlertRow
from server.state.life import Work

SHOWN_MS, AGAIN_MS = 35 * DAY_MS, 3_600_000
_STILL_MS = 300_000  # the end of what goes on is moved as seldom as this


@dataclass(slots=True)
class Annotator:
    """Where to; what was shown last is remembered, so that an unchanged hour costs nothing."""

    url: str
    token: str
    _shown: tuple[object, ...] = ()
    _shown_ms: int = field(default=-AGAIN_MS)

    def annotate(self, desk: Desk, now_ms: int) -> int:
        """Show the alerts that are told; give how many annotations changed.  DeliveryError."""
        from server.grafana import Mark, bring_up_to_date  # its library is loaded where it is used

        since_ms = (now_ms - SHOWN_MS) // DAY_MS * DAY_MS
        titles = {r.id: r.title for r in desk.rules}
        places = {b.id: b.name for b in desk.site.buildings}
        marks = tuple(
            Mark(
                f"alert-{a.id}", a.start_ms, _end_ms(a, now_ms), _text(a, titles, places),
                (titles.get(a.rule, a.rule), places.get(a.building, a.building)),
            )
            for a in desk.state.alerts(since_ms)
            if a.parent_id is None and a.work is not Work.FALSE_ALARM and a.start_ms >= since_ms
        )  # fmt: skip
        if marks == self._shown and now_ms - self._shown_ms < AGAIN_MS:
            return 0
        changed = bring_up_to_date(self.url, self.token, marks, since_ms)
        self._shown, self._shown_ms = marks, now_ms
        return changed


def _end_ms(a: AlertRow, now_ms: int) -> int:
    return now_ms // _STILL_MS * _STILL_MS if a.end_ms is None else a.end_ms


def _text(a: AlertRow, titles: dict[str, str], places: dict[str, str]) -> str:
    cost = "" if a.yuan is None else f"，约 {a.yuan:,.2f} 元"
    head = f"{titles.get(a.rule, a.rule)} · {places.get(a.building, a.building)}"
    state = "（进行中）" if a.end_ms is None else ""
    return f"{head}{state}：多用 {a.excess:,.1f} {a.unit}{cost}（{a.order_number}）"
