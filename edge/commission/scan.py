"""Scan: which units answer on which line settings, and which profile explains each.  Read-only.

An exception answer is an answer.  A unit id that nobody has is asked too: a gateway's answer for
it is what absence looks like on that line, and a meter that answers it does not look at unit ids.
"""

import asyncio
import re
import termios
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from contract.errors import DeviceError
from contract.reading import Reading, Reason
from edge.commission.fit import Fit, fit, rank, signature
from edge.config import Connection
from edge.decode import Source, auxiliary, decode, failed
from edge.drivers.open import open_driver
from edge.drivers.protocol import Driver
from edge.plan import RawBlock, ReadBlock, plan
from edge.profile import DeviceProfile

NOBODY = 247  # the highest unit id: almost never given to a meter
PROBES = (ReadBlock(3, 0, 2, ()), ReadBlock(4, 0, 2, ()))
LOOKED = frozenset({1, 2, 3})  # exceptions of a device that looked at the request
ABSENT = frozenset({10, 11})  # a gateway's words for "nobody there"
_CODE = re.compile(r"exception (\d+)")
PAUSE_S = 0.06  # what the slowest common meters want between two reads
OpenLine = Callable[[Connection], Driver]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a unit said to a probe: registers, or the code of an exception answer."""

    words: tuple[int, ...] = ()
    exception: int = 0

    @property
    def shown(self) -> str:
        """Give the answer in short."""
        if self.exception:
            return f"异常 exception {self.exception:02d}"
        return " ".join(f"{w:04X}" for w in self.words)


@dataclass(frozen=True, slots=True)
class Found:
    """A unit that answers, and the profiles that may explain it, best first."""

    connection: Connection
    unit: int
    answer: Answer
    any_unit: bool  # it answers to every unit id
    fits: tuple[Fit, ...]

    @property
    def best(self) -> Fit | None:
        """Give the profile that is proposed, if one is."""
        return self.fits[0] if self.fits and self.fits[0].is_proposed else None


@dataclass(slots=True)
class Scan:
    """What a scan has found so far; kept up to date, so that an interrupted scan has a result."""

    found: list[Found] = field(default_factory=list)
    garbled: list[Connection] = field(default_factory=list)
    unopened: list[Connection] = field(default_factory=list)
    tried: list[Connection] = field(default_factory=list)
    on_step: Callable[[int, int, str], None] = lambda _done, _total, _text: None
    _done: int = 0
    _total: int = 0

    async def run(
        self,
        lines: Sequence[Sequence[Connection]],
        units: Sequence[int],
        profiles: Sequence[DeviceProfile],
        *,
        thorough: bool = False,
        open_line: OpenLine = open_driver,
    ) -> None:
        """Try each line's settings in order; the next line once units answered, unless thorough."""
        steps = len(units) + 1
        self._total = sum(len(settings) for settings in lines) * steps
        for settings in lines:
            for i, connection in enumerate(settings):
                answered = await _Setting(
                    self, connection, open_line(connection), profiles, thorough
                ).run(units)
                if answered and not thorough:
                    self._total -= (len(settings) - i - 1) * steps
                    break
        self.step("", 0)

    def step(self, text: str, steps: int = 1, more: int = 0) -> None:
        """Tell how far the scan is; `more`: steps that have only now turned out to be needed."""
        self._done += steps
        self._total += more
        self.on_step(self._done, max(self._total, self._done), text)


