"""A discriminator of several sizes: what each sees, and that each weighs alike."""

import numpy as np
import pytest

import minigan as mg
from minigan import nn
from minigan.errors import ShapeError
from minigan.gan import losses
from minigan.models import MultiScaleDiscriminator


def pixels_of(scores):
    """A network that gives so many scores of an image of 8x8, 4x4, ... pixels."""
    return nn.Sequential(nn.Conv2d(1, scores, 2, stride=2), nn.Flatten())


def test_each_sees_the_image_at_its_size():
    first, second, third = (pixels_of(1) for _ in range(3))
    D = MultiScaleDiscriminator([first, second, third])
    x = mg.tensor(mg.random.Stream(0).normal((3, 1, 8, 8)))
    scores = D(x).numpy()
    halved = x.numpy().reshape(3, 1, 4, 2, 4, 2).mean((3, 5))
    np.testing.assert_allclose(scores[:, :16], first(x).numpy(), rtol=1e-5)
    once = second(mg.tensor(halved)).numpy()
    np.testing.assert_allclose(scores[:, 16:32], np.tile(once, 4), rtol=1e-4, atol=1e-6)
    assert np.ptp(scores[:, 32:], axis=1).max() == 0, "one score, as often as the first has some"
    assert scores.shape == (3, 48)
    assert [name for name, _ in D.named_parameters()][::2] == [f"discriminators.{k}.0.weight" for k in range(3)]


def test_losses_weigh_each_size_alike():
    parts = [pixels_of(1) for _ in range(2)]
    D = MultiScaleDiscriminator(parts)
    real, fake = (mg.tensor(mg.random.Stream(k).normal((5, 1, 8, 8))) for k in (0, 1))
    sides = (real, fake), tuple(mg.avg_pool2d(x, 2) for x in (real, fake))
    for loss in (losses.hinge, losses.lsgan, losses.nonsaturating):
        each = [loss.discriminator(D(r), D(f)).item() for D, (r, f) in zip(parts, sides, strict=True)]
        assert loss.discriminator(D(real), D(fake)).item() == pytest.approx(sum(each) / 2, rel=1e-5)


def test_it_is_differentiable_twice_and_needs_a_discriminator(rng):
    D = MultiScaleDiscriminator([nn.Sequential(pixels_of(2), nn.Tanh()) for _ in range(2)]).to(dtype="float64")
    mg.testing.gradcheck(D, [mg.tensor(rng.standard_normal((2, 1, 4, 4)))])
    with pytest.raises(ShapeError, match="expected at least one discriminator, got none"):
        MultiScaleDiscriminator([])
