"""Residual blocks: their sizes, what they start as, what they refuse."""

import math

import numpy as np
import pytest

import minigan as mg
from minigan import nn


@pytest.mark.parametrize(("resample", "side"), [(None, 6), ("up", 12), ("down", 3)])
@pytest.mark.parametrize("norm", [None, "batch", "layer"])
def test_an_image_stays_grows_or_shrinks(resample, side, norm, rng):
    x = mg.tensor(rng.standard_normal((2, 3, 6, 6)).astype("float32"))
    block = nn.ResidualBlock(3, 5, resample, norm=norm)
    assert block(x).shape == (2, 5, side, side)
    told = nn.ResidualBlock(3, 5, resample, norm=norm or "batch", num_classes=4)
    assert told(x, mg.tensor([3, 0])).shape == (2, 5, side, side)
    assert block.conv1.weight.shape == (5 if resample == "up" else 3, 3, 3, 3)


def test_a_shortcut_is_the_image_where_nothing_changes(rng):
    x = mg.tensor(rng.standard_normal((2, 3, 4, 4)).astype("float32"))
    block = nn.ResidualBlock(3, 3)
    assert list(block.state_dict()) == ["conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias"]
    nn.init.zeros_(block.conv2.weight)
    nn.init.zeros_(block.conv2.bias)
    assert np.array_equal(block(x).numpy(), x.numpy())


def test_the_first_block_of_a_critic_sees_the_image_itself(rng):
    """Its shortcut is halved first, and no ReLU takes the image's darker half away."""
    x = -np.abs(rng.standard_normal((2, 1, 4, 4))).astype("float32")
    first = nn.ResidualBlock(1, 3, "down", preactivation=False, rng=mg.random.Stream(1))
    later = nn.ResidualBlock(1, 3, "down")
    later.load_state_dict(first.state_dict())
    black = mg.zeros(x.shape)
    moved = [(block(x) - block(black)).numpy() for block in (first, later)]
    shortcut = first.shortcut(mg.avg_pool2d(x, 2)) - first.shortcut(mg.avg_pool2d(black, 2))
    np.testing.assert_allclose(moved[1], shortcut.numpy(), atol=1e-5)
    assert np.abs(moved[0] - moved[1]).max() > 1e-3


@pytest.mark.parametrize("blocks", [1, 16])
def test_a_grouped_block_starts_as_nothing_with_fixups_sizes(blocks, rng):
    block = nn.GroupedResidualBlock(64, blocks, rng=mg.random.Stream(1))
    x = mg.tensor(rng.standard_normal((2, 64, 4, 4)).astype("float32"))
    assert np.array_equal(block(x).numpy(), x.numpy())
    gain = math.sqrt(2 / 1.04) * blocks**-0.25
    assert block.conv1.weight.numpy().std() == pytest.approx(gain / 8, rel=0.03)
    assert block.conv2.weight.shape == (128, 16, 3, 3)
    assert block.conv2.weight.numpy().std() == pytest.approx(gain / 12, rel=0.03)
    slope = mg.grad(mg.sum(mg.square(block(x))), block.conv3.weight).numpy()
    assert slope.any(), "the last convolution learns at once"
    assert block.conv3.bias is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.ResidualBlock(3, 0), "ResidualBlock: out_channels: expected an integer >= 1, got 0"),
        (lambda: nn.ResidualBlock(3, 3, "twice"), 'resample must be "up", "down" or None, got \'twice\''),
        (lambda: nn.ResidualBlock(3, 3, norm="group"), "norm must be .* got norm='group'"),
        (
            lambda: nn.ResidualBlock(3, 3, num_classes=4),
            "not None with num_classes or style_dim, got norm=None, num_classes=4",
        ),
        (lambda: nn.ResidualBlock(3, 3)(mg.ones((1, 3, 4, 4)), mg.tensor([1])), "expected nothing beside x"),
        (
            lambda: nn.ResidualBlock(3, 3, norm="batch", num_classes=2)(mg.ones((1, 3, 4, 4))),
            r"expected labels beside x \(1, 3, 4, 4\), got None",
        ),
        (lambda: nn.GroupedResidualBlock(3), "6 maps do not split into groups of 16"),
        (lambda: nn.GroupedResidualBlock(16, 0), "GroupedResidualBlock: blocks: expected an integer >= 1, got 0"),
    ],
)
def test_wrong_calls_are_named(call, message):
    with pytest.raises(mg.errors.ShapeError, match=message):
        call()
