"""Solve: from the number a display shows to the register, type, order and scale.  Pure.

Every window of registers is read as every type in every order; the factor that would make it the
displayed number must be a power of ten, times an instrument-transformer ratio if one is given.
"""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from contract.measurand import MEASURANDS
from edge.decode import raw_number
from edge.profile.model import UNITS, WORDS_OF_TYPE

_LEAST, _MOST = 10**-3.5, 10**3.5  # scales from 10^-3 to 10^3
_SINGLE, _MANY = ("ABCD", "BADC"), ("ABCD", "CDAB", "BADC", "DCBA")
_FLOATS = frozenset({"f32", "f64"})
_ORDER_RANK = {"ABCD": 0, "CDAB": 1, "DCBA": 2, "BADC": 3}
_RARE = ("bcd32", "bcd16", "bcd48", "bcd64", "u48", "s48")
_COUNTER_TYPES = ("u32", "f32", "u64", "s32", "s64", "f64", "u16", "s16", *_RARE)
_GAUGE_TYPES = ("f32", "u16", "s16", "s32", "u32", "f64", "s64", "u64", *_RARE)
_SCALE_RANK = {
    "f": {0: 0, -1: 1, -3: 2, -2: 2, 3: 3, 1: 4, 2: 4},
    "i": {-1: 0, -2: 1, 0: 2, -3: 2, 1: 4, 2: 4, 3: 4},
}
_ALIASES = {
    "m³": "m3", "m³/h": "m3/h", "℃": "degC", "°C": "degC", "C": "degC", "度": "kWh", "": "1",
    "kwh": "kWh", "kw": "kW", "w": "W", "v": "V", "a": "A", "hz": "Hz",
}  # fmt: skip
_MEASURAND_OF_UNIT = {
    "V": "voltage_l1_v", "A": "current_l1_a", "kW": "power_kw", "kvar": "reactive_power_kvar",
    "kVA": "apparent_power_kva", "kWh": "energy_import_kwh", "Hz": "frequency_hz",
    "1": "power_factor", "kvarh": "reactive_energy_import_kvarh", "m³": "volume_m3",
    "m³/h": "flow_m3_per_h", "°C": "temperature_c", "%": "humidity_percent", "ppm": "co2_ppm",
    "MPa": "water_pressure_mpa", "lux": "illuminance_lux", "persons": "people_now",
}  # fmt: skip
_SHOWN = re.compile(r"^(?:(\w+)=)?\s*([+-]?\d+(?:\.(\d+))?)\s*(\S*)$")
COUNTED = frozenset({"kWh", "Wh", "MWh", "kvarh", "varh", "m3", "L"})
SLACK = 0.005  # a gauge moves between the look at the display and the read
Ratios = Mapping[str, Fraction]  # basis as the ratio's name → factor; always has "1"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a display shows: the number, its last digit's weight, the unit, perhaps whose it is."""

    value: float
    digit: float
    unit: str
    measurand: str

    @property
    def tolerance(self) -> float:
        """Give how far a register's value may be off and still be this number."""
        slack = 0.0 if self.unit in COUNTED else SLACK * abs(self.value)
        return max(self.digit, slack)


