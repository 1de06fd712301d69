"""Names, texts and spans as InfluxQL and line protocol write them."""

from collections.abc import Iterator

import numpy as np

from server.periods import Interval
from server.rollup.model import Rollup
from server.site.model import Site
from server.store.tags import named


def escaped(text: str) -> str:
    """Give a tag of line protocol."""
    return text.replace("\\", "\\\\").replace(" ", "\\ ").replace(",", "\\,").replace("=", "\\=")


def ident(text: str) -> str:
    """Give an identifier of InfluxQL."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def literal(text: str) -> str:
    """Give a string of InfluxQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def during(interval: Interval) -> str:
    """Give the condition of a span."""
    return f"time >= {interval.start_ms}ms AND time < {interval.end_ms}ms"


def rollup_lines(site: Site, r: Rollup) -> Iterator[str]:
    """Give a rollup as line protocol, missing intervals left out."""
    name = named(site, r.meter)
    tags = ",".join(f"{k}={escaped(v)}" for k, v in sorted(name.tags.items()))
    head = f"{name.measurement(r.step)},{tags}"
    known = ~np.isnan(r.values)
    rows = zip(
        r.values[known].tolist(),
        r.coverage[known].tolist(),
        r.grades[known].tolist(),
        r.starts_ms[known].tolist(),
        strict=True,
    )
    for value, coverage, grade, start_ms in rows:
        fields = f"{name.field}={value!r},coverage={coverage!r},grade={float(grade)!r}"
        yield f"{head} {fields} {start_ms}"
