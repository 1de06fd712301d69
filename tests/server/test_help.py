"""Every command of compound-server says what it does, Chinese first, with an example."""

import argparse
from collections.abc import Iterator

import pytest

from server.cli import main, parser_of


def commands(parser: argparse.ArgumentParser, name: str = "") -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, sub in action.choices.items():
                yield f"{name} {word}".strip()
                yield from commands(sub, f"{name} {word}".strip())


NAMES = sorted(commands(parser_of()))


def test_there_are_as_many_commands_as_the_manual_speaks_of() -> None:
    assert {"consumption", "repair", "repair bills", "site", "site template", "period"} < set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_help_has_an_example_that_begins_with_the_command(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main([*name.split(), "--help"])
    assert left.value.code == 0
    text = " ".join(capfd.readouterr().out.split())
    assert f"例 example: compound-server {name}" in text
    assert any("\u4e00" <= c <= "\u9fff" for c in text.partition("例 example")[0])
