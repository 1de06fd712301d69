"""A thousand kill -9 of a real agent, and hundreds of its store; AGENT_KILLS says how many."""

import os
from pathlib import Path

import pytest

from tests.pipeline.agent_kills import found_by

KILLS, SEED = int(os.environ.get("AGENT_KILLS", "1000")), 20260302


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_thousand_kills_lose_and_double_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = found_by(tmp_path, KILLS, SEED)
    with capsys.disabled():
        print(f"\n{found.summary()}")  # noqa: T201 - the figures are what the test is for
    assert found.agent_kills == KILLS
    assert found.is_exact, found
