"""compound-server consumption: anyone can check the arithmetic on a file of their own."""

import csv
from pathlib import Path

import pytest

from server.cli import main


def computed(
    capfd: pytest.CaptureFixture[str], *arguments: str
) -> dict[str, list[tuple[str, float | None, float, str]]]:
    assert main(["consumption", *arguments]) == 0
    out: dict[str, list[tuple[str, float | None, float, str]]] = {}
    for row in csv.DictReader(capfd.readouterr().out.splitlines()):
        value = float(row["value"]) if row["value"] else None
        out.setdefault(row["meter"], []).append(
            (row["start"], value, float(row["coverage"]), row["grade"])
        )
    return out


def written(folder: Path, text: str, name: str = "r.csv") -> str:
    (folder / name).write_text(text, "utf-8")
    return str(folder / name)


def test_a_column_a_meter_or_a_row_a_reading_are_the_same(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wide = "time,A,B\n2026-03-02 08:00,10,1\n2026-03-02 09:00,14,1\n2026-03-02 10:00,15,2\n"
    long = (
        "time,meter,value\n2026-03-02 10:00,A,15\n2026-03-02 08:00,A,10\n2026-03-02 09:00,A,14\n"
        "2026-03-02 08:00,B,1\n2026-03-02 09:00,B,1\n2026-03-02T02:00Z,B,2\n"
    )
    first = computed(capfd, written(tmp_path, wide))
    assert first == computed(capfd, written(tmp_path, long))
    assert first["A"] == [
        ("2026-03-02T08:00:00+08:00", 4.0, 1.0, "measured"),
        ("2026-03-02T09:00:00+08:00", 1.0, 1.0, "measured"),
    ]


def test_an_outage_a_garbage_sample_and_a_silent_column_cost_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = ["time,outage,garbage,late"]
    for hour in range(7):
        outage = "" if hour in {2, 3} else str(100 + 60 * hour)
        garbage = "999999" if hour == 3 else str(100 + 60 * hour)
        late = "" if hour < 5 else str(hour)
        lines.append(f"2026-03-02 {hour:02d}:00,{outage},{garbage},{late}")
    found = computed(capfd, written(tmp_path, "\n".join(lines)))
    assert sum(v or 0 for _, v, _, _ in found["outage"]) == 360
    assert [g for _, _, _, g in found["outage"]] == [
        "measured",
        *["estimated"] * 3,
        *["measured"] * 2,
    ]
    assert sum(v or 0 for _, v, _, _ in found["garbage"]) == 360
    assert [v for _, v, _, _ in found["late"]] == [1.0]


def test_an_exchange_and_a_rollover_are_followed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    readings = written(
        tmp_path, "time,A\n2026-03-01,990\n2026-03-02,20\n2026-03-03,7\n2026-03-04,9\n"
    )
    events = "time,meter,closing,opening\n2026-03-02 12:00,A,25,2\n"
    swaps = written(tmp_path, events, "e.csv")
    found = computed(capfd, readings, "--rollover", "1000", "--events", swaps, "--interval", "1d")
    assert [v for _, v, _, _ in found["A"]] == [30, 10, 2]


def test_a_month_is_the_sum_of_its_days_in_local_time(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    readings = written(
        tmp_path, "time,A\n2026-01-31 12:00,10\n2026-02-01,11\n2026-02-28,30\n2026-03-01,33\n"
    )
    options = ("--interval", "1mo", "--max-spacing-min", "50000")
    found = computed(capfd, readings, *options)["A"]
    assert [(start[:10], value) for start, value, _, _ in found] == [
        ("2026-01-01", 1.0), ("2026-02-01", 22.0),
    ]  # fmt: skip
    assert found[0][2] == pytest.approx(0.5 / 31, abs=1e-4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "column time"),
        ("time,A\nyesterday,1\n", "ISO 8601"),
        ("time,A\n2026-03-02,abc\n", "line 2, A"),
        ("time,A\n2026-03-02,-5\n", "a counter reading, 0 to"),
        ("time,A\n2026-03-02,1e300\n", "a counter reading, 0 to"),
        ("time,A\n2026-03-02,nan\n", "a counter reading, 0 to"),
        ("time,A\n0001-01-01,5\n", "a time from 1971 to 2199"),
        ("time,A,A\n2026-03-02,5,6\n", "each column once"),
        ("time,A\n2026-03-02,1,2\n", "as many cells"),
        ("", "an empty file"),
        ("time,A\n", "readings"),
    ],
)
def test_a_wrong_file_is_told_with_line_and_column(
    tmp_path: Path, text: str, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["consumption", written(tmp_path, text)]) == 2
    err = capfd.readouterr().err
    assert said in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--timezone", "Mars/Base"), "IANA time zone"),
        (("--rollover", "-5"), "a number > 0"),
        (("--max-power", "0"), "a number > 0"),
        (("--max-spacing-min", "nan"), "a number > 0"),
        (("--interval", "2h"), "2h"),
        (("--out", "no/such/folder/x.csv"), "no/such/folder"),
        (("--events", "none.csv"), "none.csv"),
    ],
)
def test_a_wrong_option_is_told(
    tmp_path: Path, options: tuple[str, ...], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    readings = written(tmp_path, "time,A\n2026-03-02 00:00,1\n2026-03-02 01:00,2\n")
    try:
        code = main(["consumption", readings, *options])
    except SystemExit as left:
        code = int(str(left.code))
    assert code == 2
    assert said in capfd.readouterr().err


def test_an_exchange_of_a_meter_that_is_not_in_the_file_is_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    readings = written(tmp_path, "time,A\n2026-03-02,1\n2026-03-03,2\n")
    swaps = written(tmp_path, "time,meter,closing,opening\n2026-03-02 12:00,B,25,2\n", "e.csv")
    assert main(["consumption", readings, "--events", swaps]) == 2
    assert "one of A" in capfd.readouterr().err
