"""Decode: RawBlock → readings in canonical units, bad ones too, with a reason.  Pure."""

from edge.decode.values import Source, decode, failed, raw_number

__all__ = ["Source", "decode", "failed", "raw_number"]
