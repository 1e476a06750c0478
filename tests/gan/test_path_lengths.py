"""Path lengths: their formula, its second derivative, the rounds that measure them, and what they do not go with."""

import numpy as np
import pytest
from replayed_game import replays_exactly
from resumed_game import continues_exactly
from single_turn import take
from systems import game as small_game

import minigan as mg
from minigan.errors import ShapeError
from minigan.gan import ConditionalGame, Moves, PathLengths, ScoreGame, Turn, alternate, losses, penalties
from minigan.gan.path_lengths import path_lengths
from minigan.random import Stream
from minigan.tensor import Tensor

SIDE, Z = 8, 3
SCHEDULES = {
    "in turn": alternate(),
    "shared fakes": [Turn("shared_turn")],
    "at once": [Turn("simultaneous_turn")],
}


def players(mixing=0.5, dtype="float32"):
    mg.random.seed(0)
    made = mg.models.stylegan2(SIDE, Z, channels=1, width=2, style_dim=4, depth=1, mixing=mixing)
    for player in made:
        player.to(dtype=dtype)
    return made


def game(weights, made=None, schedule=None, **options):
    G, D = made or players()
    return ScoreGame(
        *(G, D),
        loss=losses.nonsaturating,
        latent=mg.gan.normal_latent(Z, dtype=str(G.picture.dtype)),
        generator_optimizer=mg.optim.Adam(G.parameters(), 1e-3, (0.0, 0.99)),
        discriminator_optimizer=mg.optim.Adam(D.parameters(), 1e-3, (0.0, 0.99)),
        path_lengths=weights,
        schedule=schedule,
        **options,
    )


def images(k):
    return mg.tensor(np.random.default_rng(k).uniform(-1, 1, (8, 1, SIDE, SIDE)).astype("float32"))


def test_lengths_of_a_linear_map_are_those_of_its_matrices():
    """J^T y has a part for each layer, though all are given the same style."""
    rng = np.random.default_rng(0)
    matrices = [mg.tensor(rng.standard_normal((4, 2 * 3 * 5))) for _ in range(3)]

    def synthesis(styles):
        return sum(s @ m for s, m in zip(styles, matrices, strict=True)).reshape(6, 2, 3, 5)

    style = mg.tensor(rng.standard_normal((6, 4)))
    found = path_lengths(synthesis, [style] * 3, Stream(1)).numpy()
    y = Stream(1).normal((6, 30), 0.0, 1 / np.sqrt(15), "float64")
    slopes = np.stack([y @ m.numpy().T for m in matrices])
    np.testing.assert_allclose(found, np.sqrt((slopes**2).sum(2).mean(0)), rtol=1e-12)


def test_the_gradient_by_each_weight_of_the_generator():
    """A second derivative through all of it, of images with two styles each."""
    G = players(mixing=1.0, dtype="float64").generator
    z = Tensor(Stream(2).normal((3, Z), dtype="float64"))
    for name, p in G.named_parameters():
        if "noise" in name or "bias" in name:
            p.copy_(p + 0.3 * Tensor(Stream(3, name).normal(p.shape, dtype="float64")))

    class Measured(mg.nn.Module):
        def __init__(self):
            self.G = G

        def forward(self, z):
            with mg.random.using(Stream(4)):
                lengths = path_lengths(self.G.synthesis, self.G.styles(z), Stream(5))
            return mg.square(lengths - 0.3)

    measured = Measured()
    names, params = zip(*measured.named_parameters(), strict=True)
    assert measured(z).numpy().min() > 1e-3

    def penalty(*given):
        return mg.nn.functional_call(measured, dict(zip(names, given, strict=True)), z)

    mg.testing.gradcheck(penalty, list(params), order=1)


