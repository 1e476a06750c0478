"""What `minigan train` puts together: the same weights for the same seed, whoever else is building."""

import threading

import numpy as np
import pytest

import minigan as mg
from minigan.command import recipe
from minigan.random import Stream
from minigan.training import Settings

OPTIONS = "--model dcgan --side 32 --width 2 --spectral-norm --stddev --dropout 0.5 --ema 0.9 --replay 8"


def build(seed):
    return recipe.build(Settings.parsed(recipe.options([]), [*OPTIONS.split(), "--seed", str(seed)], "train"))


def arrays(game):
    return {name: t.numpy() for name, t in game.state.items()}


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(value, other[name]) for name, value in one.items())


def test_weights_are_those_of_the_default_stream_after_seeding():
    settings = Settings.parsed(recipe.options([]), [*OPTIONS.split(), "--seed", "3"], "train")
    mg.random.seed(3)
    expected = recipe.players(settings.extra)
    for player, made in zip(recipe.build(settings).players.values(), expected, strict=True):
        assert same(*({k: t.numpy() for k, t in network.state_dict().items()} for network in (player, made)))


def test_two_threads_build_what_one_does(monkeypatch):
    expected = [arrays(build(seed)) for seed in (1, 2)]
    assert not same(*expected)
    turns, found = threading.Barrier(2), {}

    def in_turn(draw):
        def drawn(*args, **options):
            turns.wait(timeout=60)  # neither thread is ahead by more than a draw
            return draw(*args, **options)

        return drawn

    monkeypatch.setattr(Stream, "normal", in_turn(Stream.normal))
    monkeypatch.setattr(Stream, "uniform", in_turn(Stream.uniform))
    threads = [threading.Thread(target=lambda seed=seed: found.update({seed: arrays(build(seed))})) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert same(found[1], expected[0])
    assert same(found[2], expected[1])


@pytest.mark.parametrize("seed", [0, 5])
def test_building_leaves_the_default_stream_alone(seed):
    mg.random.seed(seed)
    expected = mg.random.default().uniform(3)
    mg.random.seed(seed)
    build(1)
    assert np.array_equal(mg.random.default().uniform(3), expected)
