"""A line-protocol body → columns, fast where lines are plain and exact where they are not."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from contract.line import END_OF_TIME_MS, LAG_FIELD, QUALITY_SUFFIX, LineError, parse_line
from contract.measurand import MEASURANDS
from contract.reading import PointId, Reason

_BAD = {int(r) for r in Reason}


@dataclass(slots=True)
class Columns:
    """Values and reasons of a body; parallel lists.  `lines` counts the lines kept."""

    points: list[int] = field(default_factory=list)
    times_ms: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    flag_points: list[int] = field(default_factory=list)
    flag_times_ms: list[int] = field(default_factory=list)
    reasons: list[int] = field(default_factory=list)
    lines: int = 0
    errors: list[str] = field(default_factory=list)

    def marks(self) -> tuple[int, int]:
        """Give the present lengths, to go back to."""
        return len(self.points), len(self.flag_points)

    def back_to(self, marks: tuple[int, int]) -> None:
        """Forget what came after the marks: a line counts whole or not at all."""
        for column in (self.points, self.times_ms, self.values):
            del column[marks[0] :]
        for flags in (self.flag_points, self.flag_times_ms, self.reasons):
            del flags[marks[1] :]


def raw_rows(bodies: Sequence[tuple[int, Columns]]) -> dict[str, np.ndarray]:
    """Give the values of bodies as arrays, each row with its body's seq."""
    return {
        "point": np.array([p for _, c in bodies for p in c.points], np.int32),
        "time_ms": np.array([t for _, c in bodies for t in c.times_ms], np.int64),
        "value": np.array([v for _, c in bodies for v in c.values], np.float64),
        "seq": np.repeat([seq for seq, _ in bodies], [len(c.points) for _, c in bodies]),
    }


def flag_rows(bodies: Sequence[tuple[int, Columns]]) -> dict[str, np.ndarray]:
    """Give the reasons of bodies as arrays."""
    return {
        "point": np.array([p for _, c in bodies for p in c.flag_points], np.int32),
        "time_ms": np.array([t for _, c in bodies for t in c.flag_times_ms], np.int64),
        "reason": np.array([r for _, c in bodies for r in c.reasons], np.int16),
    }


class BodyParser:
    """Parses bodies; remembers every (line head, field) it has seen."""

    def __init__(self, point_number: Callable[[PointId], int]) -> None:
        self._point_number = point_number
        self._known: dict[str, dict[str, tuple[int, bool]]] = {}

    def parse(self, text: str, precision: str = "ms") -> Columns:
        """Give the columns of a body; a bad line is named in `errors` and left out."""
        out = Columns()
        for number, line in enumerate(text.split("\n"), 1):
            if not line or line[0] == "#" or line == "\r":
                continue
            marks = out.marks()
            try:
                if "\\" in line or '"' in line or precision != "ms" or not self._plain(line, out):
                    out.back_to(marks)
                    self._exact(line, number, precision, out)
            except LineError as error:
                out.back_to(marks)
                out.errors.append(str(error))
            else:
                out.lines += 1
        return out

    def _plain(self, line: str, out: Columns) -> bool:
        """Take an ordinary line apart; False when it needs the exact parser."""
        parts = line.split(" ")
        if len(parts) != 3:
            return False
        known = self._known.get(parts[0])
        if known is None:
            return False
        try:
            time_ms = int(parts[2])
            if not 0 <= time_ms < END_OF_TIME_MS:
                return False
            for item in parts[1].split(","):
                name, raw = item.split("=")
                point, is_flag = known[name]
                value = float(raw)
                if is_flag:
                    out.flag_points.append(point)
                    out.flag_times_ms.append(time_ms)
                    out.reasons.append(int(value))
                else:
                    out.points.append(point)
                    out.times_ms.append(time_ms)
                    out.values.append(value)
                if not math.isfinite(value) or (is_flag and value not in _BAD):
                    return False
        except (ValueError, KeyError):
            return False
        return True

    def _heads(self, line: str) -> dict[str, tuple[int, bool]]:
        if "\\" in line:  # never met by the plain path
            return {}
        return self._known.setdefault(line.split(" ", 1)[0], {})

    def _exact(self, line: str, number: int, precision: str, out: Columns) -> None:
        """Take any line apart by the contract; LineError says what is wrong with it."""
        parsed = parse_line(line.rstrip("\r"), number, precision)
        if parsed.time_ms is None:
            raise LineError(number, line, "a time stamp", "none")
        if set(parsed.tags) != {"site", "device"}:
            got = ", ".join(sorted(parsed.tags)) or "no tags"
            raise LineError(number, line, "exactly the tags site and device", got)
        known = self._heads(line)
        site, device = parsed.tags["site"], parsed.tags["device"]
        for name, value in parsed.fields.items():
            measurand, is_flag = _measurand(name, parsed.measurement, number, line)
            point = self._point_number(PointId(site, device, measurand))
            known[name] = (point, is_flag)
            if not is_flag:
                out.points.append(point)
                out.times_ms.append(parsed.time_ms)
                out.values.append(value)
                continue
            if value not in _BAD:
                raise LineError(number, line, f"a reason code in {name}", repr(value))
            out.flag_points.append(point)
            out.flag_times_ms.append(parsed.time_ms)
            out.reasons.append(int(value))


def _measurand(name: str, measurement: str, number: int, line: str) -> tuple[str, bool]:
    if name == LAG_FIELD:
        return name, False
    measurand = name.removesuffix(QUALITY_SUFFIX)
    if measurand not in MEASURANDS or MEASURANDS[measurand].medium != measurement:
        raise LineError(number, line, f"a measurand of {measurement}", repr(name))
    return measurand, measurand != name
