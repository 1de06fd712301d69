"""docs/consumption.md says what the command computes: its tables are looked up here."""

import csv
import re
from pathlib import Path

import pytest

from server.cli import main

DOCS = Path(__file__).parents[2] / "docs"
WEEK = DOCS / "example-week"


def computed(capfd: pytest.CaptureFixture[str], step: str) -> dict[str, dict[str, str]]:
    assert main([
        "consumption", str(WEEK / "readings.csv"), "--events", str(WEEK / "events.csv"),
        "--rollover", "100000", "--max-power", "20", "--interval", step,
    ]) == 0  # fmt: skip
    return {row["start"]: row for row in csv.DictReader(capfd.readouterr().out.splitlines())}


def test_the_tables_of_the_document_are_what_is_computed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    text = (DOCS / "consumption.md").read_text("utf-8")
    hours, days = computed(capfd, "1h"), computed(capfd, "1d")
    cells = re.findall(
        r"^\| (2026-03-\d\d)(?: (\d\d:00))? \| ([\d.]+) \| ([\d.]+) % \| (\w+) \|",
        text,
        re.MULTILINE,
    )
    assert len(cells) > 30
    for day, clock, value, coverage, grade in cells:
        row = (hours if clock else days)[f"{day}T{clock or '00:00'}:00+08:00"]
        assert float(row["value"]) == float(value), (day, clock)
        assert round(float(row["coverage"]) * 100, 1) == float(coverage), (day, clock)
        assert row["grade"] == grade, (day, clock)


def test_the_readings_that_the_prose_names_are_those_of_the_file() -> None:
    text = (DOCS / "consumption.md").read_text("utf-8")
    with (WEEK / "readings.csv").open(encoding="utf-8") as file:
        shown = {row["time"][5:]: float(row["A"]) for row in csv.DictReader(file)}
    named = re.findall(r"(Mon|Tues|Wednes|Thurs|Satur|Sun)day (\d\d:\d\d) shows ([\d,.]*\d)", text)
    assert len(named) >= 3
    days = ("Mon", "Tues", "Wednes", "Thurs", "Fri", "Satur", "Sun")
    for day, clock, value in named:
        at = f"03-{2 + days.index(day):02d} {clock}"
        assert shown[at] == float(value.replace(",", "")), at


def test_the_week_adds_up(capfd: pytest.CaptureFixture[str]) -> None:
    total = sum(float(r["value"]) for r in computed(capfd, "1h").values())
    assert round(total, 6) == 5 * 162 + 2 * 96
