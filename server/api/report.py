"""The report over HTTP: .docx and HTML."""

import tempfile
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, HTTPException
from fastapi import Path as PathParameter
from fastapi.responses import HTMLResponse, Response

from server.access import Asked
from server.analysis.report import report_of
from server.report.html import render_html
from server.report.model import Report

WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
router = APIRouter(prefix="/api/v1/report", tags=["report 报告"])
Year = Annotated[int, PathParameter(ge=2000, le=2100, examples=[2026])]


@router.get("/{year}.docx", summary="年度报告节能部分 Word / the energy section as .docx")
def get_docx(year: Year, asked: Asked) -> Response:
    """Give the document; X-Open-Facts counts what is still to be filled in."""
    from server.report.docx import render_docx  # python-docx loads slowly: only where it is used

    report = _report(asked, year)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.docx"
        render_docx(report, path)
        content = path.read_bytes()
    name = quote(f"{report.title}.docx".replace("\n", ""))
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        "X-Open-Facts": str(len(report.missing)),
    }
    return Response(content, media_type=WORD, headers=headers)


@router.get("/{year}.html", summary="年度报告节能部分网页 / the energy section as a page")
def get_html(year: Year, asked: Asked) -> HTMLResponse:
    """Give the page."""
    report = _report(asked, year)
    return HTMLResponse(render_html(report), headers={"X-Open-Facts": str(len(report.missing))})


def _report(asked: Asked, year: int) -> Report:
    try:
        return report_of(asked, year)
    except ValueError as error:
        raise HTTPException(422, str(error)) from error
