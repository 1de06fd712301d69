"""Every command of compound-server says what it does, Chinese first, with an example."""

import argparse
from collections.abc import Iterator

import pytest

from server.cli import GROUPS, main, parser_of


def commands(parser: argparse.ArgumentParser, name: str = "") -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, sub in action.choices.items():
                yield f"{name} {word}".strip()
                yield from commands(sub, f"{name} {word}".strip())


NAMES = sorted(commands(parser_of()))


def test_there_are_as_many_commands_as_the_manual_speaks_of() -> None:
    assert {"consumption", "repair", "repair bills", "site", "site template", "period"} < set(NAMES)


def test_the_table_of_groups_names_every_command() -> None:
    first = {name.split()[0] for name in NAMES}
    assert {n for names in GROUPS.values() for n in names} == first
    for name in first:
        assert name in set(commands(parser_of(name)))


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
