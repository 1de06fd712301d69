"""What every part of the bench stands on: rows, medians, the folder, and workers of their own.

Whatever is measured runs in a process of its own, so that its processor time (user + system) is
its own too, and sees the bench's profiles beside the shipped ones.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.progress import Progress, TaskID

ROOT = Path(__file__).parents[3]
Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `met` is None where there is no target."""

    figure: str
    value: str
    target: str = ""
    met: bool | None = None


def median_of(results: Iterable[Result], key: str) -> float:
    return statistics.median(float(r[key]) for r in results)


def spread(values: Sequence[float], text: str = "{:.2f}") -> str:
    """Give `median (lowest–highest)`."""
    ordered = sorted(values)
    low, mid, high = ordered[0], statistics.median(ordered), ordered[-1]
    return f"{text.format(mid)} ({text.format(low)}–{text.format(high)})"


def side_by_side(results: Mapping[str, list[Result]], key: str, a: str, b: str) -> list[float]:
    """Give a figure of `a` over that of `b`, for each time they ran one after the other."""
    return [float(x[key]) / float(y[key]) for x, y in zip(results[a], results[b], strict=True)]


@dataclass(slots=True)
class Bench:
    """One run of the bench: its folder, its progress, the rows so far."""

    folder: Path
    progress: Progress
    rows: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        shutil.copytree(ROOT / "device_profiles", self.folder / "device_profiles")

    def environment(self) -> dict[str, str]:
        """Give the environment in which the bench's profiles stand beside the shipped ones."""
        return {**os.environ, "PYTHONPATH": f"{self.folder}:{ROOT}"}

    def start(self, command: Sequence[str], log: str) -> subprocess.Popen[bytes]:
        """Start a process whose output goes to a log in the folder."""
        with (self.folder / log).open("ab") as out:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    def work(self, kind: str, **job: Any) -> Result:
        """Do one job in a worker of its own; give what it measured."""
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.edge.worker", kind, json.dumps(job)],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{kind} {job}: {done.stderr[-3000:]}")
        result: Result = json.loads(done.stdout.splitlines()[-1])
        return result

    def in_turn(
        self, title: str, jobs: Mapping[str, Callable[[], Result]], times: int
    ) -> dict[str, list[Result]]:
        """Run the jobs in turn, `times` times over, so that all meet the same weather."""
        results: dict[str, list[Result]] = {name: [] for name in jobs}
        task: TaskID = self.progress.add_task(title, total=times * len(jobs))
        for _ in range(times):
            for name, job in jobs.items():
                self.progress.update(task, description=f"{title} · {name}")
                results[name].append(job())
                self.progress.advance(task)
        self.progress.update(task, description=title)
        return results

    def tell(self, figure: str, value: str, target: str = "", *, met: bool | None = None) -> None:
        self.rows.append(Row(figure, value, target, met))


def ended(process: subprocess.Popen[bytes], timeout_s: float = 15.0) -> int:
    """Ask a process of ours to stop, and wait; give its exit code (killed if it does not)."""
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
