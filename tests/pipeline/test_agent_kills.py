"""Kill -9 of a whole agent and of its store; AGENT_KILLS says how often."""

import os
from pathlib import Path

import pytest

from tests.pipeline.agent_kills import found_by

KILLS, SEED = int(os.environ.get("AGENT_KILLS", "60")), 20261125


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_what_was_committed_before_any_kill_is_in_the_store_once(tmp_path: Path) -> None:
    found = found_by(tmp_path, KILLS, SEED)
    assert found.is_exact, found
    assert found.agent_kills == KILLS
    assert found.sink_kills > KILLS // 10
    assert found.points > KILLS // 4  # it did its work in between, however busy the machine
