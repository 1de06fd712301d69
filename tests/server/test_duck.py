"""The embedded store: the suite, and what only it must do."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from contract.errors import DeliveryError
from contract.reading import PointId
from server.periods import DAY_MS, Interval
from server.store import duck_intake
from server.store.duck import DuckStore
from tests.behaviour.store_suite import ALL, POINT, T0, StoreSuite, put, reading


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckStore]:
    it = DuckStore(tmp_path / "r.duckdb")
    yield it
    it.close()


class TestDuckStore(StoreSuite):
    """The behaviour suite on DuckDB."""


def test_everything_is_there_after_it_was_closed(tmp_path: Path) -> None:
    first = DuckStore(tmp_path / "r.duckdb")
    put(first, reading(1, 0), reading(2, 1000))
    first.close()
    again = DuckStore(tmp_path / "r.duckdb")
    assert again.read_series(POINT, ALL).values.tolist() == [1, 2]
    assert [r.value for r in again.read_last("s")] == [2]


def test_compaction_changes_no_answer(store: DuckStore) -> None:
    for value in (1, 2, 3):
        put(store, reading(value, 0), reading(value, 1000))
    store.maintain(9, T0 + 86_400_000 * 3, None)
    assert store.read_series(POINT, ALL).values.tolist() == [3, 3]
    put(store, reading(9, 0))
    assert store.read_series(POINT, ALL).values.tolist() == [9, 3]


def test_compaction_keeps_counters_of_any_size(store: DuckStore) -> None:
    values = [1e10 + i for i in range(50)] + [5e14, 3e16]
    put(store, *(reading(v, 1000 * i) for i, v in enumerate(values)))
    store.maintain(9, T0 + 86_400_000 * 3, None)
    assert store.read_series(POINT, ALL).values.tolist() == values


def test_a_write_that_fails_leaves_nothing_behind_and_the_next_one_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise duckdb.IOException("no space left on device")

    store = DuckStore(tmp_path / "r.duckdb")
    with monkeypatch.context() as patch:
        patch.setattr(duck_intake, "_append", full)
        patch.setattr(duck_intake, "JOURNALED_BYTES", 0)
        with pytest.raises(DeliveryError, match="no space") as refused:
            put(store, reading(1, 0))
    assert not refused.value.permanent
    put(store, reading(2, 1000))
    put(store, reading(3, 0, PointId("s", "E02", "power_kw")))
    store.close()
    again = DuckStore(tmp_path / "r.duckdb")
    assert again.read_series(POINT, ALL).values.tolist() == [2]
    assert {POINT, PointId("s", "E02", "power_kw")} < again.written_since("s", 0, T0).spans.keys()
    again.close()


def test_a_deleted_reading_is_not_the_last_one_after_a_restart_either(tmp_path: Path) -> None:
    store = DuckStore(tmp_path / "r.duckdb")
    put(store, reading(1, 0), reading(9, 1000))
    store.maintain(9, T0 + 3 * DAY_MS, None)
    store.delete([POINT], Interval(T0 + 1000, T0 + 2000))
    store.close()
    again = DuckStore(tmp_path / "r.duckdb")
    assert [(r.value, r.time_ms) for r in again.read_last("s")] == [(1, T0)]
    again.close()


def test_readers_do_not_wait_for_the_writer(store: DuckStore) -> None:
    put(store, reading(0, 0))
    errors: list[Exception] = []

    def read() -> None:
        for _ in range(30):
            series = store.read_series(POINT, Interval(T0, T0 + 10_000))
            if not len(series):
                errors.append(AssertionError("a reader saw nothing"))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for r in readers:
        r.start()
    for i in range(1, 30):
        put(store, reading(i, i))
    for r in readers:
        r.join()
    assert errors == []
    assert len(store.read_series(POINT, ALL)) == 30


def test_a_second_process_is_told_that_the_file_is_taken(store: DuckStore, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from contract.errors import DeliveryError\n"
        "from server.store.duck import DuckStore\n"
        "try: DuckStore(Path(sys.argv[1]))\n"
        "except DeliveryError: sys.exit(7)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "r.duckdb")], check=False)
    assert done.returncode == 7
    assert DeliveryError("x", permanent=True).permanent


WRITER = """
import sys
from pathlib import Path
from server.store.duck import DuckStore
store, i = DuckStore(Path(sys.argv[1])), int(sys.argv[2])
while True:
    store.write_lines(f"electricity,device=E01,site=s energy_import_kwh={float(i)} {i}".encode())
    sys.stdout.write(f"{i}\\n"); sys.stdout.flush()
    i += 1
"""


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    path, said = tmp_path / "r.duckdb", 0
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(said + 1)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        for _ in range(40):
            said = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        rest = [ln for ln in process.stdout.read().split("\n") if ln]
        process.wait()
        said = int(rest[-1]) if rest else said
    found = DuckStore(path).read_series(POINT, ALL).values.tolist()
    assert found[:said] == list(range(1, said + 1))
