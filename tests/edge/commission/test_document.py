"""docs/commissioning.md: its commands exist and parse, its pictures are there."""

import argparse
import re
import shlex

import pytest

from edge.cli import main, probe, proof, scan, solve
from tests.edge.commission.transcripts import BLOCK, DOCS, PAGE

TEXT = PAGE.read_text("utf-8")
COMMANDS = re.findall(r"^\$ (compound-edge .+)$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_document_parses(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def note(args: argparse.Namespace) -> int:
        seen.append(args)
        return 0

    rows = ((scan, "_scan"), (probe, "_probe"), (solve, "_solve"), (proof, "_record"))
    for module, name in (*rows, (proof, "_accept")):
        monkeypatch.setattr(module, name, note)
    assert main(shlex.split(command)[1:]) == 0
    assert len(seen) == 1


def test_the_document_shows_each_command_with_what_it_printed() -> None:
    blocks = {m[2]: m[0] for m in BLOCK.finditer(TEXT)}
    assert {c.split()[1] for c in COMMANDS} == {"scan", "probe", "solve", "record", "accept"}
    for name, block in blocks.items():
        assert block.count("```") == 2, name
        assert len(block.splitlines()) > 6, name
        assert "Traceback" not in block
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", TEXT):
        assert (DOCS / picture).read_bytes().startswith(b"\x89PNG")


def test_every_option_that_the_document_names_exists(capfd: pytest.CaptureFixture[str]) -> None:
    known: set[str] = set()
    for command in ("scan", "probe", "solve", "record", "accept"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        known |= set(re.findall(r"--[a-z-]+", capfd.readouterr().out))
    assert set(re.findall(r"`(--[a-z-]+)", TEXT)) <= known
