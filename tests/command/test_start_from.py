"""A run that begins with the weights of another, and first layers that stay: what moves, fits, is resumed."""

import json
import shutil

import numpy as np
import pytest
from replayed_game import replays_exactly
from resumed_game import numbers

import minigan as mg
from minigan.command import recipe, start_from
from minigan.errors import CheckpointError, ShapeError
from minigan.export import load_generator
from minigan.tensor import Tensor
from minigan.training import Settings, checkpoint

LINE = "--data digits --model mlp28 --batch-size 16"


def settings(line):
    return Settings.parsed(recipe.options([]), line.split(), "train")


def built(line):
    return recipe.build(settings(line))


def train(line, out, *more):
    assert recipe.train([*line.split(), "--out", str(out), *more], "train.py") == 0
    return held(out)


def held(out):
    """The arrays of a run's last checkpoint."""
    return checkpoint.load(checkpoint.find(out / "checkpoints")[-1])[0]


def begun_with(out):
    return json.loads((out / "config.json").read_text())["settings"]["extra"].get("started_from")


def seal(out):
    return json.loads(checkpoint.find(out / "checkpoints")[-1].with_suffix(".json").read_text())["sha256"]


@pytest.fixture
def source(tmp_path, few_digits, capsys):
    """A run of three steps with averages."""
    train(f"{LINE} --ema 0.5 --steps 3", tmp_path / "source")
    capsys.readouterr()
    return tmp_path / "source"


def test_players_and_averages_begin_with_the_weights_and_nothing_else_does(source, capsys):
    arrays = held(source)
    for given in (source, checkpoint.find(source / "checkpoints")[-1]):
        game = built(f"{LINE} --ema 0.9 --seed 4 --start-from {given}")
        found = numbers(game)
        players = [name for name in found if name.split(".")[0] in ("generator", "discriminator", "ema")]
        assert players
        assert [name for name in players if not np.array_equal(found[name], arrays[name])] == []
        assert game.rounds == found["step"] == 0
        assert not found["generator_optimizer.exp_avg.0"].any()
        assert "begins with the weights of" in capsys.readouterr().out
    assert not any(name.startswith("ema") for name in numbers(built(f"{LINE} --start-from {source}")))


def test_an_average_that_the_source_has_not_is_of_the_generator(tmp_path, few_digits):
    arrays = train(f"{LINE} --steps 2", tmp_path / "plain")
    found = numbers(built(f"{LINE} --ema 0.9 --start-from {tmp_path / 'plain'}"))
    for name in (name for name in found if name.startswith("generator.")):
        assert np.array_equal(found[name], arrays[name])
        assert np.array_equal(found[name.replace("generator", "ema")], arrays[name])


def test_layers_that_labels_or_a_direction_shape_begin_anew_and_are_named(source, capsys):
    arrays = held(source)
    found = numbers(built(f"{LINE} --ema 0.9 --clusters 4 --start-from {source}"))
    assert "; anew: generator.0, discriminator.5" in capsys.readouterr().out
    assert np.array_equal(found["generator.network.2.weight"], arrays["generator.2.weight"])
    assert np.array_equal(found["ema.network.2.weight"], arrays["ema.2.weight"])
    assert np.array_equal(found["ema.network.0.weight"], found["generator.network.0.weight"])
    assert found["discriminator.network.5.weight"].shape[0] == 4
    plain = numbers(built(f"{LINE} --clusters 4"))
    assert np.array_equal(found["generator.network.0.weight"], plain["generator.network.0.weight"])
    found = numbers(built(f"{LINE} --san --start-from {source}"))
    assert "; anew: discriminator.5\n" in capsys.readouterr().out
    assert np.array_equal(found["discriminator.3.weight"], arrays["discriminator.3.weight"])


