"""How far each destination is: what it has settled, and what it was offered."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from edge.outbox.ledger import Size
from edge.outbox.parcel import PRIMARY, Bounds, Parcel, Span
from edge.outbox.spans import Spans

_LOW_WATER = 0.95


class Positions:
    """What each destination has settled, by position; a copy has bounds of its own."""

    def __init__(
        self, copies: Mapping[str, Bounds], settled: Mapping[str, Sequence[Span]], newest: int
    ) -> None:
        self._copies = dict(copies)
        names = (PRIMARY, *copies)
        there = Spans([(1, newest)] if newest else ())  # positions beyond are given out anew
        self._settled = {n: Spans(settled.get(n, ())).both(there) for n in names}
        self._offered = dict.fromkeys(names, newest + 1)  # parcels below were there before
        self._owed = dict.fromkeys(copies, 0)  # bytes that wait for a copy alone
        stale = set(settled) - set(names) if copies else set(settled)
        self.changed = stale  # whose rows in the ledger are out of date

    @property
    def primary(self) -> Spans:
        """Give what the primary destination has settled."""
        return self._settled[PRIMARY]

    def counted(self, sizes: Callable[[], Iterable[Size]]) -> None:
        """Count anew what waits for copies alone."""
        self._owed = dict.fromkeys(self._copies, 0)
        for position, _, size, _, _ in sizes() if self._copies else ():
            if position in self.primary:
                for name in self._copies:
                    self._owed[name] += size * (position not in self._settled[name])

    def gaps(self, name: str, newest: int) -> Iterator[Span]:
        """Give the spans up to the newest position that a destination has not settled."""
        return self._settled[name].gaps(1, newest)

    def unoffered(self, name: str, newest: int) -> Iterator[Span]:
        """Give the spans up to the newest position that a destination was not offered yet."""
        return self._settled[name].gaps(self._offered[name], newest)

    def offered(self, name: str, last: int) -> None:
        """Take note that parcels up to a position were offered to a destination."""
        self._offered[name] = max(self._offered[name], last + 1)

    def settle(self, name: str, parcel: Parcel) -> bool:
        """Take note that a destination keeps a parcel; say whether that is new."""
        position, size = parcel.position, len(parcel.body)
        if position in self._settled[name]:
            return False
        self._settled[name].add((position, position))
        if self._copies:
            self.changed.add(name)
        if name != PRIMARY:
            self._owed[name] -= size * (position in self.primary)
        else:
            for copy in self._copies:
                self._owed[copy] += size * (position not in self._settled[copy])
        return True

    def everywhere(self) -> Spans:
        """Give what every destination has settled."""
        spans = self._settled[PRIMARY]
        for name in self._copies:
            spans = spans.both(self._settled[name])
        return spans

    def forget(self, gone: Spans) -> None:
        """Leave out positions that are no longer in the ledger."""
        self.changed.clear()
        if len(gone):
            self._settled = {n: spans.without(gone) for n, spans in self._settled.items()}

    def rows(self, gone: Spans) -> dict[str, list[Span]]:
        """Give what has to be written of them, once some positions are gone."""
        if self._copies and len(gone):
            self.changed |= set(self._settled)
        return {n: list(self._settled.get(n, Spans()).without(gone)) for n in self.changed}

    def owing(self) -> list[tuple[str, int]]:
        """Give the copies that something waits for alone, and the first position of it."""
        out = []
        for name in self._copies:
            first = next(iter(self.primary.without(self._settled[name])), None)
            if first is not None:
                out.append((name, first[0]))
        return out

    def give_up(self, name: str, sizes: Iterable[Size], present_ms: int) -> int:
        """Settle for a copy what is over its bounds, oldest first; give the readings it misses."""
        bounds, missed = self._copies[name], 0
        limit = bounds.max_bytes * (_LOW_WATER if self._owed[name] > bounds.max_bytes else 1)
        for position, newest_ms, size, readings, _ in sizes:
            if position not in self.primary or position in self._settled[name]:
                continue
            if self._owed[name] <= limit and newest_ms >= present_ms - bounds.max_age_ms:
                break
            self._settled[name].add((position, position))
            self.changed.add(name)
            self._owed[name] -= size
            missed += readings
        return missed
