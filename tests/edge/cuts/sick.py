"""A process whose disk becomes full or read-only at a random moment, and well again.

argv: a folder, the control file, `full` or `read-only`, and how many times.  For each seed an
outbox is filled, part of it taken and settled, the disk made sick at some byte and healed later;
then the process starts again.  Says a line of JSON for each.
"""

import json
import mmap
import random
import struct
import sys
from pathlib import Path

from edge.outbox import Bounds, Outbox, Terms

FINE, FULL, READ_ONLY = 0, 1, 2
WIDE = Bounds(10**9, 10**15)
TERMS = Terms(commit_interval_s=3600, heal_interval_s=0)


class Disk:
    """The shim's control words."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._words = mmap.mmap(file.fileno(), 16)

    def turn(self, mode: int, bytes_left: int = 0) -> None:
        self._words[:] = struct.pack("<qq", mode, bytes_left)


def put(box: Outbox, number: int) -> None:
    line = f"electricity,device=E{number},site=s power_kw={number / 3!r},lag_s=0.0 {1000 * number}"
    box.put("bus", 1000 * number, [line] * 8, 8)
    box.commit()


def once(path: Path, disk: Disk, sick: int, rng: random.Random) -> dict[str, object]:
    is_sick_at_start = rng.random() < 0.2
    box = Outbox(path, WIDE, TERMS)
    sent: set[int] = set()
    was_in_ram = sent_in_ram = 0
    sick_from, sick_to = rng.randrange(5, 25), rng.randrange(30, 50)
    for number in range(1, 61):
        if number == sick_from:
            if is_sick_at_start:
                box.close()
                disk.turn(sick, 0)
                box = Outbox(path, WIDE, TERMS)
            disk.turn(sick, rng.randrange(12_000))
        elif number == sick_to:
            disk.turn(FINE)
        put(box, number)
        was_in_ram += box.in_ram is not None
        if rng.random() < 0.3:
            batch = box.take(rng.randrange(1, 1000))
            sent |= {p.oldest_ms // 1000 for p in batch}
            sent_in_ram += len(batch) if box.in_ram else 0
            box.settle(batch)
    in_ram = box.in_ram
    box.close()
    again = Outbox(path, WIDE, TERMS)
    found: list[int] = []
    names: set[tuple[int, int]] = set()
    while batch := again.take(10**9):
        found += [p.oldest_ms // 1000 for p in batch]
        names |= {(p.outbox_id, p.sequence) for p in batch}
        again.settle(batch)
    again.close()
    return {
        "lost": sorted(set(range(1, 61)) - sent - set(found)),
        "doubled": len(found) - len(set(found)),
        "names": len(names) - len(found),
        "set_aside": again.set_aside is not None,
        "in_ram_at_the_end": in_ram,
        "was_in_ram": was_in_ram,
        "sent_in_ram": sent_in_ram,
    }


def main(folder: Path, control: Path, kind: str, times: int) -> None:
    disk = Disk(control)
    for seed in range(times):
        disk.turn(FINE)
        where = folder / f"o.db.{kind}{seed}"
        sick = FULL if kind == "full" else READ_ONLY
        sys.stdout.write("JSON" + json.dumps(once(where, disk, sick, random.Random(seed))) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
