"""Days of an agent's life in virtual time; MONTH_DAYS=30 (make soak) lives through a month."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.faults.month import quiet, run

DAYS, SEED = float(os.environ.get("MONTH_DAYS", "1")), 30
MOST_FILE_BYTES = 30_000_000  # two meters a minute, five days without a server: see docs/faults.md
MOST_GROWTH_MIB = 10.0  # of memory in all the time; a byte kept for each reading would be more


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    quiet()
    yield
    structlog.reset_defaults()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_days_with_long_outages_lose_nothing_and_take_no_more_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(tmp_path, DAYS, SEED)
    with capsys.disabled():
        print(f"\n{found.summary()}")  # noqa: T201 - the figures are what the soak is for
    assert (found.lost, found.invented, found.doubled, found.slots_missing) == (0, 0, 0, 0)
    assert found.proof == "COMPLETE"
    assert found.points > 2 * 1440 * DAYS
    assert found.outages > 0
    assert found.loops_stalled == 0
    assert found.largest_file_bytes < MOST_FILE_BYTES
    assert found.rss_slope_kib_per_day * DAYS < MOST_GROWTH_MIB * 1024
