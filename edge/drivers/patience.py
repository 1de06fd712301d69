"""Patience: how long a unit is waited for, learned from how long it takes.  Pure."""

from dataclasses import dataclass

LEARNED_AFTER = 20  # answers before what was seen counts
WINDOW = 64  # answers after which an old peak is forgotten (within two windows)
MARGIN_S = 0.02
LEAST_S = 0.02  # beyond the answer's own time on the wire, whatever the ceiling says


@dataclass(slots=True)
class _Unit:
    answers: int = 0
    peak_s: float = 0.0
    peak_before_s: float = 0.0
    was_silent: bool = False


class Patience:
    """The timeouts of a link's units: twice the slowest of the newest answers, within bounds.

    The slowest of the last 64 to 128 answers stands for the 99th percentile: constant work, and
    on the safe side of it.  A unit that has just been silent gets the whole ceiling until it
    answers.
    """

    def __init__(self, floor_s: float) -> None:
        self._floor_s = floor_s
        self._units: dict[int, _Unit] = {}

    def wait_s(self, unit: int, ceiling_s: float, wire_s: float = 0.0) -> float:
        """Give the time from the last byte asked to the last byte of the answer.

        ceiling_s: the longest the device may take;  wire_s: what the answer takes on the wire
        """
        most_s = max(ceiling_s, wire_s + LEAST_S)
        seen = self._units.get(unit)
        if seen is None or seen.was_silent or seen.answers < LEARNED_AFTER:
            return most_s
        slowest_s = max(seen.peak_s, seen.peak_before_s)
        return min(most_s, wire_s + max(self._floor_s, 2 * slowest_s + MARGIN_S))

    def heard(self, unit: int, took_s: float) -> None:
        """Take note of an answer; `took_s` without the answer's time on the wire."""
        seen = self._units.get(unit)
        if seen is None:
            seen = self._units[unit] = _Unit()
        seen.was_silent = False
        seen.answers += 1
        if seen.answers % WINDOW == 0:
            seen.peak_before_s, seen.peak_s = seen.peak_s, 0.0
        seen.peak_s = max(seen.peak_s, took_s)

    def silent(self, unit: int) -> None:
        """Take note that nothing came: wait as long as allowed until it answers again."""
        self._units.setdefault(unit, _Unit()).was_silent = True
