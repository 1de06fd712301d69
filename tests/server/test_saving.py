"""Savings: like days compared, a range that tells the truth, estimated until it is shown."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.rules.saving import ProofState, _t95, saving

WEEK = np.array([True] * 5 + [False] * 2)


def days(weeks: int, worked: float, off: float, spread: float, seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, spread, weeks * 7)
    return np.where(np.tile(WEEK, weeks), worked, off) + noise


def test_a_waste_that_stopped_is_verified_after_two_weeks_and_estimated_before() -> None:
    before = days(4, 20.0, 5.0, 2.0)
    for weeks, state in ((1, ProofState.ESTIMATED), (2, ProofState.VERIFIED)):
        after = days(weeks, 1.0, 1.0, 0.5, seed=2)
        found = saving(before, after, np.tile(WEEK, 4), np.tile(WEEK, weeks))
        assert found is not None
        assert found.state is state
        assert found.low < weeks * (5 * 19 + 2 * 4) < found.high


def test_what_did_not_change_is_not_shown_after_four_weeks() -> None:
    before, after = days(4, 20.0, 5.0, 4.0), days(4, 20.0, 5.0, 4.0, seed=9)
    found = saving(before, after, np.tile(WEEK, 4), np.tile(WEEK, 4))
    assert found is not None
    assert found.low < 0 < found.high
    assert found.state is ProofState.NOT_SHOWN


def test_workdays_are_compared_with_workdays() -> None:
    before = days(4, 20.0, 0.0, 0.1)
    after = days(2, 20.0, 0.0, 0.1, seed=3)
    after[np.tile(WEEK, 2)] = np.nan  # only days off are known: nothing was saved on those
    found = saving(before, after, np.tile(WEEK, 4), np.tile(WEEK, 2))
    assert found is not None
    assert abs(found.saved) < 1.0
    assert found.days_after == 4


def test_with_hardly_a_day_known_nothing_is_said() -> None:
    before, after = days(4, 20.0, 5.0, 1.0), np.full(14, np.nan)
    after[0] = 1.0
    assert saving(before, after, np.tile(WEEK, 4), np.tile(WEEK, 2)) is None


def test_the_range_holds_the_truth_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(400):
        before = days(4, 20.0, 5.0, 3.0, seed=seed)
        after = days(2, 12.0, 4.0, 3.0, seed=seed + 10_000)
        found = saving(before, after, np.tile(WEEK, 4), np.tile(WEEK, 2))
        assert found is not None
        held += found.low <= 2 * (5 * 8 + 2 * 1) <= found.high
    assert 0.92 <= held / 400 <= 0.99


@pytest.mark.parametrize(("freedom", "exact"), [(3, 3.182), (6, 2.447), (12, 2.179), (60, 2.000)])
def test_the_quantile_is_within_a_hundredth(freedom: int, exact: float) -> None:
    assert _t95(freedom) == pytest.approx(exact, rel=0.01)


@given(st.lists(st.floats(0, 1e4), min_size=28, max_size=28), st.floats(0, 1e4))
def test_the_range_always_holds_its_own_middle(before: list[float], after: float) -> None:
    found = saving(
        np.array(before), np.full(14, after), np.tile(WEEK, 4), np.tile(WEEK, 2)
    )  # fmt: skip
    assert found is not None
    assert found.low <= found.saved <= found.high
