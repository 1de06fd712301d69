"""Encoding: canonical values → registers, as the devices of this world would hold them.

Numbers become words by pymodbus where it knows the type, else by the definition of the coding
(decimal digits, half words, shifts), never by the inverse of the edge's decoder, so that a
symmetric mistake cannot hide.
"""

import struct
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Literal

from pymodbus.client.mixin import ModbusClientMixin

from edge.profile import Basis, Part, PointSpec, Role

_PYMODBUS = {
    "u16": "UINT16", "s16": "INT16", "u32": "UINT32", "s32": "INT32",
    "f32": "FLOAT32", "u64": "UINT64", "s64": "INT64", "f64": "FLOAT64",
}  # fmt: skip
EXPONENT = -2  # what the simulated devices with an exponent of their own use

Written = tuple[int, int, int]  # address, word, the bits of it that are the value's


def encode(
    point: PointSpec,
    value: float,
    ct_ratio: float = 1,
    pt_ratio: float = 1,
    auxiliary: Mapping[str, float] | None = None,
) -> list[Written]:
    """Give the registers of a canonical value; those in between are not the point's."""
    return _placed(point, _raw(point, value, ct_ratio, pt_ratio, auxiliary or {}))


def encode_auxiliary(point: PointSpec, value: float) -> list[Written]:
    """Give the registers of an auxiliary point that shall mean `value`."""
    if point.table:
        raw = next(k for k, v in point.table if v == Fraction(str(value)))
        return _placed(point, Fraction(raw))
    return _placed(point, (Fraction(value) - point.offset) / point.scale)


def usual(point: PointSpec, ct_ratio: float = 1, pt_ratio: float = 1) -> float:
    """Give what an auxiliary register says when nobody has said otherwise."""
    if point.table:
        return float(point.table[0][1])
    named = {"ct": ct_ratio, "pt": pt_ratio}
    return named.get(point.measurand, 0.0 if "exponent" in point.measurand else 1.0)


def _raw(
    point: PointSpec, value: float, ct: float, pt: float, auxiliary: Mapping[str, float]
) -> Fraction:
    """Take back, step by step and exactly, what a device does to its raw number."""
    shown = Fraction(value)
    ct, pt = auxiliary.get(point.ct, ct), auxiliary.get(point.pt, pt)
    if point.basis is Basis.SECONDARY:
        if point.canonical_unit == "V":
            shown /= Fraction(pt)
        elif point.canonical_unit == "A":
            shown /= Fraction(ct)
        else:
            shown /= Fraction(ct) * Fraction(pt)
    if point.scale_by:
        shown /= Fraction(auxiliary[point.scale_by])
    if point.exponent:
        shown /= Fraction(10) ** int(auxiliary[point.exponent])
    if point.offset:
        shown -= point.offset_canonical
    return shown / point.factor


def _placed(point: PointSpec, raw: Fraction) -> list[Written]:
    shares = _shares(point.parts, raw) if point.parts else [(point.pieces[0], raw)]
    return [w for part, number in shares for w in _written(point.address, part, number)]


def _shares(parts: tuple[Part, ...], raw: Fraction) -> Iterator[tuple[Part, Fraction]]:
    """Share a number out among the parts of a split value, the coarsest first."""
    rest = raw
    if any(p.role is Role.SIGN for p in parts):
        rest = abs(rest)
    for part in parts:
        if part.role is Role.SIGN:
            yield part, Fraction(int(raw < 0))
        elif part.role is Role.EXPONENT:
            rest /= Fraction(10) ** EXPONENT
            yield part, Fraction(EXPONENT)
    adds = sorted((p for p in parts if p.role is Role.ADD), key=lambda p: -p.scale)
    for i, part in enumerate(adds):
        is_last = i == len(adds) - 1
        share = rest / part.scale
        if not is_last:
            share = Fraction(share.__floor__())
        elif not part.type.startswith("f"):
            share = Fraction(round(share))
        rest -= share * part.scale
        yield part, share


def _written(address: int, part: Part, number: Fraction) -> list[Written]:
    words = list(_words(part, number))
    bits = [0xFFFF] * len(words)
    if part.type in {"u8", "s8"}:
        bits = [0xFF00 if part.half == "hi" else 0x00FF]
    elif part.mask:
        bits = list(_whole_words(part.mask, part))
    first = address + part.at
    return [(first + k, w, b) for k, (w, b) in enumerate(zip(words, bits, strict=True))]


def _words(part: Part, number: Fraction) -> list[int]:
    kind = part.type
    if kind == "f16":
        return _ordered(list(struct.unpack("<H", struct.pack("<e", float(number)))), part)
    if kind in _PYMODBUS and not part.mask:
        value = float(number) if kind.startswith("f") else round(number)
        return _ordered(_by_pymodbus(kind, value, part), part)
    return _whole_words(_bits(part, round(number)), part)


def _bits(part: Part, whole: int) -> int:
    """Give the registers' bits, as one big number, of a coding that pymodbus does not know."""
    if part.mask:
        return whole << format(part.mask, "b")[::-1].index("1")
    if part.type in {"u8", "s8"}:
        return (whole % 256) * (256 if part.half == "hi" else 1)
    if part.type.startswith("bcd"):
        return int(str(whole), 16)
    return whole % (1 << 48)  # u48, s48: two's complement


def _by_pymodbus(kind: str, number: float, part: Part) -> list[int]:
    big: Literal["big", "little"] = "little" if part.order in {"CDAB", "DCBA"} else "big"
    words: list[int] = ModbusClientMixin.convert_to_registers(
        number, ModbusClientMixin.DATATYPE[_PYMODBUS[kind]], word_order=big
    )
    return words


def _whole_words(whole: int, part: Part) -> list[int]:
    """Give the words of a whole number that is not negative, in the part's order."""
    words = []
    for _ in range(part.words):
        whole, word = divmod(whole, 0x10000)
        words.append(word)  # low word first
    return _ordered(words if part.order in {"CDAB", "DCBA"} else words[::-1], part)


def _ordered(words: list[int], part: Part) -> list[int]:
    if part.order in {"BADC", "DCBA"}:
        return [(w & 0xFF) << 8 | w >> 8 for w in words]
    return words
