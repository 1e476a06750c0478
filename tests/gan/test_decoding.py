"""A discriminator that gives back real images: the formula, in D's turn alone, of what it saw."""

import numpy as np
import pytest
from single_turn import take
from systems import System, built, decoding

import minigan as mg
from minigan.errors import ShapeError
from minigan.gan import ConditionalGame, Moves, Regularisers, Sight, losses, penalties
from minigan.gan.decoding import decoders_of, quarter, reconstruction_error
from minigan.models import of_classes
from minigan.models.fastgan import Features
from minigan.random import Stream
from minigan.tensor import Tensor

REAL = Tensor(np.random.default_rng(0).uniform(-1, 1, (8, 1, 6, 6)))


class Decoders:
    """Decoders that are functions."""

    def __init__(self, whole, part):
        self.whole, self.part = whole, part


def test_each_image_has_a_quarter_of_its_own():
    u = np.array([[0.1, 0.2], [0.1, 0.9], [0.7, 0.2], [0.7, 0.9]])
    x = np.random.default_rng(1).normal(size=(4, 2, 4, 6))
    found = quarter(Tensor(x), u).numpy()
    for k, (rows, columns) in enumerate([(0, 0), (0, 3), (2, 0), (2, 3)]):
        np.testing.assert_array_equal(found[k], x[k, :, rows : rows + 2, columns : columns + 3])


def test_the_error_is_the_mean_distance_of_whole_images_and_of_the_same_quarters():
    images, small = REAL, mg.avg_pool2d(REAL, 2)
    right = Decoders(lambda x: x, lambda x: x)
    read = Features(images, small)
    assert reconstruction_error(right, images, read, Stream(0)).item() == pytest.approx(0, abs=1e-12)
    wrong = Decoders(lambda x: x + 0.25, lambda x: x - 2.0)
    assert reconstruction_error(wrong, images, read, Stream(0)).item() == pytest.approx(2.25)
    elsewhere = Decoders(lambda x: x, lambda x: -x)
    expected = 2 * np.abs(quarter(images, Stream(0).uniform((8, 2), dtype="float64")).numpy()).mean()
    assert reconstruction_error(elsewhere, images, read, Stream(0)).item() == pytest.approx(expected)


def vectors(tensors):
    return np.concatenate([t.numpy().ravel() for t in tensors])


@pytest.mark.parametrize("sight", [Sight(), Sight(augment="color,translation"), Sight(joint_batches=True)])
def test_the_discriminator_pays_for_what_it_cannot_give_back_of_what_it_saw(sight):
    steps = {}
    for weight in (0.0, 2.0):
        game = decoding(weight, sight=sight, norm=False, optimizer="sgd")
        before = vectors(game.discriminator.parameters())
        shown = take(game, "discriminator_turn", REAL)
        steps[weight] = vectors(game.discriminator.parameters()) - before
    game = decoding(2.0, sight=sight, norm=False)
    with mg.random.using(game.stream("discriminator").at(0)) as rng, mg.no_grad():
        game._sides(game.generator, game.discriminator, mg.gan.Batch(REAL, 0, 0, rng))
        seen = game.view.seen(REAL, rng)
        game.view.seen(REAL, rng)  # the fakes
    error = reconstruction_error(game.discriminator, seen, game.discriminator(seen)[1], rng)
    slopes = vectors(mg.grad(error, game.discriminator.parameters()))
    assert shown["reconstruction"].item() == pytest.approx(error.item())
    np.testing.assert_allclose(steps[2.0] - steps[0.0], -2.0 * slopes, atol=1e-12)
    assert np.abs(slopes).max() > 1e-4


def test_the_generator_does_not():
    moved = []
    for weight in (0.0, 2.0):
        game = decoding(weight)
        shown = take(game, "generator_turn", REAL)
        assert "reconstruction" not in shown
        moved.append(vectors(game.generator.parameters()))
    assert np.array_equal(*moved)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_it_goes_with_every_loss(name):
    game = decoding(1.0, loss=losses.LOSSES[name], penalty=penalties.r1)
    shown = [game.play(lambda k: REAL) for _ in range(2)]
    assert all(np.isfinite(value.item()) for each in shown for value in each.values())


@pytest.mark.parametrize("name", penalties.PENALTIES)
def test_a_penalty_is_on_the_scores_alone(name):
    game = decoding(1.0, penalty=penalties.PENALTIES[name])
    found = take(game, "discriminator_turn", REAL)["penalty"].item()
    assert np.isfinite(found)
    if name in ("r1", "r2", "r1_r2"):  # the others draw, behind the quarters
        without = decoding(0.0, penalty=penalties.PENALTIES[name])
        assert found == take(without, "discriminator_turn", REAL)["penalty"].item()


def test_players_that_are_told_the_class_give_back_images_too():
    with mg.random.using(Stream(0)):
        players = of_classes(mg.models.fastgan(32, 5 + 3, channels=1, width=2, outputs=3), 3)
    G, D = players
    images = Tensor(Stream(1).uniform((4, 1, 32, 32), -1, 1))
    labels = mg.tensor([0, 2, 1, 0])
    scores, read = D(images, labels)
    every = D.network(images)[0].numpy()
    assert np.array_equal(scores.numpy()[:, 0], every[np.arange(4), labels.numpy()])
    assert (scores.shape, read.large.shape, read.small.shape) == ((4, 1, 5, 5), (4, 2, 16, 16), (4, 4, 8, 8))
    game = ConditionalGame(
        *(G, D),
        classes=3,
        loss=losses.hinge,
        latent=mg.gan.normal_latent(5),
        generator_optimizer=mg.optim.Adam(G.parameters(), 2e-4),
        discriminator_optimizer=mg.optim.Adam(D.parameters(), 2e-4),
        regularisers=Regularisers(reconstruction=1.0),
    )
    assert 0.1 < game.play(lambda k: (images, labels))["reconstruction"].item() < 2


def test_what_cannot_be_is_refused():
    with pytest.raises(ShapeError, match=r"expected a discriminator with decoders, as models\.fastgan makes it"):
        decoders_of(mg.models.dcgan28().discriminator)
    with pytest.raises(ShapeError, match=r"reconstruction 1\.0: decoders do not move in steps .* no unroll, got 2"):
        decoding(1.0, moves=Moves(unroll=2))
    with pytest.raises(ShapeError, match="reconstruction"):
        Regularisers(reconstruction=-1.0)


def test_decoders_learn():
    """On the same images they come nearer, which a discriminator's turn alone does."""
    game = built(System(lambda: decoding(1.0, lr=1e-2)))
    errors = [game.play(lambda k: REAL)["reconstruction"].item() for _ in range(60)]
    assert np.mean(errors[-5:]) < 0.8 * np.mean(errors[:5])
