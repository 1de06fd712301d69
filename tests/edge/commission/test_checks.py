"""What physics says: wiring mistakes are named, healthy devices of any size pass."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.commission.checks import (
    PHASES,
    counter_running,
    direction,
    phase_factors,
    physical_checks,
)
from edge.commission.judge import Observed, Wiring, hint, judge, passes
from edge.commission.solve import Shown
from tests.edge.commission.lines import HEALTHY


def loaded(scale: float, shares: tuple[float, float, float], factor: float) -> dict[str, float]:
    """Give a consistent three-phase device at `scale` kW and one power factor."""
    volts = (231.0, 229.0, 230.0)
    out = {"frequency_hz": 49.98, "power_factor": factor, "power_kw": 0.0}
    for phase, share, volt in zip(PHASES, shares, volts, strict=True):
        power = scale * share / sum(shares)
        out |= {
            f"voltage_{phase}_v": volt, f"power_{phase}_kw": power,
            f"current_{phase}_a": power * 1000 / factor / volt,
        }  # fmt: skip
        out["power_kw"] += power
    out["apparent_power_kva"] = out["power_kw"] / factor
    return out


shares = st.tuples(*(st.floats(0.2, 1.0) for _ in range(3)))


@given(st.floats(1.0, 5000.0), shares, st.floats(0.6, 1.0))
def test_a_device_in_good_order_passes_whatever_its_load(
    scale: float, parts: tuple[float, float, float], factor: float
) -> None:
    values = loaded(scale, parts, factor)
    assert [c.name for c in physical_checks(values) if c.holds is not True] == []


@given(st.floats(1.0, 5000.0), shares, st.sampled_from(sorted(PHASES)))
def test_a_reversed_transformer_is_named_whatever_the_load(
    scale: float, parts: tuple[float, float, float], phase: str
) -> None:
    values = loaded(scale, parts, 0.93)
    values[f"power_{phase}_kw"] *= -1
    check = direction(values)
    assert check is not None
    assert check.holds is False
    assert f"{PHASES[phase]}相电流互感器可能接反" in check.text


def test_two_currents_on_each_others_voltages_are_told_from_a_reversed_one() -> None:
    values = loaded(30.0, (1, 1, 1), 0.95)
    for phase, cosine in (("l1", -0.74), ("l2", -0.21)):  # cos(18° + 120°), cos(18° - 120°)
        volt_amperes = values[f"voltage_{phase}_v"] * values[f"current_{phase}_a"] / 1000
        values[f"power_{phase}_kw"] = volt_amperes * cosine
    check = direction(values)
    assert check is not None
    assert "A相、B相的电流与电压可能不同相" in check.text
    assert set(phase_factors(values)) == set(PHASES)


def test_all_phases_reversed_and_no_load_are_said_as_such() -> None:
    values = {f"power_{p}_kw": -4.0 for p in PHASES}
    check = direction(values)
    assert check is not None
    assert "各相功率都为负" in check.text
    idle = direction({f"power_{p}_kw": 0.0 for p in PHASES})
    assert idle is not None
    assert idle.holds is None


@pytest.mark.parametrize(("changed", "failing"), [
    ({"voltage_l2_v": 0.0}, {"voltage", "balance", "volt_amperes"}),
    ({"frequency_hz": 5.0}, {"frequency"}),
    ({"power_kw": 9.0}, {"sum", "factor"}),
    ({"power_kw": 132.5}, {"sum", "apparent", "factor", "volt_amperes"}),
])  # fmt: skip
def test_each_check_fails_on_what_it_is_for(changed: dict[str, float], failing: set[str]) -> None:
    bad = {c.name for c in physical_checks({**HEALTHY, **changed}) if c.holds is False}
    assert bad - {"volt_amperes"} == failing - {"volt_amperes"}


def test_a_counter_must_follow_the_load() -> None:
    before = {"energy_import_kwh": 100.0, "power_kw": 60.0}
    rows = {101.0: True, 100.0: False, 99.9: False, 110.0: False}
    for now, holds in rows.items():
        check = counter_running(before, {**before, "energy_import_kwh": now}, 1 / 60)
        assert check is not None
        assert check.holds is holds, now
    idle = counter_running({**before, "power_kw": 1.0}, {**before, "power_kw": 1.0}, 1 / 60)
    assert idle is not None
    assert idle.holds is None


@given(st.sampled_from([10, 20, 30, 40, 60, 80, 100, 200]), st.floats(0.97, 1.03))
def test_a_wrong_ratio_is_answered_with_the_probable_one(ratio: int, off: float) -> None:
    text = hint(5.0, 5.0 * ratio * off, "A", Wiring(ct_ratio=1))
    assert f"变比可能应为 {ratio}（" in text


def test_a_sign_or_a_decimal_point_is_told_from_a_ratio() -> None:
    assert "符号相反" in hint(-5.0, 5.0, "kW", Wiring())
    assert "差 10 倍" in hint(23.0, 230.0, "V", Wiring())


def observed(*values: dict[str, float], failures: int = 0) -> Observed:
    times = tuple(float(i) for i in range(len(values)))
    return Observed(times, values, 100, failures, {}, 0.05, 0.09, ())


def test_a_ratio_that_nobody_proved_fails_a_device() -> None:
    wiring = Wiring(ct_ratio=40, needs_ratio=True)
    clamp = [Shown(21.5, 0.1, "A", "current_l1_a")]
    assert not passes(judge(observed(dict(HEALTHY)), wiring, [], []))
    assert passes(judge(observed(dict(HEALTHY)), wiring, [], clamp))


def test_a_line_that_loses_requests_fails_a_device() -> None:
    assert passes(judge(observed(dict(HEALTHY), failures=1), Wiring(), [], []))
    assert not passes(judge(observed(dict(HEALTHY), failures=2), Wiring(), [], []))
    assert not passes(judge(observed({}), Wiring(), [], []))
