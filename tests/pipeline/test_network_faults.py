"""Every network fault of the table, quickly: nothing lost, nothing doubled, nothing set aside."""

from pathlib import Path

import pytest

from tests.faults.catalogue import FAULTS, Fault
from tests.faults.network import run


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.id)
def test_a_network_fault_loses_nothing(tmp_path: Path, fault: Fault) -> None:
    found = run(fault, tmp_path)
    assert found.holds, found
    assert bool(found.said) is fault.fails  # it was met, and told
