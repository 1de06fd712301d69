"""Learned timeouts: within bounds, patient after a silence."""

from hypothesis import given
from hypothesis import strategies as st

from edge.drivers.patience import LEARNED_AFTER, LEAST_S, MARGIN_S, WINDOW, Patience

FLOOR_S = 0.03


def learned(took_s: float, answers: int = LEARNED_AFTER) -> Patience:
    it = Patience(FLOOR_S)
    for _ in range(answers):
        it.heard(1, took_s)
    return it


def test_an_unknown_unit_is_given_all_the_time_allowed() -> None:
    assert learned(0.1, LEARNED_AFTER - 1).wait_s(1, 1.0) == 1.0
    assert learned(0.1).wait_s(2, 1.0) == 1.0


def test_a_known_unit_is_given_twice_its_slowest_answer() -> None:
    it = learned(0.1)
    it.heard(1, 0.15)
    assert it.wait_s(1, 1.0) == 0.3 + MARGIN_S
    assert it.wait_s(1, 0.25) == 0.25
    assert it.wait_s(1, 1.0, wire_s=0.1) == 0.1 + 0.3 + MARGIN_S


def test_a_fast_unit_is_never_hurried_below_the_floor() -> None:
    assert learned(0.001).wait_s(1, 1.0) == FLOOR_S
    assert learned(0.001).wait_s(1, 1.0, wire_s=0.097) == 0.097 + FLOOR_S


def test_the_answers_time_on_the_wire_is_allowed_whatever_the_ceiling() -> None:
    assert Patience(FLOOR_S).wait_s(1, 0.05, wire_s=0.5) == 0.5 + LEAST_S


def test_a_silence_gives_all_the_time_until_the_next_answer() -> None:
    it = learned(0.1)
    it.silent(1)
    assert it.wait_s(1, 1.0) == 1.0
    it.heard(1, 0.4)
    assert it.wait_s(1, 1.0) == 0.8 + MARGIN_S


def test_an_old_peak_is_forgotten() -> None:
    it = learned(0.1)
    it.heard(1, 0.4)
    for _ in range(2 * WINDOW):
        it.heard(1, 0.1)
    assert it.wait_s(1, 1.0) == 0.2 + MARGIN_S


@given(st.lists(st.one_of(st.none(), st.floats(0, 10)), max_size=200), st.floats(0.05, 60))
def test_the_wait_stays_within_its_bounds(history: list[float | None], ceiling_s: float) -> None:
    it = Patience(FLOOR_S)
    for took_s in history:
        if took_s is None:
            it.silent(1)
        else:
            it.heard(1, took_s)
    assert FLOOR_S <= it.wait_s(1, ceiling_s) <= ceiling_s
