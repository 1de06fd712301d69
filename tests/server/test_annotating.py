"""Alerts in Grafana: each once, brought up to date, taken away; a Grafana that is away."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from contract.errors import DeliveryError
from server.jobs.annotating import Annotator
from server.jobs.schedule import Schedule
from server.jobs.works import Works
from server.state import State, open_state
from server.state.life import Action
from tests.server.alert_cases import DONE, NEW, NOON, desk_of, record
from tests.server.running import FixedClock
from tests.server.test_set_up import scripted

HOUR = 3_600_000
NOW = NOON + 6 * HOUR


@dataclass
class Grafana:
    """Keeps annotations as Grafana does."""

    kept: dict[int, dict[str, Any]] = field(default_factory=dict)
    is_away: bool = False

    def __call__(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if self.is_away:
            return 503, {"message": "away"}
        number = int(path.rsplit("/", 1)[1]) if path.count("/") > 2 else 0
        match method:
            case "GET":
                return 200, [{"id": n, **a} for n, a in self.kept.items()]
            case "POST":
                self.kept[len(self.kept) + 1] = body
                return 200, {"id": len(self.kept), "message": "Annotation added"}
            case "PUT":
                self.kept[number] |= body
                return 200, {"message": "Annotation updated"}
        del self.kept[number]
        return 200, {"message": "Annotation deleted"}


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    it = open_state(f"sqlite:///{tmp_path / 's.db'}")
    yield it
    it.close()


@contextmanager
def shown_on(grafana: Grafana) -> Iterator[tuple[Annotator, list[tuple[str, str, Any]]]]:
    with scripted(grafana) as (url, asked):
        yield Annotator(url, "secret"), asked


def test_an_alert_is_shown_once_and_brought_up_to_date(state: State) -> None:
    grafana = Grafana()
    record(state, NEW, now_ms=NOW)
    with shown_on(grafana) as (it, asked):
        assert it.annotate(desk_of(state), NOW) == 1
        (shown,) = grafana.kept.values()
        assert shown["time"] == NEW.start_ms
        assert "无人空调" in shown["text"]
        assert "进行中" in shown["text"]
        assert {"compound-energy", "alert-1", "无人空调"} <= set(shown["tags"])
        count = len(asked)
        assert it.annotate(desk_of(state), NOW) == 0
        assert len(asked) == count  # nothing changed: nothing is asked
        record(state, DONE, now_ms=NOW)
        assert it.annotate(desk_of(state), NOW) == 1
        (shown,) = grafana.kept.values()
        assert shown["timeEnd"] == DONE.end_ms
        assert "进行中" not in shown["text"]
        assert Annotator(it.url, "secret").annotate(desk_of(state), NOW) == 0  # after a restart


def test_what_was_false_or_doubled_is_taken_away(state: State) -> None:
    grafana = Grafana()
    record(state, DONE, now_ms=NOW)
    with shown_on(grafana) as (it, _):
        it.annotate(desk_of(state), NOW)
        grafana.kept[7] = dict(grafana.kept[1])
        grafana.kept[8] = {"time": NOW, "tags": ["compound-energy", "alert-99"], "text": "old"}
        assert Annotator(it.url, "secret").annotate(desk_of(state), NOW) == 2
        assert list(grafana.kept) == [1]
        state.inbox.act(1, Action.FALSE_ALARM, "张", NOW, reason="overtime")
        assert it.annotate(desk_of(state), NOW) == 1
    assert not grafana.kept


def test_what_stands_behind_a_cause_is_not_shown(state: State) -> None:
    grafana = Grafana()
    record(state, NEW, replace(NEW, meter="E3"), now_ms=NOW, group=lambda rows: {rows[1].id: 1})
    with shown_on(grafana) as (it, _):
        it.annotate(desk_of(state), NOW)
    assert len(grafana.kept) == 1


def test_a_grafana_that_is_away_is_told_once_and_shown_later(state: State) -> None:
    grafana, desk = Grafana(is_away=True), desk_of(state)
    record(state, DONE, now_ms=NOW)
    works = Works(None, state, desk.site, None, desk.rules)  # type: ignore[arg-type] # not looked at
    with shown_on(grafana) as (it, _), structlog.testing.capture_logs() as said:
        with pytest.raises(DeliveryError):
            it.annotate(desk, NOW)
        schedule = Schedule(works, FixedClock(NOW), annotator=it)
        schedule.annotate()
        schedule.annotate()
        grafana.is_away = False
        schedule.annotate()
        schedule.annotate()
    assert [x["event"] for x in said] == ["not_annotated", "annotated"]
    assert len(grafana.kept) == 1


def test_nobody_listens(state: State) -> None:
    with pytest.raises(DeliveryError):
        Annotator("http://127.0.0.1:9", "secret").annotate(desk_of(state), NOW)
