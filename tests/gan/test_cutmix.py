"""CutMix: the formulas, what is cut, when, and which discriminators have it."""

import numpy as np
import pytest
from single_turn import take
from systems import game as small_game
from watched_game import game as plain_game

import minigan as mg
from minigan.errors import ShapeError
from minigan.gan import Batch, Regularisers, Sight, cutmix, losses
from minigan.random import Stream
from minigan.tensor import Tensor


def test_rectangles_are_of_every_size_and_place():
    x = mg.zeros((4000, 3, 16, 12))
    inside = cutmix.rectangles(x, Stream(1)).numpy()
    assert inside.shape == (4000, 1, 16, 12)
    assert inside.dtype == bool
    rows, columns = inside.any((1, 3)), inside.any((1, 2))
    np.testing.assert_array_equal(inside[:, 0], rows[:, :, None] & columns[:, None])
    for side in (rows, columns):
        assert (np.abs(np.diff(side, axis=1)).sum(1) <= 2).all(), "one stretch"
    share = inside.mean((1, 2, 3))
    assert 0.2 < share.mean() < 0.45  # half of them, less what lies beyond the edge
    assert share.min() < 0.01
    assert share.max() > 0.7
    np.testing.assert_allclose(inside.mean((0, 1))[:, ::-1], inside.mean((0, 1)), atol=0.05)


def test_the_rectangle_is_of_the_fake_or_of_the_real_image():
    x = mg.zeros((1000, 1, 8, 8))
    fakes, inside = cutmix.cuts(x, Stream(1)).numpy(), cutmix.rectangles(x, Stream(1)).numpy()
    same, other = ((fakes == by).all((1, 2, 3)) for by in (inside, ~inside))
    assert (same ^ other).all()
    assert 0.45 < same.mean() < 0.55


REAL, FAKE = (Tensor(Stream(k).normal((3, 1, 8, 8), dtype="float64")) for k in (0, 1))
CUT = np.where(cutmix.cuts(REAL, Stream(2)).numpy(), FAKE.numpy(), REAL.numpy())  # by the same draws


