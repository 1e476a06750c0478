"""Games on several GPUs, on stand-ins for these and for NCCL: ranks are threads; their sums are parts of graphs."""

import fakecupy
import fakenccl
import numpy as np
import pytest
from fakenccl import together
from games_by_name import on_points
from system_parts import LATENT, Z, adam, living_on
from systems import FREE, SYSTEMS, System, batches, built, furthest, play
from systems import game as made

from minigan import data, nn, random
from minigan.capture import WARM_UP
from minigan.gan import ScoreGame, losses, penalties
from minigan.random import Stream

ROUNDS = WARM_UP + 2  # of which the last are replays
SOME = [
    "batch norm, EMA",
    "gradient penalty through batch norm",
    "relativistic average hinge",
    "replay",
    "CUT",
    "BEGAN",
    "one pass",
    "ada, one pass",
    "top-k",
    pytest.param("ICR, shared fakes, ada", marks=pytest.mark.slow),
    pytest.param("LeCam, unrolled", marks=pytest.mark.slow),
    pytest.param("unrolled", marks=pytest.mark.slow),
    pytest.param("CycleGAN", marks=pytest.mark.slow),
]


@pytest.fixture(autouse=True)
def gpus(monkeypatch):
    fakecupy.install(monkeypatch)
    fakenccl.install(monkeypatch)
    with living_on("cuda"):
        yield


def captured(game):
    return [turn.graph is not None for turn in game._turns[1].values()]


@pytest.mark.parametrize("name", SOME)
def test_two_and_four_gpus_play_what_one_plays(name):
    """Captured, and launch by launch."""
    system = SYSTEMS[name]
    game, alone, losses = play(system, ROUNDS)
    for ranks, graphs in ((2, True), (4, True), (2, False)):
        played = together(ranks, lambda group, graphs=graphs: play(system, ROUNDS, group, graphs=graphs))
        for mine, state, its_losses in played:
            assert set(captured(mine)) == ({True} if graphs else set())
            assert furthest(game, alone, state) < 1e-12
            assert max(abs(its_losses[k] - losses[k]) for k in losses) < 1e-9
            assert all(np.array_equal(state[k], played[0][1][k]) for k in state), "ranks hold the same bits"


