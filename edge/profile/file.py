"""The door of profiles: strict YAML, every error at once, each with key and fix."""

import itertools
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from contract.errors import ConfigError, Problem, problems_from
from contract.measurand import MEASURANDS
from edge.profile import model as m


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PointFile(_Strict):
    """One entry of `points`."""

    measurand: str
    function: Literal[3, 4] | None = None
    address: Annotated[int, Field(ge=0, le=0xFFFF)] | None = None
    type: Literal["u16", "s16", "u32", "s32", "f32", "u64", "s64", "f64"] | None = None
    order: Literal["ABCD", "CDAB", "BADC", "DCBA"] = "ABCD"
    scale: str | float | int = 1
    unit: str
    basis: m.Basis = m.Basis.DIRECT
    node: str | None = None
    pace: m.Pace = m.Pace.NORMAL
    sentinels: tuple[int, ...] = ()

    @field_validator("measurand")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in MEASURANDS:
            raise ValueError("a measurand of the contract; fix: see contract/measurand.py")
        return value

    @model_validator(mode="after")
    def _unit_fits(self) -> Self:
        wanted = MEASURANDS[self.measurand].unit
        if m.UNITS.get(self.unit, ("",))[0] != wanted:
            fits = ", ".join(u for u, (canonical, _) in m.UNITS.items() if canonical == wanted)
            raise ValueError(f"a unit that converts to {wanted}; fix: use one of {fits}")
        return self

    def spec(self) -> m.PointSpec:
        """Give the checked point."""
        return m.PointSpec(
            measurand=self.measurand,
            function=self.function or 0,
            address=self.address or 0,
            type=self.type or "",
            order=self.order,
            scale=Fraction(str(self.scale)),
            unit=self.unit,
            basis=self.basis,
            node=self.node or "",
            pace=self.pace,
            sentinels=self.sentinels,
        )


class SourceFile(_Strict):
    """Where the register facts come from."""

    document: str
    revision: str = ""
    note: str = ""


class LimitsFile(_Strict):
    """What the device stands."""

    max_registers: Annotated[int, Field(ge=1, le=125)] = 125
    max_gap: Annotated[int, Field(ge=0, le=120)] = 0
    pause_ms: Annotated[int, Field(ge=0, le=5000)] = 0
    timeout_ms: Annotated[int, Field(ge=10, le=30_000)] = 1000
    even: bool = False


class SerialFile(_Strict):
    """Factory serial settings."""

    baud: Annotated[int, Field(ge=300, le=921_600)] = 9600
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1


class ExampleFile(_Strict):
    """Words in, readings out."""

    source: str
    function: Literal[3, 4]
    address: Annotated[int, Field(ge=0, le=0xFFFF)]
    words: tuple[Annotated[int, Field(ge=0, le=0xFFFF)], ...]
    readings: dict[str, float | None]


class ProfileFile(_Strict):
    """A device type, as its YAML file says it."""

    maker: str
    model: str
    variant: str = ""
    title: str
    protocol: m.Protocol
    evidence: Literal["manual", "simulated", "bench", "field"]
    sources: Annotated[tuple[SourceFile, ...], Field(min_length=1)]
    serial: SerialFile | None = None
    limits: LimitsFile = LimitsFile()
    points: Annotated[tuple[PointFile, ...], Field(min_length=1)]
    examples: tuple[ExampleFile, ...] = ()


def load_profile(path: Path) -> m.DeviceProfile:
    """Read and check one profile file; ConfigError carries everything wrong with it."""
    return _checked(str(path), path.read_text("utf-8"))


def _checked(name: str, text: str) -> m.DeviceProfile:
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        problem = Problem(name, "(whole file)", "YAML", str(error), "mend the YAML syntax")
        raise ConfigError([problem]) from error
    try:
        file = ProfileFile.model_validate(content)
    except ValidationError as error:
        raise ConfigError(problems_from(name, error.errors())) from error
    problems = [Problem(name, *p) for p in _cross_checks(file)]
    if problems:
        raise ConfigError(problems)
    return _profile(file)