def test_what_does_not_fit_is_named(source, tmp_path):
    with pytest.raises(CheckpointError, match=r"weights of --start-from: .*step_00000003.*generator\.\S+ is missing"):
        built(f"{LINE} --model dcgan28 --start-from {source}")
    with pytest.raises(CheckpointError, match="--start-from: nowhere: no such run or checkpoint"):
        built(f"{LINE} --start-from nowhere")
    with pytest.raises(CheckpointError, match="generator"):
        built(f"{LINE} --start-from {source / 'generator.safetensors'}")
    with pytest.raises(CheckpointError, match="x: it holds no weights of a generator and a discriminator"):
        start_from.take(built(LINE), {"step": np.zeros(())}, "x")


def test_a_run_is_resumed_without_its_source_and_begun_again_with_the_same(source, tmp_path):
    line = f"{LINE} --freeze-d 1 --start-from {source}"
    whole = train(f"{line} --steps 4", tmp_path / "whole")
    train(f"{line} --steps 2", tmp_path / "parts")
    assert begun_with(tmp_path / "whole") == begun_with(tmp_path / "parts") == seal(source)
    moved = tmp_path / "elsewhere"
    source.rename(moved)
    parts = train(f"{line} --steps 4", tmp_path / "parts", "--resume")
    assert [name for name in whole if not np.array_equal(whole[name], parts[name])] == []
    assert begun_with(tmp_path / "parts") == seal(moved)
    assert load_generator(tmp_path / "parts" / "generator.safetensors").sample(2).shape == (2, 1, 28, 28)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    shutil.copy(tmp_path / "parts" / "config.json", fresh)
    moved.rename(source)
    train(f"{LINE} --ema 0.5 --steps 5", source, "--resume")  # another checkpoint is its last now
    with pytest.raises(CheckpointError, match=r"is not what the run in .*fresh began with"):
        train(f"{line} --steps 4", fresh, "--resume")


def test_the_first_layers_of_the_discriminator_stay_as_they_are(source):
    before = held(source)
    game = built(f"{LINE} --freeze-d 2 --lr 0.01 --start-from {source}")
    real = Tensor(mg.random.Stream(0).uniform((8, 1, 28, 28), -1, 1))
    for _ in range(2):
        game.play(lambda k: real)
    found = {name: value for name, value in numbers(game).items() if name.split(".")[0] in start_from.PLAYERS}
    moved = {name for name, value in found.items() if not np.array_equal(value, before[name])}
    assert {name for name in moved if name.startswith("d")} == {"discriminator.5.weight", "discriminator.5.bias"}
    assert "generator.0.weight" in moved


@pytest.mark.parametrize(
    "more", ["--unroll 2 --clip 0.1", "--consensus 0.1", "--one-pass --penalty r1", "--clusters 3"]
)
def test_frozen_layers_stay_in_every_turn_and_replayed(source, more):
    line = f"{LINE} --freeze-d 1 --start-from {source} {more}"
    real = Tensor(mg.random.Stream(0).uniform((8, 1, 28, 28), -1, 1))
    drawn = (real, mg.tensor(np.arange(8) % 3)) if "clusters" in more else real
    game = replays_exactly(lambda: built(line), lambda: lambda k: drawn)
    found = {name.replace(".network", ""): value for name, value in numbers(game).items()}
    before = held(source)
    assert np.array_equal(found["discriminator.1.weight"], before["discriminator.1.weight"])
    assert not np.array_equal(found["discriminator.3.weight"], before["discriminator.3.weight"])


def test_layers_are_counted_by_blocks_and_the_last_learns(source):
    D = mg.models.resnet(16, 8, channels=1, width=2).discriminator
    blocks = [block for block in D if block.parameters()]
    assert sum(len(block.parameters()) for block in blocks[2:]) == len(start_from.learning(D, 2))
    assert start_from.learning(D, 0) == D.parameters()
    with pytest.raises(ShapeError, match="--freeze-d 3: D has 3 layers with weights, and the last has to learn"):
        built(f"{LINE} --freeze-d 3 --start-from {source}")
    with pytest.raises(ShapeError, match="D has 0 layers"):
        start_from.learning(mg.nn.Linear(2, 1), 1)
