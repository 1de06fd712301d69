"""Rendering a page of the console: one template, one set of headers."""

from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, select_autoescape

from server.analysis import Analysis
from server.web import labels, views

_SECURITY = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline';"
        " frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_ENVIRONMENT = Environment(
    loader=PackageLoader("server.web", "templates"),
    autoescape=select_autoescape(),
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(name: str, analysis: Analysis, **values: Any) -> HTMLResponse:
    """Render a template."""
    text = _ENVIRONMENT.get_template(f"{name}.html").render(
        site=analysis.site,
        now=views.local(analysis.clock.now_ms(), analysis),
        labels=labels,
        active=name,
        **values,
    )
    return HTMLResponse(text, headers=_SECURITY)
