"""Wrong agent.yaml files, one a folder: `check` ends with 2 and says exactly what is expected."""

import shutil
from pathlib import Path

import pytest

from edge.cli import main
from edge.config import ports

FOLDER = Path(__file__).parent / "wrong_configs"
ADAPTERS = ("usb-1a86_USB2.0-Ser-if00-port0", "usb-FTDI_USB-RS485-if00-port0")


@pytest.fixture
def adapters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    by_id = tmp_path / "by-id"
    by_id.mkdir()
    for name in ADAPTERS:
        (by_id / name).touch()
    monkeypatch.setattr(ports, "BY_ID", by_id)
    return by_id


@pytest.mark.parametrize("case", sorted(p.name for p in FOLDER.iterdir()))
@pytest.mark.usefixtures("adapters")
def test_a_wrong_file_is_told_exactly_and_nothing_starts(
    case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(FOLDER / case, tmp_path, dirs_exist_ok=True)
    (tmp_path / "token").write_text("t")
    (tmp_path / "empty").touch()
    assert main(["check", "--config", str(tmp_path / "agent.yaml")]) == 2
    out, err = capfd.readouterr()
    assert not out
    assert "Traceback" not in err
    assert err.replace(str(tmp_path), "FOLDER") == (FOLDER / case / "expected.txt").read_text()
