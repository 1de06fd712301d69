"""site.yaml and server.yaml: every error at once, with key and fix; the examples are valid."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from contract.errors import ConfigError
from server.cli import main
from server.config import load_config
from server.site.file import load_site
from server.site.model import Carrier, Replacement, Role
from simulators.site_files import site_document
from tests.server.small_site import at

ROOT = Path(__file__).parents[2]


def written(folder: Path, document: dict[str, Any]) -> Path:
    path = folder / "site.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
    return path


def test_the_simulated_site_loads_and_its_meters_are_found(tmp_path: Path) -> None:
    site = load_site(written(tmp_path, site_document()))
    assert len(site.meters) == 55
    assert [m.id for m in site.meters_of(Carrier.ELECTRICITY, building="hengnan")] == ["E00"]
    mains = site.meters_of(Carrier.ELECTRICITY, role=Role.MAIN)
    assert len(mains) == 8
    ac = site.meters_of(Carrier.ELECTRICITY, end_use="01B00")
    assert ac
    assert all(m.end_use.startswith("01B") for m in ac)
    assert len(site.meters_of(Carrier.ELECTRICITY, end_use="01000")) == 46


def test_every_error_is_told_at_once(tmp_path: Path) -> None:
    wrong = copy.deepcopy(site_document())
    wrong["meters"][1]["measurand"] = "voltage_a_v"
    wrong["meters"][2]["end_use"] = "lights"
    wrong["site"]["timezone"] = "Mars/Olympus"
    wrong["surprise"] = 1
    with pytest.raises(ConfigError) as caught:
        load_site(written(tmp_path, wrong))
    keys = {p.key for p in caught.value.problems}
    assert keys == {"meters.1.measurand", "meters.2.end_use", "site.timezone", "surprise"}


def test_references_are_checked(tmp_path: Path) -> None:
    wrong = copy.deepcopy(site_document())
    wrong["meters"][1]["building"] = "nowhere"
    wrong["meters"][2]["parent"] = "E99"
    wrong["meters"][3]["parent"] = "W00"
    wrong["meters"][4]["id"] = "E05"
    wrong["gates"][0]["building"] = "nowhere"
    with pytest.raises(ConfigError) as caught:
        load_site(written(tmp_path, wrong))
    text = str(caught.value)
    for key in (
        "meters.1.building",
        "meters.2.parent",
        "meters.3.parent",
        "each id once",
        "gates.0",
    ):
        assert key in text


def test_a_circle_of_meters_is_refused(tmp_path: Path) -> None:
    wrong = copy.deepcopy(site_document())
    wrong["meters"][0]["parent"] = "E01"
    with pytest.raises(ConfigError, match="below itself"):
        load_site(written(tmp_path, wrong))


def test_a_wrong_server_file_ends_with_code_2_and_all_problems(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "server.yaml"
    path.write_text(
        "site_file: ./none.yaml\nstore: {url: 'duckdb:///./r.duckdb'}\n"
        "listen: {host: 0.0.0.0}\nwrite_tokens_file: ./none\n"
    )
    assert main(["serve", "--config", str(path)]) == 2
    said = capfd.readouterr().err
    for key in ("site_file", "write_tokens_file", "console_token_file"):
        assert key in said
    assert "Traceback" not in said


def test_the_examples_are_valid(tmp_path: Path) -> None:
    for name in ("site.yaml", "server.yaml"):
        text = (ROOT / "deploy/example" / name).read_text("utf-8")
        (tmp_path / name).write_text(text, "utf-8")
    (tmp_path / "write-tokens").write_text("one\ntwo\n")
    config = load_config(tmp_path / "server.yaml")
    assert config.write_tokens == ("one", "two")
    site = load_site(config.site_file)
    (swap,) = next(m.replacements for m in site.meters if m.id == "E04")
    assert swap == Replacement(at("2026-03-02T10:30"), 48213.5, 0.2)


def test_exchanges_out_of_order_are_refused(tmp_path: Path) -> None:
    wrong = copy.deepcopy(site_document())
    swaps = [{"at": f"2026-03-0{d}T10:00", "closing": 5, "opening": 0} for d in (2, 1)]
    wrong["meters"][1]["replacements"] = swaps
    with pytest.raises(ConfigError, match="exchanges in order"):
        load_site(written(tmp_path, wrong))
