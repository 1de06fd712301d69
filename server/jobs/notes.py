"""Change notes: what moved of days that were over, and why; none is lost to a kill.

Rollups and notes lie in two databases.  Notes are announced before the rollups they speak of are
written, and kept after; what was announced and found written, but not kept, is kept later.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import numpy as np

from server.jobs.works import Works
from server.periods import DAY_MS, Interval, Step
from server.rollup.model import Rollup
from server.rollup.ticks import exact_sum
from server.state.books import ChangeNote

_ANNOUNCED, _NONE = "announced_notes", "[]"


def announce(works: Works, notes: Sequence[ChangeNote]) -> None:
    """Say what is about to be written."""
    works.state.books.set_known(_ANNOUNCED, json.dumps([asdict(n) for n in notes]))


def keep_notes(works: Works, notes: list[ChangeNote]) -> None:
    """Keep the notes of a pass whose rollups are written; nothing is announced any more."""
    books = works.state.books
    if notes or books.known(_ANNOUNCED) not in {None, _NONE}:
        books.add_notes(joined(notes), (_ANNOUNCED, _NONE))


def notes_left_over(works: Works) -> list[ChangeNote]:
    """Give the notes of a pass that was cut off, as far as its rollups had been written."""
    text = works.state.books.known(_ANNOUNCED)
    site, store = works.site, works.store
    known = {m.id for m in site.meters}
    out = []
    for row in json.loads(text) if text else []:
        note = ChangeNote(**row)
        if note.meter not in known:
            continue
        span = Interval(note.start_ms, note.end_ms)
        value = store.read_rollups(site, [note.meter], Step.DAY, span)[note.meter].values
        now = None if not len(value) or np.isnan(value[0]) else float(value[0])
        if now == note.after:
            out.append(note)
    return out


def moved(
    works: Works, new: Rollup, old: Rollup, at: np.ndarray, now_ms: int, cause: str
) -> Iterator[ChangeNote]:
    """Note what moved on days that were over and known before."""
    for i in at.tolist():
        is_over = new.edges_ms[i + 1] + DAY_MS <= now_ms
        if is_over and not np.isnan(old.values[i]) and new.values[i] != old.values[i]:
            after = None if np.isnan(new.values[i]) else float(new.values[i])
            start, end = int(new.edges_ms[i]), int(new.edges_ms[i + 1])
            unit = works.site.meter(new.meter).carrier.unit
            yield ChangeNote(
                now_ms, new.meter, start, end, float(old.values[i]), after, unit, cause
            )


def joined(notes: list[ChangeNote]) -> list[ChangeNote]:
    """Join notes of one meter and cause on consecutive days."""
    out: list[ChangeNote] = []
    for n in sorted(notes, key=lambda n: (n.meter, n.start_ms)):
        last = out[-1] if out else None
        if last is not None and (last.meter, last.end_ms, last.cause) == (
            n.meter, n.start_ms, n.cause,
        ):  # fmt: skip
            parts = [x for x in (last.after, n.after) if x is not None]
            out[-1] = ChangeNote(
                n.recorded_ms, n.meter, last.start_ms, n.end_ms,
                exact_sum(np.array([last.before, n.before])),
                exact_sum(np.array(parts)) if parts else None, n.unit, n.cause,
            )  # fmt: skip
        else:
            out.append(n)
    return out
