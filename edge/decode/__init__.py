"""Decode: RawBlock → readings in canonical units, bad ones too, with a reason.  Pure."""

from edge.decode.checks import counters, cross_check, cross_checked
from edge.decode.forms import Source
from edge.decode.values import (
    Columns,
    auxiliary,
    decode,
    decode_columns,
    encode_slot,
    failed,
    failed_columns,
    raw_number,
    readings_of,
)

__all__ = [
    "Columns",
    "Source",
    "auxiliary",
    "counters",
    "cross_check",
    "cross_checked",
    "decode",
    "decode_columns",
    "encode_slot",
    "failed",
    "failed_columns",
    "raw_number",
    "readings_of",
]
