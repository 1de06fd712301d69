"""The door of rules: one YAML file a rule, strict, every problem at once."""

from datetime import time
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, ValidationError

from contract.errors import ConfigError, Problem, problems_from
from server.rules.kinds import KINDS
from server.rules.model import Example, Kind, Rule, Selector, Severity
from server.site.model import Carrier, Role
from server.yaml_file import Strict

_MINUTE_MS = 60_000


class _Selector(Strict):
    carrier: Carrier
    end_use: str | None = None
    with_tags: frozenset[str] = frozenset()
    without_tags: frozenset[str] = frozenset()
    buildings: frozenset[str] = frozenset()
    areas: frozenset[str] = frozenset()
    role: Role | None = None
    with_site: bool = False
    needs_sub: bool = False


class _Example(Strict):
    name: str
    start: time = time(12)  # of the first quarter
    values: str  # runs of quarters: "0*8 5.5*6"
    occupancy: str | None = None
    work: str = ""
    workday: str = ""  # default: all are
    # a name that ends in _h* stands for its 24 hours
    learned: dict[str, float] = Field(default_factory=dict)
    more: dict[str, str] = Field(default_factory=dict)
    alerts: tuple[tuple[int, int | None], ...]


class _RuleFile(Strict):
    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    version: Annotated[int, Field(ge=1)]
    kind: Kind
    title: str
    advice: str
    severity: Severity
    selector: _Selector
    parameters: dict[str, float]
    hold_min: Annotated[int, Field(ge=0)]
    resolve_min: Annotated[int, Field(ge=0)]
    examples: Annotated[tuple[_Example, ...], Field(min_length=1)]


def load_rules(folder: Path | None = None) -> tuple[Rule, ...]:
    """Read the rules of a folder (default: the shipped library); ConfigError with all problems."""
    root: Traversable = folder or files("server.rules").joinpath("library")
    rules: dict[str, Rule] = {}
    problems: list[Problem] = []
    for entry in sorted(root.iterdir(), key=lambda f: f.name):
        if not entry.name.endswith(".yaml"):
            continue
        try:
            rule = _rule(entry)
        except ConfigError as error:
            problems += error.problems
            continue
        if rule.id in rules:
            problems.append(Problem(entry.name, "id", "each id once", rule.id, "rename one"))
        rules[rule.id] = rule
    if problems:
        raise ConfigError(problems)
    return tuple(rules.values())


def _rule(entry: Traversable) -> Rule:
    try:
        file = _RuleFile.model_validate(yaml.safe_load(entry.read_text("utf-8")))
    except ValidationError as error:
        raise ConfigError(problems_from(entry.name, error.errors())) from error
    except yaml.YAMLError as error:
        got = " ".join(str(error).split())
        raise ConfigError([Problem(entry.name, "(whole file)", "YAML", got, "mend it")]) from error
    wanted = KINDS[file.kind].parameters
    if set(file.parameters) != wanted:
        got = ", ".join(sorted(file.parameters))
        expected = ", ".join(sorted(wanted))
        raise ConfigError([Problem(entry.name, "parameters", expected, got, "name these")])
    return Rule(
        id=file.id,
        version=file.version,
        kind=file.kind,
        title=file.title,
        advice=file.advice,
        severity=file.severity,
        selector=Selector(**file.selector.model_dump()),
        parameters=file.parameters,
        hold_ms=file.hold_min * _MINUTE_MS,
        resolve_ms=file.resolve_min * _MINUTE_MS,
        examples=tuple(_example(entry.name, e) for e in file.examples),
    )


def _runs(text: str) -> tuple[float, ...]:
    out: list[float] = []
    for part in text.split():
        value, _, times = part.partition("*")
        out += [float("nan") if value == "?" else float(value)] * int(times or 1)
    return tuple(out)


def _example(name: str, e: _Example) -> Example:
    def runs(key: str, text: str) -> tuple[float, ...]:
        try:
            found = _runs(text)
        except ValueError as error:
            raise ConfigError(
                [Problem(name, key, "runs: 0*8 5.5*6 ?*2", text, "mend it")]
            ) from error
        if key != "values" and len(found) != length:
            expected = f"{length} quarters, as values has"
            raise ConfigError([Problem(name, key, expected, str(len(found)), "make them equal")])
        return found

    length = 0
    values = runs("values", e.values)
    length = len(values)
    learned = {
        f"{key[:-1]}{h:02d}" if key.endswith("_h*") else key: value
        for key, value in e.learned.items()
        for h in range(24 if key.endswith("_h*") else 1)
    }
    return Example(
        name=e.name,
        values=values,
        occupancy=None if e.occupancy is None else runs("occupancy", e.occupancy),
        is_work_time=tuple(bool(v) for v in runs("work", e.work or f"0*{length}")),
        is_workday=tuple(bool(v) for v in runs("workday", e.workday or f"1*{length}")),
        minute=e.start.hour * 60 + e.start.minute,
        learned=learned,
        more={key: runs(key, text) for key, text in e.more.items()},
        alerts=e.alerts,
    )
