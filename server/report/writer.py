"""Puts numbers into text: formats them, keeps their trace, marks what is missing.  Pure."""

from dataclasses import dataclass, field
from decimal import Decimal

from server.metrics.answer import Answer
from server.metrics.catalogue import METRICS
from server.report.facts import ReportInputs
from server.report.model import Trace

COMPARABLE_COVERAGE = 0.9  # a period seen less than this is not set beside another


@dataclass(slots=True)
class Writer:
    """Collects what a report being composed lacks, and where its numbers come from."""

    inputs: ReportInputs
    missing: list[str] = field(default_factory=list)
    trace: list[Trace] = field(default_factory=list)
    slots: set[str] = field(default_factory=set)

    def slot(self, name: str) -> str:
        """Give a fact somebody entered, or its marked gap."""
        self.slots.add(name)
        entered = self.inputs.entered.get(name, "").strip()
        return entered or self.gap(name)

    def gap(self, name: str) -> str:
        """Mark a gap."""
        if name not in self.missing:
            self.missing.append(name)
        return f"【待填：{name}】"

    def number(self, answer: Answer | None, label: str, digits: int, divide_by: int = 1) -> str:
        """Give an answer's number, or its marked gap."""
        if answer is None or answer.value is None:
            return self.gap(label)
        value = Decimal(str(answer.value)) / divide_by
        shown = f"{value:,.{digits}f}"
        self.trace.append(Trace(shown, label, answer))
        return shown

    def plain(self, answer: Answer | None, digits: int) -> str:
        """Give a number for a table's side column: a dash when there is none."""
        if answer is None or answer.value is None:
            return "—"
        shown = f"{float(answer.value):,.{digits}f}"
        self.trace.append(Trace(shown, METRICS[answer.metric].label_zh, answer))
        return shown

    def change(self, metric: str) -> str | None:
        """Give 增长x.x% or 下降x.x% on the year before; None when the two cannot be compared."""
        now, then = self.inputs.answers.get(metric), self.inputs.previous.get(metric)
        if now is None or then is None or now.value is None or not then.value:
            return None
        if min(now.coverage, then.coverage) < COMPARABLE_COVERAGE:
            return None
        ratio = float(now.value) / float(then.value) - 1
        word = "增长" if ratio >= 0 else "下降"
        return f"{word}{abs(ratio):.1%}"

    def compared(self, metric: str) -> str:
        """Give 同比… for the text, or a marked gap."""
        change = self.change(metric)
        if change is not None:
            return f"同比{change}"
        label = METRICS[metric].label_zh
        return f"同比{self.gap(f'{self.inputs.year - 1}年同期{label}')}"
