"""solve: the truth is always among the candidates, and what is learnt later only narrows them."""

import json
import math
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edge.cli import main
from edge.commission.capture import packed
from edge.commission.solve import (
    Candidate,
    Shown,
    Span,
    candidates,
    distinct,
    narrowed,
    parse_shown,
    point_line,
    still_right,
)
from edge.commission.sweep import joined
from edge.decode import raw_number
from edge.profile import load_profile
from edge.profile.model import WORDS_OF_TYPE
from tests.edge.commission.lines import meter, raw_device, swapped, tcp_devices

Told = pytest.CaptureFixture[str]
ONE = {"1": Fraction(1)}
noise = st.lists(st.integers(0, 0xFFFF), min_size=12, max_size=30)


def coded(
    words: list[int], at: int, number: float, kind: str, order: str
) -> tuple[list[int], float]:
    """Put a number into registers; give them and what they really hold."""
    own = packed(number, kind, order)
    words = [*words[:at], *own, *words[at + len(own) :]]
    return words, float(raw_number(own, kind, order))


codings = st.tuples(
    st.sampled_from(sorted(set(WORDS_OF_TYPE) - {"u8", "s8", "f16"})),
    st.sampled_from(["ABCD", "CDAB", "BADC", "DCBA"]),
).filter(lambda c: WORDS_OF_TYPE[c[0]] > 1 or c[1] in {"ABCD", "BADC"})


@given(noise, codings, st.integers(0, 7), st.integers(-3, 3), st.integers(100, 9_999))
def test_the_true_coding_is_always_among_the_candidates(
    words: list[int], coding: tuple[str, str], at: int, exponent: int, number: int
) -> None:
    kind, order = coding
    words, held = coded(words, at, number, kind, order)
    value = held * 10.0**exponent
    shown = Shown(value, 10.0**exponent, "V", "voltage_l1_v")
    found = candidates([Span(3, 100, tuple(words))], shown, ONE)
    truth = (3, 100 + at, kind, order, exponent)
    assert truth in {(c.function, c.address, c.type, c.order, c.exponent) for c in found}
    assert len(distinct(found)) <= len(found)


@given(noise, codings, st.integers(0, 7), st.integers(1000, 9_999), st.integers(1000, 9_999))
@settings(max_examples=60)
def test_a_second_look_only_narrows_and_keeps_the_truth(
    words: list[int], coding: tuple[str, str], at: int, before: int, after: int
) -> None:
    assume(before != after)
    kind, order = coding
    first, _ = coded(words, at, before, kind, order)
    second, _ = coded(words, at, after, kind, order)
    shown = [Shown(n / 10, 0.1, "V", "voltage_l1_v") for n in (before, after)]
    kept = candidates([Span(3, 0, tuple(first))], shown[0], ONE)
    left = still_right(kept, [Span(3, 0, tuple(second))], shown[1], ONE)
    key = {(c.address, c.type, c.order, c.exponent) for c in left}
    assert key <= {(c.address, c.type, c.order, c.exponent) for c in kept}
    assert (at, kind, order, -1) in key


@given(st.lists(st.integers(2000, 2500), min_size=3, max_size=3, unique=True), noise)
def test_three_voltages_at_once_never_lose_their_common_coding(
    volts: list[int], words: list[int]
) -> None:
    row = [*words[:4], *volts, *words[4:]]
    shown = [Shown(v / 10, 0.1, "V", f"voltage_l{i}_v") for i, v in enumerate(volts, 1)]
    lists = [candidates([Span(3, 0, tuple(row))], s, ONE) for s in shown]
    kept = narrowed(lists, shown)
    for i, (before, after) in enumerate(zip(lists, kept, strict=True)):
        assert set(after) <= set(before)
        assert any((c.address, c.type, c.exponent) == (4 + i, "u16", -1) for c in after)


@given(codings, st.floats(-1e6, 1e6))
def test_every_register_coding_is_undone_by_the_decoder(
    coding: tuple[str, str], number: float
) -> None:
    kind, order = coding
    assume(kind[0] in "sf" or number >= 0)
    assume(not kind.endswith("16") or abs(number) < 9_000)
    assume(kind != "bcd32" or number < 9e7)
    back = raw_number(packed(number, kind, order), kind, order)
    assert back == pytest.approx(number if kind[0] == "f" else round(number), rel=1e-6, abs=1e-30)


@pytest.mark.parametrize(("text", "unit", "expected"), [
    ("230.2V", "", (230.2, 0.1, "V", "voltage_l1_v")),
    ("-12.31 kW", "", (-12.31, 0.01, "kW", "power_kw")),
    ("50", "Hz", (50.0, 1.0, "Hz", "frequency_hz")),
    ("voltage_l3_v=229", "", (229.0, 1.0, "V", "voltage_l3_v")),
    ("1234.56度", "", (1234.56, 0.01, "kWh", "energy_import_kwh")),
    ("24.5℃", "", (24.5, 0.1, "degC", "temperature_c")),
])  # fmt: skip
def test_what_a_display_shows_is_read_with_its_resolution(
    text: str, unit: str, expected: tuple[float, float, str, str]
) -> None:
    shown = parse_shown(text, unit)
    assert shown is not None
    assert (shown.value, shown.unit, shown.measurand) == (expected[0], *expected[2:])
    assert shown.digit == pytest.approx(expected[1])