@dataclass(slots=True)
class _Setting:
    """One line with one setting of speed and parity."""

    scan: Scan
    connection: Connection
    driver: Driver
    profiles: Sequence[DeviceProfile]
    thorough: bool
    noise: int = 0

    async def run(self, units: Sequence[int]) -> bool:
        self.scan.tried.append(self.connection)
        try:
            return await self._units(units)
        finally:
            if self.noise or self.driver.stats.crc_errors or self.driver.stats.foreign:
                self.scan.garbled.append(self.connection)
            await asyncio.shield(self.driver.close())

    async def _units(self, units: Sequence[int]) -> bool:
        try:
            nobody = await self._ask(NOBODY)
        except (DeviceError, termios.error):  # no such link, or a port that cannot do this parity
            self.scan.unopened.append(self.connection)
            self.scan.step("", len(units) + 1)
            return False
        self.scan.step("")
        any_unit = nobody is not None and (bool(nobody.words) or nobody.exception in LOOKED)
        answered = False
        for i, unit in enumerate(units):
            answer = await self._ask(unit)
            self.scan.step(str(unit))
            if answer is None or (not any_unit and _is_absence(answer, nobody)):
                continue
            answered = True
            heard = Found(self.connection, unit, answer, any_unit, ())
            self.scan.found.append(heard)  # known even if the scan is stopped before it has a name
            self.scan.found[-1] = replace(heard, fits=tuple(await self._identified(unit)))
            if any_unit:
                self.scan.step(str(unit), len(units) - i - 1)
                break
        return answered

    async def _ask(self, unit: int) -> Answer | None:
        """Give a unit's answer, None for silence; DeviceError when the link cannot be opened."""
        for block in PROBES if self.thorough else PROBES[:1]:
            try:
                return Answer((await self.driver.read(unit, block)).words)
            except DeviceError as error:
                code = exception_of(error)
                if code:
                    return Answer(exception=code)
                if error.reason is Reason.REFUSED and not self.driver.stats.latencies_s:
                    raise
                self.noise += error.reason is Reason.PROTOCOL
        return None

    async def _identified(self, unit: int) -> list[Fit]:
        known: dict[tuple[int, int, int], RawBlock | DeviceError] = {}
        fits = []
        for profile in self.profiles:
            self.scan.step(f"{unit} {profile.ref}", more=1)
            blocks = plan(profile.with_auxiliary(signature(profile)), profile.limits)
            answers: list[RawBlock | DeviceError] = []
            for block in blocks:
                if answers and isinstance(answers[0], DeviceError):
                    answers.append(answers[0])  # its first registers are not there: another device
                    continue
                key = (block.function, block.address, block.count)
                if key not in known:
                    known[key] = await self._read(unit, block)
                answers.append(known[key])
            readings = _readings(Source("scan", str(unit)), blocks, answers)
            fits.append(fit(profile, readings))
        return rank(fits)

    async def _read(self, unit: int, block: ReadBlock) -> RawBlock | DeviceError:
        try:
            return await self.driver.read(unit, block, PAUSE_S)
        except DeviceError as error:
            return error


def _readings(
    source: Source, blocks: Sequence[ReadBlock], answers: Sequence[RawBlock | DeviceError]
) -> dict[str, Reading]:
    """Decode a profile's blocks, scaled by the ratio registers among them."""
    pairs = list(zip(blocks, answers, strict=True))
    raws = [RawBlock(b, a.words) for b, a in pairs if isinstance(a, RawBlock)]
    known: dict[str, Fraction] = {}
    for raw in raws:
        known |= auxiliary(raw, source)
    rows = [r for raw in raws for r in decode(raw, source, 0, 0.0, known)]
    rows += [r for b, a in pairs if isinstance(a, DeviceError) for r in failed(b, a, source, 0)]
    return {r.point.measurand: r for r in rows}


def exception_of(error: DeviceError) -> int:
    """Give the code of an exception answer, 0 if the error is none; 4 where it is not told."""
    if error.reason is Reason.ILLEGAL_ADDRESS:
        return 2
    if error.reason is not Reason.DEVICE_EXCEPTION:
        return 0
    match = _CODE.search(error.detail)
    return int(match[1]) if match else 4


def _is_absence(answer: Answer, nobody: Answer | None) -> bool:
    return answer.exception in ABSENT or (answer.exception > 0 and answer == nobody)
