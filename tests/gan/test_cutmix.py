"""CutMix consistency: the formula, what is cut, and which discriminators have it."""

import numpy as np
import pytest
from watched_game import game as plain_game

import minigan as mg
from minigan.errors import ShapeError
from minigan.gan import Regularisers, Sight, cutmix
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


def test_pixels_are_to_be_scored_as_before():
    """Against the same draws, cut by hand."""
    stream = Stream(2)
    real, fake = (Tensor(Stream(k).normal((3, 1, 8, 8), dtype="float64")) for k in (0, 1))
    neighbours = mg.nn.Conv2d(1, 2, 3, padding=1).to(dtype="float64")
    scores = neighbours(real), neighbours(fake)
    found = cutmix.consistency((real, fake), scores, neighbours, stream)
    inside = cutmix.rectangles(real, Stream(2)).numpy()
    mixed = neighbours(mg.tensor(np.where(inside, fake.numpy(), real.numpy()))).numpy()[:, 1:]
    before = np.where(inside, scores[1].numpy()[:, 1:], scores[0].numpy()[:, 1:])
    assert found.item() == pytest.approx(((mixed - before) ** 2).mean())
    assert found.item() > 1e-3
    alone = mg.nn.Conv2d(1, 2, 1).to(dtype="float64")
    same = cutmix.consistency((real, fake), (alone(real), alone(fake)), alone, Stream(2))
    assert same.item() < 1e-25, "who looks at one pixel alone scores it as before"


def test_it_needs_scores_of_pixels():
    played = plain_game(regularisers=Regularisers(cutmix=1.0))
    with pytest.raises(ShapeError, match=r"cutmix: expected scores of each pixel, .* got \(6, 1\) for \(6, 1, 8, 8\)"):
        played.play(lambda k: Tensor(np.zeros((6, 1, 8, 8))))
    with pytest.raises(
        ShapeError, match="cutmix compares an image pixel by pixel: no augment or pack, got 'color' and 1"
    ):
        plain_game(regularisers=Regularisers(cutmix=1.0), sight=Sight(augment="color"))
