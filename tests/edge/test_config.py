"""agent.yaml: every error at once, each with file, key, expected, got, fix."""

import json
import os
import re
from pathlib import Path

import pytest

from contract.errors import ConfigError
from edge.agent import read_config
from edge.budget import refusals, warnings
from edge.cli import main
from edge.config import load_config

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


FULL = """
site: hengnan
agent: a1
intervals: {fast: 0.5, normal: 5, slow: 60}
outbox: {path: ./out.db}
push: {url: "http://127.0.0.1:8650", token_file: ./token}
connections:
  - {id: tcp1, driver: modbus-tcp, host: 127.0.0.1, port: 1502, line_baud: 19200}
  - {id: bus1, driver: modbus-rtu, device: %s, gap_ms: 2, rs485: {}, interval_s: 30}
devices:
  - {id: E01, connection: tcp1, profile: eastron/sdm630, points: [power_kw], pace: {power_kw: fast}}
  - {id: E02, connection: bus1, unit: 3, profile: chint/dtsu666, ct_ratio: 40, priority: high}
"""
PORTS = ["by-id/usb-FTDI-if00", "by-path/platform-fd500000.pcie-usb-0:1.2:1.0-port0"]


@pytest.mark.parametrize(
    "port",
    [f"/dev/serial/{p}" for p in PORTS]
    + ["/dev/ttyAMA0", "/dev/serial0", "/dev/ttyS1", "/dev/pts/12"],
)
def test_a_full_file_loads_with_any_port_whose_name_stays(tmp_path: Path, port: str) -> None:
    config = read_config(written(tmp_path, FULL % port))
    tcp, rtu = config.connections
    assert config.intervals_of(tcp).model_dump() == {"fast": 0.5, "normal": 5, "slow": 60}
    assert config.intervals_of(rtu).model_dump() == dict.fromkeys(("fast", "normal", "slow"), 30)
    assert not refusals(config)


@pytest.mark.parametrize("port", ["/dev/ttyUSB0", "/dev/ttyACM1", "ttyS0", "/dev/serial/by-id/"])
def test_a_port_whose_name_changes_is_refused(tmp_path: Path, port: str) -> None:
    with pytest.raises(ConfigError, match=r"connections\.1\.device"):
        read_config(written(tmp_path, FULL % port))


def test_two_names_of_one_port_are_one_port(tmp_path: Path) -> None:
    """As by-id and by-path are, which are links to the same device."""
    master, slave = os.openpty()
    name = os.ttyname(slave)
    again = f"  - {{id: bus2, driver: modbus-rtu, device: {name}}}\ndevices:"
    with pytest.raises(ConfigError, match="each port or address once"):
        read_config(written(tmp_path, (FULL % name).replace("devices:", again)))
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize("interval", [0.1, 0.3, 0.7, 12.3, 3600])
def test_an_interval_is_a_whole_number_of_tenths(tmp_path: Path, interval: float) -> None:
    text = GOOD.replace("agent: a1", f"agent: a1\ninterval_s: {interval}")
    assert load_config(written(tmp_path, text)).interval_s == interval


def test_a_file_saved_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_config(path).agent == "a1"


def test_check_gives_plan_and_budget_as_json(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--json", "--config", str(written(tmp_path, FULL % "/dev/serial0"))]) == 0
    said = json.loads(capfd.readouterr().out)
    first, second = said["devices"]
    assert [(b["pace"], b["function"], b["address"], b["count"]) for b in first["blocks"]] == [
        ("fast", 4, 0x34, 2)
    ]
    assert sum(len(b["points"]) for b in second["blocks"]) >= 18
    assert [b["interval_s"] for b in said["buses"]] == [{"fast": 0.5}, {"normal": 30}]
    assert said["warnings"] == []


def test_check_shows_devices_alike_in_one_row(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    more = "  - {id: E09, connection: tcp1, unit: 2, profile: eastron/sdm630}\n"
    assert main(["check", "--config", str(written(tmp_path, GOOD + more))]) == 0
    out = capfd.readouterr().out
    assert "E01 E09" in out
    assert "04:0000+" in out
    assert max(map(len, out.splitlines())) <= 200


def test_check_prints_the_plan(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", str(written(tmp_path, GOOD))]) == 0
    assert "E01" in capfd.readouterr().out


def test_the_example_is_valid(tmp_path: Path) -> None:
    example = (ROOT / "deploy/example/agent.yaml").read_text("utf-8")
    config = read_config(written(tmp_path, example))
    assert (refusals(config), warnings(config)) == ([], [])


def test_what_the_example_leaves_out_may_be_put_in(tmp_path: Path) -> None:
    example = (ROOT / "deploy/example/agent.yaml").read_text("utf-8")
    text = re.sub(r"^interval_s: 60", "", example, flags=re.MULTILINE)
    text = re.sub(r"^( *)# (\w+: )", r"\1\2", text, flags=re.MULTILINE)
    (tmp_path / "fleet.pub").write_text("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n")
    for name in ("ca.pem", "token-province"):
        (tmp_path / name).write_text("x")
    config = read_config(written(tmp_path, text))
    assert [c.id for c in config.copies] == ["province"]
    assert config.fleet is not None
    assert (config.intervals is not None, config.devices[1].priority) == (True, "high")
    assert refusals(config) == []
