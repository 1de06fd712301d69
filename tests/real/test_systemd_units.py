"""systemd itself judges the units: they load, and they are exposed to little."""

import re
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "deploy/systemd"
MOST_EXPOSED = 2.0
pytestmark = pytest.mark.real


@pytest.mark.parametrize("unit", sorted(p.name for p in UNITS.iterdir()))
def test_a_unit_is_exposed_to_little(unit: str) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNITS / unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert level is not None, done.stdout
    assert float(level[1]) <= MOST_EXPOSED


@pytest.mark.parametrize("unit", sorted(p.name for p in UNITS.iterdir()))
def test_a_unit_is_understood_whole(unit: str) -> None:
    command = ["systemd-analyze", "verify", "--man=no", str(UNITS / unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stderr.splitlines()
    assert [ln for ln in said if "is not executable" not in ln] == []  # it is not installed here


def test_serial_ports_are_allowed_and_starts_never_given_up() -> None:
    text = (UNITS / "compound-edge.service").read_text("utf-8")
    for kind in ("ttyUSB", "ttyACM", "ttyAMA", "ttyS"):
        assert f"DeviceAllow=char-{kind} rw\n" in text
    assert "StartLimitIntervalSec=0\n" in text
    assert "Restart=always\n" in text
    assert not re.search(r"network-online|time-sync", text)
