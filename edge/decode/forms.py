"""Forms: a block's decoding worked out once, so that a round costs one unpack and one multiply.

The registers are packed into bytes in one go.  Where every number stands in order, one struct
format with pads takes them apart; any other word or byte order, and every split value, first
gathers its bytes into their places.  Numbers are scaled as (raw × a + b) / d with whole a, b, d,
so that an integer is rounded once: 123 × 0.1 is 12.3.
"""

import math
import operator
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, cast

from contract.line import Template, template
from contract.measurand import MEASURANDS, Kind
from contract.reading import PointId
from edge.plan import RawBlock, ReadBlock
from edge.profile import Basis, Part, PointSpec, Role

Number = int | float
Take = Callable[[Sequence[Any]], Number]
Factor = tuple[Number, Number, Number]  # a, b, d

_CODES = {
    "u8": "B", "s8": "b", "u16": "H", "s16": "h", "f16": "e", "u32": "I", "s32": "i", "f32": "f",
    "u48": "Q", "s48": "q", "u64": "Q", "s64": "q", "f64": "d",
    "bcd16": "2s", "bcd32": "4s", "bcd48": "6s", "bcd64": "8s",
}  # fmt: skip
_NAN = math.nan
_UNKNOWN: Factor = (_NAN, 0, 1)
_PLAIN: Factor = (1, 0, 1)
_ONE = Fraction(1)
_LARGEST_EXPONENT = 18
_LARGEST_RATIO = Fraction(10**12)  # and its inverse is the smallest
_LARGEST_MANTISSA = 1.0e30
_FORMS_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Source:
    """Whose registers these are: the tags, and the ratios of its instrument transformers."""

    site: str
    device: str
    ct_ratio: Fraction = _ONE
    pt_ratio: Fraction = _ONE

    def ratio(self, point: PointSpec) -> Fraction:
        """Give what a secondary value is multiplied by: V × PT, A × CT, power and energy × both."""
        return _ratio(point, self.ct_ratio, self.pt_ratio)


def _ratio(point: PointSpec, ct: Fraction, pt: Fraction) -> Fraction:
    if point.basis is not Basis.SECONDARY:
        return _ONE
    return {"V": pt, "A": ct}.get(point.canonical_unit, ct * pt)


@dataclass(slots=True)
class Form:
    """How to decode one block of one device; visible points in block order, then hidden ones."""

    block: ReadBlock
    source: Source
    points: tuple[PointSpec, ...]
    hidden: tuple[PointSpec, ...]
    ids: tuple[PointId, ...]
    names: tuple[str, ...]  # measurands
    counters: tuple[str, ...]  # those of them that only run forward
    template: Template
    lows: tuple[float, ...]
    highs: tuple[float, ...]
    needs: tuple[str, ...]
    pack: Callable[..., bytes]
    gather: Callable[[bytes], tuple[int, ...]] | None
    unpack: Callable[[bytes], tuple[Number, ...]]
    takes: tuple[Take, ...]  # empty: the unpacked numbers are the points' own
    sentinels: tuple[tuple[int, int, int, frozenset[bytes]], ...]  # index, byte span, patterns
    ceilings: tuple[tuple[int, float], ...]  # index, first raw number that means "not available"
    factors: tuple[Factor, ...] = ()
    factors_for: tuple[Fraction | None, ...] | None = None
    is_plain: bool = False  # the numbers are the values

    def numbers(self, raw: RawBlock) -> tuple[Sequence[Number], dict[int, None]]:
        """Give the raw numbers, and the indices of those the device calls not available."""
        if not self.block.function:
            return [_NAN if v is None else v for v in raw.values], {}
        data = self.pack(*raw.words)
        flat = self.unpack(data if self.gather is None else bytes(self.gather(data)))
        numbers = [take(flat) for take in self.takes] if self.takes else flat
        absent = {i: None for i, a, b, patterns in self.sentinels if data[a:b] in patterns}
        absent |= {i: None for i, ceiling in self.ceilings if numbers[i] >= ceiling}
        return numbers, absent

    def factors_with(self, known: Mapping[str, Fraction]) -> tuple[Factor, ...]:
        """Give (a, b, d) for each visible point; unknown where an auxiliary value is."""
        key = tuple(known.get(name) for name in self.needs)
        if self.factors_for != key:
            self.factors = tuple(_factor(p, self.source, known) for p in self.points)
            self.factors_for = key
            self.is_plain = all(f == _PLAIN for f in self.factors)
        return self.factors


