"""Meters with known truth, and what happens to their readings on the way.

The truth is a whole number of counter steps at every minute.  Each fault changes what the register
shows or what arrives, never the truth.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from server.periods import HOUR_MS, MINUTE_MS
from server.rollup.ticks import PER_UNIT
from server.rollup.track import FOREVER_MS, Counting
from server.series import Series
from server.site.model import Replacement

MINUTES = 3 * 24 * 60
T0 = 1_772_380_800_000  # 2026-03-02 00:00 at the site
SAFE = 60  # readings at both ends that no fault touches


@dataclass
class Case:
    """truth: (MINUTES + 1,) ticks; shown: the register in counter steps; present: what arrives."""

    rng: np.random.Generator
    step_ticks: int
    every: int  # minutes between readings
    truth: np.ndarray
    shown: np.ndarray
    times: np.ndarray
    how: Counting
    loses: bool = False  # not even a person could know the exact use
    needs_ms: int | None = None  # the reading without which the use is only estimated
    hidden_ms: int = 0  # how long a register stood still: too short, and it is like a pause
    exchanged: int = 0  # index of the last reading of the old meter
    top_factor: int = 1
    dip: int = 0  # ticks by which readings of the register itself are wrong
    moves: bool = False  # readings carry wrong times: only the total can be exact
    extra: list[tuple[int, float]] = field(default_factory=list)
    present: np.ndarray = field(default_factory=lambda: np.empty(0, bool))

    @property
    def n(self) -> int:
        """Give the number of readings taken."""
        return len(self.times)

    def somewhere(self, length: int = 0) -> int:
        """Give an index for a fault of some readings' length."""
        return int(self.rng.integers(SAFE, self.n - SAFE - length))

    def series(self) -> Series:
        """Give what the store holds: one value a time, the last written."""
        unit = self.step_ticks / PER_UNIT
        kept = {
            int(t): float(c) * unit
            for t, c, here in zip(self.times, self.shown, self.present, strict=True)
            if here
        }
        kept.update((t, c * unit) for t, c in self.extra)
        times = sorted(kept)
        return Series(np.array(times, np.int64), np.array([kept[t] for t in times]))


