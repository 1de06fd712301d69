"""Sift: few requests, and no line lost or wrongly blamed."""

import contextlib
import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import DeliveryError
from edge.push.sift import Sift

POISON = "POISON"


class Store:
    """Refuses a body with a poison line as a whole; `names` is how it words the refusal."""

    def __init__(self, names: bool = False, keeps_rest: bool = False) -> None:
        self.kept: set[str] = set()
        self.posts = self.receipts = 0
        self._names, self._keeps_rest = names, keeps_rest

    def post(self, lines: Sequence[str], with_receipt: bool) -> str | None:
        self.posts += 1
        bad = [i for i, ln in enumerate(lines) if POISON in ln]
        if not bad or self._keeps_rest:
            self.kept |= {ln for ln in lines if POISON not in ln}
            self.receipts += with_receipt
        if not bad:
            return None
        named = "; ".join(f"line {i + 1}: expected a field" for i in bad[:20])
        return f"partial write: {named}" if self._names else "bad request"


def sifted(store: Store, lines: list[str], most: int = 10**6) -> Sift:
    why = store.post(lines, True)
    assert why is not None
    sift = Sift(store.post, lines, most)
    sift.run(why)
    return sift


def body(n: int, *poison: int) -> list[str]:
    return [f"{POISON if i in poison else 'good'} {i}" for i in range(n)]


@pytest.mark.parametrize("at", [0, 1, 2, 1249, 2499, 2500, 3333, 4095, 4096, 4998, 4999])
def test_one_poison_line_of_5000_costs_at_most_15_requests(at: int) -> None:
    store, lines = Store(), body(5000, at)
    sift = sifted(store, lines)
    assert list(sift.refused) == [at]
    assert store.kept == {ln for i, ln in enumerate(lines) if i != at}
    assert store.posts <= 15
    assert sift.is_receipted


@pytest.mark.parametrize("keeps_rest", [True, False])
def test_a_server_that_names_the_lines_is_believed_and_checked(keeps_rest: bool) -> None:
    store, lines = Store(names=True, keeps_rest=keeps_rest), body(5000, 7, 4000)
    sift = sifted(store, lines)
    assert sorted(sift.refused) == [7, 4000]
    assert store.posts == 4  # all, all but the named, each of the named
    assert len(store.kept) == 4998


def test_a_server_that_quotes_the_line_as_influxdb_does_is_believed_too() -> None:
    lines = body(1000, 500)
    sent = []

    def post(some: Sequence[str], receipt: bool) -> str | None:
        sent.append(len(some))
        return f"unable to parse '{lines[500]}': missing fields" if lines[500] in some else None

    sift = Sift(post, lines, 100)
    sift.run(post(lines, True) or "")
    assert list(sift.refused) == [500]
    assert sent == [1000, 999, 1]


def test_a_server_that_names_the_wrong_lines_wrongs_none() -> None:
    store, lines = Store(), body(300, 123)
    sift = Sift(lambda some, receipt: store.post(some, receipt) and "line 5: no", lines, 10**6)
    sift.run("line 5: no")
    assert list(sift.refused) == [123]
    assert len(store.kept) == 299


@given(st.integers(1, 300), st.data())
def test_whatever_is_poison_is_found_and_everything_else_is_kept(
    n: int, data: st.DataObject
) -> None:
    poison = data.draw(st.sets(st.integers(0, n - 1), min_size=1, max_size=n))
    names, rest = data.draw(st.booleans()), data.draw(st.booleans())
    store, lines = Store(names, rest), body(n, *poison)
    sift = sifted(store, lines)
    assert set(sift.refused) == poison
    assert store.kept == {ln for i, ln in enumerate(lines) if i not in poison}
    assert (sift.is_receipted, sift.done) == (True, n)
    assert store.posts <= 5 + len(poison) * (math.log2(n) + 3)


@given(st.integers(2, 200), st.integers(1, 40), st.data())
def test_work_cut_off_says_how_far_it_came(n: int, most: int, data: st.DataObject) -> None:
    poison = data.draw(st.sets(st.integers(0, n - 1), min_size=1, max_size=n))
    store, lines = Store(), body(n, *poison)
    sift = Sift(store.post, lines, most)
    with contextlib.suppress(DeliveryError):
        sift.run("bad")
    done = set(lines[: sift.done])
    assert {ln for ln in done if POISON not in ln} <= store.kept
    assert {i for i in range(sift.done) if i in poison} <= set(sift.refused) <= poison


def test_a_server_that_refuses_everything_blames_no_line() -> None:
    posts = []

    def post(lines: Sequence[str], receipt: bool) -> str | None:
        posts.append(len(lines))
        return "no"

    sift = Sift(post, body(1000), 10**6)
    with pytest.raises(DeliveryError, match="everything is refused") as caught:
        sift.run("no")
    assert caught.value.permanent
    assert (sift.refused, sift.done) == ({}, 0)
    assert len(posts) < 30
