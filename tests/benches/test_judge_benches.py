"""The benches of judges: what they damage, what they train, and that a judge is made as it says."""

import sys
from pathlib import Path

import numpy as np
import pytest

from minigan import data, judge
from minigan.command import recipe

sys.path.insert(0, str(Path(__file__).parents[2] / "benches"))

import judge_cases
import judges


@pytest.mark.parametrize("kind", judge_cases.CASES)
def test_damage_grows_and_pictures_stay_pictures(kind, rng):
    damage, levels = judge_cases.CASES[kind]
    pictures = np.cumsum(rng.integers(0, 9, (20, 3, 16, 16)), 3).astype(np.uint8)
    changed = [damage(pictures, level) for level in levels]
    assert all((x.shape, x.dtype) == (pictures.shape, np.uint8) for x in changed)
    apart = [np.abs(x.astype(float) - pictures).mean() for x in changed]
    assert apart[0] > 0
    assert sorted(apart) == apart


def test_the_runs_that_are_ranked_are_ten_that_can_be_trained():
    assert len(judges.RUNS) == 10
    for options in judges.RUNS.values():
        recipe.options([]).parse_args([*options.split(), "--data", "mnist"])


def test_a_judge_that_ships_is_of_the_form_that_its_recipe_has():
    for name, made in judges.RECIPES.items():
        shipped = judge.load(name)
        assert shipped.form == made.form
        assert (shipped.about["epochs"], tuple(made.most)) == (made.epochs, judge.SHIPPED[name])
        assert shipped.about["seed"] == judges.SEED


def test_a_judge_is_made_measured_and_written(tmp_path, monkeypatch):
    few = data.Samples(*data.digits(300), "digits")
    monkeypatch.setattr(judges.data, "load_images", lambda name, shape: few)
    monkeypatch.setattr(judges.data, "held_out", lambda samples: data.digits(100, seed=1))
    monkeypatch.setitem(judges.RECIPES, "few", judges.Recipe(judge.form28(), {"digits": 200}, 2, {"crop": 1}))
    assert judges.main(["make", "few", "--out", str(tmp_path)]) == 0
    made = judge.load(tmp_path / "few.safetensors")
    assert (made.name, made.about["images"], made.about["epochs"]) == ("few", 200, 2)
    assert made.about["accuracy"] == made.accuracy(*data.digits(100, seed=1))