_forms: dict[tuple[int, int], Form] = {}


def form_of(block: ReadBlock, source: Source) -> Form:
    """Give the form of a block; made once for each block and source object."""
    key = (id(block), id(source))
    form = _forms.get(key)  # a form holds its block and source, so that their ids stay theirs
    if form is None:
        if len(_forms) >= _FORMS_KEPT:
            _forms.clear()
        form = _forms[key] = _made(block, source)
    return form


def _made(block: ReadBlock, source: Source) -> Form:
    points = tuple(p for p in block.points if not p.auxiliary)
    hidden = tuple(p for p in block.points if p.auxiliary)
    every = (*points, *hidden)
    names = tuple(p.measurand for p in points)
    ids = tuple(PointId(source.site, source.device, n) for n in names)
    form = Form(
        block=block,
        source=source,
        points=points,
        hidden=hidden,
        ids=ids,
        names=names,
        counters=tuple(n for n in names if MEASURANDS[n].kind is Kind.COUNTER),
        template=template(ids),
        lows=tuple(MEASURANDS[n].low for n in names),
        highs=tuple(MEASURANDS[n].high for n in names),
        needs=tuple(dict.fromkeys(n for p in points for n in _needed(p, source))),
        pack=struct.Struct(f">{block.count}Hx").pack,
        gather=None,
        unpack=_unpack_nothing,
        takes=(),
        sentinels=tuple(_sentinels(every, block)),
        ceilings=tuple((i, p.missing_from) for i, p in enumerate(every)
                       if p.missing_from is not None),
    )  # fmt: skip
    if block.function:
        pieces = [(p.address - block.address, part) for p in every for part in p.pieces]
        form.gather, form.unpack = _taking_apart(pieces, block.count)
        if any(len(p.pieces) > 1 or _is_special(p.pieces[0]) for p in every):
            form.takes = tuple(_takes(every))
    return form


def _unpack_nothing(_data: bytes) -> tuple[Number, ...]:
    return ()


def _needed(point: PointSpec, source: Source) -> tuple[str, ...]:
    """Give the auxiliary names that matter: a ratio configured by hand stands above the meter's."""
    by_hand = {point.ct if source.ct_ratio != 1 else "", point.pt if source.pt_ratio != 1 else ""}
    return tuple(n for n in point.needs if n not in by_hand)


def _sentinels(
    points: Sequence[PointSpec], block: ReadBlock
) -> Iterable[tuple[int, int, int, frozenset[bytes]]]:
    for i, p in enumerate(points):
        if p.sentinels:
            start, width = 2 * (p.address - block.address), 2 * p.words
            yield i, start, start + width, frozenset(s.to_bytes(width, "big") for s in p.sentinels)


def byte_places(part: Part, start: int, zero: int) -> list[int]:
    """Give where a piece's bytes stand, most significant first; `zero` is where a 0 byte is."""
    first = 2 * (start + part.at)
    words = [[first + 2 * k, first + 2 * k + 1] for k in range(part.words)]
    if part.type in {"u8", "s8"}:
        return words[0][:1] if part.half == "hi" else words[0][1:]
    if part.order in {"BADC", "DCBA"}:
        words = [w[::-1] for w in words]
    if part.order in {"CDAB", "DCBA"}:
        words.reverse()
    places = [b for w in words for b in w]
    if part.type == "u48":
        return [zero, zero, *places]
    return [*places, zero, zero] if part.type == "s48" else places


def _taking_apart(
    pieces: Sequence[tuple[int, Part]], count: int
) -> tuple[Callable[[bytes], tuple[int, ...]] | None, Callable[[bytes], tuple[Number, ...]]]:
    """Give the gathering of bytes (None: they stand in order) and the unpacking behind it."""
    zero = 2 * count
    places = [byte_places(part, start, zero) for start, part in pieces]
    codes = [_CODES[part.type] for _, part in pieces]
    flat = [b for group in places for b in group]
    if zero in flat or any(b <= a for a, b in pairwise(flat)) or not _are_runs(places):
        if len(flat) == 1:  # itemgetter of one place gives no tuple
            flat, codes = [*flat, zero], [*codes, "x"]
        return operator.itemgetter(*flat), struct.Struct(">" + "".join(codes)).unpack
    text, at = ">", 0
    for group, code in zip(places, codes, strict=True):
        text += f"{group[0] - at}x{code}"
        at = group[-1] + 1
    return None, struct.Struct(f"{text}{zero + 1 - at}x").unpack