@pytest.mark.parametrize("text", ["", "V", "1e5V", "12..5", "volts=3", "voltage_l1_v=3kW", "٣V"])
def test_what_cannot_be_read_is_refused(text: str) -> None:
    shown = parse_shown(text)
    assert shown is None or math.isfinite(shown.value)
    assert shown is None or text == "٣V"


def test_the_line_for_the_profile_is_a_point_of_a_profile(tmp_path: Path) -> None:
    c = Candidate(3, 0x2006, "f32", "CDAB", -1, 230.2, "CT")
    line = point_line(c, Shown(230.2, 0.1, "V", "voltage_l1_v"))
    head = "{maker: m, model: x, title: t, protocol: modbus, evidence: manual"
    (tmp_path / "x.yaml").write_text(
        f"{head}, sources: [{{document: d}}], points: [{line.removeprefix('- ')}]}}", "utf-8"
    )
    point = load_profile(tmp_path / "x.yaml").point("voltage_l1_v")
    assert (point.address, point.order, float(point.scale), point.basis) == (
        0x2006, "CDAB", 0.1, "secondary",
    )  # fmt: skip


def test_spans_that_touch_are_joined() -> None:
    spans = [Span(3, 2, (3, 4)), Span(4, 0, (9,)), Span(3, 0, (1, 2)), Span(3, 6, (7,))]
    assert joined(spans) == [Span(3, 0, (1, 2, 3, 4)), Span(3, 6, (7,)), Span(4, 0, (9,))]


def solved(told: Told, *args: str, code: int = 0) -> list[dict[str, object]]:
    assert main(["solve", "--json", *args]) == code
    out: list[dict[str, object]] = json.loads(told.readouterr().out)["values"]
    return out


def test_swapped_words_are_found_around_refused_registers(capfd: Told, tmp_path: Path) -> None:
    words = swapped(0x12, 231.25) | swapped(0x16, 229.5) | swapped(0x30, 50.0625)
    device = raw_device(1, words, [(0x10, 0x1A), (0x1D, 0x1E), (0x30, 0x32)])
    state = str(tmp_path / "s.json")
    with tcp_devices(raw=device) as host:
        args = ("--tcp", host, "--unit", "1", "--function", "3", "--from", "0", "--to", "0x40")
        values = ("--value", "231.25V", "--value", "voltage_l2_v=229.5", "--value", "50.06Hz")
        rows = solved(capfd, *args, *values, "--state", state)
    best = [r["candidates"][0] for r in rows if isinstance(r["candidates"], list)]
    assert [(b["address"], b["type"], b["order"], b["exponent"]) for b in best] == [
        (0x12, "f32", "CDAB", 0), (0x16, "f32", "CDAB", 0), (0x30, "f32", "CDAB", 0),
    ]  # fmt: skip


def test_again_reduces_to_the_register_that_followed(capfd: Told, tmp_path: Path) -> None:
    state = str(tmp_path / "s.json")

    def run(volts: float, *more: str) -> list[dict[str, object]]:
        words = swapped(4, volts) | {10: 2305, 11: 2304}
        with tcp_devices(raw=raw_device(1, words, [(0, 20)])) as host:
            line = ("--tcp", host, "--unit", "1", "--function", "3", "--from", "0", "--to", "19")
            return solved(capfd, *line, "--value", f"{volts}V", "--state", state, *more)

    first = run(230.5)
    second = run(228.25, "--again")
    assert first[0]["remaining"] == 3
    assert second[0]["remaining"] == 1
    assert "0x0004" in str(second[0]["candidates"])


def test_the_ratio_of_a_transformer_is_tried(capfd: Told, tmp_path: Path) -> None:
    with tcp_devices({2: meter("chint/dtsu666", 40)}) as host:
        line = ("--tcp", host, "--unit", "2", "--ct-ratio", "200/5", "--address", "0x101E")
        rows = solved(capfd, *line, "--value", "18423.5kWh", "--state", str(tmp_path / "s"))
    found = rows[0]["candidates"]
    assert isinstance(found, list)
    assert (found[0]["address"], found[0]["ratio"]) == (0x101E, "CT")


@pytest.mark.parametrize("args", [
    ["--value", "0.0V"], ["--value", "abc"], ["--value", "230V", "--from", "x"],
    ["--value", "230V", "--from", "10", "--to", "5"], ["--value", "230", "--unit", "999"],
    ["--value", "230V", "--function", "5"], ["--value", "230V", "--ct-ratio", "5/0"],
    ["--value", "230V", "--again", "--state", "/no/such/state.json"],
])  # fmt: skip
def test_wrong_arguments_are_explained(args: list[str], capfd: Told) -> None:
    assert main(["solve", "--tcp", "127.0.0.1:9", *args]) == 2
    assert "fix" in capfd.readouterr().err


def test_a_silent_device_is_not_solved(capfd: Told, tmp_path: Path) -> None:
    from simulators.ports import free_port

    args = ["--tcp", f"127.0.0.1:{free_port()}", "--value", "230V", "--state", str(tmp_path / "s")]
    assert main(["solve", *args]) == 1
    assert "没有应答" in capfd.readouterr().err
