"""The rules of the code that no other tool checks."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    p for d in ("contract", "edge", "server", "simulators") for p in (ROOT / d).rglob("*.py")
)
TESTS = sorted((ROOT / "tests").rglob("*.py"))
SUPERVISORS = {"edge/agent.py"}
BANNED = {
    "utils",
    "helpers",
    "common",
    "misc",
    "manager",
    "handler",
    "processor",
    "base",
    "data",
    "info",
}
CLOCKS = {"now", "utcnow", "today"}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture(params=SOURCES, ids=name_of)
def source(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_no_file_is_over_400_lines_and_no_function_over_60(source: Path) -> None:
    text = source.read_text("utf-8")
    assert text.count("\n") <= 400
    for f in functions(ast.parse(text)):
        assert (f.end_lineno or 0) - f.lineno < 60, f.name


def test_only_the_clock_module_looks_at_the_wall_clock(source: Path) -> None:
    if name_of(source) == "contract/clock.py":
        return
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            call = ast.unparse(node.func)
            assert call != "time.time", node.lineno
            assert not (node.func.attr in CLOCKS and "date" in call), node.lineno


def test_broad_excepts_stand_only_in_named_supervisors(source: Path) -> None:
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if isinstance(node, ast.ExceptHandler):
            caught = "" if node.type is None else ast.unparse(node.type)
            if caught in {"", "Exception", "BaseException"}:
                assert name_of(source) in SUPERVISORS, node.lineno


def test_names_say_what_a_thing_is(source: Path) -> None:
    assert source.stem not in BANNED
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if isinstance(node, ast.ClassDef):
            parts = {p.lower() for p in re.findall(r"[A-Z][a-z]*", node.name)}
            assert not parts & BANNED, node.name


def test_exception_names_are_unique() -> None:
    seen: dict[str, str] = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef) and node.name.endswith("Error"):
                assert node.name not in seen, (seen[node.name], name_of(path))
                seen[node.name] = name_of(path)


def test_suppressions_are_few_and_have_reasons() -> None:
    lines = [ln for p in SOURCES for ln in p.read_text("utf-8").split("\n")]
    marks = [ln for ln in lines if "# noqa" in ln or "type: ignore" in ln]
    assert len(marks) <= max(1, len(lines) // 500)
    for line in marks:
        assert re.search(r"(noqa: [A-Z0-9, ]+ - |type: ignore\[[a-z-]+\] # )\S", line), line


def test_no_test_is_skipped_or_expected_to_fail() -> None:
    for path in TESTS:
        text = path.read_text("utf-8")
        if path != Path(__file__):
            assert not re.search(r"mark\.skip|mark\.xfail|pytest\.skip|importorskip", text), path


def test_the_changelog_and_the_project_name_the_same_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert first is not None
    assert first[1] == project["version"]


def test_the_readme_names_only_commands_that_exist() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in set(re.findall(r"(?:^|`)make ([a-z-]+)", readme, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", readme):
        assert (ROOT / picture).is_file(), picture


def test_locks_hold_hashes_and_no_addresses() -> None:
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        text = path.read_text("utf-8")
        assert "--hash=sha256:" in text
        assert "http" not in re.sub(r"\b(http[a-z0-9-]*|aiohttp[a-z-]*)(?===)", "", text), path


FLUX_OR_NOT_PORTABLE = re.compile(
    r"\b(INTEGRAL|SAMPLE|HOLT_WINTERS|SLIMIT|SOFFSET|INTO|SHOW SERIES)\b|\|>", re.IGNORECASE
)


def test_queries_are_portable_influxql() -> None:
    dashboard = (ROOT / "grafana/dashboards/compound.json").read_text("utf-8")
    reader = (ROOT / "server/store/influx.py").read_text("utf-8")
    queries = re.findall(r'"query": "((?:[^"\\]|\\.)*)"', dashboard)
    assert queries
    for query in [*queries, *re.findall(r'f?"(SELECT [^"]*)"', reader)]:
        assert not FLUX_OR_NOT_PORTABLE.search(query), query


def test_nothing_that_was_made_is_tracked() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert not re.search(r"\.(duckdb|db|pyc|log)$", tracked, re.MULTILINE)
