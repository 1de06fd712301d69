"""The door of the factbook: its YAML files, strict, every problem at once."""

from datetime import date
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from contract.errors import ConfigError, Problem, problems_from
from server.factbook.book import MINUTES_A_DAY, Factbook, FactRow, Sharp, TariffRow, overlaps
from server.yaml_file import Strict

Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-4]):(00|15|30|45)$")]


class _Factor(Strict):
    id: str
    key: str
    region: str
    valid_from: date
    value: float
    unit: str
    source: Annotated[str, Field(min_length=3)]
    verified: bool


class _Band(Strict):
    band: Literal["valley", "flat", "peak"]
    start: Annotated[Clock, Field(alias="from")]
    end: Annotated[Clock, Field(alias="to")]


class _Sharp(Strict):
    months: tuple[Annotated[int, Field(ge=1, le=12)], ...]
    start: Annotated[Clock, Field(alias="from")]
    end: Annotated[Clock, Field(alias="to")]


class _Tariff(Strict):
    id: str
    tariff: str
    carrier: Literal["electricity", "water"]
    valid_from: date
    valid_to: date
    price_yuan: Decimal
    fixed_yuan: Decimal = Decimal(0)
    ratios: dict[str, Decimal] = Field(default_factory=dict)
    bands: tuple[_Band, ...] = ()
    sharp: tuple[_Sharp, ...] = ()
    source: Annotated[str, Field(min_length=3)]
    verified: bool


class _EndUses(Strict):
    scheme: str
    names: dict[str, str]


def load_factbook(extra: Path | None = None) -> Factbook:
    """Read the shipped rows, then those of a folder of one's own (same file names, optional).

    ConfigError names every problem; rows of one tariff may not overlap in time.
    """
    problems: list[Problem] = []
    factors = _rows("factors.yaml", extra, list[_Factor], problems)
    tariffs = _rows("tariffs.yaml", extra, list[_Tariff], problems)
    names = _rows("end_uses.yaml", None, _EndUses, problems)
    rows = [_tariff(t, problems) for t in tariffs]
    for a, b in overlaps(rows):
        got = f"{a.id} and {b.id} on the same day"
        problems.append(Problem("tariffs.yaml", b.id, "one row a day", got, "end the earlier one"))
    if problems:
        raise ConfigError(problems)
    facts = tuple(FactRow(**f.model_dump()) for f in factors)
    return Factbook(facts, tuple(rows), {k: v for n in names for k, v in n.names.items()})


def _rows(name: str, extra: Path | None, kind: Any, problems: list[Problem]) -> list[Any]:
    out: list[Any] = []
    texts = {name: files("server.factbook").joinpath(name).read_text("utf-8")}
    if extra is not None and (extra / name).is_file():
        texts[str(extra / name)] = (extra / name).read_text("utf-8")
    for file, text in texts.items():
        try:
            found = TypeAdapter(kind).validate_python(yaml.safe_load(text))
        except ValidationError as error:
            problems += problems_from(file, error.errors())
        except yaml.YAMLError as error:
            problems.append(Problem(file, "(whole file)", "YAML", str(error), "mend it"))
        else:
            out += found if isinstance(found, list) else [found]
    return out


def _minute(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def _tariff(t: _Tariff, problems: list[Problem]) -> TariffRow:
    minutes = [""] * (MINUTES_A_DAY if t.bands else 0)
    for band in t.bands:
        for i in range(_minute(band.start), _minute(band.end)):
            if minutes[i]:
                problems.append(
                    Problem("tariffs.yaml", t.id, "each minute in one band", band.start, "mend it")
                )
                break
            minutes[i] = band.band
    if t.bands and not all(minutes):
        problems.append(
            Problem("tariffs.yaml", t.id, "a band for every minute", "a hole", "close it")
        )
    sharp = tuple(Sharp(frozenset(s.months), _minute(s.start), _minute(s.end)) for s in t.sharp)
    return TariffRow(
        t.id, t.tariff, t.valid_from, t.valid_to, t.price_yuan, t.fixed_yuan, t.ratios,
        tuple(minutes), sharp, t.source, t.verified,
    )  # fmt: skip
