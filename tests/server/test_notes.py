"""Change notes outlive a kill: each change is noted once, whenever the pass was cut off."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from server.jobs.schedule import Schedule
from server.jobs.works import Works
from server.rollup.model import Rollup
from server.site.model import Site
from server.state.books import Books, ChangeNote
from server.store.duck import DuckStore
from tests.server.running import FixedClock
from tests.server.test_recompute import NOW, lines_of, repairs, works, write

LATER = NOW + 86_400_000


class Killed(BaseException):
    """The process is gone at this point."""


def prepared(it: Works) -> None:
    write(it, lines_of(4))
    Schedule(it, FixedClock(NOW)).roll_up()
    it.state.books.enter(repairs(np.random.default_rng(1)), LATER)


def noted(it: Works) -> list[tuple[object, ...]]:
    rows = it.state.books.notes()
    return sorted((n.meter, n.start_ms, n.end_ms, n.before, n.after, n.cause) for n in rows)


@pytest.fixture(name="whole")
def notes_of_a_pass_that_was_not_cut_off(tmp_path: Path) -> list[tuple[object, ...]]:
    with works(tmp_path / "whole") as it:
        prepared(it)
        Schedule(it, FixedClock(LATER)).roll_up()
        found = noted(it)
    assert found
    return found


def test_killed_behind_the_rollups_the_next_pass_notes_what_moved(
    tmp_path: Path, whole: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: Books, notes: Sequence[ChangeNote], known: object = None) -> None:
        raise Killed

    with works(tmp_path / "live") as it:
        prepared(it)
        with monkeypatch.context() as patch:
            patch.setattr(Books, "add_notes", killed)
            with pytest.raises(Killed):
                Schedule(it, FixedClock(LATER)).roll_up()
        assert not noted(it)
        for _ in range(2):
            Schedule(it, FixedClock(LATER)).roll_up()
            assert noted(it) == whole


def test_killed_before_the_rollups_nothing_is_noted_twice(
    tmp_path: Path, whole: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: DuckStore, site: Site, rollups: Sequence[Rollup]) -> None:
        raise Killed

    with works(tmp_path / "live") as it:
        prepared(it)
        with monkeypatch.context() as patch:
            patch.setattr(DuckStore, "write_rollups", killed)
            with pytest.raises(Killed):
                Schedule(it, FixedClock(LATER)).roll_up()
        for _ in range(2):
            Schedule(it, FixedClock(LATER)).roll_up()
            assert noted(it) == whole
