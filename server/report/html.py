"""Report → HTML, the same content, for the console's preview and as a page of its own."""

from jinja2 import Environment, PackageLoader, select_autoescape

from server.report.model import Report

_ENVIRONMENT = Environment(
    loader=PackageLoader("server.report", "templates"), autoescape=select_autoescape()
)


def render_html(report: Report) -> str:
    """Give a whole HTML page."""
    return _ENVIRONMENT.get_template("report.html").render(report=report)


def render_fragment(report: Report) -> str:
    """Give the report's body, to be put into another page."""
    return _ENVIRONMENT.get_template("fragment.html").render(report=report)
