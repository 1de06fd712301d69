"""The outbox suite, on disk and in RAM."""

from pathlib import Path
from typing import Any

import pytest

from edge.outbox import Bounds, Outbox, Terms
from tests.behaviour.outbox_suite import Make, OutboxSuite

TERMS = Terms(commit_interval_s=3600, ram_max_bytes=10**9, heal_interval_s=3600)


class TestOnDisk(OutboxSuite):
    @pytest.fixture
    def make(self, tmp_path: Path) -> Make:
        def made(bounds: Bounds, **more: Any) -> Outbox:
            box = Outbox(tmp_path / "o.db", bounds, TERMS, **more)
            assert box.in_ram is None
            return box

        return made


class TestInRam(OutboxSuite):
    @pytest.fixture
    def make(self, tmp_path: Path) -> Make:
        def made(bounds: Bounds, **more: Any) -> Outbox:
            box = Outbox(tmp_path / "no such folder" / "o.db", bounds, TERMS, **more)
            assert box.in_ram is not None
            return box

        return made
