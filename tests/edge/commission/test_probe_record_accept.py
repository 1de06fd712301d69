"""probe, record and accept on real sockets: what they show, what they write, how they end."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from edge.cli import main
from edge.commission.capture import moved_down, packed
from edge.decode import raw_number
from edge.profile import find_profile, load_profile
from simulators.ports import free_port
from tests.device_profiles import test_profiles
from tests.edge.commission.lines import meter, raw_device, reversed_a, tcp_devices

Told = pytest.CaptureFixture[str]
SDM = ("--unit", "1", "--profile", "eastron/sdm630")


def test_probe_shows_values_words_and_the_reversed_phase(capfd: Told) -> None:
    with tcp_devices({1: reversed_a("eastron/sdm630")}) as host:
        assert main(["probe", "--tcp", host, *SDM, "--once"]) == 1
    out = capfd.readouterr().out
    assert "231.2" in out
    assert "4367 3333" in out
    assert "A相电流互感器可能接反" in out
    assert "\x1b" not in out
    assert all(len(line) <= 80 for line in out.splitlines())


def test_probe_as_json_gives_a_line_each_time(capfd: Told) -> None:
    with tcp_devices({1: meter("eastron/sdm630")}) as host:
        assert main(["probe", "--tcp", host, *SDM, "--count", "2", "--json"]) == 0
    rows = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    points = {p["measurand"]: p for p in rows[1]["points"]}
    assert len(rows) == 2
    assert points["voltage_l1_v"]["words"] == [0x4367, 0x3333]
    assert all(c["holds"] is not False for c in rows[1]["checks"])


def test_a_refused_register_costs_only_its_own_point(capfd: Told) -> None:
    profile = find_profile("chint/dtsu666")
    lost = profile.point("power_factor")
    words: dict[int, int] = {}
    for point in profile.points:
        words |= dict(enumerate(packed(2300.0, point.type, point.order), point.address))
    first, end = min(p.address for p in profile.points), max(p.end for p in profile.points)
    device = raw_device(4, words, [(first, lost.address), (lost.end, end)])
    with tcp_devices(raw=device) as host:
        args = ["--tcp", host, "--unit", "4", "--profile", "chint/dtsu666", "--once", "--json"]
        main(["probe", *args])
    points = {p["measurand"]: p for p in json.loads(capfd.readouterr().out)["points"]}
    assert points["power_factor"]["quality"] == "illegal_address"
    bad = [n for n, p in points.items() if p["quality"] == "illegal_address"]
    assert bad == ["power_factor"]
    assert points["voltage_l1_v"]["value"] == pytest.approx(230.0)


@pytest.mark.parametrize("command", [
    ["probe", "--once"], ["record", "--shown", "power_kw=1"], ["accept", "--reads", "1"],
])  # fmt: skip
def test_a_silent_device_ends_with_advice(command: list[str], capfd: Told, tmp_path: Path) -> None:
    sheet = ["--write", str(tmp_path / "a.html")] if command[0] == "accept" else []
    host = f"127.0.0.1:{free_port()}"
    assert main([*command, "--tcp", host, *SDM, *sheet]) == 1
    assert "没有应答" in capfd.readouterr().err


def test_ctrl_c_is_how_a_live_probe_ends() -> None:
    command = str(Path(sys.executable).parent / "compound-edge")
    with tcp_devices({1: meter("eastron/sdm630")}) as host, subprocess.Popen(
        [command, "probe", "--tcp", host, *SDM, "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline().startswith("{")
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")


@pytest.mark.parametrize("ref", ["eastron/sdm630", "chint/dtsu666", "acrel/adl400"])
def test_a_capture_is_an_example_that_proves_its_profile(
    ref: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "capture.yaml"
    shown = ("voltage_l1_v=231.2", "frequency_hz=50.01", "energy_import_kwh=18423.5")
    with tcp_devices({1: meter(ref)}) as host:
        args = [a for s in shown for a in ("--shown", s)]
        code = main([
            "record", "--tcp", host, "--unit", "1", "--profile", ref, *args,
            "--firmware", "V1.2", "--write", str(file),
        ])  # fmt: skip
    assert code == 0
    text = file.read_text("utf-8")
    rows = yaml.safe_load(text)["examples"]
    assert "18423" not in text
    assert {n for r in rows for n in r["readings"]} == {s.partition("=")[0] for s in shown}
    source = Path(test_profiles.FOLDER / f"{ref}.yaml").read_text("utf-8")
    content = yaml.safe_load(source)
    content["examples"] = rows
    path = tmp_path / "profile.yaml"
    path.write_text(yaml.safe_dump(content, allow_unicode=True), "utf-8")
    monkeypatch.setitem(test_profiles.PROFILES, ref, load_profile(path))
    test_profiles.test_examples_decode_to_their_readings(ref)


def test_a_reading_the_display_does_not_confirm_is_not_recorded(
    capfd: Told, tmp_path: Path
) -> None:
    file = tmp_path / "capture.yaml"
    with tcp_devices({1: meter("eastron/sdm630")}) as host:
        args = ["--shown", "voltage_l1_v=221.2", "--write", str(file)]
        assert main(["record", "--tcp", host, *SDM, *args]) == 1
    assert not file.exists()
    assert "屏幕 221.2，读到 231.2" in capfd.readouterr().err


def test_a_counter_is_moved_by_whole_thousands_and_nothing_else_is() -> None:
    profile = find_profile("acrel/adl400")
    energy, volts = profile.point("energy_import_kwh"), profile.point("voltage_l1_v")
    words = packed(184_235, energy.type, energy.order)
    moved = moved_down(energy, words)
    assert raw_number(moved, energy.type, energy.order) == 4_235
    assert moved_down(volts, packed(23_120.0, volts.type, volts.order)) == packed(
        23_120.0, volts.type, volts.order
    )


def accepted(host: str, file: Path, *args: str) -> int:
    return main(["accept", "--tcp", host, "--reads", "2", "--write", str(file), *args])


def test_a_good_device_is_accepted_with_a_sheet(tmp_path: Path, capfd: Told) -> None:
    file = tmp_path / "a.html"
    with tcp_devices({1: meter("eastron/sdm630")}) as host:
        shown = ("--display", "power_kw=13.25", "--clamp", "l1=21.4", "--place", "<3号楼>")
        assert accepted(host, file, *SDM, *shown) == 0
    page = file.read_text("utf-8")
    assert "结论：合格" in page
    assert "&lt;3号楼&gt;" in page
    assert "http" not in page
    assert "@page" in page
    assert "结论：合格" in capfd.readouterr().out


def test_a_reversed_transformer_fails_with_its_phase(tmp_path: Path, capfd: Told) -> None:
    file = tmp_path / "a.html"
    with tcp_devices({1: reversed_a("eastron/sdm630")}) as host:
        assert accepted(host, file, *SDM) == 1
    assert "A相电流互感器可能接反" in capfd.readouterr().out
    assert "A相电流互感器可能接反" in file.read_text("utf-8")


def test_a_wrong_ratio_fails_with_the_probable_one(tmp_path: Path, capfd: Told) -> None:
    file = tmp_path / "a.html"
    with tcp_devices({2: meter("chint/dtsu666", 40)}) as host:
        args = ("--unit", "2", "--profile", "chint/dtsu666", "--ct-ratio", "150/5")
        assert accepted(host, file, *args, "--display", "power_kw=13.25", "--json") == 1
    result = json.loads(capfd.readouterr().out)
    assert not result["passed"]
    assert any("变比可能应为 40（200/5）" in c["text"] for c in result["checks"])


@pytest.mark.parametrize("args", [
    ["accept", "--reads", "0"], ["accept", "--clamp", "x=3"], ["accept", "--display", "volts=3"],
    ["record", "--shown", "power_kw"], ["probe", "--unit", "1", "--timeout", "99"],
    ["probe", "--ct-ratio", "a/b"],
])  # fmt: skip
def test_wrong_arguments_are_explained(args: list[str], capfd: Told) -> None:
    assert main([*args, "--tcp", "127.0.0.1:9", "--profile", "eastron/sdm630"]) == 2
    assert "fix" in capfd.readouterr().err


def test_a_profile_and_a_line_are_asked_for(capfd: Told) -> None:
    assert main(["probe", "--tcp", "127.0.0.1:9"]) == 2
    assert main(["probe", "--profile", "eastron/sdm630"]) == 2
    assert main(["probe", "--config", "/no/such/agent.yaml"]) == 2
    assert "--profile" in capfd.readouterr().err


@pytest.mark.parametrize("command", ["scan", "probe", "solve", "record", "accept"])
def test_every_command_shows_an_example(command: str, capfd: Told) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert "example: compound-edge" in capfd.readouterr().out
