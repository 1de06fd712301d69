"""Every coding of a register, against encoders that share nothing with the decoder."""

import math
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st
from pymodbus.client.mixin import ModbusClientMixin

from contract.line import encode as encode_readings
from edge.decode import Source, auxiliary, decode, decode_columns, encode_slot, raw_number
from edge.decode.forms import form_of
from edge.plan import RawBlock, ReadBlock
from edge.profile import Basis, Part, PointSpec, Role, Sign
from simulators.encoding import encode, encode_auxiliary

SOURCE = Source("s", "d")
PYMODBUS = {
    "u16": "UINT16", "s16": "INT16", "u32": "UINT32", "s32": "INT32", "f32": "FLOAT32",
    "u64": "UINT64", "s64": "INT64", "f64": "FLOAT64",
}  # fmt: skip
ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
INTEGERS = {"u8": 8, "u16": 16, "u32": 32, "u48": 48, "u64": 64,
            "s8": 8, "s16": 16, "s32": 32, "s48": 48, "s64": 64}  # fmt: skip
DIGITS = {"bcd16": 4, "bcd32": 8, "bcd48": 12, "bcd64": 16}
FLOATS: dict[str, Literal[16, 32, 64]] = {"f16": 16, "f32": 32, "f64": 64}


@dataclass(frozen=True)
class Coded:
    """A point, the raw number in it and the registers that hold it."""

    point: PointSpec
    number: float
    words: tuple[int, ...]


