"""Two hundred kill -9 of a real server, in the middle of taking in and rolling up."""

import statistics
from pathlib import Path

import pytest

from tests.pipeline.server_kills import check, run

KILLS, SEED = 200, 20260302


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_two_hundred_kills_lose_and_double_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(tmp_path, SEED, KILLS)
    readings, intervals = check(tmp_path, found)
    median_s, longest_s = statistics.median(found.opened_s), max(found.opened_s)
    with capsys.disabled():
        print(  # noqa: T201 - the figures are what the test is for
            f"\n{found.killed} kills, {readings:,} readings acknowledged and there,"
            f" {intervals:,} intervals; opened in {median_s:.2f} s (median),"
            f" {longest_s:.2f} s (longest), interpreter start included"
        )
    assert found.killed == KILLS
