"""Host: its points from a folder that stands for a machine; what is missing is no point."""

import os
from pathlib import Path

import pytest

from contract.measurand import MEASURANDS
from edge.host import Flash, boot_s, host_values, is_time_synchronised


def machine(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


PI = {
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "51540\n",
    "sys/class/thermal/thermal_zone1/type": "battery\n",
    "sys/class/thermal/thermal_zone1/temp": "99000\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "50004\n",
    "proc/uptime": "3600.25 12000.00\n",
    "proc/self/statm": "9000 2000 800 1 0 4000 0\n",
}


def test_a_pi_gives_temperature_power_memory_and_uptime(tmp_path: Path) -> None:
    values = host_values(tmp_path / "o.db", machine(tmp_path, PI))
    assert values.pop("disk_free_bytes") > 0
    assert values == {
        "cpu_temperature_c": 51.54,
        "host_undervoltage_state": 1,  # since boot, not now
        "host_throttled_state": 2,  # now
        "memory_rss_bytes": 2000 * os.sysconf("SC_PAGE_SIZE"),
        "boot_uptime_s": 3600.25,
    }


def test_a_host_that_offers_nothing_gives_no_zeros(tmp_path: Path) -> None:
    assert host_values(tmp_path / "missing" / "o.db", tmp_path) == {}
    assert boot_s(tmp_path) is None
    assert is_time_synchronised(tmp_path) is None
    assert Flash(tmp_path / "o.db", 0, tmp_path).values() == {}


def test_nonsense_of_a_sensor_is_no_point(tmp_path: Path) -> None:
    files = {
        "sys/class/thermal/thermal_zone0/temp": "-274000\n",
        "sys/class/thermal/thermal_zone1/temp": "n/a\n",
        "sys/devices/platform/soc/soc:firmware/get_throttled": "\n",
        "proc/self/statm": "\n",
        "proc/uptime": "\n",
    }
    values = host_values(tmp_path / "missing" / "o.db", machine(tmp_path, files))
    assert values == {}


@pytest.mark.parametrize(("alarm", "state"), [("0", 0), ("1", 2)])
def test_without_the_firmware_file_the_voltage_monitor_tells(
    alarm: str, state: float, tmp_path: Path
) -> None:
    files = {
        "sys/class/hwmon/hwmon0/name": "cpu_thermal\n",
        "sys/class/hwmon/hwmon1/name": "rpi_volt\n",
        "sys/class/hwmon/hwmon1/in0_lcrit_alarm": f"{alarm}\n",
    }
    values = host_values(tmp_path / "o.db", machine(tmp_path, files))
    assert values["host_undervoltage_state"] == state
    assert "host_throttled_state" not in values


def test_every_host_point_is_a_measurand(tmp_path: Path) -> None:
    root = machine(tmp_path, PI | {"proc/self/io": "write_bytes: 4096\n"})
    known = {**host_values(tmp_path / "o.db", root), **Flash(tmp_path / "o.db", 0, root).values()}
    assert len(known) == 7
    for name, value in known.items():
        assert MEASURANDS[name].is_plausible(value)


def test_this_machine_counts_what_a_process_writes(tmp_path: Path) -> None:
    flash = Flash(tmp_path / "o.db", 0)
    before = flash.values()["flash_written_bytes_total"]
    with (tmp_path / "f").open("wb") as file:
        file.write(b"x" * 1_000_000)
        file.flush()
        os.fsync(file.fileno())
    assert flash.values()["flash_written_bytes_total"] - before >= 1_000_000


def test_the_rate_a_day_needs_ten_minutes_and_forgets_after_a_day(tmp_path: Path) -> None:
    def written(count: int) -> None:
        machine(tmp_path, {"proc/self/io": f"rchar: 1\nwrite_bytes: {count}\n"})

    written(1_000_000)
    flash = Flash(tmp_path / "o.db", 0, tmp_path)
    assert flash.mb_per_day(599) is None
    written(2_000_000)
    assert flash.mb_per_day(600) == pytest.approx(144)
    written(101_000_000)  # a bad hour, then nothing for two days
    for now_s in range(3600, 2 * 86_400 + 7200, 3600):
        flash.note(now_s)
    assert flash.mb_per_day(2 * 86_400 + 3600) == 0


def test_the_device_below_the_outbox_is_counted_with_everybody(tmp_path: Path) -> None:
    device = tmp_path.stat().st_dev
    place = f"sys/dev/block/{os.major(device)}:{os.minor(device)}/stat"
    root = machine(tmp_path, {place: "1 2 3 4 5 6 70 8 9\n"})
    values = Flash(tmp_path / "o.db", 0, root).values()
    assert values == {"flash_device_written_bytes_total": 70 * 512}


@pytest.mark.parametrize("is_set", [True, False])
def test_timesyncd_says_whether_the_clock_was_set(is_set: bool, tmp_path: Path) -> None:
    (tmp_path / "run/systemd/timesync").mkdir(parents=True)
    if is_set:
        (tmp_path / "run/systemd/timesync/synchronized").touch()
    assert is_time_synchronised(tmp_path) is is_set
