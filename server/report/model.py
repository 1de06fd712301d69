"""The report as blocks, free of any document format.  Pure."""

from dataclasses import dataclass

from server.metrics.answer import Answer


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; level 1 is 一、 2 is （一） 3 is 1."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph of body text; `lead` is set in 楷体 at its head."""

    text: str
    lead: str = ""


@dataclass(frozen=True, slots=True)
class TableBlock:
    """A table: title above, unit at the right above, rows of text, a note below."""

    title: str
    unit: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    widths: tuple[float, ...] = ()  # relative; equal when not given


Block = Heading | Paragraph | TableBlock


@dataclass(frozen=True, slots=True)
class Trace:
    """Where a printed number comes from."""

    shown: str
    label: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class Report:
    """A composed report.  It is final only when nothing is missing."""

    title: str
    subtitle: str
    blocks: tuple[Block, ...]
    missing: tuple[str, ...]
    trace: tuple[Trace, ...]
    slots: frozenset[str] = frozenset()  # what people may enter, filled in or not

    @property
    def is_final(self) -> bool:
        """Say whether every fact is there."""
        return not self.missing
