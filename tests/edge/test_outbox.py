"""The outbox: durable, in order, bounded, never a refused start."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from contract.line import decode
from contract.reading import Reason
from edge.clock import ClockMark, ToSlot
from edge.outbox import Bounds, Outbox, Refused, Terms, gzip_lines

WIDE = Bounds(10**9, 10**12)
LINE = "electricity,device=E01,site=s power_kw=1.0,lag_s=0.0 {}"


def filled(path: Path, rounds: int, bounds: Bounds = WIDE) -> Outbox:
    box = Outbox(path, bounds)
    for i in range(rounds):
        box.put("bus", 1000 * i, [LINE.format(1000 * i)], 1)
        box.commit()
    return box


def slots(box: Outbox) -> list[int]:
    return [p.oldest_ms for p in box.take(10**6)]


def test_rounds_come_out_oldest_first_and_stay_until_settled(tmp_path: Path) -> None:
    box = filled(tmp_path / "o.db", 5)
    assert slots(box) == [0, 1000, 2000, 3000, 4000]
    assert len(box.take(10**6)) == 5
    box.settle(box.take(10**6)[:2])
    assert slots(box) == [2000, 3000, 4000]


def test_a_batch_keeps_its_bound_but_always_moves(tmp_path: Path) -> None:
    box = filled(tmp_path / "o.db", 5)
    first, second, *_ = box.take(10**6)
    assert len(box.take(len(first.body) + len(second.body))) == 2
    assert len(box.take(1)) == 1


def test_sequences_only_grow_even_after_everything_was_sent(tmp_path: Path) -> None:
    box = filled(tmp_path / "o.db", 3)
    last = box.take(10**6)[-1]
    box.settle(box.take(10**6))
    box.close()
    again = filled(tmp_path / "o.db", 1)
    (one,) = again.take(10**6)
    assert (one.outbox_id, one.sequence) == (last.outbox_id, last.sequence + 1)
    assert again.sequence_next(one.outbox_id) == one.sequence + 1


def test_the_last_slot_is_remembered_after_it_was_sent(tmp_path: Path) -> None:
    box = filled(tmp_path / "o.db", 3)
    box.settle(box.take(10**6))
    box.close()
    again = Outbox(tmp_path / "o.db", WIDE)
    assert again.last_slot("bus") == 2000
    assert again.last_slot("other") is None


def test_too_old_and_too_many_bytes_are_dropped_and_counted(tmp_path: Path) -> None:
    box = filled(tmp_path / "o.db", 10, Bounds(10**9, 4000))
    assert box.take(10**6)[0].oldest_ms == 5000
    assert box.tally("dropped") == 5
    size = len(box.take(10**6)[0].body)
    small = filled(tmp_path / "p.db", 10, Bounds(3 * size + 2, 10**12))
    assert small.waiting()[1] <= 3 * size + 2
    assert small.waiting()[0] + small.tally("dropped") == 10
    assert small.take(10**6)[-1].oldest_ms == 9000


def test_poison_lines_are_set_aside_with_their_reason(tmp_path: Path) -> None:
    box = filled(tmp_path / "o.db", 1)
    (one,) = box.take(10**6)
    refused = Refused(one.outbox_id, one.sequence, "bad line", "line 1: expected …")
    box.settle((one,), [refused])
    assert box.quarantined() == [refused]
    box.close()
    box = Outbox(tmp_path / "o.db", WIDE)
    assert box.quarantined() == [refused]
    assert box.tally("quarantined") == 1


def test_a_broken_file_is_set_aside_and_the_agent_starts(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    path.write_bytes(b"this is no database" * 500)
    box = filled(path, 1)
    assert box.set_aside is not None
    assert box.set_aside.exists()
    assert box.take(1)[0].sequence == 1


WRITER = """
import sys
from pathlib import Path
from edge.outbox import Bounds, Outbox
box = Outbox(Path(sys.argv[1]), Bounds(10**9, 10**12))
slot = (box.last_slot("bus") or 0) + 1000
while True:
    box.put("bus", slot, [f"electricity,device=E,site=s power_kw=1.0 {slot}"], 1)
    box.commit()
    sys.stdout.write(f"{slot}\\n"); sys.stdout.flush()
    slot += 1000
