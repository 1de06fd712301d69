"""Rows of a CSV or Excel file by column name; every bad cell is told, all at once."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from zipfile import BadZipFile
from zoneinfo import ZoneInfo

from openpyxl import Workbook, load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from contract.errors import ConfigError, Problem

SHOWN_PROBLEMS = 50
Cell = str | None


@dataclass(slots=True)
class Table:
    """The rows of one file, and what is wrong with them.

    Columns have one name each in Chinese and in English; either may head a column.
    """

    path: Path
    names: Mapping[str, str]  # English → Chinese
    problems: list[Problem] = field(default_factory=list)

    def rows(self, needed: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
        """Give (row number, cells by English name), without empty ones; ConfigError if unusable."""
        try:
            raw = list(_cells(self.path))
        except (OSError, UnicodeDecodeError, BadZipFile, InvalidFileException, KeyError) as error:
            got = " ".join(str(error).split())[:200]
            self.wrong("(file)", "a readable .csv (UTF-8) or .xlsx file", got, "check the file")
            self.close()
            return []
        if not raw:
            self.wrong("row 1", "a header", "an empty file", "start from the template")
        english = {zh: en for en, zh in self.names.items()} | {en: en for en in self.names}
        header = [english.get((c or "").strip(), "") for c in (raw[0] if raw else [])]
        for given, known in zip(raw[0] if raw else [], header, strict=True):
            if given and not known:
                known_names = "、".join(self.names.values())
                self.wrong(
                    "row 1", f"a column of {known_names}", repr(given), "rename or remove it"
                )
        missing = [n for n in needed if n not in header]
        if missing and raw:
            names = "、".join(f"{self.names[n]} ({n})" for n in missing)
            self.wrong("row 1", f"the columns {names}", "none", "start from the template")
        self.close()
        out = []
        for number, row in enumerate(raw[1:], 2):
            pairs = zip(header, row, strict=False)
            cells = {name: c.strip() for name, c in pairs if name and c and c.strip()}
            if cells:
                out.append((number, cells))
        return out

    def number(self, row: int, column: str, text: str) -> float | None:
        """Give a number that is not negative."""
        try:
            value = float(text.replace(",", "").replace("，", ""))
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value >= 0):
            self.wrong(f"row {row}, {self.names[column]}", "a number >= 0", repr(text), "mend it")
            return None
        return value

    def day(self, row: int, column: str, text: str) -> date | None:
        """Give a day, written 2026-03-02 or 2026/3/2."""
        for form in ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d"):
            try:
                return datetime.strptime(text.split(" ")[0], form).date()  # noqa: DTZ007 - a day only
            except ValueError:
                continue
        self.wrong(
            f"row {row}, {self.names[column]}", "a day such as 2026-03-02", repr(text), "mend it"
        )
        return None

    def moment(self, row: int, column: str, text: str, zone: ZoneInfo) -> int | None:
        """Give an instant in epoch ms; a time without offset is the zone's."""
        try:
            at = datetime.fromisoformat(text.replace("/", "-"))
        except ValueError:
            where = f"row {row}, {self.names[column]}"
            self.wrong(where, "a time such as 2026-03-02 08:00", repr(text), "mend it")
            return None
        at = at if at.tzinfo is not None else at.replace(tzinfo=zone)
        return round(at.timestamp() * 1000)

    def choice(self, row: int, column: str, text: str, words: Mapping[str, str]) -> str | None:
        """Give the meaning of a word, Chinese or English."""
        if text in words.values():
            return text
        if text in words:
            return words[text]
        expected = "、".join(words)
        self.wrong(
            f"row {row}, {self.names[column]}", f"one of {expected}", repr(text), "correct it"
        )
        return None

    def wrong(self, key: str, expected: str, got: str, fix: str) -> None:
        """Take note of a problem."""
        if len(self.problems) < SHOWN_PROBLEMS:
            self.problems.append(Problem(str(self.path), key, expected, got, fix))

    def close(self) -> None:
        """Raise what was found."""
        if self.problems:
            raise ConfigError(self.problems)


def _cells(path: Path) -> Iterator[list[Cell]]:
    if path.suffix.lower() == ".xlsx":
        book = load_workbook(path, read_only=True, data_only=True)
        for row in book.worksheets[0].iter_rows(values_only=True):
            yield [_text(c) for c in row]
        book.close()
        return
    yield from csv.reader(io.StringIO(path.read_text("utf-8-sig")))


def _text(cell: object) -> Cell:
    if cell is None:
        return None
    if isinstance(cell, datetime):
        return cell.isoformat(" ") if (cell.hour, cell.minute) != (0, 0) else f"{cell:%Y-%m-%d}"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)


def write_xlsx(path: Path, title: str, rows: Sequence[Sequence[object]]) -> None:
    """Write rows into a new Excel file, the first one as header."""
    book = Workbook()
    sheet = book.active
    if sheet is None:
        raise ValueError("a new workbook has no sheet")
    sheet.title = title
    for row in rows:
        sheet.append(list(row))
    for column in sheet.columns:
        sheet.column_dimensions[column[0].column_letter].width = 16  # type: ignore[union-attr] # a cell
    sheet.freeze_panes = "A2"
    book.save(path)
