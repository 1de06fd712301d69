"""Capture: registers a device held and readings a person saw on its display → profile examples.

Pure.  Only registers of the profile's points are ever in it (never a gap between them, where
serial numbers stand), and only readings that the display confirmed.  A counter is moved down by
whole thousands, so that the file tells nothing about what a site consumes.
"""

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from contract.measurand import MEASURANDS, Kind
from contract.reading import Reading
from edge.commission.solve import Shown
from edge.decode import Source, decode, raw_number
from edge.plan import RawBlock, ReadBlock
from edge.profile import DeviceProfile, PointSpec
from edge.profile.model import UNITS, WORDS_OF_TYPE

COUNTER_STEP = 1000  # canonical units a counter is moved by
_BYTES = frozenset({"u8", "s8", "f16"})
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
    """Give the registers that hold a number; OverflowError or ValueError when it does not fit."""
    width = 2 * WORDS_OF_TYPE[kind]
    if kind[0] == "f":
        data = struct.pack(">f" if width == 4 else ">d", number)
    elif kind.startswith("bcd"):
        data = bytes.fromhex(f"{round(number):0{2 * width}d}")
    else:
        data = round(number).to_bytes(width, "big", signed=kind[0] == "s")
    parts = [data[i : i + 2] for i in range(0, width, 2)]
    if order in {"CDAB", "DCBA"}:
        parts.reverse()
    if order in {"BADC", "DCBA"}:
        parts = [p[::-1] for p in parts]
    return tuple(int.from_bytes(p, "big") for p in parts)


def is_movable(point: PointSpec) -> bool:
    """Say whether a point can be captured without its level: no counter, or a plain one."""
    if MEASURANDS[point.measurand].kind is not Kind.COUNTER:
        return True
    return bool(point.type) and not point.needs and not point.mask and point.type not in _BYTES


def moved_down(point: PointSpec, words: Sequence[int]) -> tuple[int, ...]:
    """Give a counter's registers less whole thousands of its unit; others as they are."""
    if MEASURANDS[point.measurand].kind is not Kind.COUNTER:
        return tuple(words)
    step = abs(COUNTER_STEP / point.factor)
    number = raw_number(words, point.type, point.order)
    if not number >= step or (point.type[0] != "f" and step.denominator != 1):
        return tuple(words)
    return packed(
        number % (float(step) if point.type[0] == "f" else int(step)), point.type, point.order
    )


def examples(
    blocks: Iterable[ReadBlock],
    words: Words,
    auxiliary: Mapping[str, Fraction],
    shown: Sequence[Shown],
    source: str,
    *,
    keep_energy: bool = False,
) -> list[dict[str, object]]:
    """Give the `examples:` entries: one for each block that holds a confirmed point.

    Readings are in canonical units, on the meter's own side of the instrument transformers;
    `auxiliary` holds what the device's ratio registers said.
    """
    names = {s.measurand for s in shown}
    out: list[dict[str, object]] = []
    for block in blocks:
        named = tuple(p for p in block.points if p.measurand in names)
        if not named:
            continue
        row: list[int] = []
        for point in block.points:
            own = words[point.measurand]
            row += own if keep_energy else moved_down(point, own)
        part = RawBlock(ReadBlock(block.function, block.address, block.count, named), tuple(row))
        entry: dict[str, object] = {
            "source": source, "function": block.function, "address": block.address, "words": row,
            "readings": {
                r.point.measurand: None if r.value is None else float(f"{r.value:.9g}")
                for r in decode(part, Source("capture", "device"), 0, 0.0, auxiliary)
            },
        }  # fmt: skip
        needed = {n: float(auxiliary[n]) for p in named for n in p.needs if n in auxiliary}
        out.append({**entry, "auxiliary": needed} if needed else entry)
    return out


def own_blocks(
    blocks: Iterable[ReadBlock], words: Words, *, keep_energy: bool = False
) -> list[ReadBlock]:
    """Cut blocks at gaps and at points that could not be read: nothing else is ever captured.

    Nor is a counter that cannot be moved down, unless it may be kept as it is.
    """
    out: list[ReadBlock] = []
    for block in blocks:
        run: list[PointSpec] = []
        for point in sorted(block.points, key=lambda p: p.address):
            has_words = len(words.get(point.measurand, ())) == point.words and (
                keep_energy or is_movable(point)
            )
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
            f"words: [{listed}], readings: {{{named}}}{_auxiliary(row)}}}"
        )
    return "\n".join(lines) + "\n"


def _auxiliary(row: Mapping[str, object]) -> str:
    known = row.get("auxiliary")
    return f", auxiliary: {json.dumps(known)}" if known else ""
