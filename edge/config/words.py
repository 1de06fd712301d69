"""How the door speaks: what was expected, in words of the file and not of the checking library."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

_NAMED = "letters, digits, dots, dashes and underscores, at most 64"
_EXPECTED = {
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "too_short": "at least one entry",
    "tuple_type": "a list",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "string_type": "text; fix: put it in quotes",
    "string_too_short": "some text",
    "string_too_long": _NAMED,
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a number",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "path_type": "a path",
    "literal_error": "{expected}",
    "union_tag_invalid": "one of {expected_tags}",
}
_PATTERNS = {
    "^https?": "an address such as http://192.168.1.10:8650",
    "^opc": "an address such as opc.tcp://192.168.1.20:4840",
    "^[A-Z": _NAMED,
}


def worded(error: dict[str, Any]) -> dict[str, Any]:
    """Give a validation error in the file's words, at the place where the file has it."""
    kind, loc, ctx = error["type"], tuple(error["loc"]), error.get("ctx", {})
    if loc[:1] == ("connections",):
        loc = (*loc[:2], *loc[3:])  # the third is the driver's name, which is no key
    out = {**error, "loc": loc}
    if kind in _EXPECTED:
        out["msg"] = _EXPECTED[kind].format(**ctx)
    elif kind == "string_pattern_mismatch":
        out["msg"] = next(t for start, t in _PATTERNS.items() if ctx["pattern"].startswith(start))
    if kind == "union_tag_invalid":
        out |= {"loc": (*loc, "driver"), "input": error["input"]["driver"]}
    elif kind == "union_tag_not_found":
        out |= {"loc": (*loc, "driver"), "type": "missing"}
    return out


def nearest(word: str, known: Iterable[str]) -> str:
    """Give "use <the known word most like it>; ", or nothing where none is like it."""
    near = get_close_matches(word, known, n=1, cutoff=0.7)
    return f"use {near[0]}; " if near else ""
