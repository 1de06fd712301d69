"""The server's word: whole seconds become bounds, bounds become narrow, and old ones wide."""

from hypothesis import given
from hypothesis import strategies as st

from edge.clock.server_time import LATEST_MS, ServerTime

TRIPS = st.lists(
    st.tuples(st.integers(10, 100_000), st.integers(0, 500), st.integers(0, 500)),
    min_size=1, max_size=30,
)  # fmt: skip


@given(offset_ms=st.integers(10**9, 2 * 10**12), trips=TRIPS)
def test_the_truth_lies_within_the_bounds_and_they_never_exceed_a_second_and_the_trip(
    offset_ms: int, trips: list[tuple[int, int, int]]
) -> None:
    heard, now_ms = ServerTime(), 0.0
    for wait, there, back in trips:
        sent_ms = now_ms + wait
        written_ms, now_ms = sent_ms + there, sent_ms + there + back
        date_ms = int((written_ms + offset_ms) // 1000 * 1000)
        heard.heard(date_ms, sent_ms, now_ms)
        bounds = heard.bounds(now_ms)
        assert bounds is not None
        low, high = bounds
        assert low <= offset_ms <= high
        assert high - low <= 1000 + there + back


def test_words_at_other_parts_of_the_second_narrow_the_bounds_to_the_trip() -> None:
    heard = ServerTime()
    for i in range(20):
        now_ms = i * 1050.0
        heard.heard(int((now_ms + 5) // 1000) * 1000, now_ms, now_ms + 10)
    low, high = heard.bounds(now_ms + 10) or (0, 9999)
    assert high - low <= 80


def test_a_server_whose_clock_was_set_is_heard_anew_and_an_old_word_says_nothing() -> None:
    heard = ServerTime()
    assert heard.bounds(0) is None
    heard.heard(1_000_000, 0, 10)
    heard.heard(5_000_000, 100, 110)
    assert heard.bounds(110) == (4_999_890, 5_000_900)
    assert heard.bounds(110 + LATEST_MS + 1) is None
