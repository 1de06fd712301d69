"""Registers a device refuses (holes), and where its blocks had to be cut; kept over restarts.

A refused block is halved until single points are refused.  Those are left out from then on and
tried again once a day.  A block that is refused although all its points are there (it reads over
registers that are not) is cut where it had to be.
"""

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.plan import Hole, ReadBlock, hole_of
from edge.profile import PointSpec

RETRY_MS = 86_400_000
_VERSION = 1


def block_of(points: Sequence[PointSpec], *, even: bool = False) -> ReadBlock:
    """Give the block that reads some points of one function in one request."""
    if points[0].node:
        return ReadBlock(0, 0, len(points), tuple(points))
    step = 2 if even else 1
    start = min(p.address for p in points) // step * step
    end = -(-max(p.end for p in points) // step) * step
    return ReadBlock(points[0].function, start, end - start, tuple(points))


def pieces(
    blocks: Iterable[ReadBlock],
    holes: Collection[Hole],
    cuts: Collection[Hole],
    *,
    even: bool = False,
) -> tuple[list[ReadBlock], list[ReadBlock]]:
    """Give the planned blocks without the holes and cut at the cuts, and the holes' own blocks."""
    whole: list[ReadBlock] = []
    left_out: list[ReadBlock] = []
    for block in blocks:
        runs: list[list[PointSpec]] = [[]]
        for point in block.points:
            place = hole_of(point)
            if place in holes:
                left_out.append(block_of([point], even=even))
                runs.append([])
            elif place in cuts:
                runs.append([point])
            else:
                runs[-1].append(point)
        runs = [run for run in runs if run]
        is_whole = len(runs) == 1 and len(runs[0]) == len(block.points)
        whole += [block] if is_whole else [block_of(run, even=even) for run in runs]
    return whole, left_out


@dataclass(slots=True)
class Refused:
    """What one device refuses: holes, each with when it was last tried (epoch ms), and cuts."""

    holes: dict[Hole, int] = field(default_factory=dict)
    cuts: set[Hole] = field(default_factory=set)

    def to_try(self, hole: Hole, now_ms: int) -> bool:
        """Say whether a hole was last tried a day ago, or a day ahead by a clock that was wrong."""
        return abs(now_ms - self.holes.get(hole, now_ms)) >= RETRY_MS


class HoleBook:
    """The holes of all devices in a small JSON file.  A file that cannot be used is no harm:
    what it held is found again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_changed = False
        self.broken: str | None = None  # why the file could not be used
        self._kept = self._load()
        self._devices: dict[str, tuple[str, str, Refused]] = {}

    def of(self, device: str, profile: str, plan: str) -> Refused:
        """Give what a device is known to refuse; nothing if its profile or plan has changed."""
        try:
            refused = _parse(self._kept.get(device, {}), profile, plan)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            self.broken, refused = repr(error), Refused()
        self._devices[device] = (profile, plan, refused)
        return refused

    def save(self) -> None:
        """Write the file anew, whole or not at all; OSError when that fails."""
        devices = {
            name: {
                "profile": profile,
                "plan": plan,
                "holes": [[*hole, tried_ms] for hole, tried_ms in sorted(r.holes.items(), key=str)],
                "cuts": sorted(([*cut] for cut in r.cuts), key=str),
            }
            for name, (profile, plan, r) in self._devices.items()
            if r.holes or r.cuts
        }
        text = json.dumps({"version": _VERSION, "devices": devices}, ensure_ascii=False, indent=1)
        new = self.path.with_name(f"{self.path.name}.new")
        with new.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)
        self.is_changed = False

    def _load(self) -> Mapping[str, Any]:
        try:
            document = json.loads(self.path.read_text("utf-8"))
            if document["version"] == _VERSION and isinstance(document["devices"], dict):
                return document["devices"]
            self.broken = f"version {document['version']}"
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, KeyError) as error:
            self.broken = repr(error)
        return {}


def _parse(row: Mapping[str, Any], profile: str, plan: str) -> Refused:
    if (row.get("profile"), row.get("plan")) != (profile, plan):
        return Refused()
    holes = {_place(f, place): int(tried_ms) for f, place, tried_ms in row["holes"]}
    return Refused(holes, {_place(f, place) for f, place in row["cuts"]})


def _place(function: Any, place: Any) -> Hole:
    return int(function), place if isinstance(place, str) else int(place)
