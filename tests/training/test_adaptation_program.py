"""The program of domain adaptation by features: a run without samples, from its dry run to its report."""

import json

import numpy as np
import pytest
from example_scripts import example
from PIL import Image
from translator_programs import pictures

import minigan as mg
from minigan import viz
from minigan.command import cli
from minigan.data import LabelledDomains, Samples
from minigan.errors import CheckpointError, DataError
from minigan.gan import ADDA, DANN
from minigan.gan.translation import PixelDA
from minigan.judge.verdict import MEASURED
from minigan.training import Settings, checkpoint, evaluation, record
from minigan.training.folder import RunFolder

MADE = "--data digits --target digits --channels 1 --batch-size 4"
RATES = example("domain_adaptation").RATES
NUMBERS = {
    "dann": {"source_accuracy", "target_accuracy"},
    "adda": {"source_accuracy", "target_accuracy", "target_accuracy_before"},
}


def shortened():
    """The program, of few images."""
    module = example("domain_adaptation")
    load = module.load
    module.load = lambda settings, limit: load(settings, 200)
    return module


def built(words):
    module = example("domain_adaptation")
    return module.build(Settings.parsed(module.options(), f"{MADE} {words}".split(), "domain_adaptation"))


def test_each_system_has_its_game():
    assert isinstance(built("--width 4 --blocks 1"), PixelDA)
    game = built("--system dann --adversarial 0.5")
    assert isinstance(game, DANN)
    assert game.adversarial == 0.5
    assert game.optimizers["players"].lr == pytest.approx(RATES["dann"])
    game = built("--system adda --warm-up 7 --lr 0.001")
    assert isinstance(game, ADDA)
    assert game.warm_up == 7
    assert all(optimizer.lr == pytest.approx(0.001) for optimizer in game.optimizers.values())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--warm-up 3", "--warm-up changes nothing without --system adda"),
        ("--system adda --adversarial 1", "--adversarial changes nothing without --system pixelda or dann"),
        ("--system dann --blocks 2", "--blocks changes nothing without --system pixelda"),
        ("--system adda --evaluate-every 9", "--evaluate-every changes nothing without --system pixelda"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(words, message, capsys):
    with pytest.raises(SystemExit):
        Settings.parsed(example("domain_adaptation").options(), words.split(), "domain_adaptation")
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("system", NUMBERS)
def test_a_run_without_samples_is_reported_and_measured(system, tmp_path, capsys):
    module, out = shortened(), tmp_path / "run"
    line = f"{MADE} --system {system} --steps 4 --out {out}{' --warm-up 3' if system == 'adda' else ''}"
    assert module.main(line.split()) == 0
    assert f"no generator file will be written: {system.upper()} makes no samples" in capsys.readouterr().out
    numbers = json.loads((out / "metrics.json").read_text())
    assert set(numbers) == NUMBERS[system]
    assert all(0 <= value <= 1 for value in numbers.values())
    assert {path.name for path in (out / "samples").iterdir()} >= {"step_00000000.png", "step_00000004.png"}
    assert not (out / "generator.safetensors").exists()
    images, labels = mg.data.held_out(Samples(np.empty(0), None, "digits"))
    scores = mg.export.load_generator(out / "classifier.safetensors").generate(mg.tensor(mg.data.scaled(images)))
    assert float((scores.numpy().argmax(1) == labels).mean()) == pytest.approx(numbers["target_accuracy"], abs=1e-3)
    Image.fromarray(images[0, 0]).save(tmp_path / "digit.png")
    assert cli.main(["translate", str(out / "classifier.safetensors"), str(tmp_path / "digit.png")]) == 1
    assert "makes (10,) numbers of an image; this asks for a translator" in capsys.readouterr().err
    run = record.read(out)
    assert run.problems == []
    assert [look.step for look in run.looks] == [0, 4]
    assert not any(set(MEASURED) & set(look.numbers) for look in run.looks)
    assert any(name.endswith("_grad") for name in run.looks[0].numbers)
    assert "target accuracy" in (out / "report.html").read_text()
    with pytest.raises(CheckpointError, match="or has one no file describes, or none"):
        evaluation.evaluate(out, 10)


@pytest.mark.parametrize("system", ["pixelda", "dann", "adda"])
def test_there_are_as_many_classes_as_the_data_have(system, tmp_path):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (36, 1, 28, 28)).astype(np.uint8), np.arange(36) % 12
    np.savez(tmp_path / "a.npz", images=images, labels=labels)
    np.save(tmp_path / "b.npy", images[::-1])
    module, out = example("domain_adaptation"), tmp_path / "run"
    sizes = "--width 4 --blocks 1" if system == "pixelda" else ""
    line = f"--data {tmp_path / 'a.npz'} --target {tmp_path / 'b.npy'} --channels 1 --system {system} {sizes}"
    assert module.main([*line.split(), "--steps", "2", "--batch-size", "12", "--out", str(out)]) == 0
    assert mg.export.load_generator(out / "classifier.safetensors").sample(3).shape == (3, 12)


