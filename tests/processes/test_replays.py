"""Replays of a turn on a CPU meet the others' calls as the turn itself does: some may replay while others play."""

import numpy as np
import pytest
from systems import SYSTEMS, furthest, play

import minigan as mg
from minigan import ops, processes
from minigan.capture import WARM_UP, Captured
from minigan.processes import Threads
from minigan.tensor import Tensor

ROUNDS = WARM_UP + 4  # two record, two are replays


@pytest.mark.parametrize(
    "name", ["batch norm, EMA", "relativistic average hinge", "replay", "BEGAN", "ada", "LeCam", "top-k"]
)
def test_who_replays_and_who_plays_end_alike(name):
    game, alone, _ = play(SYSTEMS[name], ROUNDS)
    played = Threads(2).run(lambda group: play(SYSTEMS[name], ROUNDS, group, graphs=group.rank == 1))
    assert all(turn.graph is not None for turn in played[1][0]._turns[1].values())
    assert played[0][0]._turns[1] == {}
    for _, state, _ in played:
        assert furthest(game, alone, state) < 1e-12


@pytest.mark.parametrize(
    "of_constants",
    [
        lambda: ops.all_sum(mg.ones((3,), dtype="float64")),
        lambda: ops.averaged([mg.ones((2,), dtype="float64"), mg.ones((1,), dtype="float64")])[0][0],
        lambda: mg.grad(ops.all_mean(mg.sum(x := mg.ones((3,), dtype="float64"))), x),
    ],
)
def test_a_sum_of_what_is_known_is_met_at_each_replay(of_constants):
    """Though its result is the same each time."""

    def of_rank(group):
        with processes.using(group):
            x = Tensor(np.arange(3.0))
            step = Captured(lambda t: t * of_constants(), enabled=group.rank == 1)
            results = [step(x).numpy() for _ in range(ROUNDS)]
            assert (step.graph is not None) == (group.rank == 1)
            group.any(False)  # a call too few or too many would meet this one
        return results

    first, second = Threads(2).run(of_rank)
    assert all(np.array_equal(found, first[0]) for found in (*first, *second))
