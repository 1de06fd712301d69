"""What the agent loads: neither server packages nor OPC UA unless it is configured."""

import json
import subprocess
import sys

import pytest

from edge.cli import GROUPS, main, parser_of

PROBE = """import sys
from edge.cli import parser_of
parser_of({})
sys.stdout.write(' '.join(m for m in {} if m in sys.modules))"""


def test_the_agent_loads_no_heavy_package() -> None:
    heavy = ["numpy", "asyncua", "fastapi", "duckdb", "influxdb_client", "server"]
    probe = PROBE.format('""', heavy)  # every command
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout == ""


def test_an_agent_that_runs_does_not_hold_what_people_use() -> None:
    probe = PROBE.format("'run'", ["edge.commission", "edge.cli.outbox", "rich.progress"])
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout == ""


def test_the_table_of_groups_names_every_command() -> None:
    def names(command: str) -> set[str]:
        (commands,) = (a for a in parser_of(command)._actions if a.choices)
        return set(commands.choices or ())

    assert {n for of in GROUPS.values() for n in of} == names("")
    for of in GROUPS.values():
        for name in of:
            assert names(name) == of


def test_profiles_lists_every_point_with_its_exact_coding(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert main(["profiles", "--json"]) == 0
    rows = json.loads(capfd.readouterr().out)
    row = next(r for r in rows if r["model"] == "dtsu666" and r["measurand"] == "energy_import_kwh")
    assert row["address"] == 0x101E
    assert row["function"] == 3
    assert (row["word_order"], row["byte_order"]) == ("big", "big")
    assert (row["unit"], row["scale_to_canonical"], row["basis"]) == ("kWh", 1.0, "secondary")
    water = next(r for r in rows if r["maker"] == "xintai" and r["measurand"] == "volume_m3")
    assert (water["word_order"], water["byte_order"]) == ("little", "little")


@pytest.mark.parametrize("command", ["run", "check", "read", "outbox", "status", "profiles"])
def test_every_command_shows_an_example(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert "example: compound-edge" in capfd.readouterr().out
