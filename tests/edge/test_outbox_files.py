"""Files that break, change owners, or are looked into beside a running agent."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from contract.line import parse_line
from contract.reading import Reason
from edge.cli import main
from edge.clock import ToSlot
from edge.outbox import Bounds, DeliveryLines, Outbox, Quarantine, Refused, Terms
from tests.behaviour.outbox_suite import T0, TestClock, line, slots

WIDE = Bounds(10**9, 10**15)
TERMS = Terms(commit_interval_s=3600)
DAMAGES = (
    "UPDATE parcel SET boot = 'b', rounds = '[' WHERE position = 3",
    "UPDATE parcel SET readings = 'x' WHERE position = 3",
    "UPDATE parcel SET body = 'x' WHERE position = 3",
)


def opened(folder: Path, **more: object) -> Outbox:
    delivery = DeliveryLines("s", "a1", TestClock())
    return Outbox(folder / "o.db", WIDE, TERMS, delivery=delivery, **more)  # type: ignore[arg-type] # copies


def filled(folder: Path, rounds: int) -> Outbox:
    """Give an outbox of parcels that fill some pages each."""
    box = opened(folder)
    for s in range(rounds):
        box.put("bus", T0 + 1000 * s, [line(T0 + 1000 * s, f"E{s}-{i}") for i in range(200)], 200)
        box.commit()
    return box


def spoil(path: Path, first: float, last: float) -> None:
    """Scribble over a part of a file."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(int(size * first))
        file.write(b"\xa5" * int(size * (last - first)))


