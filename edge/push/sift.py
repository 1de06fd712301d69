"""Sift: find the lines a server refuses in a body that it refused, in few requests."""

import re
from collections.abc import Callable, Sequence

from contract.errors import DeliveryError

_MOST_NAMED = 30  # lines a server names that are tried one by one
_ROUNDS_NAMED = 3  # a server may name only some at once
_NUMBERED = re.compile(r"\bline (\d+)\b")
_QUOTED = re.compile(r"unable to parse '(.*?)'(?::|$)")
Post = Callable[[Sequence[str], bool], str | None]


class Sift:
    """Delivers the good lines of a refused body and finds the poison.

    `post(lines, with_receipt)` gives None when the server keeps lines, else why it refuses.
    Everything below `done` is either kept, or in `refused` (index → reason): also when a
    DeliveryError cut the work off, or when `most` requests were used up.  One poison line among n
    costs at most 1 + log2(n) requests after the first.
    """

    def __init__(self, post: Post, lines: Sequence[str], most: int) -> None:
        self._lines, self._send, self._left = lines, post, most
        self.refused: dict[int, str] = {}
        self.done = 0
        self.is_receipted = False
        self._is_heard = False  # whether the server has kept anything at all

    def run(self, why: str) -> None:
        """Work through the lines, which the server refused all together for a reason.

        DeliveryError when it cannot go on, or when the server refuses whatever it is sent.
        """
        if not self._try_named(why):
            self._bisect(why)
        if not self.is_receipted:
            self._post([], receipt=True)
        if not self._is_heard:
            self._give_up()

    def _try_named(self, why: str) -> bool:
        """Believe a server that names the lines, but check each; say whether that was all."""
        named = set[int]()
        for _ in range(_ROUNDS_NAMED):
            others = [i for i in range(len(self._lines)) if i not in named]
            more = {others[n] for n in self._named(why, [self._lines[i] for i in others])}
            if not more or len(named | more) > _MOST_NAMED:
                return False
            named |= more
            good = [line for i, line in enumerate(self._lines) if i not in named]
            found = self._post(good, receipt=True) if good else None
            if found is None:
                break
            why = found
        else:
            return False
        found_of = {i: self._post([self._lines[i]], receipt=False) for i in sorted(named)}
        refused = {i: said for i, said in found_of.items() if said is not None}
        if refused:
            self._prove_heard()
        self.refused, self.done = refused, len(self._lines)
        return True

    @staticmethod
    def _named(why: str, sent: Sequence[str]) -> set[int]:
        numbers = {int(n) - 1 for n in _NUMBERED.findall(why)}
        quoted = set(_QUOTED.findall(why))
        named = {i for i, line in enumerate(sent) if line in quoted} if quoted else set()
        return named | {n for n in numbers if 0 <= n < len(sent)}

    def _bisect(self, why: str) -> None:
        """Halve what is refused until one line is left; then try all that follows it."""
        start, end = 0, len(self._lines)  # refused together
        while True:
            start, why = self._poison_in(start, end, why)
            if len(self.refused) == 1:
                self._prove_heard()
            self.refused[start] = why
            self.done = start = start + 1
            group = self._first_group(start)
            while start < len(self._lines):
                end = min(start + group, len(self._lines))
                found = self._post(self._lines[start:end], receipt=end == len(self._lines))
                if found is not None:
                    why = found
                    break
                self.done, start, group = end, end, 2 * group
            else:
                return

    def _first_group(self, start: int) -> int:
        """Give how many lines to try at once after a poison line: all after the first one.

        Where poison is dense, groups as long as the way from one to the next has been.
        """
        if len(self.refused) == 1:
            return len(self._lines)
        return max(1, start // len(self.refused))

    def _poison_in(self, start: int, end: int, why: str) -> tuple[int, str]:
        """Give a line that is refused, and why, once all lines before it are kept."""
        while end - start > 1:
            middle = (start + end) // 2
            found = self._post(self._lines[start:middle], receipt=False)
            if found is None:
                self.done = start = middle
            else:
                end, why = middle, found
        return start, why

    def _prove_heard(self) -> None:
        """See that it is the lines that are refused and not us: a receipt alone must be kept."""
        if not self._is_heard and self._post([], receipt=True) is not None:
            self._give_up()

    def _give_up(self) -> None:
        self.refused, self.done = {}, 0
        raise DeliveryError("everything is refused, whatever it says", permanent=True)

    def _post(self, lines: Sequence[str], *, receipt: bool) -> str | None:
        if self._left <= 0:
            raise DeliveryError("too many lines are refused; going on later", permanent=False)
        self._left -= 1
        said = self._send(lines, receipt)
        if said is None:
            self._is_heard = True
            self.is_receipted = self.is_receipted or receipt
        return said