def test_folders_of_pictures_are_classes_if_that_is_said(tmp_path, capsys):
    for name in ("cats", "dogs", "emus"):
        pictures(tmp_path / "zoo" / name, 4)
    module, line = example("domain_adaptation"), f"--data {tmp_path / 'zoo'} --target {tmp_path / 'zoo'} --system dann"
    run = ["--side", "16", "--batch-size", "4", "--steps", "1", "--out", str(tmp_path / "run")]
    assert module.main([*line.split(), *run]) == 1
    assert "these pictures have no labels, unless their folders are (--labels-from)" in capsys.readouterr().err
    assert module.main([*line.split(), *run, "--labels-from", "folders"]) == 0
    assert mg.export.load_generator(tmp_path / "run" / "classifier.safetensors").sample(2).shape == (2, 3)


def test_a_run_of_dann_is_resumed_along_its_course(tmp_path):
    """A run that is stopped in the middle: the second part knows how long the whole is."""
    module, ends = example("domain_adaptation"), []
    chosen = Settings.parsed(module.options(), [*MADE.split(), "--system", "dann"], "domain_adaptation")
    values = module.load(chosen, 40).values
    for parts in ([4], [2, 2]):
        state = None
        for count in parts:
            game = module.build(chosen)
            if state is not None:
                game.load_state(state)
            game.lasts(4)
            batches = mg.data.shuffled_batches(values, 4, paired=False)
            for _ in range(count):
                game.play(batches)
            state = {name: t.numpy() for name, t in game.state.items()}
        ends.append(state)
    assert [name for name, array in ends[0].items() if not np.array_equal(array, ends[1][name])] == []


def test_stopped_on_either_side_of_the_change_of_phase_a_run_arrives_where_it_would_have(tmp_path):
    module, line, ends = shortened(), f"{MADE} --system adda --warm-up 2".split(), []
    module.measure = lambda *_: {}
    for name, parts in {"whole": [4], "parts": [1, 2, 3, 4]}.items():
        for k, steps in enumerate(parts):
            more = ["--steps", str(steps), "--out", str(tmp_path / name), *(["--resume"] if k else [])]
            assert module.main([*line, *more]) == 0
        ends.append(checkpoint.load(checkpoint.find(tmp_path / name / "checkpoints")[-1])[0])
    assert [name for name, array in ends[0].items() if not np.array_equal(array, ends[1][name])] == []


@pytest.mark.slow
@pytest.mark.parametrize("system", NUMBERS)
def test_a_dry_run_says_its_numbers(system, capsys):
    words = f"{MADE} --system {system} --dry-run{' --warm-up 1' if system == 'adda' else ''}"
    assert example("domain_adaptation").main(words.split()) == 0
    said = capsys.readouterr().out
    assert {name for name in NUMBERS[system] if f"{name}: " not in said} == set()


def test_a_picture_has_features_of_both_domains(tmp_path):
    game, module = built("--system dann"), example("domain_adaptation")
    images = np.random.default_rng(0).integers(0, 256, (30, 1, 28, 28)).astype(np.uint8)
    samples = Samples(LabelledDomains(images, images[::-1], np.arange(30) % 10), None, "digits", paired=False)
    sizes = set()
    for step in range(2):
        path = tmp_path / f"step_{step}.png"
        module.picture(game, samples, path)
        with Image.open(path) as drawn:
            sizes.add(drawn.size)
        game.play(mg.data.shuffled_batches(samples.values, 10, paired=False))
    assert len(sizes) == 1  # frames of one animation
    assert (tmp_path / "step_0.png").read_bytes() != (tmp_path / "step_1.png").read_bytes()


def test_principal_components_are_where_rows_differ_most(rng):
    module = example("domain_adaptation")
    axes = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    rows = (rng.standard_normal((200, 6)) * [9, 4, 1, 0.1, 0.1, 0.1]) @ axes.T + 5
    found = module.principal(rows)
    assert np.abs(found.mean(0)).max() < 1e-9
    values = np.linalg.eigvalsh(np.cov(rows, rowvar=False))[::-1]
    np.testing.assert_allclose(np.cov(found, rowvar=False), np.diag(values[:2]), atol=1e-9)
    np.testing.assert_allclose(module.principal(rows[::-1])[::-1], found, atol=1e-9)  # the signs are no chance


def test_samples_that_are_not_made_cannot_be_evaluated(tmp_path):
    """Programs whose options do not refuse it get an error that says so."""
    module = shortened()
    line = [*MADE.split(), "--system", "dann", "--steps", "2", "--out", str(tmp_path / "run")]
    settings = Settings.parsed(module.options(), line, "domain_adaptation")
    settings.evaluate_every = 1
    with pytest.raises(DataError, match="--evaluate-every measures samples, and DANN makes none"):
        mg.training.run(module.build, settings, (1, 28, 28), load=module.load, picture=module.picture)


def test_what_is_logged_in_one_phase_is_drawn_there(tmp_path):
    """What is computed in some steps only, here and there, is left out as before."""
    folder = RunFolder(tmp_path)
    rows = [{"step": 1, "task": 3.0}, {"step": 2, "task": 2.0, "rare": 1.0}, {"step": 3, "d_loss": 0.5}]
    folder.append_log([*rows, {"step": 4, "d_loss": 0.25, "rare": 1.0}])
    found = folder.read_log()
    assert set(found) == {"step", "task", "d_loss"}
    np.testing.assert_array_equal(found["task"], [3.0, 2.0, np.nan, np.nan])
    np.testing.assert_array_equal(found["d_loss"], [np.nan, np.nan, 0.5, 0.25])
    viz.loss_curves(found, tmp_path / "losses.png")
