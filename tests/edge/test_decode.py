"""Decoding: real words in, canonical readings out, and nothing that cannot stand."""

import struct
from fractions import Fraction

import pytest

from contract.errors import DeviceError
from contract.reading import Reading, Reason
from edge.decode import Source, auxiliary, decode, failed, raw_number
from edge.plan import RawBlock, ReadBlock
from edge.profile import Basis, Part, PointSpec, Role, find_profile

SOURCE = Source("s", "d")


def read(point: PointSpec, words: list[int], source: Source = SOURCE) -> Reading:
    block = ReadBlock(point.function, point.address, len(words), (point,))
    (reading,) = decode(RawBlock(block, tuple(words)), source, 1000)
    return reading


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ("ABCD", [0x4366, 0x8000]),
        ("CDAB", [0x8000, 0x4366]),
        ("BADC", [0x6643, 0x0080]),
        ("DCBA", [0x0080, 0x6643]),
    ],
)
def test_all_four_orders_hold_230_5(order: str, words: list[int]) -> None:
    assert raw_number(words, "f32", order) == 230.5


def test_a_captured_low_word_first_energy_is_right() -> None:
    assert raw_number([0x00F4, 0x0000], "u32", "CDAB") == 244  # PZEM-016 power, 24.4 W


def test_signed_temperature_is_negative() -> None:
    profile = find_profile("generic/xy-md02")
    assert read(profile.point("temperature_c"), [0xFF33]).value == -20.5


def test_scaled_integers_are_rounded_once() -> None:
    point = PointSpec("energy_import_kwh", 3, 0, "u32", scale=Fraction("0.1"), unit="kWh")
    assert read(point, [0, 3]).value == 0.3


def test_secondary_values_are_multiplied_by_their_own_ratio() -> None:
    source = Source("s", "d", ct_ratio=Fraction(40), pt_ratio=Fraction(10))
    five = list(struct.unpack(">2H", struct.pack(">f", 5.0)))
    for name, unit, expected in (
        ("voltage_l1_v", "V", 50.0),
        ("current_l1_a", "A", 200.0),
        ("power_kw", "kW", 2000.0),
        ("frequency_hz", "Hz", None),
    ):
        basis = Basis.DIRECT if name == "frequency_hz" else Basis.SECONDARY
        point = PointSpec(name, 3, 0, "f32", unit=unit, basis=basis)
        assert read(point, five, source).value == expected


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([0x7FC0, 0x0000], Reason.NOT_FINITE),
        ([0xFFFF, 0xFFFF], Reason.NOT_FINITE),
        ([0x5015, 0x02F9], Reason.IMPLAUSIBLE),  # 1e10 kWh
    ],
)
def test_a_number_that_cannot_be_is_missing_with_its_reason(
    words: list[int], reason: Reason
) -> None:
    point = PointSpec("energy_import_kwh", 3, 0, "f32", unit="kWh")
    reading = read(point, words)
    assert (reading.value, reading.reason) == (None, reason)


def test_the_devices_own_not_available_is_missing() -> None:
    point = PointSpec("humidity_percent", 4, 0, "u16", unit="%", sentinels=(0xFFFF,))
    assert read(point, [0xFFFF]).reason is Reason.SENTINEL


def test_a_block_that_could_not_be_read_gives_every_point_its_reason() -> None:
    points = (PointSpec("power_kw", 3, 0, "f32", unit="kW"), PointSpec("power_factor", 3, 2, "f32"))
    block = ReadBlock(3, 0, 4, points)
    out = failed(block, DeviceError(Reason.TIMEOUT), SOURCE, 1000)
    assert [(r.value, r.reason) for r in out] == [(None, Reason.TIMEOUT)] * 2


CT = PointSpec("ct", 3, 6, "u16", auxiliary=True)
CURRENT = PointSpec("current_l1_a", 3, 0, "u16", unit="A", basis=Basis.SECONDARY, ct="ct")


def current(aux: dict[str, Fraction], source: Source = SOURCE) -> Reading:
    block = ReadBlock(3, 0, 1, (CURRENT,))
    return decode(RawBlock(block, (5,)), source, 1000, 0.0, aux)[0]


def test_a_value_whose_ratio_has_not_been_read_is_missing_and_not_scaled_by_one() -> None:
    assert (current({}).value, current({}).reason) == (None, Reason.RATIO_UNKNOWN)
    assert current({"ct": Fraction(40)}).value == 200.0
    assert current({"ct": Fraction(20)}).value == 100.0


def test_a_ratio_in_the_configuration_stands_above_the_meters() -> None:
    by_hand = Source("s", "d", ct_ratio=Fraction(30))
    assert current({}, by_hand).value == 150.0
    assert current({"ct": Fraction(40)}, by_hand).value == 150.0


@pytest.mark.parametrize("ratio", [0, -1, 10**13])
def test_a_ratio_that_cannot_be_scales_nothing(ratio: int) -> None:
    assert current({"ct": Fraction(ratio)}).reason is Reason.RATIO_UNKNOWN


def test_auxiliary_points_are_never_readings() -> None:
    block = ReadBlock(3, 0, 7, (CURRENT, CT))
    raw = RawBlock(block, (5, 0, 0, 0, 0, 0, 40))
    assert [r.value for r in decode(raw, SOURCE, 0)] == [200.0]
    assert auxiliary(raw, SOURCE) == {"ct": 40}
    assert len(failed(block, DeviceError(Reason.TIMEOUT), SOURCE, 0)) == 1


def test_a_unit_code_that_the_profile_does_not_know_scales_nothing() -> None:
    profile = find_profile("generic/tuf-2000m")
    unit, exponent = profile.auxiliary
    raw = RawBlock(ReadBlock(3, unit.address, 2, (unit, exponent)), (2, 3))  # gallons
    assert auxiliary(raw, SOURCE) == {"totalizer_exponent": 0}


def test_a_number_from_the_overflow_mark_up_is_the_devices_own_not_available() -> None:
    point = find_profile("carlogavazzi/em24").point("energy_import_kwh")
    assert read(point, [0x1234, 0x7FFF]).reason is Reason.SENTINEL
    assert read(point, [0xFFFF, 0x7FFE]).value == 214741811.1


def test_digits_that_are_no_digits_are_no_number() -> None:
    point = PointSpec("volume_m3", 3, 0, "bcd32", scale=Fraction("0.0001"), unit="m3")
    assert read(point, [0x1243, 0x1116]).value == 1243.1116
    assert read(point, [0x12A3, 0x1116]).reason is Reason.NOT_FINITE


def test_an_exponent_that_cannot_be_gives_no_number() -> None:
    parts = (Part(0, "u16"), Part(1, "s16", role=Role.EXPONENT))
    point = PointSpec("volume_m3", 3, 0, parts=parts, unit="m3")
    assert read(point, [12, 2]).value == 1200.0
    assert read(point, [12, 0xFFFD]).value == 0.012
    assert read(point, [12, 99]).reason is Reason.NOT_FINITE


def test_a_sentinel_is_told_even_where_its_number_would_be_plausible() -> None:
    voltage = find_profile("abb/b23").point("voltage_l1_v")
    assert read(voltage, [0xFFFF, 0xFFFF]).reason is Reason.SENTINEL
    celsius = find_profile("wirenboard/wb-msw-v3").point("temperature_c")
    assert read(celsius, [0x7FFF]).reason is Reason.SENTINEL
