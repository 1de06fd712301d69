"""Source against sink: nothing lost, nothing doubled, and the server's own proof says so too."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from contract.line import parse_line
from server.delivery import Proof, log_of, prove
from server.periods import HOUR_MS, Interval
from server.series import Series

_RECEIPT = " sequence_first="
Key = tuple[str, int]  # series and slot


@dataclass
class Points:
    """What was said of each series and slot; more than one text of one key is a contradiction."""

    said: dict[Key, set[str]] = field(default_factory=lambda: defaultdict(set))
    lines: int = 0

    def add(self, lines: Iterable[str]) -> None:
        for line in lines:
            if _RECEIPT not in line:
                series, fields, time_ms = line.split(" ")
                self.said[series, int(time_ms)].add(fields)
                self.lines += 1


@dataclass(frozen=True)
class Verdict:
    """What is at the source and at the sink."""

    points: int
    slots: int
    lost: list[Key]
    invented: list[Key]
    doubled: list[Key]  # there with two values, or with another than at the source
    resent: int  # lines that came again: the same point, the same value

    @property
    def is_exact(self) -> bool:
        return self.points > 0 and not (self.lost or self.invented or self.doubled)


def compared(source: Points, sink: Points) -> Verdict:
    """Hold what came against what was acknowledged, key by key."""
    both = source.said.keys() & sink.said.keys()
    doubled = [k for k in both if len(source.said[k] | sink.said[k]) > 1]
    return Verdict(
        points=len(source.said),
        slots=len({time_ms for _, time_ms in source.said}),
        lost=sorted(source.said.keys() - both),
        invented=sorted(sink.said.keys() - both),
        doubled=sorted(doubled),
        resent=sink.lines - len(sink.said),
    )


def proof_of(agent: str, lines: Iterable[str]) -> Proof:
    """Give the server's proof for an agent, of all time until its last word, three hours later."""
    told: dict[str, dict[int, float]] = defaultdict(dict)
    for line in lines:
        if line.startswith("delivery,"):
            parsed = parse_line(line)
            assert parsed.time_ms is not None
            for name, value in parsed.fields.items():
                told[name][parsed.time_ms] = value
    fields = {}
    for name, values in told.items():
        times = np.array(sorted(values), np.int64)
        fields[name] = Series(times, np.array([values[t] for t in times.tolist()]))
    log = log_of(agent, fields)
    end_ms = int(log.runs["said_ms"].max(initial=1))
    return prove(log, Interval(0, end_ms), end_ms + 3 * HOUR_MS)
