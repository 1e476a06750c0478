"""Discriminators of patches at several sizes: how small images may be, and what their layers see on the way."""

import numpy as np
import pytest

import minigan as mg
from minigan import nn
from minigan.errors import ShapeError
from minigan.models import MultiScaleDiscriminator, patch_discriminators, with_activations


def images(side, rng, channels=2):
    return mg.tensor(rng.standard_normal((3, channels, side, side)).astype(np.float32))


@pytest.mark.parametrize(("halvings", "scales", "least"), [(0, 1, 1), (1, 1, 6), (2, 1, 12), (2, 2, 24), (1, 3, 24)])
def test_images_are_as_large_as_the_smallest_score_needs(halvings, scales, least, rng):
    options = {"width": 2, "halvings": halvings, "norm": "instance"}
    D = patch_discriminators(2, least, scales, **options)
    assert np.isfinite(D(images(least, rng)).numpy()).all()
    with pytest.raises(ShapeError, match=f"the smallest of {scales} sizes has {(least - 1) >> (scales - 1)}"):
        patch_discriminators(2, least - 1, scales, **options)


def test_one_scale_is_a_patch_discriminator_and_more_have_weights_of_their_own(rng):
    single = patch_discriminators(2, 32, width=4, halvings=2, rng=mg.random.Stream(0))
    assert isinstance(single, nn.Sequential)
    assert single(images(32, rng)).shape == (3, 1, 6, 6)
    D = patch_discriminators(2, 32, 2, width=4, halvings=2, rng=mg.random.Stream(0))
    assert isinstance(D, MultiScaleDiscriminator)
    assert D(images(32, rng)).shape == (3, 2 * 36)  # 6 x 6 scores, and 2 x 2 nine times
    first, second = (each[0].weight.numpy() for each in D.discriminators)
    assert (first == single[0].weight.numpy()).all()
    assert (first != second).all()
    with pytest.raises(ShapeError, match="scales"):
        patch_discriminators(2, 32, 0)


@pytest.mark.parametrize("scales", [1, 2])
def test_activations_are_those_of_the_same_pass(scales, rng):
    D = patch_discriminators(2, 32, scales, width=4, halvings=2, norm="instance")
    x = images(32, rng)
    scores, seen = with_activations(D, x)
    np.testing.assert_allclose(scores.numpy(), D(x).numpy(), rtol=1e-5, atol=1e-7)
    assert [[each.shape[1:] for each in of_one] for of_one in seen] == [
        [(4, side // 2, side // 2), (8, side // 4, side // 4), (16, side // 4 - 1, side // 4 - 1)]
        for side in (32, 16)[:scales]
    ]
    first = D if scales == 1 else D.discriminators[0]
    np.testing.assert_allclose(seen[0][0].numpy(), mg.leaky_relu(first[0](x), 0.2).numpy(), rtol=1e-5)


def test_layers_that_are_not_known_have_no_activations(rng):
    with pytest.raises(ShapeError, match="expected a Sequential of layers, got UNetTranslator"):
        with_activations(mg.models.UNetTranslator(2, 1, 2, 4), images(8, rng))
