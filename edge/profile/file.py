"""The door of profiles: strict YAML, every error at once, each with key and fix."""

import itertools
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path

import yaml
from pydantic import ValidationError

from contract.errors import ConfigError, Problem, problems_from
from edge.profile import model as m
from edge.profile.schema import ProfileFile, RegisterFile


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
        auxiliary=tuple(a.spec() for a in file.auxiliary),
        sources=tuple(" · ".join(filter(None, s.model_dump().values())) for s in file.sources),
    )


_Finding = tuple[str, str, str, str]  # key, expected, got, fix


def _cross_checks(file: ProfileFile) -> Iterator[_Finding]:
    seen: set[str] = set()
    for i, point in enumerate(file.points):
        if point.measurand in seen:
            yield f"points.{i}.measurand", "each measurand once", point.measurand, "remove one"
        seen.add(point.measurand)
        if file.protocol is m.Protocol.OPCUA:
            if point.node is None:
                yield f"points.{i}.node", "a browse path", "nothing", "add node"
        else:
            yield from _registers_fit(f"points.{i}", point, file)
    for i, extra in enumerate(file.auxiliary):
        yield from _registers_fit(f"auxiliary.{i}", extra, file)
    yield from _names_fit(file)
    if file.protocol is m.Protocol.MODBUS:
        yield from _overlaps(file)
    for i, example in enumerate(file.examples):
        for name in sorted(set(example.readings) - seen):
            yield f"examples.{i}.readings.{name}", "a measurand of a point", name, "correct it"


def _registers_fit(key: str, point: RegisterFile, file: ProfileFile) -> Iterator[_Finding]:
    for name in ("function", "address"):
        if getattr(point, name) is None:
            yield f"{key}.{name}", "a value", "nothing", f"add {name}"
            return
    if point.type is None and point.parts is None:
        yield f"{key}.type", "a value", "nothing", "add type, or parts"
        return
    address = point.address or 0
    words = point.coding().words
    if words > file.limits.max_registers:
        limit = f"<= {file.limits.max_registers} registers"
        yield f"{key}.{'parts' if point.parts else 'type'}", limit, str(words), "see limits"
    if address + words > 0x10000:
        yield f"{key}.address", "a span that ends by 0xFFFF", hex(address), "correct it"
    if file.limits.even and (address % 2 or words % 2):
        yield f"{key}.address", "even address and width", hex(address), "correct it"


def _names_fit(file: ProfileFile) -> Iterator[_Finding]:
    known = [a.name for a in file.auxiliary]
    for name in sorted({n for n in known if known.count(n) > 1}):
        yield "auxiliary", "each name once", name, "rename one"
    named: set[str] = set()
    for i, point in enumerate(file.points):
        for key in ("scale_by", "exponent", "ct", "pt"):
            name = getattr(point, key)
            if name is None:
                continue
            named.add(name)
            if name not in known:
                expected = f"one of auxiliary: {', '.join(known) or 'none given'}"
                yield f"points.{i}.{key}", expected, name, "add it to auxiliary, or correct it"
    for name in sorted(set(known) - named):
        yield "auxiliary", "a name some point is scaled by", name, "remove it"


def _overlaps(file: ProfileFile) -> Iterator[_Finding]:
    owners: dict[tuple[int, int], list[tuple[int, str]]] = {}
    specs = [e.spec() for e in file.points] + [e.spec() for e in file.auxiliary]
    specs = [s for s in specs if s.function and s.words]
    specs.sort(key=lambda s: (s.function, s.address))
    for a, b in itertools.pairwise(specs):
        if a.function == b.function and _encloses(a, b):
            got = f"{b.measurand} inside the registers of {a.measurand}"
            yield "points", "points that do not enclose others", got, "split the parts otherwise"
            return
    for spec in specs:
        for register, bits in _own_bits(spec):
            taken = owners.setdefault((spec.function, register), [])
            for other_bits, other in taken:
                if bits & other_bits:
                    got = f"{spec.measurand} and {other} both at {register:#06x}"
                    yield "points", "points that do not overlap", got, "correct one address"
                    return
            taken.append((bits, spec.measurand))


def _encloses(a: m.PointSpec, b: m.PointSpec) -> bool:
    """Say whether a span swallows its follower: a plan in address order would tear it."""
    return b.end < a.end or (b.address == a.address and b.end != a.end)


def _own_bits(spec: m.PointSpec) -> Iterator[tuple[int, int]]:
    """Give (register, bits) that no other point may use; exponents and signs may be shared."""
    for part in spec.pieces:
        if part.role is not m.Role.ADD:
            continue
        for k in range(part.words):
            bits = 0xFFFF
            if part.type in {"u8", "s8"}:
                bits = 0xFF00 if part.half == "hi" else 0x00FF
            elif part.mask and part.words == 1 and part.order == "ABCD":
                bits = part.mask
            elif part.mask and part.order == "ABCD":
                bits = part.mask >> (16 * (part.words - 1 - k)) & 0xFFFF
            yield spec.address + part.at + k, bits


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
