"""What a replayed game has to be: the game as it is played, to the bit."""

import warnings

import numpy as np
from resumed_game import numbers

from minigan.capture import WARM_UP

ROUNDS = WARM_UP + 5  # of which the last three are replays


def replays_exactly(make, batches, rounds=ROUNDS):
    """Play make() with and without replays, on batches() each time: the same losses and the same state; the game."""
    outcomes = []
    for graphs in (False, True):
        game, source = make(), batches()
        game.graphs = graphs
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            losses = [{k: v.item() for k, v in game.play(source).items()} for _ in range(rounds)]
        assert all(np.isfinite(value) for each in losses for value in each.values())
        outcomes.append((losses, numbers(game)))
    (played, ours), (replayed, theirs) = outcomes
    assert replayed == played
    assert [name for name in ours if not np.array_equal(ours[name], theirs[name])] == []
    assert all(turn.graph is not None for turn in game._turns[1].values())
    return game
