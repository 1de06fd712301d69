"""What a virtual meter computes: a sum of meters with shares and constant loads.

`E01 + E02 - 0.35 * E03 - 1.2 kW`: meters by id, numbers and percentages as shares, constant loads
with their unit.  The text is read by this grammar and by nothing else; no part of it is run.

    sum     := product (("+" | "-") product)*
    product := value (("*" | "/") value)*
    value   := "-" value | "(" sum ")" | number ["%" | "kW" | "m3/h"] | meter id
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

_TOKEN = re.compile(r"\s*(?:(m3/h|m³/h|kW(?![\w.-]))|([A-Za-z0-9][\w.-]*)|([-+*/()%])|(\S))")
_NUMBER = re.compile(r"^(\d+(\.\d+)?|\.\d+)$")
MAX_LENGTH = 2000
MAX_DEPTH = 20


class ExpressionError(Exception):
    """An expression outside the grammar; the text says what was expected and what was found."""


@dataclass(frozen=True, slots=True)
class Linear:
    """Σ share × meter + a constant load in kW (or m³/h)."""

    shares: tuple[tuple[str, Fraction], ...]
    load: Fraction = Fraction(0)

    @property
    def meters(self) -> tuple[str, ...]:
        """Give the meters it is made of."""
        return tuple(m for m, _ in self.shares)


@dataclass(frozen=True, slots=True)
class _Amount:
    """What a part of the text comes to: meters, constant load, or a plain number."""

    shares: Mapping[str, Fraction]
    load: Fraction
    number: Fraction | None

    def times(self, by: Fraction) -> "_Amount":
        number = None if self.number is None else self.number * by
        return _Amount({m: s * by for m, s in self.shares.items()}, self.load * by, number)


def parse(text: str) -> Linear:
    """Read an expression; ExpressionError names the place and what was expected there."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"expected at most {MAX_LENGTH} characters, got {len(text)}")
    reader = _Reader(_tokens(text))
    amount = reader.sum(0)
    if reader.ahead is not None:
        raise ExpressionError(f"expected + - * / or the end, got {reader.ahead!r}")
    if amount.number is not None:
        raise ExpressionError("expected a meter or a load with its unit, got only a number")
    shares = tuple((m, s) for m, s in amount.shares.items() if s)
    return Linear(shares, amount.load)


def _tokens(text: str) -> list[str]:
    out, at = [], 0
    text = text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None or found[4]:
            raise ExpressionError(
                f"expected meters, numbers and + - * / ( ), got {text[at:].strip()[:1]!r}"
            )
        out.append(found[1] or found[2] or found[3])
        at = found.end()
    return out


class _Reader:
    """Reads tokens by the grammar."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def ahead(self) -> str | None:
        """Give the token to be read next."""
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _next(self) -> str | None:
        word = self.ahead
        self._at += 1
        return word

    def _is_ahead(self, word: str) -> bool:
        return self.ahead == word

    def sum(self, depth: int) -> _Amount:
        """Read a sum."""
        if depth > MAX_DEPTH:
            raise ExpressionError(f"expected at most {MAX_DEPTH} brackets inside each other")
        left = self.product(depth)
        while self.ahead in {"+", "-"}:
            sign = Fraction(1 if self._next() == "+" else -1)
            left = _added(left, self.product(depth).times(sign))
        return left

    def product(self, depth: int) -> _Amount:
        """Read a product."""
        left = self.value(depth)
        while self.ahead in {"*", "/"}:
            operator = self._next()
            right = self.value(depth)
            if operator == "/":
                if not right.number:
                    raise ExpressionError("expected a number other than 0 behind /")
                left = left.times(1 / right.number)
            elif right.number is not None:
                left = left.times(right.number)
            elif left.number is not None:
                left = right.times(left.number)
            else:
                raise ExpressionError("expected a number on one side of *, got two meters or loads")
        return left

    def value(self, depth: int) -> _Amount:
        """Read a meter, a number, a load or a bracket."""
        word = self._next()
        if word is None:
            raise ExpressionError("expected a meter, a number or (, got the end")
        if word == "-":
            return self.value(depth).times(Fraction(-1))
        if word == "(":
            inside = self.sum(depth + 1)
            if self._next() != ")":
                raise ExpressionError("expected ) to close the bracket")
            return inside
        if _NUMBER.match(word):
            return self._number(Fraction(word))
        if not re.match(r"^[A-Za-z0-9]", word):
            raise ExpressionError(f"expected a meter, a number or (, got {word!r}")
        if self._is_ahead("("):
            raise ExpressionError(f"expected a meter, got the function call {word}(; none exist")
        return _Amount({word: Fraction(1)}, Fraction(0), None)

    def _number(self, value: Fraction) -> _Amount:
        if self._is_ahead("%"):
            self._next()
            return _Amount({}, Fraction(0), value / 100)
        if self.ahead in {"kW", "m3/h", "m³/h"}:
            self._next()
            return _Amount({}, value, None)
        return _Amount({}, Fraction(0), value)


def _added(left: _Amount, right: _Amount) -> _Amount:
    if (left.number is None) != (right.number is None):
        raise ExpressionError("expected a load with its unit (kW or m3/h), got a plain number")
    shares = dict(left.shares)
    for meter, share in right.shares.items():
        shares[meter] = shares.get(meter, Fraction(0)) + share
    number = None
    if left.number is not None and right.number is not None:
        number = left.number + right.number
    return _Amount(shares, left.load + right.load, number)
