"""The outbox: durable, in order, bounded, never a refused start."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from edge.outbox import Bounds, Outbox

WIDE = Bounds(10**9, 10**12)
LINE = "electricity,device=E01,site=s power_kw=1.0,lag_s=0.0 {}"


def filled(path: Path, rounds: int, bounds: Bounds = WIDE) -> Outbox:
    box = Outbox(path, bounds)
    for i in range(rounds):
        box.append("bus", 1000 * i, [LINE.format(1000 * i)], 1)
    return box


def test_rounds_come_out_oldest_first_and_stay_until_settled(tmp_path: Path) -> None:
    box = filled(tmp_path / "o.db", 5)
    assert [r.slot_ms for r in box.take(10**6)] == [0, 1000, 2000, 3000, 4000]
    assert len(box.take(10**6)) == 5
    box.settle(box.take(10**6)[:2])
    assert [r.slot_ms for r in box.take(10**6)] == [2000, 3000, 4000]


def test_a_batch_keeps_its_bound_but_always_moves(tmp_path: Path) -> None:
    box = filled(tmp_path / "o.db", 5)
    first, second, *_ = box.take(10**6)
    assert len(box.take(len(first.body) + len(second.body))) == 2
    assert len(box.take(1)) == 1


def test_sequences_only_grow_even_after_everything_was_sent(tmp_path: Path) -> None:
    box = filled(tmp_path / "o.db", 3)
    last = box.take(10**6)[-1].sequence
    box.settle(box.take(10**6))
    box.close()
    again = Outbox(tmp_path / "o.db", WIDE)
    assert again.append("bus", 9000, [LINE.format(9000)], 1) == last + 1


def test_the_last_slot_is_remembered_after_it_was_sent(tmp_path: Path) -> None:
    box = filled(tmp_path / "o.db", 3)
    box.settle(box.take(10**6))
    box.close()
    again = Outbox(tmp_path / "o.db", WIDE)
    assert again.last_slot("bus") == 2000
    assert again.last_slot("other") is None


def test_too_old_and_too_many_bytes_are_dropped_and_counted(tmp_path: Path) -> None:
    box = filled(tmp_path / "o.db", 10, Bounds(10**9, 4000))
    assert box.take(10**6)[0].slot_ms == 5000
    assert box.tally("dropped") == 5
    size = len(box.take(10**6)[0].body)
    small = filled(tmp_path / "p.db", 10, Bounds(3 * size + 2, 10**12))
    assert small.waiting()[1] <= 3 * size + 2
    assert small.waiting()[0] + small.tally("dropped") == 10
    assert small.take(10**6)[-1].slot_ms == 9000


def test_poison_lines_are_set_aside_with_their_reason(tmp_path: Path) -> None:
    box = filled(tmp_path / "o.db", 1)
    (one,) = box.take(10**6)
    box.settle((one,), [(one.sequence, "bad line", "line 1: expected …")])
    assert box.quarantined() == [(one.sequence, "bad line", "line 1: expected …")]
    assert box.tally("quarantined") == 1


def test_a_broken_file_is_set_aside_and_the_agent_starts(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    path.write_bytes(b"this is no database" * 500)
    box = Outbox(path, WIDE)
    assert box.set_aside is not None
    assert box.set_aside.exists()
    assert box.append("bus", 1, [LINE.format(1)], 1) == 1


WRITER = """
import sys
from pathlib import Path
from edge.outbox import Bounds, Outbox
box = Outbox(Path(sys.argv[1]), Bounds(10**9, 10**12))
slot = (box.last_slot("bus") or 0) + 1000
while True:
    box.append("bus", slot, [f"electricity,device=E,site=s power_kw=1.0 {slot}"], 1)
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
    box, slots = Outbox(path, WIDE), []
    while batch := box.take(10**9):
        slots += [r.slot_ms for r in batch]
        box.settle(batch)
    assert slots == list(range(1000, 1000 * (len(slots) + 1), 1000))  # none missing, none doubled
    assert slots[-1] >= said
