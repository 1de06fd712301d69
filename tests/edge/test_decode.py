"""Decoding: real words in, canonical readings out, and nothing that cannot stand."""

import struct
from fractions import Fraction

import pytest

from contract.errors import DeviceError
from contract.reading import Reading, Reason
from edge.decode import Source, decode, failed, raw_number
from edge.plan import RawBlock, ReadBlock
from edge.profile import Basis, PointSpec, find_profile

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