def convolutions():
    """A system whose weights and activations are channels-last in memory."""
    G = nn.Sequential(
        *(nn.Linear(Z, 18, bias=False), nn.BatchNorm1d(18), nn.ReLU(), nn.Unflatten(1, (2, 3, 3))),
        *(nn.ConvTranspose2d(2, 3, 4, 2, 1, bias=False), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 1, 3, padding=1)),
    ).to("cuda", "float64")
    D = nn.Sequential(
        *(nn.Conv2d(1, 4, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(4, 3, 3, bias=False), nn.BatchNorm2d(3), nn.Tanh()),
        *(nn.Flatten(), nn.Linear(3, 1)),
    ).to("cuda", "float64")
    optimizers = {"generator_optimizer": adam(G), "discriminator_optimizer": adam(D)}
    return ScoreGame(G, D, loss=losses.nonsaturating, latent=LATENT, **optimizers)


def test_convolutions_on_two_gpus():
    system = System(convolutions)
    game, alone, _ = play(system, ROUNDS)
    for mine, state, _ in together(2, lambda group: play(system, ROUNDS, group)):
        assert all(captured(mine))
        assert furthest(game, alone, state) < 1e-12


def test_a_batch_in_parts_on_two_gpus():
    system = System(lambda: made(losses.wasserstein, how=FREE, g_norm=False, penalty=penalties.gradient_penalty))

    def played(group):
        game = built(system)
        game.distribute(group)
        game.accumulate(2)
        drawn = batches(system)
        for _ in range(ROUNDS):
            game.play(drawn)
        return game, {k: t.numpy() for k, t in game.state.items()}

    game, alone, _ = play(system, ROUNDS)
    for mine, state in together(2, played):
        assert all(captured(mine))
        assert furthest(game, alone, state) < 1e-12


# --- batches that a graph draws itself ------------------------------------------------------------------------------


def points_played(group=None, look=False):
    """A state after rounds whose turns draw for themselves; with `look`, somebody looks at whole batches between."""
    points = np.random.default_rng(0).standard_normal((64, 2)).astype("float32")
    with random.using(Stream(0)):
        nets = [nn.Sequential(nn.Linear(i, 8), nn.Tanh(), nn.Linear(8, o)).to("cuda") for i, o in ((3, 2), (2, 1))]
    game, source = on_points(*nets), data.Batches(points, 16, device="cuda")
    if group is not None:
        game.distribute(group)
    for k in range(ROUNDS + 6):
        game.play(source)
        if look:
            assert source.at(k).shape == (16, 2)
    assert all(captured(game))
    return {k: t.numpy() for k, t in game.state.items()}


def test_turns_that_draw_their_batches_draw_their_rows():
    alone = points_played()
    for state in together(2, points_played):
        for key, value in alone.items():
            np.testing.assert_allclose(state[key], value, rtol=1e-4, atol=1e-5)


def test_who_looks_at_whole_batches_changes_nothing():
    plain, watched = together(2, points_played), together(2, lambda group: points_played(group, look=True))
    for mine, theirs in zip(watched, plain, strict=True):
        assert all(np.array_equal(mine[k], theirs[k]) for k in theirs)


# --- captured by all or by none -------------------------------------------------------------------------------------


def reads_back_in(rank, late):
    """What plays a system in which that rank reads a value back in the generator's turn, before or after its sums."""

    def of_rank(group):
        game = built(SYSTEMS["batch norm, EMA"])
        if group.rank == rank:
            turn = game.generator_turn

            def reading(batch):
                if not late:
                    batch.real.numpy()
                found = turn(batch)
                if late:
                    batch.real.numpy()
                return found

            game.generator_turn = reading
        game.distribute(group)
        drawn = batches(SYSTEMS["batch norm, EMA"])
        for _ in range(ROUNDS):
            game.play(drawn)
        return game, {k: t.numpy() for k, t in game.state.items()}

    return of_rank


@pytest.mark.parametrize("late", [False, True], ids=["before the sums", "after the sums"])
def test_a_capture_that_one_gives_up_all_give_up(late):
    game, alone, _ = play(SYSTEMS["batch norm, EMA"], ROUNDS)
    with pytest.warns(RuntimeWarning, match="generator_turn runs without a CUDA graph") as said:
        played = together(4, reads_back_in(2, late))
    reasons = sorted(str(w.message).partition(": ")[2] for w in said)
    assert "operation not permitted when stream is capturing" in reasons[0]
    assert reasons[1:] == ["another process could not capture it"] * 3
    for mine, state in played:
        assert captured(mine) == [True, False]
        assert furthest(game, alone, state) < 1e-12


def test_without_an_agreement_the_stand_in_notices(monkeypatch):
    monkeypatch.setattr("minigan.gan.game.Game._all_agree", lambda game, fine: fine)
    with (
        pytest.warns(RuntimeWarning, match="without a CUDA graph"),
        pytest.raises(Exception, match=r"ranks met in different calls: .* of a graph of "),
    ):
        together(2, reads_back_in(1, late=True))


# --- one, and none --------------------------------------------------------------------------------------------------


def test_a_communicator_of_one():
    group = together(1, lambda group: group)[0]
    x = group.sum(fakecupy.ndarray(np.ones(3)))
    assert x.get().tolist() == [1, 1, 1]
    _, alone, _ = play(SYSTEMS["replay"], ROUNDS)
    mine, state, _ = play(SYSTEMS["replay"], ROUNDS, group)
    assert all(captured(mine))
    assert all(np.array_equal(state[k], alone[k]) for k in alone)
