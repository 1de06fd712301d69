"""When each agent of a run lived, and which slots must therefore be there."""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import yaml

from contract.clock import SystemClock
from contract.line import parse_line
from simulators.stage import Stage
from tests.faults.source import snapshot

_STARTED = re.compile(r"^timestamp=(\S+) .*event=agent_started", re.MULTILINE)
_MISSED = re.compile(r"^timestamp=(\S+) .*event=slots_missed bus=(\S+) slots=(\d+)", re.MULTILINE)
Span = tuple[int, int]


@dataclass
class Lives:
    """Spans in which agents polled, by agent, and the slots found durable after a kill, by point.

    margin_ms: how long a round may wait for its commit
    """

    folder: Path
    interval_ms: int
    margin_ms: int
    spans_ms: dict[str, list[Span]] = field(default_factory=lambda: defaultdict(list))
    durable: dict[tuple[str, str], set[int]] = field(default_factory=lambda: defaultdict(set))

    def ends(self, it: Stage, agent: str) -> None:
        """Take note, just before it ends, of a life that has got as far as polling."""
        now_ms, known = SystemClock().now_ms(), self.spans_ms[agent]
        began_ms = max((ms_of(at) for at in _STARTED.findall(log_of(it, agent))), default=None)
        if began_ms is not None and (not known or began_ms > known[-1][0]):
            known.append((began_ms, now_ms))

    def was_killed(self, agent: str) -> None:
        """Look at what the outbox of a killed agent holds: it is durable."""
        for line in snapshot(self.folder / f"{agent}.outbox.db").lines():
            parsed = parse_line(line)
            for name in parsed.fields:
                self.durable[parsed.tags["device"], name].add(parsed.time_ms or 0)

    def devices(self, agent: str) -> dict[str, str]:
        """Give the devices of an agent, each with its bus."""
        document = yaml.safe_load((self.folder / f"{agent}.yaml").read_text("utf-8"))
        return {device["id"]: device["connection"] for device in document["devices"]}

    def whole_slots(self, agent: str) -> set[int]:
        """Give the slots that an agent outlived by an interval for the round and its commit.

        A round may take longer than its slot where the machine is busy: another interval is left.
        """
        out = set[int]()
        for began_ms, ended_ms in self.spans_ms[agent]:
            out |= self._slots(
                began_ms + self.margin_ms, ended_ms - 2 * self.interval_ms - self.margin_ms
            )
        return out

    def slots_between(self, agent: str, seen: set[int]) -> set[int]:
        """Give the slots of each life from the first to the last seen of it: a bus goes by order,
        and so do commits, so that whatever came before what is there must be there.
        """
        out = set[int]()
        for began_ms, ended_ms in self.spans_ms[agent]:
            of_life = [t for t in seen if began_ms <= t <= ended_ms]
            out |= self._slots(min(of_life), max(of_life)) if of_life else set()
        return out

    def said_missed(self, it: Stage, agent: str) -> dict[str, set[int]]:
        """Give the slots that the agent itself said it had overrun, by bus: it counts them.

        The newest of them is the slot of that moment, or the one before where it says so early.
        """
        out: dict[str, set[int]] = defaultdict(set)
        for at, bus, slots in _MISSED.findall(log_of(it, agent)):
            said_ms = ms_of(at)
            out[bus] |= self._slots(said_ms - (int(slots) + 1) * self.interval_ms, said_ms)
        return out

    def _slots(self, first_ms: int, last_ms: int) -> set[int]:
        first_ms = -(-first_ms // self.interval_ms) * self.interval_ms
        return set(range(first_ms, last_ms + 1, self.interval_ms))


def log_of(it: Stage, agent: str) -> str:
    """Give an agent's log, over all its lives."""
    log = it.log_of(agent)
    return log.read_text("utf-8") if log.exists() else ""


def ms_of(said: str) -> int:
    """Give the time that a log line names."""
    return round(datetime.fromisoformat(said).timestamp() * 1000)
