"""Power cuts at any moment: what was committed is there, and the file always opens."""

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from edge.outbox import Outbox
from tests.edge.cuts.disk import Op, Step, build_shim, cut, environment, read_log
from tests.edge.cuts.writer import WIDE

ROUNDS = 700
CUTS = int(os.environ.get("SOAK_CUTS", "300"))


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_shim(tmp_path_factory.mktemp("shim"))


def recorded(folder: Path, shim: Path, seed: int) -> list[Step]:
    log = folder / "log"
    command = [sys.executable, "-m", "tests.edge.cuts.writer", str(folder / "o.db")]
    subprocess.run(
        [*command, str(ROUNDS), str(seed)],
        env=environment(shim, folder / "o.db", log, None),
        check=True,
    )
    return read_log(log)


def told(steps: Sequence[Step], word: str) -> int:
    """Give the last number that a process said with a word."""
    for step in reversed(steps):
        if step.name == "o.db.said" and step.data.split()[:1] == [word.encode()]:
            return int(step.data.split()[1])
    return 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_power_cut_costs_at_most_what_was_put_since_the_last_commit_began(
    tmp_path: Path, shim: Path, seed: int
) -> None:
    steps = recorded(tmp_path, shim, seed)
    written = [s for s in steps if s.name.startswith("o.db") and not s.name.endswith(".said")]
    assert sum(s.op is Op.SYNC and s.name == "o.db" for s in written) >= 2  # checkpoints too
    rng = random.Random(seed)
    kept = lost = 0
    for number in range(CUTS // 3):
        before = steps[: rng.randrange(1, len(steps))]
        folder = tmp_path / f"cut{number}"
        folder.mkdir()
        cut([s for s in before if not s.name.endswith(".said")], rng, folder)
        box = Outbox(folder / "o.db", WIDE)
        assert box.set_aside is None, number
        assert box.in_ram is None, number
        found: list[int] = []
        while batch := box.take(10**9):
            found += [int(ln.rsplit(" ", 1)[1]) // 1000 for p in batch for ln in p.lines()]
            box.settle(batch)
        box.close()
        with closing(sqlite3.connect(folder / "o.db")) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        durable, newest = told(before, "kept"), told(before, "put")
        settled = told(before, "settled")
        assert found == sorted(set(found)), number  # in order, none twice
        # all that was committed and not settled; what a commit under way held may be there too
        assert set(range(settled + 1, durable + 1)) <= set(found), (number, durable)
        assert max(found, default=0) <= newest
        begun = told(before, "begin")
        # whole, or not at all
        assert max(found, default=0) in {*range(durable + 1), begun}, number
        kept, lost = kept + len(found), lost + newest - max([*found, durable])
        shutil.rmtree(folder)
    assert kept > CUTS // 3  # a few in each
    assert lost > 0  # the cuts did fall between commits


@pytest.mark.parametrize("kind", ["full", "read-only"])
def test_a_disk_full_or_read_only_at_any_byte_loses_nothing_and_heals(
    tmp_path: Path, shim: Path, kind: str
) -> None:
    control = tmp_path / "control"
    control.write_bytes(bytes(16))
    done = subprocess.run(
        [sys.executable, "-m", "tests.edge.cuts.sick", str(tmp_path), str(control), kind, "40"],
        env=environment(shim, tmp_path / "o.db", None, control),
        capture_output=True,
        text=True,
        check=True,
    )
    found = [json.loads(ln[4:]) for ln in done.stdout.split("\n") if ln.startswith("JSON")]
    assert len(found) == 40
    for seed, one in enumerate(found):
        assert one["lost"] == [], (seed, one)
        assert (one["doubled"], one["names"]) == (0, 0), (seed, one)
        assert not one["set_aside"], (seed, one)
        assert one["in_ram_at_the_end"] is None, (seed, one)
    assert sum(one["was_in_ram"] > 0 for one in found) > 20
    assert sum(one["sent_in_ram"] for one in found) > 20
