"""Values: registers → readings in canonical units, bad ones too, with a reason.  Pure."""

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from operator import ge, le

from contract.errors import DeviceError
from contract.line import encode_columns
from contract.reading import Reading, Reason, good_reading
from edge.decode.forms import Form, Number, Source, byte_places, form_of, usable
from edge.plan import RawBlock, ReadBlock
from edge.profile import Part

_NOTHING: Mapping[str, Fraction] = {}


@dataclass(slots=True)
class Columns:
    """A decoded block, column by column; a value with a bad reason in `doubts` does not count."""

    form: Form  # whose points these are
    values: list[float]
    doubts: dict[int, Reason]  # by index; the others are good
    lag_s: float


def decode(
    raw: RawBlock,
    source: Source,
    time_ms: int,
    lag_s: float = 0.0,
    aux: Mapping[str, Fraction] | None = None,
) -> list[Reading]:
    """Give one reading for each point of the block; a value that cannot stand has a reason.

    `aux` holds the last known values of the device's auxiliary points (see `auxiliary`); those in
    the block itself go before them.  A point scaled by one that is not known says RATIO_UNKNOWN.
    """
    return readings_of([decode_columns(raw, source, lag_s, aux)], time_ms)


def readings_of(columns: Iterable[Columns], time_ms: int) -> list[Reading]:
    """Give the readings of some columns of one slot, for whoever wants them one by one."""
    out: list[Reading] = []
    for c in columns:
        ids, values, lag_s = c.form.ids, c.values, c.lag_s
        block = [good_reading(p, time_ms, v, lag_s) for p, v in zip(ids, values, strict=True)]
        for i, reason in c.doubts.items():
            value = None if reason.is_bad else values[i]
            block[i] = Reading(ids[i], time_ms, value, reason, lag_s)
        out += block
    return out


def decode_columns(
    raw: RawBlock, source: Source, lag_s: float = 0.0, aux: Mapping[str, Fraction] | None = None
) -> Columns:
    """Give the block's values without an object for each: what `decode` gives, in columns."""
    form = form_of(raw.block, source)
    numbers, absent = form.numbers(raw)
    known = aux or _NOTHING
    if form.hidden and form.needs:
        known = {**known, **_own(form, numbers, absent)}
    factors = form.factors_with(known) if form.needs or not form.factors else form.factors
    if form.is_plain and not form.takes:
        values = [n + 0.0 for n in numbers[: len(factors)]]  # -0.0 is 0.0
    elif form.takes or form.needs:
        # a part of ten to some power is a fraction until here
        pairs = zip(numbers, factors, strict=False)
        values = [float((n * a + b) / d) for n, (a, b, d) in pairs]
    else:
        values = [(n * a + b) / d for n, (a, b, d) in zip(numbers, factors, strict=False)]
    doubts: dict[int, Reason] = {}
    if absent or not (all(map(le, form.lows, values)) and all(map(ge, form.highs, values))):
        doubts = _judge(form, raw, numbers, values, absent)
    return Columns(form, values, doubts, lag_s)


def auxiliary(raw: RawBlock, source: Source) -> dict[str, Fraction]:
    """Give the values of the block's auxiliary points by name; one not to be used is left out.

    The caller keeps them for each device and hands them to `decode`.
    """
    form = form_of(raw.block, source)
    return _own(form, *form.numbers(raw)) if form.hidden else {}


def failed(
    block: ReadBlock, error: DeviceError, source: Source, time_ms: int, lag_s: float = 0.0
) -> list[Reading]:
    """Give the readings of a block that could not be read: no values, the error's reason."""
    return readings_of([failed_columns(block, error, source, lag_s)], time_ms)


def failed_columns(
    block: ReadBlock, error: DeviceError, source: Source, lag_s: float = 0.0
) -> Columns:
    """Give the same in columns."""
    form = form_of(block, source)
    doubts = dict.fromkeys(range(len(form.ids)), error.reason)
    return Columns(form, [math.nan] * len(doubts), doubts, lag_s)


def encode_slot(columns: Iterable[Columns], time_ms: int) -> list[str]:
    """Give the lines of some columns of one slot: what `contract.line.encode` makes of `decode`."""
    rows = [(c.form.template, c.values, c.doubts, c.lag_s) for c in columns]
    return encode_columns(rows, time_ms)


def raw_number(words: Sequence[int], value_type: str, order: str) -> int | float:
    """Give the number that registers hold; type and order as PointSpec says them."""
    part = Part(0, value_type, order)
    data = struct.pack(f">{len(words)}Hx", *words)
    bytes_ = bytes(data[i] for i in byte_places(part, 0, 2 * len(words)))
    if value_type.startswith("bcd"):
        return int(bytes_.hex()) if bytes_.hex().isdecimal() else math.nan
    if value_type.startswith("f"):
        number: float = struct.unpack({2: ">e", 4: ">f", 8: ">d"}[len(bytes_)], bytes_)[0]
        return number
    whole = int.from_bytes(bytes_, "big", signed=value_type.startswith("s"))
    return whole >> 16 if value_type == "s48" else whole


def _own(form: Form, numbers: Sequence[Number], absent: Mapping[int, None]) -> dict[str, Fraction]:
    first = len(form.points)
    out = {}
    for i, point in enumerate(form.hidden, first):
        value = None if i in absent else usable(point, numbers[i])
        if value is not None:
            out[point.measurand] = value
    return out


def _judge(
    form: Form,
    raw: RawBlock,
    numbers: Sequence[Number],
    values: Sequence[float],
    absent: Mapping[int, None],
) -> dict[int, Reason]:
    """Say exactly why values do not stand; what the device itself says goes first."""
    doubts = {}
    for i, value in enumerate(values):
        if i in absent:
            doubts[i] = Reason.SENTINEL
        elif not form.block.function and raw.values[i] is None:
            doubts[i] = Reason.BAD_STATUS
        elif not math.isfinite(numbers[i]):
            doubts[i] = Reason.NOT_FINITE
        elif math.isnan(form.factors[i][0]):
            doubts[i] = Reason.RATIO_UNKNOWN
        elif not form.lows[i] <= value <= form.highs[i]:
            doubts[i] = Reason.IMPLAUSIBLE
    return doubts