def make(seed: int) -> Case:
    """Give a healthy meter."""
    rng = np.random.default_rng(seed)
    step_ticks = int(rng.choice([1_000, 10_000, 100_000]))
    every = int(rng.choice([1, 5, 15]))
    minute = np.arange(MINUTES)
    shape = 0.4 + np.clip(np.sin((minute % 1440 - 480) / 720 * np.pi), 0, 1)
    kw = float(rng.uniform(0.5, 60)) * shape * rng.uniform(0.7, 1.3, MINUTES)
    steps = np.floor(np.concatenate([[0], np.cumsum(kw / 60)]) * PER_UNIT / step_ticks)
    truth = steps.astype(np.int64)
    at = np.arange(0, MINUTES + 1, every)
    first = int(rng.integers(1_000_000_000 // step_ticks, 9_000_000_000 // step_ticks))
    shown = truth[at] + first
    times = T0 + at * MINUTE_MS
    # three times the highest load: what an engineer would declare
    how = Counting(max_power=float(kw.max()) * 3, slack=step_ticks / PER_UNIT * 2)
    how = replace(how, max_spacing_ms=max(20, 2 * every) * MINUTE_MS)
    case = Case(rng, step_ticks, every, truth * step_ticks, shown, times, how)
    case.present = np.ones(case.n, bool)
    return case


def gap(case: Case) -> None:
    """The agent is away for up to a day."""
    length = int(case.rng.integers(1, max(2, 1440 // case.every)))
    length = min(length, case.n - 2 * SAFE - 2)
    i = case.somewhere(length)
    case.present[i : i + length] = False


def missing_readings(case: Case) -> None:
    """Single readings are missing."""
    lost = case.rng.random(case.n) < 0.03
    lost[:SAFE] = lost[-SAFE:] = False
    case.present &= ~lost


def mixed_spacing(case: Case) -> None:
    """From somewhere on, only every third reading is taken."""
    i = case.somewhere(30)
    sparse = np.arange(case.n) % 3 != 0
    sparse[: i + 1] = sparse[-SAFE:] = False
    case.present &= ~sparse


def rollover(case: Case) -> None:
    """The register reaches its width in the middle."""
    i = case.somewhere()
    width = 10 ** len(str(int(case.shown[-1])))
    case.shown = (case.shown - case.shown[i] + width - 1) % width
    unit = case.step_ticks / PER_UNIT
    case.how = replace(case.how, widths=((FOREVER_MS, width * unit),))


def odd_width(case: Case) -> None:
    """The register is binary: 2³² or 2²⁴ counts."""
    i = case.somewhere()
    width = int(case.rng.choice([2**32, 2**24]))
    case.shown = (case.shown - case.shown[i] + width - int(case.rng.integers(1, 5))) % width
    unit = case.step_ticks / PER_UNIT
    case.how = replace(case.how, widths=((FOREVER_MS, width * unit),))


def replacement(case: Case) -> None:
    """The meter is exchanged between two readings, and the exchange is written down."""
    i = case.somewhere()
    at = int(case.times[i]) + case.every * MINUTE_MS // 2
    closing = int(case.shown[i])
    case.exchanged = i
    opening = int(case.rng.integers(0, 10_000_000))
    case.shown = np.where(np.arange(case.n) > i, case.shown - closing + opening, case.shown)
    unit = case.step_ticks / PER_UNIT
    swap = Replacement(at, closing * unit, opening * unit)
    case.how = replace(case.how, replacements=(swap,))


def ratio_change(case: Case) -> None:
    """The CT is changed at a reading: the register shows secondary values from then on."""
    i = case.somewhere()
    before, after = (int(x) for x in case.rng.choice([1, 2, 5, 10], 2))
    later = case.truth[:: case.every] - case.truth[i * case.every]
    # whole counter steps before and after, so that the truth is one too
    steps = np.where(
        np.arange(case.n) > i,
        later // (case.step_ticks * after),
        later // (case.step_ticks * before),
    )
    case.shown = int(case.shown[i]) + steps
    factor = np.where(np.arange(case.n) > i, after, before)
    truth = steps * factor * case.step_ticks
    case.needs_ms = int(case.times[i])
    case.top_factor = max(before, after)
    case.truth = np.repeat(truth, case.every)[: MINUTES + 1]
    case.how = replace(
        case.how, factors=((FOREVER_MS, float(before)), (int(case.times[i]), float(after))),
        slack=case.how.slack * 10,
    )  # fmt: skip


def garbage(case: Case) -> None:
    """A few readings in a row are nonsense: zeros, all ones, 65,536 times too much."""
    for _ in range(int(case.rng.integers(1, 4))):
        length = int(case.rng.integers(1, 4))
        i = case.somewhere(length)
        kind = int(case.rng.integers(0, 3))
        values = (0, 2**40, int(case.shown[i]) * 65_536)
        case.extra += [
            (int(case.times[j]), values[kind]) for j in range(i, i + length) if case.present[j]
        ]


def frozen(case: Case) -> None:
    """The register's display stands still for hours, then shows the truth again."""
    length = int(case.rng.integers(2, max(3, 600 // case.every)))
    length = min(length, case.n - 2 * SAFE - 2)
    i = case.somewhere(length)
    if case.exchanged and i <= case.exchanged <= i + length:
        return  # a register does not stand still through its own exchange
    case.shown = case.shown.copy()
    case.shown[i : i + length] = case.shown[i]
    case.hidden_ms = length * case.every * MINUTE_MS


def dips(case: Case) -> None:
    """The register falls back by a step or two now and then."""
    case.dip = 3 * case.step_ticks
    for _ in range(int(case.rng.integers(1, 6))):
        i = case.somewhere()
        if case.present[i]:
            case.extra.append(
                (int(case.times[i]), int(case.shown[i]) - int(case.rng.integers(1, 4)))
            )


def skew(case: Case) -> None:
    """The agent's clock is wrong for a while: its readings carry other times."""
    length = int(case.rng.integers(2, max(3, 180 // case.every)))
    i = case.somewhere(length)
    shift = int(case.rng.choice([-1, 1])) * int(case.rng.integers(1, 35)) * MINUTE_MS
    case.moves = True
    for j in range(i, i + length):
        case.present[j] = False
        case.extra.append((int(case.times[j]) + shift, int(case.shown[j])))


def reset(case: Case) -> None:
    """The register begins again at zero, and nobody wrote it down."""
    i = case.somewhere()
    at = int(case.rng.integers(0, case.every)) if case.every > 1 else 0
    then = case.truth[i * case.every + at] // case.step_ticks
    since = case.truth[:: case.every] // case.step_ticks - then
    case.shown = np.where(np.arange(case.n) > i, since, case.shown)
    case.loses = True


def silent_exchange(case: Case) -> None:
    """Another meter, with another standing, and nobody wrote it down."""
    i = case.somewhere()
    other = int(
        case.rng.integers(50_000_000_000 // case.step_ticks, 90_000_000_000 // case.step_ticks)
    )
    other = other if case.rng.random() < 0.5 else int(case.shown[i]) // 2
    case.shown = np.where(np.arange(case.n) > i, case.shown - case.shown[i] + other, case.shown)
    case.loses = True


REGISTER: tuple[Callable[[Case], None], ...] = (
    rollover, odd_width, replacement, ratio_change, reset, silent_exchange,
)  # fmt: skip
DELIVERY: tuple[Callable[[Case], None], ...] = (
    gap, missing_readings, mixed_spacing, garbage, frozen, dips, skew,
)  # fmt: skip


def combined(seed: int) -> tuple[Case, tuple[str, ...]]:
    """Give a meter with up to one fault of its register and up to three on the way."""
    case = make(seed)
    rng = case.rng
    faults: list[Callable[[Case], None]] = []
    if rng.random() < 0.6:
        faults.append(REGISTER[int(rng.integers(0, len(REGISTER)))])
    picked = rng.permutation(len(DELIVERY))[: int(rng.integers(0, 4))]
    faults += [DELIVERY[int(k)] for k in sorted(picked)]
    for fault in faults:
        fault(case)
    return case, tuple(f.__name__ for f in faults)


def alone() -> Iterator[Callable[[Case], None]]:
    """Give each fault."""
    yield from (*REGISTER, *DELIVERY)


def hours(case: Case) -> np.ndarray:
    """Give hour edges from the first to the last reading."""
    return np.arange(T0, T0 + MINUTES * MINUTE_MS + 1, HOUR_MS)
