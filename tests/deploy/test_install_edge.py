"""The installer, the machine's own commands stood in for: again and again, and when it fails."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VENV = """#!/bin/sh
mkdir -p "$3/bin"
echo "exit 0" > "$3/bin/pip"
printf '#!/bin/sh\\n[ ! -e "$WRONG" ]\\n' > "$3/bin/compound-edge"
chmod +x "$3/bin/pip" "$3/bin/compound-edge"
"""
SYSTEMCTL = """#!/bin/sh
echo "$@" >> "$CALLS"
case "$1" in
  is-active) [ -e "$ACTIVE" ] ;;
  restart) [ ! -e "$BROKEN" ] || ! rm "$BROKEN" ;;
esac
"""


@dataclass
class Machine:
    """A machine in a folder; files there say how it is."""

    folder: Path

    def __post_init__(self) -> None:
        tools = self.folder / "tools"
        tools.mkdir()
        (self.folder / "units").mkdir()
        for name, text in (
            ("python3", VENV),
            ("systemctl", SYSTEMCTL),
            ("chown", "#!/bin/sh\n"),
            ("id", "#!/bin/sh\nexit 1\n"),
            ("useradd", '#!/bin/sh\necho "useradd $@" >> "$CALLS"\n'),
        ):
            (tools / name).write_text(text)
            (tools / name).chmod(0o755)

    @property
    def current(self) -> Path:
        return self.folder / "opt"

    def install(self) -> subprocess.CompletedProcess[str]:
        names = {"ACTIVE": "active", "BROKEN": "broken", "WRONG": "wrong", "CALLS": "calls"}
        places = {"OPT": "opt", "ETC": "etc", "STATE": "state", "UNITS": "units"}
        environment = {
            "PATH": f"{self.folder / 'tools'}:{os.environ['PATH']}",
            **{name: str(self.folder / file) for name, file in names.items()},
            **{f"COMPOUND_EDGE_{name}": str(self.folder / at) for name, at in places.items()},
        }
        script = str(ROOT / "deploy/install-edge.sh")
        return subprocess.run(
            ["bash", script], env=environment, capture_output=True, text=True, check=False
        )

    def say(self, name: str) -> None:
        (self.folder / name).touch()

    def releases(self) -> set[str]:
        return {p.name for p in (self.folder / "opt-releases").iterdir()}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_first_install_leaves_a_configuration_that_keeps_readings_where_it_may_write(
    machine: Machine,
) -> None:
    done = machine.install()
    assert done.returncode == 0, done.stderr
    assert (machine.current / "bin/compound-edge").exists()
    config = (machine.folder / "etc/agent.yaml").read_text("utf-8")
    assert f"path: {machine.folder / 'state'}/a1.outbox.db" in config
    assert "compound-edge doctor" in done.stdout
    assert (machine.folder / "units/compound-edge.service").exists()
    assert "restart compound-edge" not in (machine.folder / "calls").read_text()


def test_upgrades_keep_configuration_and_outbox_and_one_release_to_go_back_to(
    machine: Machine,
) -> None:
    machine.install()
    (machine.folder / "etc/agent.yaml").write_text("mine")
    (machine.folder / "state/a1.outbox.db").write_text("readings")
    first = machine.current.resolve()
    machine.say("active")
    for _ in range(3):
        done = machine.install()
        assert done.returncode == 0, done.stderr
    assert machine.current.resolve() != first
    assert len(machine.releases()) == 2
    assert machine.current.resolve().name in machine.releases()
    assert (machine.folder / "etc/agent.yaml").read_text() == "mine"
    assert (machine.folder / "state/a1.outbox.db").read_text() == "readings"
    assert (machine.folder / "calls").read_text().count("restart compound-edge") == 3


def test_a_version_that_refuses_the_configuration_is_not_switched_to(machine: Machine) -> None:
    machine.install()
    before = machine.current.resolve()
    machine.say("active")
    machine.say("wrong")
    done = machine.install()
    assert done.returncode != 0
    assert "原版本不变" in done.stderr
    assert machine.current.resolve() == before
    assert machine.releases() == {before.name}
    assert "restart" not in (machine.folder / "calls").read_text()


def test_a_version_that_does_not_start_gives_way_to_the_one_before(machine: Machine) -> None:
    machine.install()
    before = machine.current.resolve()
    machine.say("active")
    machine.say("broken")
    done = machine.install()
    assert done.returncode == 1
    assert "已换回原版本" in done.stderr
    assert machine.current.resolve() == before
    assert (machine.folder / "calls").read_text().count("restart compound-edge") == 2


def test_an_installation_without_releases_is_taken_over(machine: Machine) -> None:
    (machine.current / "bin").mkdir(parents=True)
    done = machine.install()
    assert done.returncode == 0, done.stderr
    assert machine.current.is_symlink()
    assert len(machine.releases()) == 1
