"""The script that draws what a text says: of digits and of pictures of one's own; its numbers, what it refuses."""

import json

import numpy as np
import pytest
from example_scripts import example
from PIL import Image

import minigan as mg
from minigan import data, training
from minigan.command import cli
from minigan.training import evaluation


@pytest.fixture
def birds(tmp_path):
    """Pictures and what they show, as many as an evaluation needs."""
    folder = tmp_path / "birds"
    folder.mkdir()
    for k, image in enumerate(data.digits(96)[0]):
        Image.fromarray(image[0]).save(folder / f"{k}.png")
    lines = [f"{k}.png\ta {['red', 'blue', 'grey'][k % 3]} bird" for k in range(96)]
    (tmp_path / "captions.txt").write_text("\n".join(lines))
    return ["--data", str(folder), "--captions", str(tmp_path / "captions.txt")]


def test_digits_are_drawn_and_measured(capsys):
    line = "--data digits --width 4 --features 8 --penalty none --interpolate 1 --dry-run"
    assert example("text_to_image").main(line.split()) == 0
    said = capsys.readouterr().out
    assert all(f"\n{name}: " in said for name in ("digit", "width", "leaning", "all"))


def test_a_run_of_ones_own_pictures_resumes_and_is_asked_for_texts(birds, tmp_path, capsys):
    module, out = example("text_to_image"), tmp_path / "run"
    small = ["--side", "16", "--channels", "1", "--width", "4", "--window", "3", "--batch-size", "4"]
    line = [*birds, *small, "--out", str(out)]
    assert module.main([*line, "--steps", "3"]) == 0
    assert module.main([*line, "--steps", "5", "--resume"]) == 0
    whole = tmp_path / "whole"
    assert module.main([*birds, *small, "--out", str(whole), "--steps", "5"]) == 0
    newest = [max((folder / "checkpoints").glob("*.safetensors")) for folder in (out, whole)]
    first, second = (data_of(path) for path in newest)
    assert first.keys() == second.keys()
    assert [name for name, value in first.items() if not np.array_equal(value, second[name])] == []
    assert json.loads((out / "metrics.json").read_text()) == {}
    with Image.open(max((out / "samples").glob("*.png"))) as drawn:
        assert drawn.size[0] > drawn.size[1] > 3 * 60  # a row of ten for each of three captions
    found = evaluation.evaluate(out, 40)
    assert (found.samples, evaluation.CHANGED in found.notes) == (40, False)
    picture = tmp_path / "asked.png"
    assert cli.main(["sample", str(out), "--text", "a blue bird", "--n", "4", "--out", str(picture)]) == 0
    capsys.readouterr()
    assert cli.main(["sample", str(out), "--text", "a green bird", "--out", str(picture)]) == 1
    assert "'green' is no word that is known; the words are a, bird, blue, grey, red" in capsys.readouterr().err


def test_a_file_of_captions_is_complained_of_once(birds, tmp_path, capsys):
    (tmp_path / "captions.txt").write_text("name,caption\n3.png,a bird\n4,a blue bird")
    small = ["--side", "8", "--width", "2", "--batch-size", "2", "--steps", "1", "--out", str(tmp_path / "run")]
    assert example("text_to_image").main([*birds, *small]) == 0
    said = capsys.readouterr().out
    assert said.count("1 of 3 lines name no picture: name") == 1
    assert said.count("94 of 96 pictures have no caption: 0.png, 1.png, 10.png") == 1


def data_of(path):
    from safetensors.numpy import load_file

    return load_file(path)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--data", "cifar10"], "captions are made of auto, mnist, digits; else give --captions FILE"),
        (["--data", "digits", "--flip"], "a mirrored digit leans the other way"),
        (["--data", "digits", "--captions", "none.csv"], "digits: no such folder"),
    ],
)
def test_what_has_no_captions_is_named(words, told, capsys):
    assert example("text_to_image").main([*words, "--dry-run", "--width", "4"]) == 1
    assert told in capsys.readouterr().err


def test_a_game_is_built_from_its_seed_alone():
    module = example("text_to_image")
    states = []
    for seed in (0, 1):
        mg.random.seed(seed)
        settings = training.Settings.parsed(module.options(), ["--data", "digits", "--width", "4", "--seed", "3"])
        states.append({name: t.numpy() for name, t in module.build(settings).state.items()})
    assert [name for name, value in states[0].items() if not np.array_equal(value, states[1][name])] == []
