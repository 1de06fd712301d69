"""The slaves, compiled when they are needed, and the counts they keep."""

import mmap
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tests.bench.edge.bench import ended

SOURCES = Path(__file__).parents[1]
_STATS = struct.Struct("=8Q")


@dataclass(frozen=True, slots=True)
class Counts:
    """What a slave has seen since it started.

    early:   requests that began less than t3.5 after the last answer's end (RTU)
    broken:  frames with a wrong CRC or length
    dead:    requests to the unit that does not answer
    """

    requests: int
    answered: int
    registers: int
    early: int
    broken: int
    dead: int
    first_ns: int
    last_ns: int


class Slave:
    """A running slave; `address` is its pty's path or its port."""

    def __init__(
        self, folder: Path, program: str, setting: float, image: Path, dead: int = 0
    ) -> None:
        binary = folder / program
        if not binary.exists():
            source = SOURCES / f"{program}.c"
            command = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(binary), str(source)]
            subprocess.run(command, check=True)
        number = len(list(folder.glob(f"{program}.*.stats")))
        stats = folder / f"{program}.{number}.stats"
        stats.write_bytes(bytes(_STATS.size))
        with stats.open("rb") as file:
            self._stats = mmap.mmap(file.fileno(), _STATS.size, access=mmap.ACCESS_READ)
        command = [str(binary), f"{setting:.0f}", str(image), str(stats)]
        command += [str(dead)] if dead else []
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().decode().strip()

    @property
    def port(self) -> int:
        return int(self.address)

    def counts(self) -> Counts:
        return Counts(*_STATS.unpack(self._stats[:]))

    def stop(self) -> None:
        """Stop answering; the counts stay."""
        ended(self._process)

    def __enter__(self) -> "Slave":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._stats.close()


def rtu_slave(folder: Path, baud: int, image: Path, dead: int = 0) -> Slave:
    """Start a slave on a pty with a line's wire time."""
    return Slave(folder, "rtu_slave", baud, image, dead)


def tcp_slave(folder: Path, delay_s: float, image: Path, dead: int = 0) -> Slave:
    """Start a Modbus TCP slave that answers after `delay_s`."""
    return Slave(folder, "tcp_slave", delay_s * 1e6, image, dead)
