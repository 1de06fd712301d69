"""Reading a YAML file through a strict model; part of the doors of `config`, `site` and `rules`."""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from contract.errors import ConfigError, Problem, problems_from


class Strict(BaseModel):
    """A model at a door: frozen, and no key it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


M = TypeVar("M", bound=BaseModel)


def read_mapping(path: Path) -> dict[str, Any]:
    """Give a YAML file's mapping; ConfigError when there is none."""
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        got = str(error.strerror)
        raise ConfigError(
            [Problem(str(path), "(file)", "a readable file", got, "check the path")]
        ) from error
    except yaml.YAMLError as error:
        got = " ".join(str(error).split())
        raise ConfigError([Problem(str(path), "(whole file)", "YAML", got, "mend it")]) from error
    if not isinstance(content, dict):
        got = type(content).__name__
        raise ConfigError([Problem(str(path), "(whole file)", "a mapping", got, "see the example")])
    return content


def checked(path: Path, content: dict[str, Any], model: type[M]) -> M:
    """Give the checked model; ConfigError with every problem."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ConfigError(problems_from(str(path), error.errors())) from error


def read_facts(path: Path) -> dict[str, str]:
    """Give a YAML mapping of text to text; ConfigError names every entry that is not text."""
    content = read_mapping(path)
    wrong = [k for k, v in content.items() if not isinstance(v, str) or not v.strip()]
    if wrong:
        raise ConfigError(
            Problem(str(path), str(k), "text", repr(content[k]), "put it in quotes") for k in wrong
        )
    return {str(k): v.strip() for k, v in content.items()}
