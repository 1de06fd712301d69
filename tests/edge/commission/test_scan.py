"""scan, as a new user runs it: over real ptys and sockets, right settings or wrong ones."""

import asyncio
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from pymodbus.simulator import SimDevice

import edge.commission.scan
from edge.cli import main
from edge.cli.scan import numbers
from edge.commission.fit import is_clear
from edge.commission.ports import serial_ports, trouble
from edge.commission.scan import Scan
from edge.commission.target import commissioning_config, serial_connection, tcp_connection
from edge.profile import DeviceProfile, all_profiles
from simulators.ports import free_port
from tests.edge.commission.lines import bus, meter, raw_device, serial_devices, tcp_devices

Told = pytest.CaptureFixture[str]
QUICK = ("--timeout", "0.25", "--parity", "N")


def scanned(told: Told, *args: str, code: int = 0) -> dict[str, list[dict[str, object]]]:
    assert main(["scan", "--json", *args]) == code
    out: dict[str, list[dict[str, object]]] = json.loads(told.readouterr().out)
    return out


def test_two_units_on_a_line_are_found_with_their_profiles(capfd: Told, tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    devices = {3: meter("eastron/sdm630"), 7: meter("chint/dtsu666", 40)}
    with serial_devices(9600, devices) as line:
        args = ("--port", line.master_end, "--units", "1-8", "--write", str(file))
        found = scanned(capfd, *args, *QUICK)["found"]
        assert [(f["unit"], f["profile"]) for f in found] == [
            (3, "eastron/sdm630"), (7, "chint/dtsu666"),
        ]  # fmt: skip
        config = commissioning_config(file)
        assert [d.unit for d in config.devices] == [3, 7]
        assert main(["probe", "--config", str(file), "--device", "E02", "--once"]) == 0
    assert "230.4" in capfd.readouterr().out


def test_the_wrong_baud_is_left_for_the_right_one(capfd: Told) -> None:
    with serial_devices(2400, {2: meter("eastron/sdm120")}) as line:
        args = ("--port", line.master_end, "--units", "1-3", "--baud", "9600,2400,4800")
        out = scanned(capfd, *args, *QUICK)
    line_found = out["found"][0]["line"]
    assert isinstance(line_found, dict)
    assert (line_found["baud"], out["found"][0]["profile"]) == (2400, "eastron/sdm120")
    assert len(out["tried"]) == 2  # 4800 is not tried once units have answered


def test_thorough_tries_every_setting(capfd: Told) -> None:
    with serial_devices(9600, {1: meter("generic/xy-md02")}) as line:
        args = ("--port", line.master_end, "--units", "1", "--baud", "9600,2400", "--thorough")
        out = scanned(capfd, *args, *QUICK)
    assert [f["profile"] for f in out["found"]] == ["generic/xy-md02"]
    assert len(out["tried"]) == 2


def test_an_answer_that_is_noise_is_told_from_silence() -> None:
    scan = Scan()
    with bus(2400, (1,), deaf=False) as line:
        settings = [serial_connection(line.master_end, b, "N", 1, 0.1) for b in (9600, 2400)]
        asyncio.run(scan.run([settings], [1, 2], []))
        assert line.garbled >= 3
    assert [c.baud for c in scan.garbled if c.driver == "modbus-rtu"] == [9600]
    assert not scan.found


def test_an_empty_line_says_what_to_check(capfd: Told) -> None:
    with bus(9600, ()) as line:
        args = ["scan", "--port", line.master_end, "--units", "1-2", "--baud", "9600", *QUICK]
        assert main(args) == 1
    told = capfd.readouterr().err
    for word in ("A/B", "120 Ω", "DL/T 645", "--units 1-247", "没有任何应答"):
        assert word in told


def test_a_gateway_that_answers_for_nobody_is_seen_through(capfd: Told) -> None:
    with tcp_devices({1: meter("acrel/adl400"), 2: meter("xintai/lxs-modbus")}) as host:
        found = scanned(capfd, "--tcp", host, "--units", "1-9")["found"]
    assert [(f["unit"], f["profile"]) for f in found] == [
        (1, "acrel/adl400"), (2, "xintai/lxs-modbus"),
    ]  # fmt: skip


def test_a_meter_that_ignores_unit_ids_is_found_once(capfd: Told) -> None:
    every: SimDevice = raw_device(0, {0: 5}, [(0, 10)])
    with tcp_devices(raw=every) as host:
        found = scanned(capfd, "--tcp", host, "--units", "1-9")["found"]
    assert [(f["any_unit"], f["profile"]) for f in found] == [(True, None)]


METERS = [p for p in all_profiles() if any(q.measurand == "voltage_l1_v" for q in p.points)]
SINGLE = {"power_kw": 4.72, "apparent_power_kva": 4.971, "reactive_power_kvar": 1.55}


@pytest.mark.parametrize("profile", METERS, ids=lambda p: p.ref)
def test_each_profile_explains_its_own_meter_best_or_the_choice_is_left_open(
    profile: DeviceProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge.commission.scan, "PAUSE_S", 0.0)
    is_single = all(p.measurand != "voltage_l2_v" for p in profile.points)
    with tcp_devices({5: meter(profile.ref, 1, **(SINGLE if is_single else {}))}) as host:
        scan = Scan()
        asyncio.run(scan.run([[tcp_connection(host, 0.6, rtu=False)]], [5], METERS))
    (found,) = scan.found
    own = next(f for f in found.fits if f.ref == profile.ref)
    assert own.is_proposed
    assert own.share > 0.85
    assert found.best is own or not is_clear(found.fits), found.best


def test_a_port_that_another_program_uses_is_named(capfd: Told) -> None:
    with bus(9600, ()) as line:
        handle = os.open(line.master_end, os.O_RDWR | os.O_NOCTTY)
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert trouble(line.master_end) == "busy"
        assert main(["scan", "--port", line.master_end]) == 1
        os.close(handle)
        assert trouble(line.master_end) is None
    assert "systemctl stop compound-edge" in capfd.readouterr().err


def test_a_closed_tcp_port_is_not_called_a_silent_meter(capfd: Told) -> None:
    assert main(["scan", "--tcp", f"127.0.0.1:{free_port()}", "--units", "1-3"]) == 1
    told = capfd.readouterr().err
    assert "连不上" in told
    assert "没有任何应答" not in told


@pytest.mark.parametrize("args", [
    ["--port", "/dev/no-such-port"], ["--tcp", "host:port"], ["--tcp", ""],
    ["--tcp", "127.0.0.1", "--units", "0-300"], ["--tcp", "127.0.0.1", "--units", "x"],
    ["--tcp", "127.0.0.1", "--parity", "X"], ["--rtu-tcp", "127.0.0.1"],
    ["--tcp", "127.0.0.1", "--timeout", "-1"], ["--tcp", "127.0.0.1", "--baud", "²"],
    ["--tcp", "127.0.0.1", "--write", "/no/such/folder/agent.yaml"],
])  # fmt: skip
def test_wrong_arguments_are_explained(capfd: Told, args: list[str]) -> None:
    assert main(["scan", *args]) == 2
    assert "fix" in capfd.readouterr().err


def test_nothing_is_overwritten(tmp_path: Path, capfd: Told) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text("mine", "utf-8")
    assert main(["scan", "--tcp", "127.0.0.1:9", "--write", str(file)]) == 2
    assert file.read_text("utf-8") == "mine"
    assert "已存在" in capfd.readouterr().err


def test_ctrl_c_shows_what_was_found_and_leaves_no_traceback() -> None:
    command = str(Path(sys.executable).parent / "compound-edge")
    with serial_devices(9600, {1: meter("generic/xy-md02")}) as line:
        args = ["scan", "--port", line.master_end, "--units", "1-246", "--timeout", "0.4"]
        with subprocess.Popen(
            [command, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            until_s = time.monotonic() + 30
            while 3 not in line.asked and time.monotonic() < until_s:
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "generic/xy-md02" in out
    assert "扫描被中断" in err
    assert "Traceback" not in err
    assert yaml.safe_load(out[out.index("connections:") :])["devices"][0]["unit"] == 1


def test_ports_are_given_by_their_lasting_name(tmp_path: Path) -> None:
    assert all(p.path for p in serial_ports(tmp_path))
    assert trouble(str(tmp_path)) == "strange"
    assert trouble(str(tmp_path / "none")) == "missing"


def test_numbers_are_read_as_people_write_them() -> None:
    assert numbers("--units", "1-3,7, 2", 1, 247) == [1, 2, 3, 7]
