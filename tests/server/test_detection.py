"""Detection: rules on random buildings, on plain CSV files, on a command line."""

import csv
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from server.cli import main
from server.periods import Interval, Step
from server.rules.load import load_rules
from simulators.scene_store import SceneStore, site_of
from simulators.scene_wastes import draw_wastes
from simulators.scenes import MAIN, WATER, Scene, draw_scene
from simulators.score import OWN, SCORING, TUNING, Tally, score

FEW = range(9001, 9007)  # neither tuned on nor in the published table


@pytest.fixture(scope="module")
def tallies() -> dict[str, Tally]:
    return score(load_rules(), FEW)


def test_seeds_for_tuning_and_for_scoring_are_apart() -> None:
    assert not set(TUNING) & set(SCORING)
    assert not {*TUNING, *SCORING} & set(FEW)


def test_every_rule_that_can_be_scored_is(tallies: dict[str, Tally]) -> None:
    unscored = {"power_balance", "sealed_water", "target_pace"}
    assert set(OWN) == set(tallies) == {r.id for r in load_rules()} - unscored


def test_most_alerts_are_right_and_most_wastes_are_told(tallies: dict[str, Tally]) -> None:
    right, alerts = (sum(getattr(t, n) for t in tallies.values()) for n in ("right", "alerts"))
    found, wastes = (sum(getattr(t, n) for t in tallies.values()) for n in ("found", "wastes"))
    assert right / alerts >= 0.95
    assert found / wastes >= 0.9


def test_buildings_that_waste_nothing_hear_little(tallies: dict[str, Tally]) -> None:
    for rule, t in tallies.items():
        assert t.clean_alerts / max(t.weeks, 1) <= 0.5, rule


@pytest.fixture(scope="module")
def scene() -> Scene:
    found = draw_scene(9001)
    draw_wastes(found)
    return found


def test_a_scene_is_its_seeds(scene: Scene) -> None:
    again = draw_scene(9001)
    draw_wastes(again)
    assert again.truths == scene.truths
    assert np.array_equal(again.load[MAIN], scene.load[MAIN])
    assert draw_scene(9002).shape != scene.shape


def test_a_scenes_mains_are_the_sum_of_what_is_below(scene: Scene) -> None:
    for top in (MAIN, WATER):
        below = sum(scene.load[p.id] for p in scene.parts.values() if p.parent == top)
        assert (scene.load[top] >= below - 1e-9).all()


def test_a_scenes_truth_is_what_its_wastes_took(scene: Scene) -> None:
    for (meter, kind), extra in scene.wasted.items():
        told = sum(t.amount for t in scene.truths if (t.meter, t.kind) == (meter, kind))
        assert told == pytest.approx(extra.sum() / 12)


def test_a_scenes_dead_meter_says_nothing_but_its_counter_goes_on(scene: Scene) -> None:
    site, store = site_of(scene), SceneStore(scene)
    meter = next(m for m in scene.parts if m != MAIN and scene.dead.get(m))
    r = store.read_rollups(site, [meter], Step.QUARTER, Interval(0, 1))[meter]
    start, _ = scene.dead[meter][0]
    assert r.coverage[start // 3] == 0
    assert r.values.sum() == pytest.approx(scene.load[meter].sum() / 12, abs=0.02)


def write_csv(path: Path, days: int = 14) -> None:
    """Write two weeks of a room: people by day, its AC left on in the last two evenings."""
    start = datetime(2026, 7, 6)  # noqa: DTZ001 - local
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["when", "kw", "people", "waste"])
        for i in range(days * 96):
            hour, day = i % 96 / 4, i // 96
            there = 8 <= hour < 17.5 and day % 7 < 5
            left_on = day in {days - 4, days - 3} and 17.5 <= hour < 22
            kw = 9.0 + 0.1 * (i % 5) if there or left_on else 0.02
            when = start + timedelta(minutes=15 * i)
            out.writerow([when.isoformat(), kw, 12 if there else 0, int(left_on)])


def test_a_plain_csv_is_scored(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "room.csv"
    write_csv(path)
    code = main(
        ["rules", "score", str(path), "--truth", "waste", "--time", "when", "--power", "kw",
         "--presence", "people", "--rule", "unattended_ac"]
    )  # fmt: skip
    assert code == 0
    row = next(ln for ln in capfd.readouterr().out.split("\n") if "unattended_ac" in ln)
    cells = [c.strip() for c in row.strip("│ ").split("│")]
    assert cells[2:7] == ["2", "2", "1.000", "1.000", "30"]


@pytest.mark.parametrize(
    ("change", "words", "told"),
    [
        ("", ["--power", "watts"], "watts"),
        ("", [], "--power"),
        ("x", ["--power", "kw"], "line 2, kw"),
        ("", ["--power", "kw", "--rule", "mystery"], "mystery"),
        ("", ["--power", "kw", "--work", "8-"], "--work"),
    ],
)
def test_a_wrong_csv_or_option_is_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], change: str, words: list[str], told: str
) -> None:
    path = tmp_path / "room.csv"
    path.write_text(f"when,kw,waste\n2026-07-06T00:00,{change or 1},0\n", "utf-8")
    start = ["rules", "score", str(path), "--truth", "waste", "--time", "when"]
    assert main([*start, *words]) == 2
    err = capfd.readouterr().err
    assert told in err
    assert "Traceback" not in err


def test_rules_test_runs_the_examples_and_fails_where_one_does(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["rules", "test"]) == 0
    shipped = Path(load_rules.__code__.co_filename).parent / "library/30_running_water.yaml"
    wrong = shipped.read_text("utf-8").replace("[[4, 124]]", "[[5, 124]]")
    (tmp_path / "r.yaml").write_text(wrong, "utf-8")
    assert main(["rules", "test", "--rules", str(tmp_path)]) == 1
    assert "≠" in capfd.readouterr().out


def test_scenes_are_scored_from_the_command_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "score", "--seeds", "9001", "--rule", "sealed_use"]) == 0
    assert "sealed_use" in capfd.readouterr().out
    assert main(["rules", "score", "--seeds", "many"]) == 2
