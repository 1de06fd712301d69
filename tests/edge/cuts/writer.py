"""A process that fills, commits and settles an outbox, and says beside its file what it did.

argv: the outbox, how many rounds, the seed.  Puts and commits are told by writes to
`<outbox>.said`, which the shim puts in order among the writes to the outbox itself.
"""

import os
import random
import sys
from pathlib import Path

from edge.outbox import Bounds, Outbox, Terms

WIDE = Bounds(10**9, 10**15)


def line(number: int, rng: random.Random) -> str:
    fields = ",".join(f"voltage_l{i}_v={rng.uniform(220, 240)!r}" for i in range(1, 40))
    return f"electricity,device=E{number},site=s {fields},lag_s=0.0 {1000 * number}"


def main(path: Path, rounds: int, seed: int) -> None:
    rng = random.Random(seed)
    said = os.open(f"{path}.said", os.O_WRONLY | os.O_CREAT)
    box = Outbox(path, WIDE, Terms(commit_interval_s=3600))
    for number in range(1, rounds + 1):
        box.put(f"bus{number % 7}", 1000 * number, [line(number, rng)], 39)
        os.write(said, f"put {number}\n".encode())
        if rng.random() < 0.5:
            os.write(said, f"begin {number}\n".encode())
            box.commit()
            os.write(said, f"kept {number}\n".encode())
        if rng.random() < 0.1:
            batch = box.take(rng.randrange(1, 60_000))
            numbers = [p.newest_ms // 1000 for p in batch]
            box.settle(batch)
            if numbers:
                os.write(said, f"settled {max(numbers)}\n".encode())
    os.write(said, b"end\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
