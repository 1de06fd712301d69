"""The journal of the embedded store: what was acknowledged is there, whatever happens."""

import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import numpy as np
import pytest

from contract.errors import DeliveryError
from contract.line import encode
from contract.reading import PointId, Reading
from server.periods import DAY_MS, Interval
from server.store import duck_intake
from server.store.duck import DuckStore
from server.store.journal import Journal
from tests.behaviour.store_suite import ALL, POINT, T0, put, reading

SMALL = 4096
HEAD = 24


def body(number: int) -> bytes:
    return b"%d " % number * random.Random(number).randint(1, 40)


def kept(path: Path, size: int = SMALL) -> list[tuple[int, bytes]]:
    journal = Journal(path, size)
    found = [(r.seq, r.content) for r in journal.records()]
    journal.close()
    return found


def test_what_was_appended_is_found_in_its_order_over_turns(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "r", SMALL)
    assert all(journal.append(n, body(n)) for n in (1, 2, 3))
    assert journal.turn()
    assert all(journal.append(n, body(n)) for n in (4, 5))
    assert not journal.turn()  # the other file is not let go of
    assert kept(tmp_path / "r") == [(n, body(n)) for n in range(1, 6)]
    journal.let_go()
    assert kept(tmp_path / "r") == [(4, body(4)), (5, body(5))]
    assert journal.turn()
    assert journal.append(6, b"x")  # over what an earlier turn has left behind
    assert kept(tmp_path / "r") == [(4, body(4)), (5, body(5)), (6, b"x")]
    journal.let_go(everything=True)
    assert kept(tmp_path / "r") == []
    journal.close()


def test_a_full_journal_says_so_and_keeps_what_it_has(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "r", 100)
    assert journal.append(1, bytes(50))
    assert not journal.append(2, bytes(50))
    journal.close()
    assert kept(tmp_path / "r", 100) == [(1, bytes(50))]


@pytest.mark.parametrize("seed", range(30))
def test_a_record_that_is_not_whole_ends_the_journal(tmp_path: Path, seed: int) -> None:
    """What a power cut has left of the last record, or a turned bit, is never taken for one."""
    journal, rng = Journal(tmp_path / "r", SMALL), random.Random(seed)
    for n in range(1, 6):
        journal.append(n, body(n))
    journal.close()
    ends = np.cumsum([HEAD + len(body(n)) for n in range(1, 6)]).tolist()
    at = rng.randrange(ends[-1])
    file = tmp_path / "r.journal0"
    content = bytearray(file.read_bytes())
    if seed % 2:
        content[at] ^= 1 << rng.randrange(8)
    else:
        content[at:] = bytes(len(content) - at)
    whole = sum(end <= at for end in ends)
    if bytes(content) == file.read_bytes():  # zeros were there already
        whole = 5
    file.write_bytes(content)
    assert kept(tmp_path / "r") == [(n, body(n)) for n in range(1, whole + 1)]


_WRITER = """
import sys
from pathlib import Path
from server.store.duck import DuckStore
from server.store import duck_intake
from tests.behaviour.store_suite import put, reading, T0, POINT
from server.periods import Interval
duck_intake.DRAIN_S = 3600.0
import os
store = DuckStore(Path(sys.argv[1]))
{work}
os._exit(0)
"""


def written_and_killed(path: Path, work: str) -> DuckStore:
    """Let another process write and die; open what it has left."""
    program = _WRITER.format(work=work)
    subprocess.run([sys.executable, "-c", program, str(path)], check=True, timeout=120)
    return DuckStore(path)


def test_a_killed_process_has_kept_what_it_acknowledged(tmp_path: Path) -> None:
    store = written_and_killed(
        tmp_path / "r.duckdb", "put(store, reading(1, 0)); put(store, reading(2, 1000))"
    )
    assert store.read_series(POINT, ALL).values.tolist() == [1, 2]
    assert [r.value for r in store.read_last("s")] == [2]
    assert POINT in store.written_since("s", 0, T0).spans
    store.close()
    again = DuckStore(tmp_path / "r.duckdb")
    assert again.read_series(POINT, ALL).values.tolist() == [1, 2]
    again.close()