def checkpointed(box: Outbox) -> None:
    with closing(sqlite3.connect(box.path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def all_lines(box: Outbox) -> list[str]:
    lines = []
    while batch := box.take(10**9):
        lines += [ln for p in batch for ln in p.lines()]
        box.settle(batch)
    return lines


def test_of_a_file_damaged_in_its_midst_the_rest_is_saved_under_its_names(
    tmp_path: Path,
) -> None:
    box = filled(tmp_path, 300)
    names = [(p.outbox_id, p.sequence) for p in box.take(10**9)]
    box.close()
    spoil(tmp_path / "o.db", 0.4, 0.42)
    box = opened(tmp_path)
    assert box.set_aside is not None
    assert box.tally("set_aside") == 1
    box.put("bus", T0, [line(T0)], 1)
    box.commit()
    saved, batches = [], 0
    lines: list[str] = []
    while batch := box.take(10**9):
        lines += [ln for p in batch for ln in p.lines()]
        saved += [(p.outbox_id, p.sequence) for p in batch]
        batches += 1
        box.settle(batch)
    assert len(set(names) & set(saved)) > 150
    assert len(saved) == len(set(saved))
    assert names[-50:] == [n for n in saved if n[0] == names[0][0]][-50:]
    assert batches >= 2  # a batch's numbers follow one another: none over the hole
    told = [parse_line(ln).fields for ln in lines if "dropped_first" in ln]
    assert [(f["dropped_first"], f["dropped_last"]) for f in told] == [(1, 300)]
    assert {f["outbox_id"] for f in told} == {float(names[0][0])}


def test_damage_that_shows_while_it_runs_is_survived(tmp_path: Path) -> None:
    box = filled(tmp_path, 1200)  # more than is cached
    checkpointed(box)
    spoil(box.path, 0.3, 0.32)
    taken = len(all_lines(box))
    while batch := box.take(10**9):
        taken += sum(len(p.lines()) for p in batch)
        box.settle(batch)
    assert box.set_aside is not None
    assert taken > 1200 * 200 // 2
    box.put("bus", T0, [line(T0)], 1)
    box.commit()
    assert box.in_ram is None
    assert len([ln for ln in all_lines(box) if ln == line(T0)]) == 1
    box.close()
    with closing(sqlite3.connect(box.path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_row_that_makes_no_sense_is_damage_too(tmp_path: Path, damage: str) -> None:
    box = filled(tmp_path, 5)
    with closing(sqlite3.connect(box.path, isolation_level=None)) as db:
        db.execute(damage)
    while not (batch := box.take(10**9)) or box.set_aside is None:
        box.settle(batch)
        box.restamp("b", ToSlot(0), Reason.CLOCK_UNSYNCED)
    assert set(slots(batch)) <= {0, 1, 3, 4}
    box.put("bus", T0 + 9000, [line(T0 + 9000)], 1)
    box.commit()
    assert line(T0 + 9000) in all_lines(box)


def test_only_the_newest_broken_files_are_kept(tmp_path: Path) -> None:
    for _ in range(4):
        filled(tmp_path, 1).close()
        spoil(tmp_path / "o.db", 0, 1)
    opened(tmp_path)
    assert sorted(p.name for p in tmp_path.glob("*.broken-?")) == ["o.db.broken-3", "o.db.broken-4"]


def test_a_cut_between_two_renames_leaves_the_fresh_file(tmp_path: Path) -> None:
    filled(tmp_path, 2).close()
    (tmp_path / "o.db").rename(tmp_path / "o.db.fresh")
    assert slots(opened(tmp_path).take(10**9)) == [0, 1]


def test_other_bounds_and_other_copies_keep_what_waits(tmp_path: Path) -> None:
    box = opened(tmp_path, copies={"a": WIDE, "b": WIDE})
    for s in range(4):
        box.put("bus", T0 + 1000 * s, [line(T0 + 1000 * s)], 1)
        box.commit()
    box.settle(box.take(10**9)[:3])
    box.settle(box.take(10**9, "a")[:2], (), "a")
    box.close()
    box = opened(tmp_path, copies={"a": WIDE, "b": WIDE})
    assert [slots(box.take(10**9, d)) for d in ("push", "a", "b")] == [[3], [2, 3], [0, 1, 2, 3]]
    box.close()
    box = opened(tmp_path, copies={"b": WIDE, "new": Bounds(10**6, 10**15)})
    assert [slots(box.take(10**9, d)) for d in ("push", "new")] == [[3], [0, 1, 2, 3]]
    box.close()
    box = opened(tmp_path)
    assert slots(box.take(10**9)) == [3]
    box.close()
    box = opened(tmp_path)
    assert box.waiting()[0] == 1
    with closing(sqlite3.connect(box.path)) as db:  # what no destination waits for is gone
        assert db.execute("SELECT count(*) FROM parcel").fetchone() == (1,)
        assert db.execute("SELECT count(*) FROM settled").fetchone() == (0,)


def test_what_was_dropped_is_told_even_after_a_restart(tmp_path: Path) -> None:
    clock = TestClock()
    bounds = Bounds(10**9, 10_000)

    def again() -> Outbox:
        lines = DeliveryLines("s", "a1", clock)
        return Outbox(tmp_path / "o.db", bounds, TERMS, delivery=lines, clock=clock)

    box, told = again(), 0.0
    for s in range(0, 400, 5):
        box.put("bus", T0 + 1000 * s, [line(T0 + 1000 * s)], 1)
        box.commit()
        for p in box.take(10**9)[:0]:
            raise AssertionError(p)
    before = box.tally("dropped_readings")
    box = again()  # as after a cut
    clock.ms += 3_600_000
    box.put("bus", T0 + 400_000, [line(T0 + 400_000)], 1)
    box.commit()
    found = [parse_line(ln).fields for ln in all_lines(box) if "dropped_first" in ln]
    told = sum(f["dropped_readings"] for f in found)
    assert told == box.tally("dropped_readings") >= before > 0
    assert min(f["dropped_first"] for f in found) == 1


def refusing(folder: Path) -> Outbox:
    box = opened(folder)
    box.put("bus", T0, [line(T0), line(T0, "bad1"), line(T0, "bad2")], 3)
    box.commit()
    (one,) = box.take(10**9)
    refused = [Refused(one.outbox_id, one.sequence, line(T0, d), f"{d}!") for d in ("bad1", "bad2")]
    box.settle((one,), refused)
    box.put("bus", T0 + 1000, [line(T0 + 1000)], 1)
    box.commit()
    box.settle(box.take(10**9))
    return box


def config_at(folder: Path) -> Path:
    (folder / "token").write_text("t")
    path = folder / "agent.yaml"
    path.write_text(
        "site: s\nagent: a1\noutbox: {path: ./o.db}\n"
        "push: {url: 'http://127.0.0.1:9', token_file: ./token}\n"
        "connections: [{id: c, driver: modbus-tcp, host: h}]\n"
        "devices: [{id: E01, connection: c, profile: eastron/sdm630}]\n"
    )
    return path


def test_refused_lines_are_listed_sent_again_and_discarded_beside_a_running_outbox(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    box, config = refusing(tmp_path), str(config_at(tmp_path))
    assert main(["outbox", "list", "--config", config]) == 0
    shown = capfd.readouterr().out
    assert "bad1!" in shown
    assert "bad2!" in shown
    assert main(["outbox", "show", "2", "--config", config]) == 0
    assert line(T0, "bad2") in capfd.readouterr().out
    assert main(["outbox", "retry", "1", "--config", config]) == 0
    assert main(["outbox", "discard", "2", "--config", config]) == 0
    assert "不可恢复" in capfd.readouterr().err
    box.put("bus", T0 + 2000, [line(T0 + 2000)], 1)
    box.commit()
    assert {line(T0, "bad1"), line(T0 + 2000)} <= set(all_lines(box))
    assert box.quarantined() == []
    assert main(["outbox", "list", "--config", config]) == 0
    assert "没有隔离行" in capfd.readouterr().out
    box.close()


def test_lines_asked_for_while_no_agent_runs_are_sent_when_it_starts(tmp_path: Path) -> None:
    refusing(tmp_path).close()
    config = str(config_at(tmp_path))
    assert main(["outbox", "retry", "--all", "--config", config]) == 0
    assert all(e.is_asked_again for e in Quarantine(tmp_path / "o.db").entries())
    box = opened(tmp_path)
    box.put("bus", T0 + 2000, [line(T0 + 2000)], 1)
    box.commit()
    assert {line(T0, "bad1"), line(T0, "bad2")} <= set(all_lines(box))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["discard"], 2, "给出编号"),
        (["show", "77"], 1, "77"),
        ([], 0, "待发 0 批"),
        (["list"], 0, "没有隔离行"),
    ],
)
def test_what_is_asked_wrongly_or_of_nothing_is_said_plainly(
    tmp_path: Path, words: list[str], code: int, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["outbox", *words, "--config", str(config_at(tmp_path))]) == code
    out = capfd.readouterr()
    assert said in out.out + out.err
    assert "Traceback" not in out.err
    assert not (tmp_path / "o.db").exists()  # looking makes no file


def test_a_broken_file_is_no_traceback_and_not_touched_by_looking(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "o.db").write_bytes(b"no database" * 999)
    assert main(["outbox", "list", "--config", str(config_at(tmp_path))]) == 1
    assert "读不了" in capfd.readouterr().err
    assert (tmp_path / "o.db").read_bytes() == b"no database" * 999


def test_a_busy_file_is_waited_for(tmp_path: Path) -> None:
    box = opened(tmp_path)
    with closing(sqlite3.connect(box.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        box.put("bus", T0, [line(T0)], 1)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            box.commit()
        other.execute("ROLLBACK")
    box.commit()
    assert box.in_ram is None
    assert slots(box.take(10**9)) == [0]


def test_the_outbox_goes_back_to_the_disk_by_itself(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    terms = Terms(commit_interval_s=0.05, heal_interval_s=0.05)
    box = Outbox(folder / "o.db", WIDE, terms)
    assert box.in_ram is not None
    box.put("bus", T0, [line(T0)], 1)
    box.commit()
    assert slots(box.take(10**9)) == [0]
    folder.mkdir()
    deadline, s = time.monotonic() + 60, 0
    while box.in_ram is not None and time.monotonic() < deadline:
        s += 1
        box.put("bus", T0 + 1000 * s, [line(T0 + 1000 * s)], 1)
        time.sleep(0.06)
    assert box.in_ram is None
    box.close()
    assert len(all_lines(Outbox(folder / "o.db", WIDE))) == s + 1
