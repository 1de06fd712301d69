"""The disk that a power cut leaves behind, made from a log of what a process wrote and synced.

Whatever was synced is there.  Of what was written since, each sector is kept or not, by chance and
in any order; a file never synced may be missing.
"""

import os
import random
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

SECTOR = 512
_HEAD = struct.Struct("<IIQQQ")
HERE = Path(__file__).parent


class Op(IntEnum):
    CREATE = 1
    WRITE = 2
    TRUNCATE = 3
    SYNC = 4
    UNLINK = 5
    RENAME = 6


@dataclass(frozen=True)
class Step:
    op: Op
    name: str
    offset: int
    data: bytes
    ns: int


@dataclass
class _File:
    durable: bytearray = field(default_factory=bytearray)
    later: list[Step] = field(default_factory=list)  # not synced yet
    is_synced: bool = False

    def present(self) -> bytearray:
        content = bytearray(self.durable)
        for step in self.later:
            _apply(content, step)
        return content


def build_shim(folder: Path) -> Path:
    """Compile the shim."""
    shim = folder / "shim.so"
    command = ["gcc", "-O1", "-shared", "-fPIC", "-pthread", "-o", str(shim), str(HERE / "shim.c")]
    subprocess.run([*command, "-ldl"], check=True)
    return shim


def environment(shim: Path, files: Path, log: Path | None, control: Path | None) -> dict[str, str]:
    """Give the environment of a process whose `files` (a path's beginning) are watched."""
    more = {"LD_PRELOAD": str(shim), "CUTS_FILES": str(files)}
    more |= {"CUTS_LOG": str(log)} if log else {}
    return os.environ | more | ({"CUTS_CONTROL": str(control)} if control else {})


def read_log(path: Path) -> list[Step]:
    """Give what was done, in order."""
    raw, at, steps = path.read_bytes(), 0, []
    while at < len(raw):
        op, path_bytes, offset, size, ns = _HEAD.unpack_from(raw, at)
        at += _HEAD.size
        name = Path(raw[at : at + path_bytes].decode()).name
        at += path_bytes
        data = raw[at : at + size] if op in {Op.WRITE, Op.RENAME} else b""
        at += len(data)
        steps.append(Step(Op(op), name, offset, data, ns))
    return steps


def cut(steps: Sequence[Step], rng: random.Random, folder: Path) -> None:
    """Write the files that a cut after some steps leaves behind."""
    files: dict[str, _File] = {}
    for step in steps:
        if step.op is Op.UNLINK:
            files.pop(step.name, None)
        elif step.op is Op.RENAME:
            files[Path(step.data.decode()).name] = files.pop(step.name)
        elif step.op is Op.SYNC:
            file = files.setdefault(step.name, _File())
            file.durable, file.later, file.is_synced = file.present(), [], True
        else:
            files.setdefault(step.name, _File()).later.append(step)
    for name, file in files.items():
        if name.endswith("-shm") or (not file.is_synced and rng.random() < 0.3):
            continue
        content = bytearray(file.durable)
        mood = rng.random()  # all of it, nothing of it, or some
        for step in file.later:
            _kept(content, step, rng, 1.0 if mood < 0.15 else 0.0 if mood < 0.3 else rng.random())
        (folder / name).write_bytes(content)


def _kept(content: bytearray, step: Step, rng: random.Random, share: float) -> None:
    if step.op is Op.TRUNCATE:
        if rng.random() < share:
            _apply(content, step)
        return
    at = 0
    while at < len(step.data):
        size = min(SECTOR - (step.offset + at) % SECTOR, len(step.data) - at)
        if rng.random() < share:
            sector = step.data[at : at + size]
            _apply(content, Step(Op.WRITE, step.name, step.offset + at, sector, step.ns))
        at += size


def _apply(content: bytearray, step: Step) -> None:
    if step.op is Op.WRITE:
        content.extend(bytes(max(0, step.offset - len(content))))
        content[step.offset : step.offset + len(step.data)] = step.data
    elif step.op is Op.TRUNCATE:
        del content[step.offset :]
        content.extend(bytes(step.offset - len(content)))
