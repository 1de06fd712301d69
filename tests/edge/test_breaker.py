"""The breaker: when a silent unit is asked again, and what its bus may lose on it."""

from hypothesis import given
from hypothesis import strategies as st

from edge.poller.breaker import LOSS_SHARE, Breaker, BreakerState, LossBudget


def test_one_silent_round_does_not_open_it_and_two_do() -> None:
    breaker = Breaker(first_s=10)
    assert not breaker.silent(0)
    assert breaker.state(0) is BreakerState.CLOSED
    assert breaker.silent(10)
    assert breaker.state(10) is BreakerState.OPEN
    assert breaker.state(20) is BreakerState.HALF_OPEN


def test_back_off_doubles_up_to_its_cap_and_an_answer_ends_it() -> None:
    breaker, now_s, steps = Breaker(first_s=10, max_s=100), 0.0, []
    for _ in range(8):
        breaker.silent(now_s)
        steps.append(breaker.retry_at_s - now_s)
        now_s = breaker.retry_at_s
    assert steps == [0, 10, 20, 40, 80, 100, 100, 100]
    assert breaker.answered()
    assert not breaker.answered()
    assert breaker.state(now_s) is BreakerState.CLOSED
    assert not breaker.silent(now_s)


def test_a_thousand_silences_are_no_overflow() -> None:
    breaker = Breaker(first_s=60)
    for _ in range(2000):
        breaker.silent(0)
    assert breaker.retry_at_s == 300


def test_back_off_is_never_shorter_than_the_interval() -> None:
    breaker = Breaker(first_s=900)
    for _ in range(9):
        breaker.silent(0)
    assert breaker.retry_at_s == 900


def test_in_a_mass_outage_one_silence_opens_it() -> None:
    breaker = Breaker(first_s=10)
    assert breaker.silent(0, at_once=True)
    assert breaker.retry_at_s == 10


@given(
    interval_s=st.floats(0.1, 900),
    timeout_s=st.floats(0.01, 10),
    gap_s=st.floats(0.05, 60),
)
def test_probes_lose_no_more_than_their_share_of_the_time(
    interval_s: float, timeout_s: float, gap_s: float
) -> None:
    budget, now_s, lost_s = LossBudget(interval_s), 0.0, 0.0
    for _ in range(300):
        if budget.allows(now_s):
            budget.lost(timeout_s)
            lost_s += timeout_s
            now_s += timeout_s
        now_s += gap_s
    assert lost_s <= LOSS_SHARE * (now_s + interval_s) + timeout_s


def test_an_outage_that_could_not_be_foreseen_leaves_no_lasting_debt() -> None:
    budget = LossBudget(10)
    for _ in range(30):
        budget.lost(1.0)
    budget.allows(0)
    assert not budget.allows(19)
    assert budget.allows(21)