def test_the_last_write_wins_after_a_kill_whichever_way_it_went(tmp_path: Path) -> None:
    large = "duck_intake.JOURNALED_BYTES = 0; put(store, reading({0}, {1}));"
    small = "duck_intake.JOURNALED_BYTES = 10**6; put(store, reading({0}, {1}));"
    work = small.format(1, 0) + large.format(2, 0) + large.format(3, 1000) + small.format(4, 1000)
    store = written_and_killed(tmp_path / "r.duckdb", work)
    assert store.read_series(POINT, ALL).values.tolist() == [2, 4]
    store.close()


def test_what_was_deleted_does_not_come_back_after_a_kill(tmp_path: Path) -> None:
    work = (
        "put(store, reading(1, 0), reading(2, 1000)); store.delete([POINT], Interval(T0, T0 + 1))"
    )
    store = written_and_killed(tmp_path / "r.duckdb", work)
    assert store.read_series(POINT, ALL).values.tolist() == [2]
    store.close()


@contextmanager
def tables_full() -> Iterator[None]:
    def full(*_: object) -> None:
        raise duckdb.IOException("no space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duck_intake, "_append", full)
        yield


def test_tables_that_cannot_be_written_to_lose_nothing(tmp_path: Path) -> None:
    store = DuckStore(tmp_path / "r.duckdb")
    put(store, reading(1, 0))
    assert store.read_series(POINT, ALL).values.tolist() == [1]
    with tables_full():
        for n in range(2, 6):
            put(store, reading(n, n * 1000))  # durable all the same
            assert store.read_series(POINT, ALL).values.tolist() == [1]
        with pytest.raises(DeliveryError, match="no space"):
            store.written_since("s", 0, T0)  # no mark is given beyond them
    assert store.read_series(POINT, ALL).values.tolist() == [1, 2, 3, 4, 5]
    put(store, reading(6, 6000))
    assert store.read_series(POINT, ALL).values.tolist() == [1, 2, 3, 4, 5, 6]
    store.close()


def test_a_close_that_fails_leaves_the_journal_for_the_next_start(tmp_path: Path) -> None:
    store = DuckStore(tmp_path / "r.duckdb")
    with tables_full():
        put(store, reading(1, 0))
        with pytest.raises(DeliveryError):
            store.close()
    again = DuckStore(tmp_path / "r.duckdb")
    assert again.read_series(POINT, ALL).values.tolist() == [1]
    again.close()


def test_a_full_journal_makes_writes_go_to_the_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duck_intake, "DRAIN_S", 3600.0)
    monkeypatch.setattr(duck_intake, "Journal", lambda path: Journal(path, 300))
    store = DuckStore(tmp_path / "r.duckdb")
    for n in range(20):
        put(store, reading(n, n * 1000))
    assert store.read_series(POINT, ALL).values.tolist() == list(range(20))
    store.close()


def test_without_room_for_a_journal_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", none)
    store = DuckStore(tmp_path / "r.duckdb")
    put(store, reading(1, 0))
    store.close()
    again = DuckStore(tmp_path / "r.duckdb")
    assert again.read_series(POINT, ALL).values.tolist() == [1]
    again.close()


def test_many_writers_and_readers_at_once(tmp_path: Path) -> None:
    store, rounds, writers = DuckStore(tmp_path / "r.duckdb"), 60, 4
    points = [PointId("s", f"E{w}", "power_kw") for w in range(writers)]
    faults: list[str] = []

    def write(point: PointId) -> None:
        for n in range(rounds):
            lines = encode([Reading(point, T0 + n * 1000, float(n))])
            store.write_lines("\n".join(lines).encode())
            seen = len(store.read_series(point, ALL))
            if seen != n + 1:
                faults.append(f"{point.device}: {seen} of {n + 1}")

    threads = [threading.Thread(target=write, args=[p]) for p in points]
    for t in threads:
        t.start()
    mark, seen = 0, 0
    while any(t.is_alive() for t in threads):
        found = store.written_since("s", mark, T0 + DAY_MS)
        mark = found.mark
        for spans in found.spans.values():
            seen += sum(len(store.read_series(p, i)) > 0 for p in points for i in spans)
    for t in threads:
        t.join()
    left = store.written_since("s", mark, T0 + DAY_MS).spans
    assert not faults
    assert mark or left
    for p in points:
        assert store.read_series(p, Interval(T0, T0 + DAY_MS)).values.tolist() == list(
            range(rounds)
        )
    store.close()
