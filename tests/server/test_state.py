"""State: alerts are kept once, every change is a row, leases keep two servers apart."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, inspect, text

import server.state
from server.state import NewAlert, State, open_state
from server.state.found import Judged

MIGRATIONS = Path(server.state.__file__).parent / "migrations"

NEW = NewAlert(
    "unattended_ac", 1, "E04", "xianwei", 1000, 1500, None, 3.0, "kWh", Decimal("2.10"), 0.0,
    1.0, "published",
)  # fmt: skip


@pytest.fixture
def state(tmp_path: Path) -> State:
    return open_state(f"sqlite:///{tmp_path / 's.db'}")


def save(state: State, new: NewAlert, now_ms: int, since_ms: int = 0) -> int:
    """Record what a pass from an instant on found: this alert."""
    judged = Judged(new.rule, new.meter, since_ms, 10_000, (new,))
    return state.inbox.record([judged], now_ms)


def test_saving_the_same_alert_again_changes_nothing(state: State) -> None:
    assert save(state, NEW, 1)
    assert not save(state, NEW, 2)
    (row,) = state.alerts()
    assert row.yuan == Decimal("2.10")
    assert state.transitions(row.id) == [("pending", 1000), ("firing", 1500)]


def test_an_open_alert_is_resolved_once(state: State) -> None:
    save(state, NEW, 1)
    over = replace(NEW, end_ms=5000, excess=9.0)
    for _ in range(2):
        save(state, over, 2)
    (row,) = state.alerts()
    assert (row.end_ms, row.excess, row.phase) == (5000, 9.0, "resolved")
    assert state.transitions(row.id) == [("pending", 1000), ("firing", 1500), ("resolved", 5000)]


def test_an_alert_that_overlaps_a_known_one_is_that_one(state: State) -> None:
    save(state, replace(NEW, end_ms=5000), 1)
    assert not save(state, replace(NEW, start_ms=3000, end_ms=5000), 2, since_ms=3000)
    assert save(state, replace(NEW, start_ms=6000, end_ms=7000), 2, since_ms=5500)
    assert len(state.alerts()) == 2


def test_alerts_are_found_by_span_and_by_being_open(state: State) -> None:
    save(state, replace(NEW, end_ms=5000), 1)
    save(state, replace(NEW, start_ms=9000), 1, since_ms=5500)
    assert [a.start_ms for a in state.alerts(0, 9000)] == [1000]
    assert [a.start_ms for a in state.alerts(5000)] == [9000]
    assert [a.start_ms for a in state.alerts(is_open=True)] == [9000]


def test_a_lease_has_one_owner_until_it_runs_out(state: State) -> None:
    assert state.take_lease("judge", "one", 0, 100)
    assert not state.take_lease("judge", "two", 50, 150)
    assert state.take_lease("judge", "one", 50, 150)
    assert state.take_lease("judge", "two", 151, 250)


def test_marks_and_alerts_survive_a_restart(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 's.db'}"
    first = open_state(url)
    first.set_mark("receipts", 5)
    first.set_mark("receipts", 6)
    save(first, NEW, 1)
    first.close()
    again = open_state(url)
    assert again.mark("receipts") == 6
    assert again.mark("nothing") is None
    assert len(again.alerts()) == 1


def test_an_older_schema_is_brought_up_to_date_and_a_current_one_left(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 's.db'}"
    open_state(url).close()
    engine = create_engine(url)
    with engine.begin() as connection:
        versions = connection.execute(text("SELECT version_num FROM alembic_version")).all()
        names = inspect(connection).get_table_names()
        columns = {n: [c["name"] for c in inspect(connection).get_columns(n)] for n in names}
    assert len(versions) == 1
    newest = max(p.stem[1:5] for p in (MIGRATIONS / "versions").glob("v[0-9]*.py"))
    assert versions[0][0] == newest
    with engine.begin() as connection:  # as an older release left it
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
        assert "outbound" not in inspect(connection).get_table_names()
    open_state(url).close()
    with engine.begin() as connection:
        assert inspect(connection).get_table_names() == names
        for name in names:
            assert [c["name"] for c in inspect(connection).get_columns(name)] == columns[name]
