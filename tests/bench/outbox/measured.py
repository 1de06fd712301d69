"""Figures of a piece of work in a process of its own, and the rows of the table."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Row:
    figure: str
    value: str
    target: str = ""
    met: bool | None = None


def alone(module: str, *args: object, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run a module in a process of its own; give the JSON it says last."""
    command = [sys.executable, "-m", module, *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    found: dict[str, Any] = json.loads(done.stdout.strip().split("\n")[-1])
    return found


def say(**values: object) -> None:
    """Say a result to who started this process."""
    sys.stdout.write(json.dumps(values) + "\n")


def written_bytes() -> int:
    """Give what this process has sent towards the block layer so far."""
    found = re.search(
        r"^write_bytes: (\d+)", Path("/proc/self/io").read_text("ascii"), re.MULTILINE
    )
    assert found is not None
    return int(found[1])


def peak_rss_mib() -> float:
    """Give the most memory this process has held."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text("ascii"))
    assert found is not None
    return int(found[1]) / 1024


class Stopwatch:
    """Wall and processor seconds since it was made."""

    def __init__(self) -> None:
        self._wall_s, self._cpu_s = time.perf_counter(), time.process_time()

    def wall_s(self) -> float:
        return time.perf_counter() - self._wall_s

    def cpu_s(self) -> float:
        return time.process_time() - self._cpu_s