def critic(window):
    mg.random.seed(3)
    return mg.nn.Conv2d(1, 2, window, padding=window // 2).to(dtype="float64")


def cut(D):
    return cutmix.Cut((REAL, FAKE), (D(REAL), D(FAKE)), D, Stream(2))


def test_pixels_are_to_be_scored_as_before():
    D = critic(3)
    found = cut(D).consistency()
    before = np.where(FAKE.numpy() == CUT, D(FAKE).numpy()[:, 1:], D(REAL).numpy()[:, 1:])
    assert found.item() == pytest.approx(((D(mg.tensor(CUT)).numpy()[:, 1:] - before) ** 2).mean())
    assert found.item() > 1e-3
    assert cut(critic(1)).consistency().item() < 1e-25, "who looks at one pixel alone scores it as before"


def softplus(x):
    return np.log1p(np.exp(x))


@pytest.mark.parametrize(
    ("loss", "of_real", "of_fake"),
    [
        (losses.hinge, lambda s: max(0, 1 - s), lambda s: max(0, 1 + s)),
        (losses.nonsaturating, lambda s: softplus(-s), softplus),
        (losses.wasserstein, lambda s: -s, lambda s: s),
    ],
    ids=lambda part: getattr(part, "name", ""),
)
def test_the_whole_is_fake_and_a_pixel_what_it_was_cut_from(loss, of_real, of_fake):
    D = critic(3)
    scores = D(mg.tensor(CUT)).numpy()
    wholes, pixels = [], []
    for n in range(3):
        for i in range(8):
            for j in range(8):
                wholes.append(of_fake(scores[n, 0, i, j]))
                by = of_fake if CUT[n, 0, i, j] == FAKE.numpy()[n, 0, i, j] else of_real
                pixels.append(by(scores[n, 1, i, j]))
    assert cut(D).loss(loss.discriminator).item() == pytest.approx(np.mean(wholes) + np.mean(pixels))
    as_much = loss.discriminator(D(REAL), D(FAKE)).item()  # the mean of both kinds of scores, as in the paper's program
    both = [(D(x).numpy()[:, k], by) for x, by in ((REAL, of_real), (FAKE, of_fake)) for k in (0, 1)]
    assert as_much == pytest.approx(sum(0.5 * np.mean(np.vectorize(by)(s)) for s, by in both))


@pytest.mark.parametrize("name", ["lsgan", "pearson", "kl"])
def test_other_losses_have_the_same_slopes_up_to_what_no_weight_moves(name):
    """Though a score of 0 is worth something else to real samples than to fakes."""
    D, loss = critic(3), losses.LOSSES[name].discriminator
    as_real, as_fake = (mg.tensor(D(mg.tensor(CUT)).numpy()) for _ in range(2))
    slopes = mg.grad(loss(as_real, as_fake), [as_real, as_fake])
    real = np.concatenate([np.zeros((3, 1, 8, 8), bool), REAL.numpy() == CUT], 1)
    expected = 2 * np.where(real, slopes[0].numpy(), slopes[1].numpy())
    made = cut(D)
    np.testing.assert_allclose(mg.grad(made.loss(loss), made.scores).numpy(), expected, atol=1e-15)


def test_how_often_it_rises():
    step, like = mg.zeros((), dtype="int64"), mg.zeros((), dtype="float64")

    def often(share, steps, at):
        step.copy_(at)
        return np.mean([cutmix.now(share, steps, step, like, Stream(k)).item() for k in range(400)])

    assert [often(0.5, 8, 0), often(0.0, None, 9), often(1.0, None, 0), often(1.0, 8, 8)] == [0, 0, 1, 1]
    assert [often(0.5, None, 0), often(0.5, 8, 4), often(0.5, 8, 99)] == pytest.approx([0.5, 0.25, 0.5], abs=0.07)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_in_some_steps_the_discriminator_learns_from_images_cut_together_instead(share):
    weights = Regularisers(cutmix=3.0, cutmix_share=share)
    played = small_game(losses.hinge, how={"pixels": True}, regularisers=weights)
    D, drawn = played.discriminator, Tensor(np.random.default_rng(0).uniform(-1, 1, (8, 1, 6, 6)))
    done = set()
    for number in range(6):
        batch = Batch(drawn, 0, number, Stream(0))
        with mg.random.using(played.stream("discriminator").at(number)) as rng:
            fake = played.generator(played.noise(batch)).detach()
            made = cutmix.Cut((drawn, fake), (D(drawn), D(fake)), D, rng)
            now = cutmix.now(share, None, played.step, drawn, rng).item() if share else None
        d_loss, consistency = losses.hinge.discriminator(D(drawn), D(fake)), 3 * made.consistency()
        expected = {
            None: d_loss + consistency,
            0.0: d_loss,
            1.0: made.loss(losses.hinge.discriminator) + consistency,
        }[now]
        shown = take(played, "discriminator_turn", drawn, number=number)
        assert shown["d_loss"].item() == pytest.approx(expected.item(), rel=1e-12)
        assert shown["cutmix"].item() == pytest.approx(consistency.item() / 3)
        done.add(now)
    assert done == {0.0: {None}, 0.5: {0.0, 1.0}, 1.0: {1.0}}[share]


def test_it_needs_scores_of_pixels():
    played = plain_game(regularisers=Regularisers(cutmix=1.0))
    with pytest.raises(ShapeError, match=r"cutmix: expected scores of each pixel, .* got \(6, 1\) for \(6, 1, 8, 8\)"):
        played.play(lambda k: Tensor(np.zeros((6, 1, 8, 8))))
    with pytest.raises(
        ShapeError, match="cutmix compares an image pixel by pixel: no augment or pack, got 'color' and 1"
    ):
        plain_game(regularisers=Regularisers(cutmix=1.0), sight=Sight(augment="color"))
    with pytest.raises(ShapeError, match=r"cutmix_share 0\.5: .* the relativistic loss compares both: cutmix_share 0"):
        plain_game(loss=losses.relativistic, regularisers=Regularisers(cutmix=1.0))
    for options, told in (
        ({"cutmix_share": 1.5}, "a finite number <= 1, got 1.5"),
        ({"cutmix_steps": 0}, "integer >= 1"),
    ):
        with pytest.raises(ShapeError, match=f"Regularisers: {next(iter(options))}: expected .*{told}"):
            Regularisers(**options)
