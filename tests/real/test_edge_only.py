"""An environment with only the `edge` extra runs the agent, and has no server."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.real
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("edge") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin/pip"), "install", "--quiet", "--disable-pip-version-check"]
    for lock in ("edge", "build"):
        file = str(ROOT / f"requirements/{lock}.txt")
        subprocess.run([*pip, "--require-hashes", "-r", file], check=True)
    wheel = ["--no-build-isolation", "--no-deps", "--no-cache-dir", str(ROOT)]
    subprocess.run([*pip, *wheel], check=True)
    return folder


def run(venv: Path, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(venv / "bin" / command[0]), *command[1:]],
        cwd=cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_agent_checks_its_configuration_there(venv: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    example = (ROOT / "deploy/example/agent.yaml").read_text("utf-8")
    (tmp_path / "agent.yaml").write_text(example, "utf-8")
    done = run(venv, "compound-edge", "check", "--config", "agent.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    profiles = run(venv, "compound-edge", "profiles", "--json", cwd=tmp_path)
    assert len(json.loads(profiles.stdout)) > 50


def test_the_agent_runs_there_and_stops_when_told(venv: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    text = (ROOT / "deploy/example/agent.yaml").read_text("utf-8")
    text = text.replace("port: 502", "port: 9").replace("interval_s: 60", "interval_s: 1")
    (tmp_path / "agent.yaml").write_text(text, "utf-8")
    process = subprocess.Popen(
        [str(venv / "bin/compound-edge"), "run", "--config", "agent.yaml"],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.terminate()
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0, said
    assert "agent_started" in said
    assert "Traceback" not in said


def test_there_is_no_server_there(venv: Path, tmp_path: Path) -> None:
    done = run(venv, "python", "-c", "import server", cwd=tmp_path)
    assert done.returncode != 0
    assert "server extra is not installed" in done.stderr


def test_the_network_faults_hold_with_the_http_library_of_that_environment(
    venv: Path, tmp_path: Path
) -> None:
    """Beside a server another package takes urllib3's name; an agent's machine has urllib3."""
    (installed,) = venv.glob("lib/python3*/site-packages/urllib3")
    (tmp_path / "urllib3").symlink_to(installed)
    own = os.environ | {"PYTHONPATH": str(tmp_path)}
    asked = [sys.executable, "-c", "import urllib3; print(urllib3.__version__)"]
    version = subprocess.run(asked, env=own, capture_output=True, text=True, check=True).stdout
    locked = re.search(
        r"^urllib3==(\S+)", (ROOT / "requirements/edge.txt").read_text(), re.MULTILINE
    )
    assert locked is not None
    assert version.strip() == locked[1]
    tests = ["tests/pipeline/test_network_faults.py", "tests/edge/test_push.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *tests, "tests/edge/test_push_answers.py"],
        cwd=ROOT, env=own, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
