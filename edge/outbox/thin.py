"""What is left of lines when not all can be kept: by class of measurand, energy and water last."""

from collections.abc import Iterator
from dataclasses import replace
from enum import IntEnum

from contract.line import LAG_FIELD, QUALITY_SUFFIX
from contract.measurand import MEASURANDS, Kind, Medium
from edge.outbox.parcel import Parcel, gzip_lines

HOUR_MS = 3_600_000
_AGENT = (f"{Medium.AGENT},", f"{Medium.AGENT} ")
_DELIVERY = f"{Medium.DELIVERY},"
_QUEUED = " queued_first="
_LASTING = frozenset(m.name for m in MEASURANDS.values() if m.kind is not Kind.GAUGE)
Hours = dict[tuple[str, str], int]  # by (series, measurand): the hour of which one was kept last


class Level(IntEnum):
    """How much has been taken out of a parcel."""

    AGENT = 1  # the agent's own health, and what waited at a time
    GAUGES = 2  # what is not a counter or a state
    HOURLY = 3  # counters and states but the first of an hour


def thinned(parcel: Parcel, level: Level, hours: Hours) -> Parcel | None:
    """Give a parcel with what a level takes out; None when it takes nothing out."""
    before = parcel.lines()
    after = [ln for line in before if (ln := _left(line, level, hours))]
    if after == before:
        return None
    taken = sum(map(readings_in, before)) - sum(map(readings_in, after))
    return replace(parcel, readings=max(parcel.readings - taken, 0), body=gzip_lines(after))


def readings_in(line: str) -> int:
    """Give how many readings a line of ours holds; what the outbox says of itself is none."""
    if line.startswith(_DELIVERY):
        return 0
    return len({name.removesuffix(QUALITY_SUFFIX) for name in _names(line)} - {LAG_FIELD})


def _left(line: str, level: Level, hours: Hours) -> str:
    if line.startswith(_DELIVERY):
        return "" if _QUEUED in line else line  # what waited then is of no use later
    if line.startswith(_AGENT):
        return ""
    if level is Level.AGENT:
        return line
    head, _, time_text = line.rpartition(" ")
    series, _, fields = head.rpartition(" ")
    hour = int(time_text) // HOUR_MS
    kept, found = [], set()
    for field in fields.split(","):
        name = field.partition("=")[0]
        measurand = name.removesuffix(QUALITY_SUFFIX)
        if name == LAG_FIELD:
            kept.append(field)
        elif measurand in _LASTING and (
            level is Level.GAUGES or measurand in found or hours.get((series, measurand)) != hour
        ):
            kept.append(field)
            found.add(measurand)
            if level is Level.HOURLY:
                hours[series, measurand] = hour
    return f"{series} {','.join(kept)} {time_text}" if found else ""


def _names(line: str) -> Iterator[str]:
    fields = line.rpartition(" ")[0].rpartition(" ")[2]
    return (field.partition("=")[0] for field in fields.split(","))
