"""scan, probe, solve, record, accept: putting a line and its devices into service."""

from typing import Any

from edge.cli.probe import add_probe
from edge.cli.proof import add_accept, add_record
from edge.cli.scan import add_scan
from edge.cli.solve import add_solve


def add_commission(commands: Any) -> None:
    """Add the commissioning commands."""
    for add in (add_scan, add_probe, add_solve, add_record, add_accept):
        add(commands)
