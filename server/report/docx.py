"""Report → .docx, laid out as GB/T 9704-2012 asks; the only module that knows python-docx.

Official fonts are named, so that an office PC which has them shows them.
"""

from pathlib import Path
from typing import Any

from docx import Document
from docx.enum.table import WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_LINE_SPACING
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Mm, Pt

from server.report.model import Heading, Paragraph, Report, TableBlock

BODY, KAI, HEI, TITLE, SONG = "仿宋_GB2312", "楷体_GB2312", "黑体", "方正小标宋简体", "宋体"
SIZE_2, SIZE_3, SIZE_4, SIZE_5 = Pt(22), Pt(16), Pt(14), Pt(10.5)  # 2号 3号 4号 5号
PITCH = Pt(28.95)
TEXT_WIDTH = Mm(156)
_HEADING_FONTS = {1: HEI, 2: KAI, 3: BODY}


def render_docx(report: Report, path: Path) -> None:
    """Write the report as a Word document."""
    document = Document()
    _page(document)
    for text in report.title.split("\n"):
        _line(document, text, TITLE, SIZE_2, centred=True)
    _line(document, report.subtitle, KAI, SIZE_3, centred=True)
    if not report.is_final:
        _line(document, f"（草稿：尚有{len(report.missing)}处待填）", KAI, SIZE_3, centred=True)
    for block in report.blocks:
        match block:
            case Heading():
                _line(document, block.text, _HEADING_FONTS[block.level], SIZE_3, indent=True)
            case Paragraph():
                _body(document, block)
            case TableBlock():
                _table(document, block)
    document.save(str(path))


def _page(document: Any) -> None:
    section = document.sections[0]
    section.page_width, section.page_height = Mm(210), Mm(297)
    section.top_margin, section.bottom_margin = Mm(37), Mm(35)
    section.left_margin, section.right_margin = Mm(28), Mm(26)
    section.footer_distance = Mm(25)
    footer = section.footer.paragraphs[0]
    footer.alignment = WD_ALIGN_PARAGRAPH.CENTER
    for text in ("— ", None, " —"):
        run = footer.add_run(text or "")
        _font(run, SONG, SIZE_4)
        if text is None:
            _page_number(run)


def _page_number(run: Any) -> None:
    for kind, text in (("begin", ""), ("", "PAGE"), ("end", "")):
        element = OxmlElement("w:fldChar" if kind else "w:instrText")
        if kind:
            element.set(qn("w:fldCharType"), kind)
        else:
            element.text = text
        run._r.append(element)


def _font(run: Any, name: str, size: Any) -> None:
    run.font.name = "Times New Roman"
    run.font.size = size
    run._r.get_or_add_rPr().get_or_add_rFonts().set(qn("w:eastAsia"), name)


def _pitch(paragraph: Any) -> None:
    form = paragraph.paragraph_format
    form.line_spacing_rule, form.line_spacing = WD_LINE_SPACING.EXACTLY, PITCH
    form.space_before = form.space_after = Pt(0)


def _line(
    document: Any,
    text: str,
    font: str,
    size: Any,
    *,
    centred: bool = False,
    indent: bool = False,
) -> None:
    paragraph = document.add_paragraph()
    _pitch(paragraph)
    if centred:
        paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
    if indent:
        paragraph.paragraph_format.first_line_indent = SIZE_3 * 2
    paragraph.paragraph_format.keep_with_next = True  # titles and headings stay with their text
    _font(paragraph.add_run(text), font, size)


def _body(document: Any, block: Paragraph) -> None:
    paragraph = document.add_paragraph()
    _pitch(paragraph)
    paragraph.paragraph_format.first_line_indent = SIZE_3 * 2
    paragraph.alignment = WD_ALIGN_PARAGRAPH.JUSTIFY
    if block.lead:
        lead = paragraph.add_run(block.lead)
        _font(lead, BODY, SIZE_3)
        lead.bold = True
    _font(paragraph.add_run(block.text), BODY, SIZE_3)


def _table(document: Any, block: TableBlock) -> None:
    _line(document, block.title, HEI, SIZE_4, centred=True)
    table = document.add_table(rows=1, cols=len(block.header), style="Table Grid")
    table.alignment = WD_TABLE_ALIGNMENT.CENTER
    table.autofit = False
    _narrow_margins(table)
    widths = block.widths or (1.0,) * len(block.header)
    _row(table.rows[0], block.header, HEI)
    repeat = OxmlElement("w:tblHeader")
    repeat.set(qn("w:val"), "true")
    table.rows[0]._tr.get_or_add_trPr().append(repeat)
    for values in block.rows:
        _row(table.add_row(), values, BODY)
    for column, width in zip(table.columns, widths, strict=True):
        column.width = int(TEXT_WIDTH * width / sum(widths))  # office programs differ in which
        for cell in column.cells:  # of the two they heed
            cell.width = column.width
    paragraph = document.add_paragraph()
    _font(paragraph.add_run(block.note), BODY, SIZE_5)


def _narrow_margins(table: Any) -> None:
    margins = OxmlElement("w:tblCellMar")
    for side in ("left", "right"):
        element = OxmlElement(f"w:{side}")
        element.set(qn("w:w"), "45")  # twentieths of a point
        element.set(qn("w:type"), "dxa")
        margins.append(element)
    table._tbl.tblPr.append(margins)


def _row(row: Any, values: tuple[str, ...], font: str) -> None:
    whole = OxmlElement("w:cantSplit")
    row._tr.get_or_add_trPr().append(whole)
    for i, (cell, text) in enumerate(zip(row.cells, values, strict=True)):
        paragraph = cell.paragraphs[0]
        paragraph.paragraph_format.space_before = paragraph.paragraph_format.space_after = Pt(2)
        number = i > 0 and text[:1].isdigit()
        paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT if number else WD_ALIGN_PARAGRAPH.CENTER
        _font(paragraph.add_run(text), font, SIZE_5)
