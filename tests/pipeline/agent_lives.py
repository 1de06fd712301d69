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


@dataclass
class Lives:
    """Spans in which agents polled, by agent, and the slots found durable after a kill, by point.

    margin_ms: how long after the end of a slot its round may still wait for its commit
    """

    folder: Path
    interval_ms: int
    margin_ms: int
    spans_ms: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    durable: dict[tuple[str, str], set[int]] = field(default_factory=lambda: defaultdict(set))

    def ends(self, it: Stage, agent: str) -> int:
        """Take note, just before it ends, of a life that has got as far as polling."""
        now_ms = SystemClock().now_ms()
        starts = _STARTED.findall(it.log_of(agent).read_text("utf-8"))
        began = [round(datetime.fromisoformat(s).timestamp() * 1000) for s in starts]
        known = self.spans_ms[agent]
        if began and (not known or began[-1] > known[-1][0]):
            known.append((began[-1], now_ms))
        return now_ms

    def was_killed(self, agent: str) -> None:
        """Look at what the outbox of a killed agent holds: it is durable."""
        for line in snapshot(self.folder / f"{agent}.outbox.db").lines():
            parsed = parse_line(line)
            for name in parsed.fields:
                self.durable[parsed.tags["device"], name].add(parsed.time_ms or 0)

    def devices(self, agent: str) -> list[str]:
        """Give the devices of an agent."""
        document = yaml.safe_load((self.folder / f"{agent}.yaml").read_text("utf-8"))
        return [device["id"] for device in document["devices"]]

    def whole_slots(self, agent: str) -> set[int]:
        """Give the slots from whose beginning to whose commit the agent lived."""
        out = set[int]()
        for began_ms, ended_ms in self.spans_ms[agent]:
            first = -(-began_ms // self.interval_ms) * self.interval_ms
            stop = ended_ms - self.interval_ms - self.margin_ms
            out |= set(range(first, stop + 1, self.interval_ms))
        return out