def _are_runs(places: Iterable[list[int]]) -> bool:
    return all(b == a + 1 for group in places for a, b in pairwise(group))


def _is_special(part: Part) -> bool:
    return bool(part.mask) or part.type == "s48" or part.type.startswith("bcd")


def _takes(points: Iterable[PointSpec]) -> Iterable[Take]:
    k = 0
    for point in points:
        getters = [_piece(part, k + i) for i, part in enumerate(point.pieces)]
        k += len(getters)
        yield getters[0] if len(getters) == 1 else _joined(point.pieces, getters)


def _piece(part: Part, k: int) -> Take:
    if part.type.startswith("bcd"):
        return lambda flat: _decimal(flat[k])
    if part.type == "s48":
        return lambda flat: int(flat[k]) >> 16
    if part.mask:
        mask, shift = part.mask, (part.mask & -part.mask).bit_length() - 1
        return lambda flat: (int(flat[k]) & mask) >> shift
    return operator.itemgetter(k)


def _decimal(digits: bytes) -> Number:
    """Give the number of binary-coded decimal digits; NaN if one is no decimal digit."""
    text = digits.hex()
    return int(text) if text.isdecimal() else _NAN


def common_scale(parts: Iterable[Part]) -> int:
    """Give the number that makes the scales of a value's parts whole."""
    return math.lcm(*(p.scale.denominator for p in parts if p.role is Role.ADD))


def _joined(parts: Sequence[Part], getters: Sequence[Take]) -> Take:
    whole = common_scale(parts)
    rows = list(zip(parts, getters, strict=True))
    adds = [(get, int(part.scale * whole)) for part, get in rows if part.role is Role.ADD]
    exponents = [get for part, get in rows if part.role is Role.EXPONENT]
    signs = [get for part, get in rows if part.role is Role.SIGN]

    def take(flat: Sequence[Any]) -> Number:
        total: Any = sum(get(flat) * scale for get, scale in adds)  # a number, or a fraction
        for get in exponents:
            power = get(flat)
            if not abs(power) <= _LARGEST_EXPONENT or not abs(total) <= _LARGEST_MANTISSA:
                return _NAN
            total = Fraction(total) * Fraction(10) ** int(power)
        if any(get(flat) != 0 for get in signs):
            total = -total
        return cast("Number", total)  # a fraction is scaled like any number

    return take


def usable(point: PointSpec, number: Number) -> Fraction | None:
    """Give an auxiliary point's value, or None: a ratio that is no number above 0 scales nothing.

    An exponent may be any whole number; whether it is one is seen where it is used.
    """
    if not math.isfinite(number):
        return None
    if point.table:
        return dict(point.table).get(int(number)) if number == int(number) else None
    whole = common_scale(point.parts)
    return (Fraction(number) * point.scale / whole) + point.offset


def _factor(point: PointSpec, source: Source, known: Mapping[str, Fraction]) -> Factor:
    names = _needed(point, source)
    if any(n not in known for n in names):
        return _UNKNOWN
    ct = known[point.ct] if point.ct in names else source.ct_ratio
    pt = known[point.pt] if point.pt in names else source.pt_ratio
    by = known[point.scale_by] if point.scale_by else _ONE
    power = known[point.exponent] if point.exponent else Fraction(0)
    if any(not 1 / _LARGEST_RATIO <= r <= _LARGEST_RATIO for r in (ct, pt, by)):
        return _UNKNOWN
    if power.denominator != 1 or abs(power) > _LARGEST_EXPONENT:
        return _UNKNOWN
    ratio = _ratio(point, ct, pt) * by * Fraction(10) ** int(power)
    slope = point.factor * ratio / common_scale(point.parts)
    shift = point.offset_canonical * ratio
    d = math.lcm(slope.denominator, shift.denominator)
    factor = (int(slope * d), int(shift * d), d)
    if point.type.startswith("f"):  # floats among floats are faster, and these are exact
        a, b, d = factor
        return (float(a), float(b), float(d))
    return factor
