"""Kill -9 of a whole agent, and of the store it pushes to, at random moments of one seeded run.

python -m tests.pipeline.agent_kills FOLDER KILLS [SEED]: prints what was found as JSON.

A fresh interpreter costs a second of processor time; here everything is imported once, and each
agent is a fork of that: the real command line with real Modbus TCP meters, file and HTTP store.
What the committer acknowledged is noted by a journal beside it, and by reading the outbox file
after each kill before the next start; it must be in the store's own journal, once in effect.
"""

import asyncio
import ctypes
import json
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

from contract.clock import SystemClock
from contract.errors import DeliveryError
from contract.line import parse_line
from edge.agent import open_outbox, read_config
from edge.cli import main as compound_edge
from edge.push import Pusher
from simulators.ports import free_port
from tests.faults.evidence import Points, compared, proof_of
from tests.faults.journal import Journal, records
from tests.faults.sink import DurableSink, lines_in
from tests.faults.site import INTERVAL_S, METERS, served_meters, write_agent
from tests.faults.source import Snapshot, commits_noted, snapshot

_PR_SET_PDEATHSIG = 1
_SHORTEST_S, _EARLY_S, _LONGEST_S = 0.005, 0.15, 0.9  # of an agent's life
_EARLY_SHARE, _SINK_SHARE = 0.25, 0.3  # of lives that end at the start; that see the store killed
_DRAIN_S = 60.0


@dataclass
class Kills:
    """What happened, and what was found."""

    agent_kills: int = 0
    sink_kills: int = 0
    seconds: float = 0.0
    commits: int = 0
    parcels_in_files: int = 0  # over all kills; some had arrived already
    only_in_the_file: int = 0  # points whose writer was killed before it could note them
    points: int = 0
    slots: int = 0
    slots_never_durable: int = 0
    resent_lines: int = 0
    lost: list[object] = field(default_factory=list)
    invented: list[object] = field(default_factory=list)
    doubled: list[object] = field(default_factory=list)
    numbers_not_received: list[object] = field(default_factory=list)
    numbers_used_twice: list[object] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)
    counters_that_fell: int = 0
    proof: str = ""

    @property
    def is_exact(self) -> bool:
        """Say whether source and store hold the same, once in effect."""
        wrong = (self.lost, self.invented, self.doubled, self.numbers_not_received,
                 self.numbers_used_twice, self.set_aside, self.counters_that_fell)  # fmt: skip
        return self.points > 0 and self.proof == "COMPLETE" and not any(wrong)

    def summary(self) -> str:
        """Give the figures as a few lines."""
        return (
            f"{self.agent_kills:,} kills of the agent and {self.sink_kills:,} of the store in"
            f" {self.seconds:.0f} s: {self.points:,} points of {self.slots:,} slots committed"
            f" in {self.commits:,} commits\n"
            f"lost {len(self.lost)}, doubled {len(self.doubled)}, invented {len(self.invented)};"
            f" {self.resent_lines:,} lines came again with the same value;"
            f" {self.only_in_the_file} points were seen only in the file a kill had left\n"
            f"{self.slots_never_durable:,} slots were never durable (no agent, or its commit was"
            f" still to come); the server's proof: {self.proof}"
        )


def forked(work: Callable[[], object], log: Path) -> int:
    """Run something in a fork of this process that ends with it; give its pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(said, 1)
        os.dup2(said, 2)
        work()
        os._exit(0)
    finally:  # whatever it is, the fork must not go on as its parent
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def killed(pid: int) -> None:
    """Kill -9 a fork that still runs."""
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), f"{pid} had ended by itself"


class Stage:
    """The forks of one run and the files they leave."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "log"
        self.acknowledged, self.stored = folder / "acknowledged", folder / "stored"
        self.port = free_port()
        self.pids: list[int] = []
        ports = folder / "ports"
        self.start(lambda: asyncio.run(_meters(ports)))
        while not ports.exists():
            time.sleep(0.01)
        url = f"http://127.0.0.1:{self.port}"
        self.config = write_agent(folder, url, json.loads(ports.read_text()))
        self.outbox = read_config(self.config).outbox.path  # and everything is loaded

    def start(self, work: Callable[[], object]) -> int:
        pid = forked(work, self.log)
        self.pids.append(pid)
        return pid

    def kill(self, pid: int) -> None:
        self.pids.remove(pid)
        killed(pid)

    def start_sink(self) -> int:
        return self.start(lambda: DurableSink(self.stored, self.port).serve())

    def start_agent(self) -> int:
        return self.start(self._agent)

    def _agent(self) -> None:
        journal = Journal(self.acknowledged, syncs=False)
        with commits_noted(journal.append):
            compound_edge(["run", "--config", str(self.config)])

    def drain(self) -> None:
        """Send what still waits, without polling on."""
        pid = self.start(self._drain)
        self.pids.remove(pid)
        _, status = os.waitpid(pid, 0)
        assert status == 0, self.log.read_text()[-2000:]

    def _drain(self) -> None:
        config, until_s = read_config(self.config), time.monotonic() + _DRAIN_S
        journal, box = Journal(self.acknowledged, syncs=False), open_outbox(config)
        push = Pusher(config, box, SystemClock())
        with commits_noted(journal.append):
            while box.waiting()[0] and time.monotonic() < until_s:
                with suppress(DeliveryError):
                    push.push()
            assert box.waiting()[0] == 0, "the outbox does not drain"
            box.close()