def test_a_round_in_three_has_three_times_the_term_and_the_average_moves():
    G = players(mixing=0.0, dtype="float64")
    real = mg.tensor(images(0).numpy().astype("float64"))
    played = game(PathLengths(2.0, 0.9, every=3, shrink=4), G)
    plain = game(None, players(mixing=0.0, dtype="float64"))
    average = 0.0
    for k in range(7):
        plain.load_state({name: t for name, t in played.state.items() if "path_lengths" not in name})
        played.rounds = k
        rng = played.stream("generator").at(k)
        z = played.latent(8, played.stream("noise").at(k))
        with mg.random.using(rng):
            played.generator(z)  # draws what its noise takes
            few = played.latent(2, rng)
            lengths = path_lengths(played.generator.synthesis, played.generator.styles(few), rng).numpy()
        shown = take(played, "generator_turn", real, noise=k, number=k)
        told = take(plain, "generator_turn", real, noise=k, number=k)["g_loss"].item()
        if k % 3 == 0:
            average = lengths.mean() if k == 0 else 0.9 * average + 0.1 * lengths.mean()
            told += 3 * 2.0 * np.square(lengths - average).mean()
            assert shown["path_length"].item() == pytest.approx(lengths.mean())
        assert ("path_length" in shown) == (k % 3 == 0)
        assert shown["g_loss"].item() == pytest.approx(told, rel=1e-10)
        assert played.state["path_lengths.average"].item() == pytest.approx(average)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_each_way_of_a_turn_is_replayed_and_a_resumed_game_goes_on(schedule):
    """Penalties in every other round and path lengths in every third one make four ways, or two of each turn."""

    def lazy(every=3):
        options = {"penalty": penalties.r1, "penalty_weight": 0.5, "penalty_every": 2, "schedule": schedule}
        return game(PathLengths(every=every), **options)

    played = replays_exactly(lazy, lambda: images, rounds=30)
    ways = {"discriminator_turn": {0, 1}, "generator_turn": {0, 2}}
    expected = {(k, way) for k, turn in enumerate(schedule) for way in ways.get(turn.name, range(4))}
    assert set(played._turns[1]) == expected
    continues_exactly(*(lazy(every=2) for _ in range(3)), images)


def test_with_consensus_it_is_part_of_the_joint_gradient():
    replays_exactly(lambda: game(PathLengths(every=1), moves=Moves(consensus=0.1)), lambda: images)


def test_what_does_not_go_with_path_lengths_says_so():
    with pytest.raises(ShapeError, match=r"with styles\(z\) and synthesis\(styles\).*Sequential has no styles and no"):
        small_game(losses.hinge, path_lengths=PathLengths())
    with pytest.raises(ShapeError, match=r"PathLengths\(weight=2.0.*beside scores: no one_pass_turn"):
        small_game(losses.hinge, how={"norm": False}, schedule=[Turn("one_pass_turn")], path_lengths=PathLengths())
    G, D = players()
    parts = {"loss": losses.hinge, "latent": mg.gan.normal_latent(Z), "classes": 2, "path_lengths": PathLengths()}
    optimizers = {
        f"{name}_optimizer": mg.optim.Adam(p.parameters(), 1e-3) for name, p in (("generator", G), ("discriminator", D))
    }
    with pytest.raises(ShapeError, match=r"a label or code of its own, .* \{'path_lengths': PathLengths"):
        ConditionalGame(*mg.models.of_classes(mg.models.Players(G, D), 2), **parts, **optimizers)
    with pytest.raises(ShapeError, match=r"a batch of 8 has no share of 1/3"):
        game(PathLengths(shrink=3)).play(images)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"weight": -1.0}, "weight: expected a finite number >= 0"),
        ({"decay": 1.0}, "decay: expected a finite number >= 0 and < 1"),
        ({"every": 0}, "every: expected an integer >= 1"),
        ({"shrink": 0.5}, "shrink: expected an integer >= 1"),
    ],
)
def test_numbers_that_cannot_be_are_refused(options, told):
    with pytest.raises(ShapeError, match=f"PathLengths: {told}"):
        PathLengths(**options)
