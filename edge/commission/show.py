"""Show: findings as tables and lines that fit 80 columns, on a terminal or in a file."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from contract.measurand import MEASURANDS, Kind
from contract.reading import Reading, Reason
from edge.commission.checks import Check
from edge.commission.fit import is_clear
from edge.commission.ports import SerialPort
from edge.commission.scan import Found
from edge.commission.session import Sample
from edge.commission.solve import Candidate
from edge.commission.target import same_place
from edge.messages import say
from edge.profile import DeviceProfile

WIDTH = 80
FITS_SHOWN, REASONS_SHOWN = 2, 3
_MARKS = {True: ("✔", "green"), False: ("✘", "red"), None: ("？", "yellow")}


def _table(columns: str, title: str = "", wrap: str = "") -> Table:
    """Give a plain table; `wrap` names the columns that may be broken, others keep their width."""
    table = Table(
        title=title or None, box=box.SIMPLE_HEAD, padding=0, show_edge=False, title_justify="left"
    )
    for column in columns.split("|"):
        right = column.endswith(">")
        name = column.rstrip(">")
        keep = name not in wrap.split("|")
        table.add_column(name, justify="right" if right else "left", no_wrap=keep)
    return table


def ports_table(ports: Iterable[SerialPort]) -> Table:
    """Give the serial ports found."""
    table = _table(say("ports_columns"), say("ports_title"), wrap=say("ports_columns"))
    for port in ports:
        table.add_row(port.path, f"{port.device}\n{port.title}")
    return table


def found_view(found: Sequence[Found]) -> RenderableType:
    """Give each unit that answered with the profiles that fit it, and why."""
    rows: list[RenderableType] = []
    for one in found:
        unit = say("scan_any_unit") if one.any_unit else str(one.unit)
        rows.append(
            Text(say("scan_unit", place=same_place(one.connection), unit=unit), style="bold")
        )
        rows.append(Text("   " + say("scan_answer", answer=one.answer.shown)))
        if one.best is None:
            rows.append(Text("   " + say("scan_no_profile"), style="yellow"))
        proposed = list(one.fits[:1] if is_clear(one.fits) or not one.best else one.fits)
        for number, fit in enumerate(proposed[:FITS_SHOWN], 1):
            shown = say("scan_fit", number=number, ref=fit.ref, title=fit.title, share=fit.share)
            rows.append(Text("   " + shown, style="green" if number == 1 and one.best else ""))
            for mark, texts in (("✔", fit.reasons), ("✘", fit.against)):
                rows += [Text(f"      {mark} {t}") for t in texts[:REASONS_SHOWN]]
        if one.best and not is_clear(one.fits):
            rows.append(Text("   " + say("scan_unclear"), style="yellow"))
    return Group(*rows)


def probe_view(
    title: str, profile: DeviceProfile, sample: Sample, checks: Sequence[Check]
) -> Group:
    """Give all points of a device, and what physics says about them."""
    table = _table(say("probe_columns"), title, wrap=say("probe_columns").split("|")[4])
    for point in profile.points:
        reading = sample.readings.get(point.measurand)
        if reading is None:
            continue
        m = MEASURANDS[point.measurand]
        words = " ".join(f"{w:04X}" for w in sample.words.get(point.measurand, ()))
        quality, style = _quality(reading)
        table.add_row(
            Text(m.label_zh), Text(m.name, style="dim"), number(reading.value, m.kind),
            Text(m.unit), Text(words or "—", style="dim"), Text(quality, style=style),
        )  # fmt: skip
    return Group(table, *checks_view(checks))


def checks_view(checks: Iterable[Check]) -> list[Text]:
    """Give a line for each check, its mark before it."""
    rows = []
    for check in checks:
        mark, style = _MARKS[check.holds]
        rows.append(Text(f" {mark} {check.text}", style=style))
    return rows


def number(value: float | None, kind: Kind) -> Text:
    """Give a value as a table shows it; a dash for none."""
    if value is None:
        return Text("—")
    return Text(f"{value:,.3f}" if kind is Kind.COUNTER else f"{value:,.5g}")


def _quality(reading: Reading) -> tuple[str, str]:
    if reading.reason is Reason.GOOD:
        return say("quality_good"), "green"
    known = {
        Reason.TIMEOUT: "quality_timeout",
        Reason.REFUSED: "quality_refused",
        Reason.ILLEGAL_ADDRESS: "quality_illegal",
        Reason.IMPLAUSIBLE: "quality_implausible",
        Reason.SENTINEL: "quality_sentinel",
    }
    key = known.get(reading.reason)
    text = say(key) if key else reading.reason.name.lower()
    return text, "red" if reading.reason.is_bad else "yellow"


def candidates_table(
    title: str, rows: Sequence[tuple[Candidate, tuple[str, ...]]], unit: str, limit: int
) -> Table:
    """Give the best ways to read a displayed number."""
    table = _table(say("solve_columns"), title)
    for place, (c, also) in enumerate(rows[:limit], 1):
        ratio = "" if c.ratio == "1" else f" ×{c.ratio}"
        at = f"0x{c.address:04X} {c.address}"
        table.add_row(
            str(place), str(c.function), at, c.type, c.order, f"×{c.scale}{ratio}",
            f"{c.value:.6g} {unit}", " ".join(also),
        )  # fmt: skip
    return table