async def _meters(ports: Path) -> None:
    found = await served_meters(SystemClock())
    part = ports.with_suffix(".part")
    part.write_text(json.dumps(found))
    part.rename(ports)
    await asyncio.Event().wait()


class Watch:
    """What has been seen of the outbox file, kill after kill."""

    def __init__(self, found: Kills) -> None:
        self.found, self.source = found, Points()
        self.parcels: dict[tuple[int, int], tuple[str, ...]] = {}
        self.next_of: dict[int, int] = {}

    def saw(self, it: Snapshot) -> None:
        for name, lines in it.parcels.items():
            if self.parcels.setdefault(name, lines) != lines:
                self.found.numbers_used_twice.append(name)
        self.next_of |= it.next_of
        self.found.parcels_in_files += len(it.parcels)


def run(folder: Path, kills: int, seed: int) -> Kills:
    """Kill, look, start again; then let all arrive and hold it against the source."""
    rng, found, began_s = random.Random(seed), Kills(), time.monotonic()
    stage, watch = Stage(folder), Watch(found)
    try:
        sink = stage.start_sink()
        for _ in range(kills):
            agent = stage.start_agent()
            early = rng.random() < _EARLY_SHARE
            life_s = (
                rng.uniform(_SHORTEST_S, _EARLY_S) if early else rng.uniform(_EARLY_S, _LONGEST_S)
            )
            if rng.random() < _SINK_SHARE:
                sink_s, down_s = rng.uniform(0, life_s), rng.uniform(0, 0.3)
                time.sleep(sink_s)
                stage.kill(sink)
                found.sink_kills += 1
                time.sleep(min(down_s, life_s - sink_s))
                sink = stage.start_sink()
                life_s = max(life_s - sink_s - down_s, 0)
            time.sleep(life_s)
            stage.kill(agent)
            found.agent_kills += 1
            watch.saw(snapshot(stage.outbox))
        stage.drain()
        watch.saw(snapshot(stage.outbox))
    finally:
        for pid in list(stage.pids):
            with suppress(AssertionError):
                stage.kill(pid)
    judge(stage, watch)
    found.seconds = round(time.monotonic() - began_s, 1)
    return found


def judge(stage: Stage, watch: Watch) -> None:
    """Hold source and sink against each other."""
    found, source, sink = watch.found, watch.source, Points()
    acknowledged = [r.decode().split("\n") for r in records(stage.acknowledged)]
    found.commits = len(acknowledged)
    for lines in acknowledged:
        source.add(lines)
    noted = len(source.said)
    for parcel in watch.parcels.values():
        source.add(parcel)
    found.only_in_the_file = len(source.said) - noted
    stored = list(lines_in(stage.stored))
    sink.add(stored)
    verdict = compared(source, sink)
    found.points, found.resent_lines = verdict.points, verdict.resent
    found.lost, found.invented = [*verdict.lost], [*verdict.invented]
    found.doubled = [*verdict.doubled]
    received = receipts(stored)
    found.numbers_not_received = [
        (ledger, number)
        for ledger, next_ in watch.next_of.items()
        for number in range(1, next_)
        if (ledger, number) not in received
    ]
    found.set_aside = [p.name for p in stage.folder.glob("*.broken-*")]
    meters = {f"electricity,device={m},site=k" for m in METERS.values()}
    slots = sorted({time_ms for series, time_ms in source.said if series in meters})
    found.slots = len(slots)
    found.slots_never_durable = (slots[-1] - slots[0]) // round(INTERVAL_S * 1000) + 1 - len(slots)
    found.counters_that_fell = fallen(stored)
    proof = proof_of("a1", stored)
    found.proof = "COMPLETE" if proof.is_complete else repr(proof.findings)


def receipts(lines: list[str]) -> set[tuple[int, int]]:
    """Give the (ledger, number) that receipts speak of."""
    told = [parse_line(ln).fields for ln in lines if " sequence_first=" in ln]
    return {
        (int(f["outbox_id"]), n)
        for f in told
        for n in range(int(f["sequence_first"]), int(f["sequence_last"]) + 1)
    }


def fallen(lines: list[str]) -> int:
    """Count how often a counter stood lower than at the slot before: a value at a wrong slot."""
    counters: dict[str, dict[int, float]] = {name: {} for name in METERS.values()}
    for line in lines:
        if " energy_import_kwh=" in line or ",energy_import_kwh=" in line:
            one = parse_line(line)
            counters[one.tags["device"]][one.time_ms or 0] = one.fields["energy_import_kwh"]
    return sum(
        b[1] < a[1] for of_one in counters.values() for a, b in pairwise(sorted(of_one.items()))
    )


def found_by(folder: Path, kills: int, seed: int) -> Kills:
    """Run it in a process of its own, which alone may fork: it has one thread."""
    command = [sys.executable, "-m", "tests.pipeline.agent_kills", str(folder), str(kills)]
    done = subprocess.run([*command, str(seed)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return Kills(**json.loads(done.stdout))


if __name__ == "__main__":
    told = run(Path(sys.argv[1]), int(sys.argv[2]), int((sys.argv[3:] or ["20261125"])[0]))
    sys.stdout.write(json.dumps(asdict(told), indent=1) + "\n")
