"""Sheet: the acceptance sheet as one HTML page that prints on A4.  Pure; no outside resources."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from contract.measurand import MEASURANDS
from edge.commission.checks import Check
from edge.commission.judge import Observed, passes
from edge.messages import say

_CSS = """
@page { size: A4; margin: 14mm 14mm 12mm; }
* { box-sizing: border-box; }
body { font: 10.5pt/1.45 "Noto Sans CJK SC", "Source Han Sans SC", "Microsoft YaHei", "PingFang SC",
  SimSun, sans-serif; color: #111; max-width: 182mm; margin: 8mm auto; }
h1 { font-size: 17pt; text-align: center; margin: 0 0 1mm; letter-spacing: .1em; }
h2 { font-size: 11.5pt; margin: 5mm 0 1.5mm; }
.sub { text-align: center; color: #555; margin: 0 0 4mm; font-size: 9pt; }
table { border-collapse: collapse; width: 100%; }
th, td { border: .3mm solid #888; padding: .9mm 2mm; text-align: left; vertical-align: top; }
th { background: #f1f3f5; font-weight: 600; white-space: nowrap; }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.m { text-align: center; width: 15mm; white-space: nowrap; font-weight: 600; }
.en { color: #666; font-size: 8.5pt; }
.verdict { border: .6mm solid; padding: 2.5mm 4mm; margin: 4mm 0; font-size: 14pt;
  font-weight: 700; }
.ok { color: #14532d; } .bad { color: #9f1239; } .unknown { color: #6b5200; }
.verdict ul { font-size: 10.5pt; font-weight: 400; margin: 1mm 0 0; padding-left: 6mm; }
.sign { display: grid; grid-template-columns: repeat(3, 1fr); gap: 8mm; margin: 14mm 0 8mm; }
.sign div { border-top: .3mm solid #111; padding-top: 1mm; font-size: 9.5pt; }
tr, .verdict, .sign { break-inside: avoid; }
.points { font-size: 9pt; } .points td, .points th { padding: .4mm 2mm; }
@media print { body { margin: 0; max-width: none; } * { print-color-adjust: exact; } }
"""
_MARKS = {True: ("ok", "合格"), False: ("bad", "不合格"), None: ("unknown", "未判定")}


@dataclass(frozen=True, slots=True)
class Sheet:
    """What the sheet says above its findings: label and value, in order."""

    title: str
    facts: tuple[tuple[str, str], ...]
    made_at: str


def sheet_html(sheet: Sheet, checks: Sequence[Check], observed: Observed) -> str:
    """Give the page: facts, verdict with reasons, findings, readings, signature lines."""
    body = [
        f"<h1>{escape(say('sheet_title'))}</h1>",
        f'<p class="sub">{escape(say("sheet_title_en"))} · {escape(sheet.made_at)}</p>',
        _facts(sheet.facts),
        _verdict(checks),
        f"<h2>{escape(say('sheet_findings'))}</h2>",
        _findings(checks),
        _signatures(),  # before the readings, so that they stand on the first page
        f"<h2>{escape(say('sheet_readings', samples=len(observed.values)))}</h2>",
        _readings(observed),
    ]
    head = (
        '<!doctype html>\n<html lang="zh-CN"><head><meta charset="utf-8">'
        f"<title>{escape(sheet.title)}</title><style>{_CSS}</style></head><body>\n"
    )
    return head + "\n".join(body) + "\n</body></html>\n"


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    """Two facts a row, so that the head of the sheet stays short."""
    cells = [f"<th>{escape(k)}</th><td>{escape(v) or '&nbsp;'}</td>" for k, v in facts]
    if len(cells) % 2:
        cells.append("<th></th><td></td>")
    rows = (f"<tr>{a}{b}</tr>" for a, b in zip(cells[::2], cells[1::2], strict=True))
    return f"<table>{''.join(rows)}</table>"


def _verdict(checks: Sequence[Check]) -> str:
    good = passes(checks)
    reasons = [c.text for c in checks if c.holds is False]
    listed = "".join(f"<li>{_both(text)}</li>" for text in reasons)
    listed = f"<ul>{listed}</ul>" if listed else ""
    word = say("sheet_passed" if good else "sheet_failed")
    return f'<div class="verdict {"ok" if good else "bad"}">{escape(word)}{listed}</div>'


def _findings(checks: Iterable[Check]) -> str:
    rows = []
    for check in checks:
        kind, mark = _MARKS[check.holds]
        rows.append(f'<tr><td class="m {kind}">{mark}</td><td>{_both(check.text)}</td></tr>')
    return f"<table>{''.join(rows)}</table>"


def _both(text: str) -> str:
    chinese, slash, english = text.partition(" / ")
    return escape(chinese) + (f' <span class="en">{escape(english)}</span>' if slash else "")


def _readings(observed: Observed) -> str:
    names = sorted({n for v in observed.values for n in v}, key=list(MEASURANDS).index)
    head = "".join(f"<th>{escape(h)}</th>" for h in say("sheet_columns").split("|"))
    rows = []
    for name in names:
        seen, m = observed.seen(name), MEASURANDS[name]
        numbers = "".join(f'<td class="n">{v:.6g}</td>' for v in (seen[-1], min(seen), max(seen)))
        label = f'{escape(m.label_zh)} <span class="en">{name}</span>'
        rows.append(f"<tr><td>{label}</td>{numbers}<td>{escape(m.unit)}</td></tr>")
    return f'<table class="points"><tr>{head}</tr>{"".join(rows)}</table>'


def _signatures() -> str:
    lines = "".join(f"<div>{escape(s)}</div>" for s in say("sheet_signatures").split("|"))
    return f'<div class="sign">{lines}</div>'