"""


def test_whatever_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    path, said = tmp_path / "o.db", 0
    rng = random.Random(5)
    for _ in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(rng.uniform(0.02, 0.15))
        os.kill(process.pid, signal.SIGKILL)
        rest = [ln for ln in process.stdout.read().split("\n") if ln]
        process.wait()
        said = int(rest[-1]) if rest else said
    box, found = Outbox(path, WIDE), list[int]()
    while batch := box.take(10**9):
        found += [p.oldest_ms for p in batch]
        box.settle(batch)
    assert found == list(range(1000, 1000 * (len(found) + 1), 1000))  # none missing, none doubled
    assert found[-1] >= said


def test_what_is_put_together_is_committed_together(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "o.db", WIDE, Terms(60))
    for i in range(50):
        box.put(f"bus{i}", 1000 + i, [LINE.format(1000 + i)], 1)
    assert box.take(10**6) == ()  # not durable yet
    assert box.last_slot("bus7") == 1007
    box.commit()
    (one,) = box.take(10**6)
    assert one.lines() == [LINE.format(1000 + i) for i in range(50)]
    assert (one.sequence, one.oldest_ms, one.newest_ms, one.readings) == (1, 1000, 1049, 50)
    assert box.waiting() == (1, len(one.body))
    box.close()
    assert Outbox(tmp_path / "o.db", WIDE).last_slot("bus7") == 1007


def test_the_committer_writes_by_itself_once_an_interval(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "o.db", WIDE, Terms(0.05))
    slot = 0
    for wanted in range(1, 4):
        slot += 1000
        box.put("bus", slot, [LINE.format(slot)], 1)
        deadline = time.monotonic() + 60
        while box.waiting()[0] < wanted and time.monotonic() < deadline:
            time.sleep(0.01)
        assert slots(box)[-1] == slot
    box.close()


def test_closing_writes_what_waits(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "o.db", WIDE, Terms(60))
    box.put("bus", 1000, [LINE.format(1000)], 1)
    box.close()
    assert slots(Outbox(tmp_path / "o.db", WIDE)) == [1000]


def test_what_was_settled_is_sent_again_only_after_a_cut_before_the_next_commit(
    tmp_path: Path,
) -> None:
    box = filled(tmp_path / "o.db", 3)
    box.settle(box.take(10**6)[:2])
    assert slots(box) == [2000]
    assert slots(Outbox(tmp_path / "o.db", WIDE)) == [0, 1000, 2000]  # as after a cut
    box.commit()
    assert slots(Outbox(tmp_path / "o.db", WIDE)) == [2000]


def test_rounds_of_an_unknown_clock_have_parcels_of_their_own_and_are_held(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "o.db", WIDE, Terms(60))
    for slot, boot in ((1000, None), (2000, "b1"), (3000, "b1"), (4000, "b2"), (5000, None)):
        mark = ClockMark(boot, slot, 1000) if boot else None
        box.put("bus", slot, [LINE.format(slot)], 1, mark)
    box.commit()
    assert slots(box) == [1000]  # a batch's sequence numbers follow one another
    box.settle(box.take(10**6))
    assert [p.sequence for p in box.take(10**6)] == [4]
    assert box.waiting()[0] == 3
    assert box.held_boots() == ["b1", "b2"]


def test_a_held_parcel_is_given_out_with_its_true_times(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "o.db", WIDE, Terms(60))
    for slot, interval in ((1000, 1000), (60_000, 60_000)):
        uncertain = "water,device=W01,site=s volume_m3=2.0,flow_m3_per_h_q=50.0,lag_s=0.0"
        lines = [LINE.format(slot), f"{uncertain} {slot}"]
        box.put("bus", slot, lines, 3, ClockMark("b1", slot, interval))
    assert box.restamp("b1", ToSlot(6 * 10**8), Reason.CLOCK_UNSYNCED) == 1
    (one,) = box.take(10**6)
    found = decode("\n".join(one.lines()))
    assert [r.time_ms - 6 * 10**8 for r in found] == [1000] * 3 + [60_000] * 3
    assert [int(r.reason) for r in found] == [1, 1, 50] * 2
    assert (one.oldest_ms, one.newest_ms, box.held_boots()) == (
        6 * 10**8 + 1000, 6 * 10**8 + 60_000, [],
    )  # fmt: skip
    assert box.waiting() == (1, len(one.body))
    assert box.restamp("b1", ToSlot(0), Reason.CLOCK_UNSYNCED) == 0


VERSION_1 = """
CREATE TABLE round (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT, slot_ms INTEGER NOT NULL,
  readings INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE bus (name TEXT PRIMARY KEY, slot_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE quarantine (
  id INTEGER PRIMARY KEY AUTOINCREMENT, sequence INTEGER NOT NULL,
  line TEXT NOT NULL, reason TEXT NOT NULL);
CREATE TABLE tally (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
"""


def version_1_file(path: Path, rounds: int) -> None:
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA page_size = 1024")
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(VERSION_1)
        for i in range(1, rounds + 1):
            body = gzip_lines([LINE.format(1000 * i)])
            db.execute("INSERT INTO round VALUES (?, ?, 1, ?)", (i, 1000 * i, body))
        db.execute("DELETE FROM round WHERE sequence <= 3")
        db.execute("INSERT INTO bus VALUES ('bus', ?)", (1000 * rounds,))
        db.execute("INSERT INTO tally VALUES ('dropped', 7), ('quarantined', 1)")
        db.execute("INSERT INTO quarantine VALUES (1, 2, 'bad', 'why')")
    db.close()


def test_an_upgrade_loses_nothing(tmp_path: Path) -> None:
    version_1_file(tmp_path / "o.db", 1500)
    box = Outbox(tmp_path / "o.db", WIDE)
    assert box.set_aside is None
    old = box.take(10**9)
    assert [p.lines() for p in old] == [[LINE.format(1000 * i)] for i in range(4, 1501)]
    assert [p.sequence for p in old] == list(range(4, 1501))
    assert box.sequence_next(old[0].outbox_id) == 1501
    assert box.last_slot("bus") == 1_500_000
    assert (box.tally("dropped"), box.tally("quarantined")) == (7, 1)
    assert [(r.sequence, r.line, r.reason) for r in box.quarantined()] == [(2, "bad", "why")]
    box.put("bus", 10**7, [LINE.format(10**7)], 1)
    box.commit()
    box.settle(old)
    (new,) = box.take(10**6)
    assert new.sequence == 1
    assert new.outbox_id != old[0].outbox_id
    box.close()
    assert slots(Outbox(tmp_path / "o.db", WIDE)) == [10**7]


def test_an_upgrade_cut_off_goes_on_where_it_was(tmp_path: Path) -> None:
    version_1_file(tmp_path / "o.db", 1200)
    code = (
        "import sys, edge.outbox.schema as s, sqlite3, os\n"
        "moves = iter((1, 2))\n"
        "db = sqlite3.connect(sys.argv[1])\n"
        "db.set_trace_callback(lambda q: 'DELETE FROM round' in q and next(moves) == 2"
        " and os.kill(os.getpid(), 9))\n"
        "s.prepare(db)\n"
    )
    cut = subprocess.run([sys.executable, "-c", code, str(tmp_path / "o.db")], check=False)
    assert cut.returncode == -signal.SIGKILL
    old = Outbox(tmp_path / "o.db", WIDE).take(10**9)
    assert [p.sequence for p in old] == list(range(4, 1201))
    assert len({p.outbox_id for p in old}) == 1


def test_a_file_of_a_later_version_is_set_aside(tmp_path: Path) -> None:
    filled(tmp_path / "o.db", 1).close()
    with sqlite3.connect(tmp_path / "o.db") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    assert filled(tmp_path / "o.db", 1).set_aside is not None


def test_no_text_stops_the_committer(tmp_path: Path) -> None:
    box = filled(tmp_path / "o.db", 1)
    box.put("bus", 1000, ["electricity,device=\ud800,site=s power_kw=1.0 1000"], 1)
    box.commit()
    assert len(box.take(10**6)) == 2


def test_the_outbox_says_when_it_does_not_write(tmp_path: Path) -> None:
    now_s = 0.0
    box = Outbox(tmp_path / "o.db", WIDE, Terms(3600), thread_s=lambda: now_s)
    now_s = 1000
    assert box.is_writing()  # nothing waits
    box.put("bus", 1000, [LINE.format(1000)], 1)
    assert box.is_writing()
    now_s = 1070
    box.put("bus", 2000, [LINE.format(2000)], 1)
    assert not box.is_writing()
    box.commit()
    assert box.is_writing()
