"""The machine's own word on its time: kernel, timesyncd, chronyd, clock chip, boot."""

import asyncio
import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contract.clock import SystemClock
from edge.clock import KeptTime, ThisMachine, machine
from edge.clock.kept import Boot
from edge.clock.machine import chrony_reference, kernel_state

TRACKING = (
    "A29FC87B,162.159.200.123,4,{ref},0.000012,-0.00001,0.00002,1.5,0,0.01,0.1,0.0,64.2,{leap}"
)


def test_uptime_and_wall_clock_belong_to_one_moment() -> None:
    look = ThisMachine().look()
    assert abs(look.uptime_ms - SystemClock().uptime_ms()) < 60_000
    assert abs(look.wall_ms - time.time() * 1000) < 60_000


def test_the_kernel_says_the_same_to_us_and_to_a_program_of_its_own() -> None:
    asked = kernel_state()
    assert asked is not None
    text = (
        "import ctypes; t = (ctypes.c_byte * 512)(); "
        "print(ctypes.CDLL(None).adjtimex(ctypes.byref(t)))"
    )
    said = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert asked() == (int(said.stdout) not in {-1, 5})


def test_a_sandbox_that_kills_who_asks_the_kernel_kills_a_child_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tx\nSeccomp:\t2\n")
    monkeypatch.setattr(machine, "_STATUS", status)
    assert kernel_state() is not None
    deadly = tmp_path / "python"
    deadly.write_text("#!/bin/sh\nkill -SYS $$\n")
    deadly.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(deadly))
    monkeypatch.setattr(ctypes, "CDLL", None)  # whoever asks now would fail
    assert kernel_state() is None


def test_timesyncd_counts_where_the_kernel_cannot_be_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine, "kernel_state", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))  # no chronyc there
    file = tmp_path / "synchronized"
    here = ThisMachine(timesync=file)
    assert not here.look().is_synced
    file.touch()
    os.utime(file, (1000, 1000))
    assert here.look().is_synced
    assert here.look().token == 1000


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (TRACKING.format(ref="1767225600.123", leap="Normal"), 1767225600.123),
        (TRACKING.format(ref="1767225600.123", leap="Not synchronised"), None),
        (TRACKING.format(ref="0.000000000", leap="Normal"), None),
        (TRACKING.format(ref="soon", leap="Normal"), None),
        ("506 Cannot talk to daemon", None),
        ("", None),
    ],
)
def test_chronyd_is_believed_when_it_is_synchronised(line: str, found: float | None) -> None:
    assert chrony_reference(line) == found


def test_chronyc_is_asked_and_one_that_hangs_is_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    chronyc = tmp_path / "chronyc"
    chronyc.write_text(f"#!/bin/sh\necho '{TRACKING.format(ref='1767225600.5', leap='Normal')}'\n")
    chronyc.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(machine, "kernel_state", lambda: lambda: False)
    here = ThisMachine(timesync=tmp_path / "none")
    assert not here.look().is_synced
    asyncio.run(here.ask_daemon())
    assert here.look().token == 1767225600.5
    chronyc.write_text("#!/bin/sh\nexec sleep 1000\n")
    monkeypatch.setattr(machine, "_CHRONY_AGAIN_MS", 0)
    monkeypatch.setattr(machine, "_CHRONY_WITHIN_S", 0.2)
    asyncio.run(here.ask_daemon())
    assert not here.look().is_synced


@pytest.mark.parametrize(
    ("hctosys", "off_s", "kept"), [("1", 0, True), ("0", 0, False), ("1", 100, False)]
)
def test_a_clock_chip_counts_when_the_time_came_from_it_and_it_still_agrees(
    tmp_path: Path, hctosys: str, off_s: int, kept: bool
) -> None:
    (tmp_path / "hctosys").write_text(f"{hctosys}\n")
    (tmp_path / "since_epoch").write_text(f"{int(time.time()) + off_s}\n")
    assert ThisMachine(rtc=tmp_path).look().is_rtc_kept is kept
    assert not ThisMachine(rtc=tmp_path / "none").look().is_rtc_kept


def test_a_boot_has_one_name_and_where_it_is_hidden_the_environment_gives_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert machine.boot_id() == machine.boot_id() != ""
    monkeypatch.setattr(machine, "_BOOT_ID", tmp_path / "hidden")
    assert machine.boot_id() != machine.boot_id()
    monkeypatch.setenv(machine.BOOT_ID_VARIABLE, "abc")
    assert machine.boot_id() == "abc"


def test_what_is_kept_is_read_back_and_a_broken_file_is_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    kept = KeptTime(path, 5, {f"b{i}": Boot(i, None if i % 2 else i, i) for i in range(12)})
    kept.save()
    again = KeptTime.load(path)
    assert again.known_ms == 5
    assert list(again.boots) == [f"b{i}" for i in range(4, 12)]
    assert again.boots["b11"] == Boot(11, None, 11)
    assert path.stat().st_size < 600
    whole = path.read_text()
    for text in ("", "[]", "{}", whole[:-9], whole.replace("1", "x"), whole.replace("null", "[]")):
        path.write_text(text)
        assert KeptTime.load(path).known_ms in {0, 5}