def _profile(file: ProfileFile) -> m.DeviceProfile:
    return m.DeviceProfile(
        ref=f"{file.maker}/{file.model}",
        maker=file.maker,
        model=file.model,
        variant=file.variant,
        title=file.title,
        protocol=file.protocol,
        evidence=file.evidence,
        limits=m.ReadLimits(**file.limits.model_dump()),
        serial=m.SerialLine(**file.serial.model_dump()) if file.serial else None,
        points=tuple(p.spec() for p in file.points),
        examples=tuple(m.Example(**e.model_dump()) for e in file.examples),
        sources=tuple(" · ".join(filter(None, s.model_dump().values())) for s in file.sources),
    )


_Finding = tuple[str, str, str, str]  # key, expected, got, fix


def _cross_checks(file: ProfileFile) -> Iterator[_Finding]:
    seen: set[str] = set()
    for i, point in enumerate(file.points):
        if point.measurand in seen:
            yield f"points.{i}.measurand", "each measurand once", point.measurand, "remove one"
        seen.add(point.measurand)
        yield from _keys_fit(i, point, file)
    if file.protocol is m.Protocol.MODBUS:
        yield from _overlaps(file)
    for i, example in enumerate(file.examples):
        for name in sorted(set(example.readings) - {p.measurand for p in file.points}):
            yield f"examples.{i}.readings.{name}", "a measurand of a point", name, "correct it"


def _keys_fit(i: int, point: PointFile, file: ProfileFile) -> Iterator[_Finding]:
    if file.protocol is m.Protocol.OPCUA:
        if point.node is None:
            yield f"points.{i}.node", "a browse path", "nothing", "add node"
        return
    for key in ("function", "address", "type"):
        if getattr(point, key) is None:
            yield f"points.{i}.{key}", "a value", "nothing", f"add {key}"
            return
    words = m.WORDS_OF_TYPE[point.type or ""]
    if words > file.limits.max_registers:
        yield (
            f"points.{i}.type",
            f"<= {file.limits.max_registers} registers",
            str(words),
            "see limits",
        )
    if words == 1 and point.order in {"CDAB", "DCBA"}:
        yield f"points.{i}.order", "ABCD or BADC for one register", point.order, "drop the order"
    if file.limits.even and ((point.address or 0) % 2 or words % 2):
        yield f"points.{i}.address", "even address and width", hex(point.address or 0), "correct it"


def _overlaps(file: ProfileFile) -> Iterator[_Finding]:
    specs = [p.spec() for p in file.points if p.type and p.function and p.address is not None]
    specs.sort(key=lambda s: (s.function, s.address))
    for a, b in itertools.pairwise(specs):
        if a.function == b.function and b.address < a.end:
            got = f"{b.measurand} at {b.address:#06x} inside {a.measurand}"
            yield "points", "points that do not overlap", got, "correct one address"


@cache
def known_refs() -> tuple[str, ...]:
    """Give the refs of all shipped profiles, sorted."""
    root = files("device_profiles")
    makers = (d for d in root.iterdir() if d.is_dir() and not d.name.startswith("_"))
    refs = (
        f"{d.name}/{f.name[:-5]}" for d in makers for f in d.iterdir() if f.name[-5:] == ".yaml"
    )
    return tuple(sorted(refs))


@cache
def find_profile(ref: str) -> m.DeviceProfile:
    """Give a shipped profile by `<maker>/<model>`; ConfigError if there is none, or it is wrong."""
    if ref not in known_refs():
        fix = f"use one of {', '.join(known_refs())}"
        raise ConfigError([Problem("device_profiles", ref, "a shipped profile", ref, fix)])
    name = f"device_profiles/{ref}.yaml"
    profile = _checked(name, files("device_profiles").joinpath(f"{ref}.yaml").read_text("utf-8"))
    if profile.ref != ref:
        raise ConfigError([Problem(name, "maker/model", ref, profile.ref, "match the file's name")])
    return profile


def all_profiles() -> tuple[m.DeviceProfile, ...]:
    """Give all shipped profiles, sorted by ref; ConfigError with the problems of all of them."""
    problems: list[Problem] = []
    profiles = []
    for ref in known_refs():
        try:
            profiles.append(find_profile(ref))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return tuple(profiles)
