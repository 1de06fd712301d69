"""agent.yaml: every error at once, each with file, key, expected, got, fix."""

from pathlib import Path

import pytest

from contract.errors import ConfigError
from edge.agent import read_config
from edge.cli import main

ROOT = Path(__file__).parents[2]
GOOD = """
site: hengnan
agent: a1
outbox: {path: ./out.db}
push: {url: "http://127.0.0.1:8650", token_file: ./token}
connections:
  - {id: tcp1, driver: modbus-tcp, host: 127.0.0.1, port: 1502}
devices:
  - {id: E01, connection: tcp1, unit: 1, profile: eastron/sdm630}
"""


def written(folder: Path, text: str) -> Path:
    (folder / "token").write_text("t")
    path = folder / "agent.yaml"
    path.write_text(text, "utf-8")
    return path


def test_a_good_file_loads_with_absolute_paths(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, GOOD))
    assert config.outbox.path == tmp_path / "out.db"


def test_every_error_is_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("agent: a1", "agent: a1\nspeed: 9").replace("sdm630", "sdm999")
    text = text.replace("unit: 1,", "unit: 300,").replace("connection: tcp1", "connection: tcp9")
    with pytest.raises(ConfigError) as caught:
        read_config(written(tmp_path, text))
    keys = {p.key for p in caught.value.problems}
    assert {"speed", "devices.0.profile", "devices.0.unit", "devices.0.connection"} <= keys
    assert all(p.file and p.expected and p.got and p.fix for p in caught.value.problems)


def test_two_meters_may_not_share_a_unit_on_a_connection(tmp_path: Path) -> None:
    text = GOOD + "  - {id: E02, connection: tcp1, unit: 1, profile: eastron/sdm120}\n"
    with pytest.raises(ConfigError, match="each unit once"):
        read_config(written(tmp_path, text))


def test_a_missing_token_file_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    (tmp_path / "token").unlink()
    with pytest.raises(ConfigError, match=r"push\.token_file"):
        read_config(path)


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", ""])
def test_a_file_that_is_no_mapping_ends_with_code_2_and_no_traceback(
    tmp_path: Path, text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--config", str(written(tmp_path, text))]) == 2
    said = capfd.readouterr().err
    assert "agent.yaml" in said
    assert "Traceback" not in said


def test_check_prints_the_plan(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", str(written(tmp_path, GOOD))]) == 0
    assert "E01" in capfd.readouterr().out


def test_the_example_is_valid(tmp_path: Path) -> None:
    example = (ROOT / "deploy/example/agent.yaml").read_text("utf-8")
    assert read_config(written(tmp_path, example)).agent == "a1"
