"""Evaluating a run: what is compared, what its folder keeps of that, and curves while it trains."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from quick_run import QuickYardstick, quick_curves
from tiny_run import build, settings

import minigan as mg
from minigan import data, errors, export, training, viz
from minigan.gan import normal_latent
from minigan.judge import Row
from minigan.training import RunFolder, checkpoint, evaluation, loop, record
from minigan.training.record import Evaluation

ROWS = [Row("frechet", 12.5, 12.0, 13.0, 3.25), Row("memorised", 0.5, 0.45, 0.55, None)]
ROWS += [Row("reverse_kl", float("inf"), None, None, 0.01)]


@pytest.fixture(scope="module")
def pictures():
    return data.digits(120)[0]


@pytest.fixture
def mine(pictures, tmp_path):
    """A file of 120 digits."""
    np.save(tmp_path / "digits.npy", pictures)
    return str(tmp_path / "digits.npy")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(loop, "Yardstick", QuickYardstick)
    monkeypatch.setattr(viz, "loss_curves", quick_curves)


def no_picture(game, samples, path):
    path.write_bytes(b"")


def run(out, source, **options):
    return training.run(build, settings(out, data=source, **options), picture=no_picture)


@pytest.fixture
def trained(tmp_path, mine):
    """A run of a few steps on them."""
    assert run(tmp_path / "run", mine, steps=4) == 0
    return tmp_path / "run"


# --- a run that is done -------------------------------------------------------------------------------------------


def test_a_run_is_measured_beside_its_own_data(trained):
    RunFolder(trained).write_metrics({"modes": 3.0})
    told = []
    found = evaluation.evaluate(trained, stage=told.append)
    assert (found.step, found.samples, found.real, found.reader) == (4, 60, 60, "random features")
    fewer = "60 samples, not 10000: there are no more real images to put in their place"
    assert found.notes == [evaluation.NO_HELD_OUT, fewer, evaluation.NO_JUDGE]
    assert told[:3] == ["data", "samples", "features"]
    value = {row.name: row.value for row in found.rows}
    assert value["frechet"] > 1.5 * found.floors["frechet"] > 0
    held = record.read(trained)
    assert held.metrics == {"modes": 3.0}
    assert held.evaluation == found
    RunFolder(trained).write_metrics({"modes": 4.0})
    assert record.read(trained).evaluation == found  # of the generator at the step it says


def test_what_real_images_reach_is_measured_once(trained, mine, pictures, monkeypatch):
    first = evaluation.evaluate(trained)
    seen = []
    monkeypatch.setattr(evaluation, "seen", lambda reader, images: seen.append(len(images)) or original(reader, images))
    original = mg.judge.seen
    assert evaluation.evaluate(trained) == first
    assert seen == [60]  # samples
    assert evaluation.evaluate(trained, seed=1).rows != first.rows
    assert seen[1:] == [60, 60]  # and other real images in their place
    np.save(mine, pictures[::-1])
    assert evaluation.evaluate(trained, seed=1).notes[-1] == evaluation.CHANGED
    assert seen[3:] == [60, 60]


def test_features_of_another_tool_take_a_reader_s_place(trained, rng):
    near, far = rng.standard_normal((2, 80, 5)), rng.standard_normal((90, 5)) + 3
    found = evaluation.evaluate(trained, features=[far, near[0], near[1]])
    row = {row.name: row for row in found.rows}
    assert row["frechet"].value > 20 > row["frechet"].floor
    assert (found.samples, found.real, found.reader) == (90, 80, "features of another tool")
    assert "spectrum" in row
    without = evaluation.evaluate(trained, features=[near[0], near[1]])
    assert without.floors == {}
    assert evaluation.evaluate(trained, features=[near[0], near[1]]).floors == {}  # not those of other features


def test_samples_that_are_not_finite_are_said_to_be_so(trained):
    generator = export.load_generator(trained / "generator.safetensors")
    generator.network.parameters()[0].data[...] = np.nan
    export.save_generator(trained / "generator.safetensors", generator)
    with pytest.raises(errors.DataError, match=r"samples .* are not all finite"):
        evaluation.evaluate(trained)


def test_what_cannot_be_measured_is_named(tmp_path, trained):
    with pytest.raises(errors.CheckpointError, match="no run, there is no such folder"):
        evaluation.evaluate(tmp_path / "absent")
    (trained / "generator.safetensors").unlink()
    with pytest.raises(errors.CheckpointError, match="has not written its generator yet"):
        evaluation.evaluate(trained)


# --- points -------------------------------------------------------------------------------------------------------


@pytest.fixture
def plane(tmp_path):
    """A function that makes the folder of a run whose generator draws points of the data set of that name."""

    def made(name, **extra):
        folder = RunFolder(tmp_path / name)
        folder.path.mkdir()
        folder.write_config(settings(folder.path, data=name, extra=extra), 7, {})
        network = mg.nn.Sequential(mg.nn.Linear(2, 2))
        export.save_generator(folder.generator, export.Generator(network, normal_latent(2), None, {"step": 7}))
        return folder.path

    return made


def test_points_of_a_mixture_are_counted_by_mode(plane):
    found = evaluation.evaluate(plane("ring", std=0.02), 300)
    row = {row.name: row for row in found.rows}
    assert (found.step, found.samples, found.reader) == (7, 300, "")
    assert row["modes"].floor == 8
    assert row["good"].value < 0.5 < row["good"].floor
    assert row["sliced_wasserstein"].low > row["sliced_wasserstein"].floor > 0  # other points than the real ones
    wide = evaluation.evaluate(plane("grid", std=2.0), 100)
    assert next(row.value for row in wide.rows if row.name == "good") == 1  # within three of the run's own deviations
    names = [row.name for row in evaluation.evaluate(plane("swiss_roll"), 100).rows]
    assert names == ["sliced_wasserstein", "wasserstein"]


def test_what_an_evaluation_has_no_use_for_is_refused(plane, trained, rng):
    ring = plane("ring")
    features = [rng.random((60, 3)), rng.random((60, 4))]
    for wrong in ({"reader": mg.judge.load("digits")}, {"features": features[:1] * 2}):
        with pytest.raises(errors.DataError, match="points, which no judge reads"):
            evaluation.evaluate(ring, 100, **wrong)
    with pytest.raises(errors.ShapeError, match=r"features .* of one F, got \(60, 3\) and \(60, 4\)"):
        evaluation.evaluate(trained, features=features)


def test_points_of_a_curve_are_not_known(plane):
    with pytest.raises(errors.DataError, match="quadratic: an evaluation knows images, and of points ring, grid"):
        evaluation.evaluate(plane("quadratic"), 100)


# --- what is kept of it -------------------------------------------------------------------------------------------


def test_an_evaluation_is_read_as_it_was_written(tmp_path):
    kept = Evaluation(5, "digits", 100, 90, ROWS, ["a note"], {"data": "x"})
    folder = RunFolder(tmp_path)
    folder.write_evaluation(kept)
    json.loads((tmp_path / "metrics.json").read_text(), parse_constant=pytest.fail)
    metrics, found = record.read_metrics(tmp_path, [])
    assert metrics == {}
    assert found.rows[:2] == ROWS[:2]
    assert np.isnan(found.rows[2].value)  # JSON has no infinity
    assert (found.notes, found.made_with, found.step) == (["a note"], {"data": "x"}, 5)
    assert found.floors == {"frechet": 3.25, "reverse_kl": 0.01}


@pytest.mark.parametrize(
    "damage",
    ["3", "[]", "{}", '{"step": -1}', '{"step": 1, "reader": 1, "samples": 1, "real": 1, "rows": {"frechet": 3}}'],
)
def test_a_damaged_one_is_left_out(tmp_path, damage):
    (tmp_path / "metrics.json").write_text(f'{{"modes": 3, "evaluation": {damage}}}')
    problems = []
    assert record.read_metrics(tmp_path, problems) == ({"modes": 3}, None)
    assert problems == ["metrics.json: its evaluation is damaged and left out"]


# --- while it trains ----------------------------------------------------------------------------------------------


OFTEN = {"steps": 9, "evaluate_every": 3, "evaluate_n": 50, "sample_every": 4}


def test_a_run_is_evaluated_as_it_goes_and_its_best_is_kept(tmp_path, mine, capsys, monkeypatch):
    distances = iter([5.0, 2.0, 3.0])
    gauge = SimpleNamespace(
        count=50, floor=1.0, described="by a stand-in", seconds=0.1, measure=lambda images: next(distances)
    )
    monkeypatch.setattr(training.program, "Gauge", lambda samples, n, reader, few: gauge)
    assert run(tmp_path / "run", mine, keep=1, checkpoint_every=2, **OFTEN) == 0
    assert "evaluated every 3 steps: by a stand-in" in capsys.readouterr().out
    looks = record.read_looks(tmp_path / "run", [])
    assert [look.step for look in looks] == [0, 3, 4, 6, 8, 9]
    known = {look.step: look.numbers["frechet"] for look in looks if "frechet" in look.numbers}
    assert known == {3: 5.0, 6: 2.0, 9: 3.0}
    folder = tmp_path / "run" / "checkpoints"
    assert checkpoint.find_best(folder).stem == "step_00000006"  # though the yardstick may have liked another one
    assert [path.stem for path in checkpoint.find(folder)] == ["step_00000006", "step_00000009"]
    page = (tmp_path / "run" / "report.html").read_text()
    assert '"other real images"' in page


def test_a_resumed_run_is_evaluated_as_the_whole_one(tmp_path, mine):
    for folder, stops in (("whole", [9]), ("parts", [4, 7, 9])):
        for k, steps in enumerate(stops):
            assert run(tmp_path / folder, mine, **{**OFTEN, "steps": steps}, resume=k > 0) == 0
    whole, parts = (record.read_looks(tmp_path / name, []) for name in ("whole", "parts"))
    evaluated = {look.step: look.numbers["frechet"] for look in whole if "frechet" in look.numbers}
    assert set(evaluated) == {3, 6, 9}
    assert {look.step: look.numbers.get("frechet") for look in parts if look.step in evaluated} == evaluated
    for name in ("generator.safetensors", "checkpoints/best.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()


def test_points_are_not_evaluated_while_they_are_learnt(tmp_path):
    points = data.Samples(np.zeros((96, 784), np.float32), None, "ring")
    with pytest.raises(errors.DataError, match="--evaluate-every measures images, and ring has points"):
        training.run(build, settings(tmp_path / "run", evaluate_every=2), load=lambda *_: points, picture=no_picture)
    assert list(tmp_path.iterdir()) == []  # nor is anything written
