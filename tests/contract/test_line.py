"""Reading ⇄ line protocol."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.line import LineError, decode, encode, parse_line
from contract.measurand import MEASURANDS
from contract.reading import PointId, Reading, Reason

names = st.text(
    st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=12
).filter(lambda s: s == s.strip() and not s.endswith("\\") and "\x85" not in s)
values = st.floats(allow_nan=False, allow_infinity=False, width=64)


@st.composite
def readings(draw: st.DrawFn) -> list[Reading]:
    medium_of = {m.name: m.medium for m in MEASURANDS.values()}
    chosen = draw(st.lists(st.sampled_from(sorted(medium_of)), min_size=1, unique=True))
    site, device, time_ms = draw(names), draw(names), draw(st.integers(0, 2**42))
    lag_s = draw(st.floats(0, 10))
    out = []
    for name in sorted(chosen, key=lambda n: medium_of[n]):
        reason = draw(st.sampled_from(list(Reason)))
        value = None if reason.is_bad else draw(values)
        out.append(Reading(PointId(site, device, name), time_ms, value, reason, lag_s))
    return out


@given(readings())
def test_what_is_encoded_is_decoded(before: list[Reading]) -> None:
    after = decode("\n".join(encode(before)))
    assert sorted(after, key=lambda r: r.point) == sorted(before, key=lambda r: r.point)


def test_one_device_at_one_slot_is_one_line() -> None:
    point = PointId("hengnan", "E01", "power_kw")
    other = PointId("hengnan", "E01", "energy_import_kwh")
    bad = Reading(other, 1000, None, Reason.TIMEOUT)
    assert encode([Reading(point, 1000, 1.5, lag_s=0.25), bad]) == [
        "electricity,device=E01,site=hengnan power_kw=1.5,energy_import_kwh_q=50.0,lag_s=0.25 1000"
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("nonsense", "measurement,tags fields time"),
        ("electricity,device=E1,site=s power_kw= 1", "field=value"),
        ("electricity,device=E1,site=s power_kw=abc 1", "a numeric field"),
        ("electricity,device=E1,site=s power_kw=nan 1", "a finite number"),
        ("electricity,device=E1,site=s power_kw=1 soon", "an integer time stamp"),
        ("electricity,device=E1 power_kw=1 1", "the tags site and device"),
        ("electricity,device=E1,site=s power_kw=1", "a time stamp"),
        ("electricity,device=E1,site=s volume_m3=1 1", "a measurand of electricity"),
        ("electricity,device=E1,site=s power_kw_q=49 1", "a reason code"),
        ("electricity,device=E1,site=s power_kw=1,power_kw_q=50 1", "a value or a bad reason"),
    ],
)
def test_a_wrong_line_is_named_with_what_was_expected(line: str, expected: str) -> None:
    good = "electricity,device=E1,site=s power_kw=1 1"
    with pytest.raises(LineError, match="line 2") as caught:
        decode(f"{good}\n{line}")
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("precision", "stamp"), [("s", "7"), ("ms", "7000"), ("us", "7000000"), ("ns", "7000000000")]
)
def test_every_precision_lands_on_the_same_instant(precision: str, stamp: str) -> None:
    line = f"electricity,device=E1,site=s power_kw=1 {stamp}"
    assert parse_line(line, 1, precision).time_ms == 7000


def test_integers_and_unsigned_integers_are_numbers() -> None:
    parsed = parse_line("electricity,device=E1,site=s power_kw=5i,power_factor=1u 1")
    assert parsed.fields == {"power_kw": 5.0, "power_factor": 1.0}
