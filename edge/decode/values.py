"""Values: registers → readings in canonical units, bad ones too, with a reason.  Pure."""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from contract.errors import DeviceError
from contract.measurand import MEASURANDS
from contract.reading import PointId, Reading, Reason
from edge.plan import RawBlock, ReadBlock
from edge.profile import Basis, PointSpec

_FORMATS = {
    "u16": "H", "s16": "h", "u32": "I", "s32": "i",
    "f32": "f", "u64": "Q", "s64": "q", "f64": "d",
}  # fmt: skip
_ONE = Fraction(1)


@dataclass(frozen=True, slots=True)
class Source:
    """Whose registers these are: the tags, and the ratios of its instrument transformers."""

    site: str
    device: str
    ct_ratio: Fraction = _ONE
    pt_ratio: Fraction = _ONE

    def ratio(self, point: PointSpec) -> Fraction:
        """Give what a secondary value is multiplied by: V × PT, A × CT, power and energy × both."""
        if point.basis is not Basis.SECONDARY:
            return _ONE
        unit = point.canonical_unit
        return {"V": self.pt_ratio, "A": self.ct_ratio}.get(unit, self.ct_ratio * self.pt_ratio)


def decode(raw: RawBlock, source: Source, time_ms: int, lag_s: float = 0.0) -> list[Reading]:
    """Give one reading for each point of the block; a value that cannot stand has a reason."""
    out = []
    for i, point in enumerate(raw.block.points):
        number, reason = _raw_number(raw, i, point)
        value = None if number is None else _scaled(number, point, source)
        if value is not None:
            reason = _judge(point, value)
        kept = None if reason.is_bad else value
        out.append(Reading(_id(source, point), time_ms, kept, reason, lag_s))
    return out


def failed(
    block: ReadBlock, error: DeviceError, source: Source, time_ms: int, lag_s: float = 0.0
) -> list[Reading]:
    """Give the readings of a block that could not be read: no values, the error's reason."""
    return [Reading(_id(source, p), time_ms, None, error.reason, lag_s) for p in block.points]


def raw_number(words: Sequence[int], value_type: str, order: str) -> int | float:
    """Give the number that registers hold; `order` as PointSpec says it."""
    parts = [struct.pack(">H", w) for w in words]
    if order in {"BADC", "DCBA"}:
        parts = [p[::-1] for p in parts]
    if order in {"CDAB", "DCBA"}:
        parts.reverse()
    number: int | float = struct.unpack(">" + _FORMATS[value_type], b"".join(parts))[0]
    return number


def _id(source: Source, point: PointSpec) -> PointId:
    return PointId(source.site, source.device, point.measurand)


def _raw_number(raw: RawBlock, i: int, point: PointSpec) -> tuple[int | float | None, Reason]:
    if point.node:
        value = raw.values[i]
        return value, Reason.BAD_STATUS if value is None else Reason.GOOD
    start = point.address - raw.block.address
    words = raw.words[start : start + point.words]
    if int.from_bytes(b"".join(struct.pack(">H", w) for w in words), "big") in point.sentinels:
        return None, Reason.SENTINEL
    return raw_number(words, point.type, point.order), Reason.GOOD


def _scaled(number: float, point: PointSpec, source: Source) -> float:
    factor = point.factor * source.ratio(point)
    if isinstance(number, int):  # exact up to one rounding: 123 × 0.1 is 12.3
        return number * factor.numerator / factor.denominator
    return number if factor == _ONE else number * float(factor)


def _judge(point: PointSpec, value: float) -> Reason:
    if not math.isfinite(value):
        return Reason.NOT_FINITE
    return Reason.GOOD if MEASURANDS[point.measurand].is_plausible(value) else Reason.IMPLAUSIBLE