@dataclass(frozen=True, slots=True)
class Span:
    """Registers that were read: function, first address, words."""

    function: int
    address: int
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to read the displayed number: raw × 10^exponent × ratio = value."""

    function: int
    address: int
    type: str
    order: str
    exponent: int
    value: float
    ratio: str = "1"

    @property
    def end(self) -> int:
        """Give the address behind the last register."""
        return self.address + WORDS_OF_TYPE[self.type]

    @property
    def coding(self) -> tuple[int, str, str]:
        """Give what the registers of one device have in common."""
        return (self.function, self.type, self.order)

    @property
    def scale(self) -> str:
        """Give the scale as a profile writes it."""
        return str(10**self.exponent) if self.exponent >= 0 else f"0.{'0' * (-self.exponent - 1)}1"


def parse_shown(text: str, unit: str = "") -> Shown | None:
    """Read "230.2V", "230.2", "voltage_l1_v=230.2 V"; None when it cannot be read.

    Without a unit the measurand's is taken; the weight of the last digit is the resolution.
    """
    match = _SHOWN.match(text.strip())
    if match is None or (match[1] and match[1] not in MEASURANDS):
        return None
    named = MEASURANDS[match[1]].unit if match[1] else ""
    given = match[4] or unit or named
    code = _ALIASES.get(given, given)
    if code not in UNITS or (named and UNITS[code][0] != named):
        return None
    measurand = match[1] or _MEASURAND_OF_UNIT[UNITS[code][0]]
    return Shown(float(match[2]), 10.0 ** -len(match[3] or ""), code, measurand)


def candidates(spans: Iterable[Span], shown: Shown, ratios: Ratios) -> list[Candidate]:
    """Give every reading of the registers that is the displayed number, best first."""
    return _ranked([c for span in spans for c in _matches(span, shown, ratios)], shown)


def _ranked(found: list[Candidate], shown: Shown) -> list[Candidate]:
    """Sort; leave out half-right floats: those across a float that is the number to the digit.

    The low word of one value and the high word of the next are often nearly right.
    """
    exact = [c for c in found if _rounds(c, shown) and c.type in _FLOATS]
    kept = [
        c
        for c in found
        if c.type not in _FLOATS
        or _rounds(c, shown)
        or not any(c.type == e.type and c.address < e.end and e.address < c.end for e in exact)
    ]
    return sorted(kept, key=lambda c: _badness(c, shown))


def _rounds(c: Candidate, shown: Shown) -> bool:
    return abs(c.value - shown.value) <= 0.5000001 * shown.digit


def distinct(found: Iterable[Candidate]) -> list[tuple[Candidate, tuple[str, ...]]]:
    """Group what cannot be told apart today: u16 and a u32 with an empty high word, or both
    functions showing the same registers.

    Each group: its best candidate, and the other types and functions that hold the same number.
    """
    groups: dict[tuple[object, ...], list[list[Candidate]]] = defaultdict(list)
    out: list[list[Candidate]] = []
    for c in found:
        same = groups[c.exponent, c.ratio, c.value]
        group = next((g for g in same if c.address < g[0].end and g[0].address < c.end), None)
        if group is None:
            group = []
            same.append(group)
            out.append(group)
        group.append(c)
    return [(g[0], _others(g)) for g in out]


def _others(group: Sequence[Candidate]) -> tuple[str, ...]:
    first = group[0]
    types = {c.type: None for c in group if c.type != first.type}
    functions = {f"F{c.function}": None for c in group if c.function != first.function}
    return (*types, *functions)


def _matches(span: Span, shown: Shown, ratios: Ratios) -> Iterator[Candidate]:
    for kind in _GAUGE_TYPES:
        count = WORDS_OF_TYPE[kind]
        for start in range(len(span.words) - count + 1):
            words = span.words[start : start + count]
            for order in _SINGLE if count == 1 else _MANY:
                number = raw_number(words, kind, order)
                if number == 0 or not math.isfinite(number):
                    continue
                for ratio, factor in ratios.items():
                    hit = _hit(float(number), shown, float(factor))
                    if hit is not None:
                        at = span.address + start
                        yield Candidate(span.function, at, kind, order, *hit, ratio)


def _hit(number: float, shown: Shown, ratio: float) -> tuple[int, float] | None:
    wanted = shown.value / (number * ratio)
    if not _LEAST <= wanted <= _MOST:
        return None
    exponent = round(math.log10(wanted))
    value = number * ratio * 10.0**exponent
    return (exponent, value) if abs(value - shown.value) <= shown.tolerance else None


def _badness(c: Candidate, shown: Shown) -> tuple[float, ...]:
    steps = abs(c.value - shown.value) / shown.digit
    is_float = c.type in _FLOATS
    scale = _SCALE_RANK["f" if is_float else "i"][c.exponent]
    types = _COUNTER_TYPES if shown.unit in COUNTED else _GAUGE_TYPES
    strangeness = _ORDER_RANK[c.order] + scale + (c.ratio != "1") + (not is_float)
    return (not _rounds(c, shown), strangeness, types.index(c.type), steps, c.function, c.address)


def narrowed(lists: Sequence[list[Candidate]], shown: Sequence[Shown]) -> list[list[Candidate]]:
    """Keep what several displayed numbers have in common: one device has one way of coding.

    Values of one unit share type, order, scale and ratio; all values share function, type and
    order.  Where nothing is common the lists stay as they are: a device may mix its types.
    """
    out = [list(cs) for cs in lists]
    for unit in {s.unit for s in shown}:
        same = [i for i, s in enumerate(shown) if s.unit == unit]
        _keep_common(out, same, lambda c: (*c.coding, c.exponent, c.ratio))
    _keep_common(out, range(len(out)), lambda c: c.coding)
    if len(out) > 1:
        for i, cs in enumerate(out):
            others = [c.address for j, cs2 in enumerate(out) if j != i for c in cs2]
            cs.sort(key=lambda c: min((abs(c.address - a) for a in others), default=0) > 64)
    return out


def _keep_common(
    lists: list[list[Candidate]],
    which: Iterable[int],
    key: Callable[[Candidate], tuple[object, ...]],
) -> None:
    some = list(which)
    if len(some) < 2:
        return
    common = set.intersection(*({key(c) for c in lists[i]} for i in some))
    if common:
        for i in some:
            lists[i] = [c for c in lists[i] if key(c) in common]


def still_right(
    kept: Iterable[Candidate], spans: Sequence[Span], shown: Shown, ratios: Ratios
) -> list[Candidate]:
    """Give those earlier candidates that are also the number shown now."""
    out = []
    for c in kept:
        words = words_at(spans, c.function, c.address, WORDS_OF_TYPE[c.type])
        if words is None:
            continue
        number = raw_number(words, c.type, c.order)
        value = float(number) * float(ratios.get(c.ratio, 0)) * 10.0**c.exponent
        if math.isfinite(value) and abs(value - shown.value) <= shown.tolerance:
            out.append(replace(c, value=value))
    return _ranked(out, shown)


def words_at(
    spans: Sequence[Span], function: int, address: int, count: int
) -> tuple[int, ...] | None:
    """Give `count` words from `address`; None where they were not all read."""
    for span in spans:
        start = address - span.address
        if span.function == function and start >= 0 and start + count <= len(span.words):
            return span.words[start : start + count]
    return None


def point_line(c: Candidate, shown: Shown) -> str:
    """Give the YAML line of a profile point."""
    basis = "direct" if c.ratio == "1" else "secondary"
    unit = '"1"' if shown.unit == "1" else '"%"' if shown.unit == "%" else shown.unit
    return (
        f"- {{measurand: {shown.measurand}, function: {c.function}, address: 0x{c.address:04X}, "
        f"type: {c.type}, order: {c.order}, scale: {c.scale}, unit: {unit}, basis: {basis}}}"
    )
