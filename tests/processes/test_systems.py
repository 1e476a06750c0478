"""The same run on any number of processes: every game and every switch, on ranks that are threads."""

import numpy as np
import pytest
from systems import SYSTEMS, furthest, play

from minigan.processes import Threads

ROUNDS = 6


@pytest.mark.parametrize("name", SYSTEMS)
def test_two_and_four_ranks_play_what_one_plays(name):
    system = SYSTEMS[name]
    game, alone, losses = play(system, ROUNDS)
    for ranks in (2, 4):
        played = Threads(ranks).run(lambda group: play(system, ROUNDS, group))
        for _, state, its_losses in played:
            assert furthest(game, alone, state) < 1e-12
            assert its_losses.keys() == losses.keys()
            assert max(abs(its_losses[k] - losses[k]) for k in losses) < 1e-9
            assert all(np.array_equal(state[k], played[0][1][k]) for k in state), "ranks hold the same bits"
