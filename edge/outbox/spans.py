"""Sets of whole numbers that are mostly runs."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from edge.outbox.parcel import Span


class Spans:
    """A set of whole numbers kept as spans that neither overlap nor touch, in order."""

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self._spans: list[Span] = []
        for span in spans:
            self.add(span)

    def __iter__(self) -> Iterator[Span]:
        return iter(tuple(self._spans))

    def __len__(self) -> int:
        """Give how many spans there are."""
        return len(self._spans)

    def __contains__(self, number: int) -> bool:
        i = bisect_right(self._spans, number, key=_first) - 1
        return i >= 0 and number <= self._spans[i][1]

    def add(self, span: Span) -> None:
        """Put all numbers of a span in."""
        first, last = span
        low = bisect_left(self._spans, first - 1, key=_last)
        high = bisect_right(self._spans, last + 1, key=_first)
        if low < high:
            first = min(first, self._spans[low][0])
            last = max(last, self._spans[high - 1][1])
        self._spans[low:high] = [(first, last)]

    def without(self, other: "Spans") -> "Spans":
        """Give the numbers of this set that are not in the other."""
        return Spans(gap for first, last in self for gap in other.gaps(first, last))

    def both(self, other: "Spans") -> "Spans":
        """Give the numbers that are in both sets."""
        return self.without(self.without(other))

    def gaps(self, first: int, last: int) -> Iterator[Span]:
        """Give the spans of numbers from `first` to `last` that are not in the set, in order."""
        for low, high in self._spans[bisect_left(self._spans, first, key=_last) :]:
            if low > last:
                break
            if first < low:
                yield first, low - 1
            first = high + 1
        if first <= last:
            yield first, last


def _first(span: Span) -> int:
    return span[0]


def _last(span: Span) -> int:
    return span[1]
