"""The processes of one run: server, simulated site, agents.  Each is ours and ended by its pid."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

STOP_TIMEOUT_S = 10.0


class StageError(RuntimeError):
    """A process of the run did not do what it had to; the message says where its log is."""


@dataclass(slots=True)
class Stage:
    """Starts console scripts of this installation and keeps their logs in `directory`/logs."""

    directory: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def log_of(self, name: str) -> Path:
        """Give the log file of a process."""
        return self.directory / "logs" / f"{name}.log"

    def start(self, name: str, script: str, *args: str) -> subprocess.Popen[bytes]:
        """Start `script args` under a name; what it prints is appended to its log."""
        command = [str(Path(sys.executable).parent / script), *args]
        log = self.log_of(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as out:
            process = subprocess.Popen(  # noqa: S603 - our own scripts, no shell
                command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )
        self.processes[name] = process
        return process

    def kill(self, name: str) -> None:
        """End a process as a power cut would: no signal it could catch."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def stop(self, name: str) -> int:
        """Ask a process to stop, and wait; give its exit code (killed if it does not stop)."""
        process = self.processes.pop(name)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            return process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def stop_all(self) -> None:
        """Stop everything, last started first."""
        for name in reversed(list(self.processes)):
            self.stop(name)

    def wait_for(self, name: str, is_ready: Callable[[], bool], timeout_s: float = 30.0) -> None:
        """Wait until a process is ready; StageError when it ends or takes too long."""
        deadline = time.monotonic() + timeout_s
        while True:
            code = self.processes[name].poll()  # first: another server may answer in its place
            if code is None and is_ready():
                return
            if code is not None or time.monotonic() > deadline:
                late = f"not ready in {timeout_s:.0f} s"
                why = late if code is None else f"ended with {code}"
                raise StageError(f"{name} {why}; its log: {self.log_of(name)}\n{self.tail(name)}")
            time.sleep(0.05)

    def tail(self, name: str, lines: int = 15) -> str:
        """Give the last lines of a process's log."""
        log = self.log_of(name)
        if not log.exists():
            return ""
        return "\n".join(log.read_text("utf-8", "replace").splitlines()[-lines:])


@contextmanager
def stage(directory: Path) -> Iterator[Stage]:
    """Give a Stage whose processes are all stopped at the end, whatever happened."""
    it = Stage(directory)
    try:
        yield it
    finally:
        it.stop_all()


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process cost so far: peak and present memory, processor time."""

    peak_rss_mib: float
    rss_mib: float
    cpu_s: float


def footprint(pid: int) -> Footprint:
    """Read a process's footprint from /proc (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
    sizes = {k: v for k, _, v in (line.partition(":") for line in status.splitlines())}
    after_name = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    ticks = int(after_name[11]) + int(after_name[12])
    return Footprint(
        peak_rss_mib=int(sizes["VmHWM"].split()[0]) / 1024,
        rss_mib=int(sizes["VmRSS"].split()[0]) / 1024,
        cpu_s=ticks / os.sysconf("SC_CLK_TCK"),
    )
