"""Capture: registers a device held and readings a person saw on its display → profile examples.

Pure.  Only registers of the profile's points are ever in it (never a gap between them, where
serial numbers stand), and only readings that the display confirmed.  A counter is moved down by
whole thousands, so that the file tells nothing about what a site consumes.
"""

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from contract.measurand import MEASURANDS, Kind
from contract.reading import Reading
from edge.commission.solve import Shown
from edge.decode import Source, raw_number
from edge.plan import ReadBlock
from edge.profile import DeviceProfile, PointSpec
from edge.profile.model import UNITS

COUNTER_STEP = 1000  # canonical units a counter is moved by
_FORMATS = {
    "u16": "H", "s16": "h", "u32": "I", "s32": "i",
    "f32": "f", "u64": "Q", "s64": "q", "f64": "d",
}  # fmt: skip
Words = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A reading beside what the display showed, with the ratio applied and on the meter's side."""

    shown: Shown
    value: float | None
    meter_value: float | None

    @property
    def holds(self) -> bool:
        """Say whether the reading is the displayed number, on either side of the transformers."""
        wanted, slack = canonical(self.shown), tolerance(self.shown)
        both = (self.value, self.meter_value)
        return any(v is not None and abs(v - wanted) <= slack for v in both)


def canonical(shown: Shown) -> float:
    """Give a displayed number in its measurand's unit."""
    return shown.value * float(UNITS[shown.unit][1])


def tolerance(shown: Shown) -> float:
    """Give the tolerance of a displayed number in its measurand's unit."""
    return shown.tolerance * float(UNITS[shown.unit][1])


def confirmed(
    shown: Iterable[Shown], readings: Mapping[str, Reading], profile: DeviceProfile, source: Source
) -> list[Confirmed]:
    """Set each displayed number beside the reading of its measurand."""
    out = []
    for row in shown:
        reading = readings.get(row.measurand)
        value = None if reading is None else reading.value
        ratio = float(source.ratio(profile.point(row.measurand)))
        out.append(Confirmed(row, value, None if value is None else value / ratio))
    return out


def packed(number: float, kind: str, order: str) -> tuple[int, ...]:
    """Give the registers that hold a number; struct.error when it does not fit."""
    content: float = number if kind[0] == "f" else round(number)
    data = struct.pack(">" + _FORMATS[kind], content)
    parts = [data[i : i + 2] for i in range(0, len(data), 2)]
    if order in {"CDAB", "DCBA"}:
        parts.reverse()
    if order in {"BADC", "DCBA"}:
        parts = [p[::-1] for p in parts]
    return tuple(int.from_bytes(p, "big") for p in parts)


def moved_down(point: PointSpec, words: Sequence[int]) -> tuple[int, ...]:
    """Give a counter's registers less whole thousands of its unit; others as they are."""
    if MEASURANDS[point.measurand].kind is not Kind.COUNTER or not point.type:
        return tuple(words)
    step = COUNTER_STEP / point.factor
    number = raw_number(words, point.type, point.order)
    if not number > step or (point.type[0] != "f" and step.denominator != 1):
        return tuple(words)
    return packed(float(number % float(step)) if point.type[0] == "f" else number % int(step),
                  point.type, point.order)  # fmt: skip


def examples(
    blocks: Iterable[ReadBlock],
    words: Words,
    shown: Sequence[Shown],
    source: str,
    *,
    keep_energy: bool = False,
) -> list[dict[str, object]]:
    """Give the `examples:` entries: one for each block that holds a confirmed point.

    Readings are in canonical units, on the meter's own side of the instrument transformers.
    """
    names = {s.measurand for s in shown}
    out: list[dict[str, object]] = []
    for block in blocks:
        readings: dict[str, float] = {}
        row: list[int] = []
        for point in sorted(block.points, key=lambda p: p.address):
            own = words[point.measurand]
            own = own if keep_energy else moved_down(point, own)
            row += own
            if point.measurand in names:
                readings[point.measurand] = _reading(point, own)
        if readings:
            out.append({
                "source": source, "function": block.function, "address": block.address,
                "words": row, "readings": readings,
            })  # fmt: skip
    return out


def _reading(point: PointSpec, words: Sequence[int]) -> float:
    value = raw_number(words, point.type, point.order) * point.factor
    return float(f"{float(value):.9g}")


def own_blocks(blocks: Iterable[ReadBlock], words: Words) -> list[ReadBlock]:
    """Cut blocks at gaps and at points that could not be read: nothing else is ever captured."""
    out: list[ReadBlock] = []
    for block in blocks:
        run: list[PointSpec] = []
        for point in sorted(block.points, key=lambda p: p.address):
            has_words = len(words.get(point.measurand, ())) == point.words
            if run and (not has_words or point.address != run[-1].end):
                out.append(_block(run))
                run = []
            if has_words:
                run.append(point)
        if run:
            out.append(_block(run))
    return out


def _block(run: Sequence[PointSpec]) -> ReadBlock:
    first, last = run[0], run[-1]
    return ReadBlock(first.function, first.address, last.end - first.address, tuple(run))


def capture_text(head: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """Give the YAML file: comments, then the entries of `examples:`."""
    lines = [*(f"# {line}" for line in head), "examples:"]
    for row in rows:
        words = row["words"]
        readings = row["readings"]
        if not isinstance(words, list) or not isinstance(readings, dict):
            raise TypeError(f"an example holds words and readings, not {row}")
        listed = ", ".join(f"0x{w:04X}" for w in words)
        named = ", ".join(f"{k}: {v!r}" for k, v in readings.items())
        text = json.dumps(row["source"], ensure_ascii=False)
        lines.append(
            f"  - {{source: {text}, function: {row['function']}, address: 0x{row['address']:04X}, "
            f"words: [{listed}], readings: {{{named}}}}}"
        )
    return "\n".join(lines) + "\n"