def big_endian(kind: str, half: str, number: float) -> bytes:
    """Give the bytes of a number by struct and int alone, most significant first."""
    if kind in FLOATS:
        return struct.pack({"f16": ">e", "f32": ">f", "f64": ">d"}[kind], number)
    if kind in DIGITS:
        return bytes.fromhex(str(int(number)).zfill(DIGITS[kind]))
    raw = int(number).to_bytes(INTEGERS[kind] // 8, "big", signed=kind.startswith("s"))
    if kind in {"u8", "s8"}:
        return raw + b"\x5a" if half == "hi" else b"\x5a" + raw
    return raw


def in_order(data: bytes, order: str) -> tuple[int, ...]:
    words = [data[i : i + 2] for i in range(0, len(data), 2)]
    if order in {"CDAB", "DCBA"}:
        words.reverse()
    if order in {"BADC", "DCBA"}:
        words = [w[::-1] for w in words]
    return tuple(int.from_bytes(w, "big") for w in words)


def by_pymodbus(kind: str, order: str, number: float) -> list[int]:
    kind_of = ModbusClientMixin.DATATYPE[PYMODBUS[kind]]
    words: list[int] = ModbusClientMixin.convert_to_registers(
        number, kind_of, word_order="little" if order in {"CDAB", "DCBA"} else "big"
    )
    return [(w & 255) << 8 | w >> 8 for w in words] if order in {"BADC", "DCBA"} else words


@st.composite
def coded(draw: st.DrawFn, i: int, address: int) -> Coded:
    kind = draw(st.sampled_from([*INTEGERS, *DIGITS, *FLOATS]))
    wide = kind not in {"u8", "s8"}
    one_word = kind in {"u16", "s16", "f16", "bcd16"}
    order = draw(st.sampled_from(ORDERS[::2] if one_word else ORDERS)) if wide else "ABCD"
    half = draw(st.sampled_from(["hi", "lo"]))
    number: float
    if kind in FLOATS:
        number = draw(st.floats(width=FLOATS[kind], allow_nan=False))
    elif kind in DIGITS:
        number = draw(st.integers(0, 10 ** DIGITS[kind] - 1))
    else:
        bits = INTEGERS[kind]
        low = -(2 ** (bits - 1)) if kind.startswith("s") else 0
        number = draw(st.integers(low, low + 2**bits - 1))
    words = in_order(big_endian(kind, half, number), order)
    if kind in PYMODBUS:
        assert list(words) == by_pymodbus(kind, order, number)
    point = PointSpec(f"p{i}", 3, address, kind, order, half=half, auxiliary=True)
    return Coded(point, number, words)


@st.composite
def blocks(draw: st.DrawFn) -> list[Coded]:
    out: list[Coded] = []
    address = draw(st.integers(0, 100))
    for i in range(draw(st.integers(1, 8))):
        one = draw(coded(i, address))
        out.append(one)
        address = one.point.end + draw(st.integers(0, 3))
    return out


def raw_block(spans: list[Coded], filler: int) -> RawBlock:
    first, end = spans[0].point.address, spans[-1].point.end
    held = [filler] * (end - first)
    for c in spans:
        held[c.point.address - first : c.point.end - first] = c.words
    points = tuple(c.point for c in spans)
    return RawBlock(ReadBlock(3, first, end - first, points), tuple(held))


@settings(max_examples=2000)
@given(blocks(), st.integers(0, 0xFFFF))
def test_any_mixture_of_types_and_orders_in_a_block_is_read_bit_by_bit(
    spans: list[Coded], filler: int
) -> None:
    raw = raw_block(spans, filler)
    numbers, _ = form_of(raw.block, SOURCE).numbers(raw)
    assert list(numbers) == [c.number for c in spans]
    for c in spans:
        if c.point.type not in {"u8", "s8"}:
            assert raw_number(c.words, c.point.type, c.point.order) == c.number


SCALES = ("1", "0.1", "0.01", "0.001", "10", "0.25", "1/3")


@settings(max_examples=1000)
@given(
    st.sampled_from(["u16", "s16", "u32", "s32", "u48", "s48", "bcd32"]),
    st.integers(0, 32_767),
    st.sampled_from(SCALES),
    st.sampled_from(["0", "-40", "0.5"]),
    st.sampled_from(Sign),
    st.sampled_from(["W", "kW"]),
    st.sampled_from([1, 40, 1.5]),
)
def test_integers_are_scaled_exactly_and_rounded_once(
    kind: str, number: int, scale: str, offset: str, sign: Sign, unit: str, ct: float
) -> None:
    point = PointSpec(
        "power_kw", 3, 0, kind, scale=Fraction(scale), offset=Fraction(offset), sign=sign,
        unit=unit, basis=Basis.SECONDARY,
    )  # fmt: skip
    words = in_order(big_endian(kind, "lo", number), "ABCD")
    source = Source("s", "d", ct_ratio=Fraction(str(ct)))
    reading = decode(RawBlock(ReadBlock(3, 0, len(words), (point,)), words), source, 0)[0]
    exact = (number * Fraction(scale) + Fraction(offset)) * Fraction(str(ct))
    exact /= 1000 if unit == "W" else 1
    exact *= -1 if sign is Sign.INVERTED else 1
    if abs(exact) <= 20_000:
        assert reading.value == float(exact)
    else:
        assert reading.value is None


@settings(max_examples=500)
@given(st.floats(-2000, 2000, width=32), st.sampled_from(SCALES[:6]))
def test_floats_are_scaled_exactly_and_rounded_once(number: float, scale: str) -> None:
    point = PointSpec("power_kw", 3, 0, "f32", scale=Fraction(scale), unit="kW")
    words = in_order(big_endian("f32", "lo", number), "ABCD")
    reading = decode(RawBlock(ReadBlock(3, 0, 2, (point,)), words), SOURCE, 0)[0]
    assert reading.value == float(Fraction(number) * Fraction(scale))


@settings(max_examples=1000)
@given(st.data(), st.integers(0, 0xFFFF_FFFF), st.sampled_from(["ABCD", "CDAB"]))
def test_the_bits_of_a_mask_are_moved_down(data: st.DataObject, whole: int, order: str) -> None:
    mask = data.draw(st.integers(1, 0xFFFF_FFFF))
    point = PointSpec("pipe_state", 3, 0, "u32", order, mask=mask, auxiliary=True)
    words = in_order(whole.to_bytes(4, "big"), order)
    form = form_of(ReadBlock(3, 0, 2, (point,)), SOURCE)
    (got,), _ = form.numbers(RawBlock(form.block, words))
    shown, cut = (
        format(whole & mask, "b"),
        len(format(mask, "b")) - len(format(mask, "b").rstrip("0")),
    )
    assert got == int(shown[: len(shown) - cut] or "0", 2)


SPLITS = {
    "high and low word apart": (Part(0, "u16", scale=Fraction(65_536)), Part(5, "u16")),
    "low word first, apart": (Part(3, "u16", scale=Fraction(65_536)), Part(0, "u16")),
    "signed high word": (Part(0, "s16", scale=Fraction(65_536)), Part(2, "u16")),
    "integer and thousandths": (Part(0, "u32"), Part(2, "u16", scale=Fraction(1, 1000))),
    "mantissa and exponent": (Part(0, "s32"), Part(2, "s16", role=Role.EXPONENT)),
    "amount and direction": (Part(0, "u32"), Part(6, "u16", mask=0x0100, role=Role.SIGN)),
    "whole and fraction": (Part(0, "s32", "CDAB"), Part(2, "f32", "CDAB")),
}  # fmt: skip


@settings(max_examples=1500)
@given(st.sampled_from(sorted(SPLITS)), st.integers(0, 1_999_999), st.booleans())
def test_a_value_in_parts_is_put_together(name: str, thousandths: int, negative: bool) -> None:
    whole_only = name in {"high and low word apart", "low word first, apart", "signed high word",
                          "amount and direction"}  # fmt: skip
    can_be_negative = name in {"mantissa and exponent", "amount and direction", "signed high word"}
    value = thousandths // 1000 if whole_only else thousandths / 1000
    if name == "mantissa and exponent":
        value = thousandths // 10 / 100  # the simulated exponent is -2
    if name == "whole and fraction":
        value = thousandths // 125 / 8  # an f32 fraction holds eighths
    value = -value if negative and can_be_negative else value
    point = PointSpec("power_kw", 3, 10, parts=SPLITS[name], unit="kW")
    held = [0xA5A5] * point.words
    for address, word, bits in encode(point, value):
        held[address - 10] = held[address - 10] & ~bits | word
    raw = RawBlock(ReadBlock(3, 10, point.words, (point,)), tuple(held))
    assert decode(raw, SOURCE, 0)[0].value == value


RATIOS = (
    PointSpec("ct", 3, 0, "u16", auxiliary=True),
    PointSpec("pt", 3, 1, "u16", scale=Fraction("0.1"), auxiliary=True),
    PointSpec("power_of_ten", 3, 2, "s16", auxiliary=True, offset=Fraction(-3)),
    PointSpec("unit", 3, 3, "u16", auxiliary=True, table=((0, Fraction(1)), (3, Fraction(2)))),
)
NAMED = PointSpec(
    "power_kw", 3, 4, "s32", unit="kW", basis=Basis.SECONDARY, ct="ct", pt="pt",
    exponent="power_of_ten", scale_by="unit",
)  # fmt: skip


@settings(max_examples=500)
@given(
    st.integers(-500, 500), st.integers(1, 60), st.integers(1, 100), st.integers(-4, 0),
    st.sampled_from([1, 2]),
)  # fmt: skip
def test_a_value_is_scaled_by_the_registers_it_names(
    number: int, ct: int, pt_tenths: int, power: int, unit: int
) -> None:
    exact = number * ct * Fraction(pt_tenths, 10) * unit * Fraction(10) ** power
    if abs(exact) > 20_000:
        return
    says = {"ct": ct, "pt": pt_tenths / 10, "power_of_ten": power, "unit": unit}
    held = [0] * 6
    for extra in RATIOS[:1] + RATIOS[2:]:
        for address, word, _ in encode_auxiliary(extra, says[extra.measurand]):
            held[address] = word
    held[1] = pt_tenths
    held[4:] = by_pymodbus("s32", "ABCD", number)
    together = RawBlock(ReadBlock(3, 0, 6, (*RATIOS, NAMED)), tuple(held))
    assert [r.value for r in decode(together, SOURCE, 0)] == [float(exact)]
    known = auxiliary(together, SOURCE)
    apart = RawBlock(ReadBlock(3, 4, 2, (NAMED,)), tuple(held[4:]))
    assert decode(apart, SOURCE, 0, 0.0, known)[0].value == float(exact)


WORDS = st.lists(st.one_of(st.integers(0, 0xFFFF), st.sampled_from([0, 0xFFFF, 0x7FC0, 0x43])),
                 min_size=14, max_size=14)  # fmt: skip
ASSORTED = (
    PointSpec("voltage_l1_v", 3, 0, "f32", unit="V"),
    PointSpec("energy_import_kwh", 3, 2, "u32", "CDAB", scale=Fraction("0.01"), unit="kWh"),
    PointSpec("water_temperature_c", 3, 4, "s16", scale=Fraction("0.1"), unit="degC"),
    PointSpec("volume_m3", 3, 5, "bcd32", unit="m3"),
    PointSpec("power_factor", 3, 7, "s16", scale=Fraction("0.001")),
    PointSpec("humidity_percent", 3, 8, "u16", unit="%", sentinels=(0xFFFF,)),
    PointSpec("power_kw", 3, 9, "f64", "DCBA", unit="kW"),
    PointSpec("frequency_hz", 3, 13, "u16", scale=Fraction("0.01"), unit="Hz", scale_by="x"),
)


@settings(max_examples=1000)
@given(WORDS, st.floats(0, 10), st.sampled_from([{}, {"x": Fraction(1)}]))
def test_columns_make_the_very_lines_that_readings_make(
    words: list[int], lag_s: float, aux: dict[str, Fraction]
) -> None:
    one = RawBlock(ReadBlock(3, 0, 9, ASSORTED[:6]), tuple(words[:9]))
    two = RawBlock(ReadBlock(3, 9, 5, ASSORTED[6:]), tuple(words[9:]))
    readings = decode(one, SOURCE, 7, lag_s, aux) + decode(two, SOURCE, 7, 0.5, aux)
    columns = [decode_columns(one, SOURCE, lag_s, aux), decode_columns(two, SOURCE, 0.5, aux)]
    assert encode_slot(columns, 7) == encode_readings(readings)
    assert all(math.isfinite(r.value) for r in readings if r.value is not None)


@given(st.floats(width=32, min_value=-1000, max_value=1000), st.integers(0, 2**64 - 1))
def test_numbers_that_need_no_scaling_are_taken_as_they_are(number: float, whole: int) -> None:
    points = (
        PointSpec("power_kw", 3, 0, "f32", unit="kW"),
        PointSpec("energy_import_kwh", 3, 2, "u64", unit="kWh"),
    )
    words = struct.unpack(">6H", struct.pack(">fQ", number, whole))
    columns = decode_columns(RawBlock(ReadBlock(3, 0, 6, points), words), SOURCE)
    assert columns.values == [number, float(whole)]
    assert math.copysign(1, columns.values[0]) == (1 if number == 0 else math.copysign(1, number))
    assert all(isinstance(v, float) for v in columns.values)
