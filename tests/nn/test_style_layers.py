"""Layers of style-based generators: noise, equalised rates, norms that are told something, excitation."""

import numpy as np
import pytest

import minigan as mg
from minigan import nn


def image(rng, *shape):
    return mg.tensor(rng.standard_normal(shape).astype("float32"))


# --- equalised learning rate ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "fan_in"),
    [
        (lambda: nn.Linear(300, 200), 300),
        (lambda: nn.Conv2d(60, 50, 3, groups=2), 270),
        (lambda: nn.ConvTranspose2d(60, 50, 4, groups=2), 480),
    ],
)
@pytest.mark.parametrize("lr_multiplier", [1.0, 0.01])
def test_weights_of_unit_size_are_scaled_by_hes_constant(make, fan_in, lr_multiplier):
    layer = nn.equalized(make(), lr_multiplier, rng=mg.random.Stream(1))
    assert list(layer.state_dict()) == ["weight_orig", "bias_orig"]
    assert layer.weight_orig.numpy().std() == pytest.approx(1 / lr_multiplier, rel=0.02)
    np.testing.assert_allclose(
        layer.weight.numpy(), layer.weight_orig.numpy() * np.sqrt(2 / fan_in) * lr_multiplier, rtol=1e-5
    )
    assert not layer.bias.numpy().any()
    assert isinstance(layer, type(make()))
    assert "Equalized" in repr(layer)


def test_a_bias_is_learnt_as_slowly_as_the_weight():
    layer = nn.equalized(nn.Linear(3, 2), 0.01, bias=1.0)
    np.testing.assert_allclose(layer.bias_orig.numpy(), 100)
    np.testing.assert_allclose(layer(mg.zeros((1, 3))).numpy(), 1, rtol=1e-6)
    mg.optim.SGD(layer.parameters(), 1.0).minimize(mg.sum(layer(mg.zeros((1, 3)))))
    np.testing.assert_allclose(layer.bias.numpy(), 1 - 0.01**2, rtol=1e-6)


def test_adam_moves_layers_of_every_width_as_fast():
    """What the weights are multiplied by is what a step of Adam is multiplied by."""
    for width in (4, 400):
        layer = nn.equalized(nn.Linear(width, 3, bias=False), gain=1.0)
        assert layer.bias is None
        before = layer.weight.numpy()
        mg.optim.Adam(layer.parameters(), 0.1).minimize(mg.sum(layer(mg.ones((1, width)))))
        np.testing.assert_allclose(before - layer.weight.numpy(), 0.1 / np.sqrt(width), rtol=1e-3)


def test_layers_of_styles_are_equalised_too():
    layer = nn.ModulatedConv2d(3, 4, 3, 8)
    nn.equalized(layer.affine, gain=1.0, bias=1.0)
    nn.equalized(layer, gain=1.0)
    names = ["weight_orig", "affine.weight_orig", "affine.bias_orig"]
    assert list(layer.state_dict()) == names
    assert (layer.affine(mg.zeros((1, 8))).numpy() == 1).all()
    assert layer(mg.ones((2, 3, 4, 4)), mg.ones((2, 8))).shape == (2, 4, 4, 4)


def test_what_is_computed_is_not_written_to():
    layer = nn.equalized(nn.Linear(3, 2))
    for name in ("weight", "bias"):
        with pytest.raises(mg.errors.GraphError, match=rf"Linear\.{name} is computed"):
            setattr(layer, name, nn.Parameter(np.zeros(2)))
    assert nn.equalized(nn.Linear(3, 2, bias=False)).bias is None


# --- noise ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_noise_is_one_map_for_each_image(channels, rng):
    layer, x = nn.NoiseInjection(channels, rng=mg.random.Stream(1)), image(rng, 2, 3, 40, 40)
    assert np.array_equal(layer(x).numpy(), x.numpy())
    strengths = np.arange(1, channels + 1).astype("float32")
    layer.weight.copy_(strengths)
    for training in (True, False):
        added = layer.train(training)(x).numpy() - x.numpy()
        np.testing.assert_allclose(added[:, 2] / strengths[-1], added[:, 0], atol=1e-5)
        assert added[:, 0].std() == pytest.approx(1, abs=0.05)
        assert abs((added[0, 0] * added[1, 0]).mean()) < 0.1


def test_a_game_decides_the_noise_and_a_run_goes_on_exactly(rng):
    from replayed_game import replays_exactly

    def make():
        mg.random.seed(0)
        G = nn.Sequential(nn.Linear(2, 8), nn.Unflatten(1, (2, 2, 2)), nn.NoiseInjection(2), nn.Flatten(), nn.ReLU(),
                          nn.Linear(8, 2))  # fmt: skip
        nn.init.ones_(G[2].weight)
        D = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
        return mg.gan.ScoreGame(
            *(G, D),
            loss=mg.gan.losses.nonsaturating,
            latent=mg.gan.normal_latent(2),
            generator_optimizer=mg.optim.Adam(G.parameters(), 1e-3),
            discriminator_optimizer=mg.optim.Adam(D.parameters(), 1e-3),
        )

    points = rng.standard_normal((64, 2)).astype("float32")
    replays_exactly(make, lambda: mg.data.Batches(points, 16))


# --- norms ------------------------------------------------------------------------------------------------------


def test_pixels_and_rows_get_the_length_of_ones(rng):
    x = image(rng, 2, 16, 3, 4)
    np.testing.assert_allclose((nn.PixelNorm()(x).numpy() ** 2).mean(1), 1, rtol=1e-5)
    np.testing.assert_allclose((nn.RMSNorm((16, 3, 4))(x).numpy() ** 2).mean((1, 2, 3)), 1, rtol=1e-5)
    assert not nn.PixelNorm()(mg.zeros((2, 3))).numpy().any()


def test_a_style_scales_and_shifts(rng):
    layer, x = nn.AdaptiveInstanceNorm2d(3, 4), image(rng, 2, 3, 5, 5)
    np.testing.assert_array_equal(layer(x, mg.zeros((2, 4))).numpy(), nn.InstanceNorm2d(3)(x).numpy())
    style = image(rng, 2, 4)
    told = layer.affine(style).numpy()
    y = layer(x, style).numpy()
    np.testing.assert_allclose(y.mean((2, 3)), told[:, 3:], atol=1e-5)
    np.testing.assert_allclose(y.std((2, 3)), np.abs(1 + told[:, :3]), rtol=1e-4)


def test_a_group_norm_is_told_a_class_or_a_vector(rng):
    x = image(rng, 3, 4, 2, 3)
    plain = nn.GroupNorm(2, 4, affine=False)(x).numpy()
    of_classes = nn.ConditionalGroupNorm(2, 4, 5)
    assert {k: t.shape for k, t in of_classes.state_dict().items()} == {"gain.weight": (5, 4), "bias.weight": (5, 4)}
    np.testing.assert_array_equal(of_classes(x, [4, 0, 4]).numpy(), plain)
    of_vectors = nn.ConditionalGroupNorm(2, 4, style_dim=6)
    np.testing.assert_array_equal(of_vectors(x, mg.zeros((3, 6))).numpy(), plain)
    of_classes.bias.weight.copy_(np.arange(20.0).reshape(5, 4).astype("float32"))
    of_classes.gain.weight.copy_(np.zeros((5, 4), "float32"))
    assert of_classes(x, [4, 0, 4]).numpy()[:, :, 0, 0].tolist() == [[16, 17, 18, 19], [0, 1, 2, 3], [16, 17, 18, 19]]


# --- excitation -------------------------------------------------------------------------------------------------


def test_channels_are_weighed_by_one_factor_for_each_image(rng):
    x, small = image(rng, 2, 8, 3, 3), image(rng, 2, 4, 8, 8)
    for y in (nn.SqueezeExcitation(8, 4)(x), nn.SkipLayerExcitation(4, 8)(small, x)):
        factor = y.numpy() / x.numpy()
        np.testing.assert_allclose(factor, np.broadcast_to(factor[:, :, :1, :1], factor.shape), rtol=1e-4)
        assert (factor > 0).all()
        assert (factor < 1).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.equalized(nn.ReLU()), "equalized: expected a layer whose weight has at least 2 axes"),
        (lambda: nn.equalized(nn.BatchNorm2d(3)), r"at least 2 axes, BatchNorm2d.* has \(3,\)"),
        (lambda: nn.equalized(nn.Linear(3, 2), 0), "equalized: lr_multiplier: expected a finite number > 0, got 0"),
        (lambda: nn.equalized(nn.Linear(3, 2), gain=-1.0), "equalized: gain"),
        (lambda: nn.NoiseInjection(0), "NoiseInjection: channels: expected an integer >= 1, got 0"),
        (lambda: nn.NoiseInjection(3)(mg.ones((2, 4, 2, 2))), r"images \(N, 3, H, W\), got \(2, 4, 2, 2\)"),
        (lambda: nn.NoiseInjection()(mg.ones((2, 4))), r"images \(N, C, H, W\), got \(2, 4\)"),
        (lambda: nn.PixelNorm(-1.0), "PixelNorm: eps"),
        (lambda: nn.PixelNorm()(mg.ones(3)), r"PixelNorm: expected \(N, C, ...\), got \(3,\)"),
        (lambda: nn.RMSNorm(0), "RMSNorm: a size of normalized_shape"),
        (lambda: nn.RMSNorm(3)(mg.ones((2, 4))), r"RMSNorm: expected \(..., \(3,\)\), got \(2, 4\)"),
        (lambda: nn.RMSNorm(3, -1.0), "RMSNorm: eps"),
        (lambda: nn.AdaptiveInstanceNorm2d(3, 0), "AdaptiveInstanceNorm2d: style_dim"),
        (
            lambda: nn.AdaptiveInstanceNorm2d(3, 2)(mg.ones((2, 3, 4, 4)), mg.ones((1, 2))),
            r"styles \(N, 2\), got \(2, 3, 4, 4\) and \(1, 2\)",
        ),
        (
            lambda: nn.ConditionalGroupNorm(2, 4),
            "either num_classes or style_dim, got num_classes=None, style_dim=None",
        ),
        (lambda: nn.ConditionalGroupNorm(2, 4, 3, style_dim=3), "either num_classes or style_dim"),
        (lambda: nn.ConditionalGroupNorm(2, 4, 0), "ConditionalGroupNorm: num_classes: expected an integer >= 1"),
        (lambda: nn.ConditionalGroupNorm(2, 4, 3)(mg.ones((2, 4, 2)), mg.ones(2)), "one integer label for each"),
        (
            lambda: nn.ConditionalGroupNorm(2, 4, style_dim=3)(mg.ones((2, 4, 2)), mg.ones((2, 2))),
            r"a vector of 3 numbers for each sample of \(2, 4, 2\), got \(2, 2\)",
        ),
        (lambda: nn.SqueezeExcitation(8), "8 channels, reduced by 16, are none"),
        (lambda: nn.SqueezeExcitation(8, 2)(mg.ones((2, 8))), r"images \(N, C, H, W\), got \(2, 8\)"),
        (
            lambda: nn.SkipLayerExcitation(3, 2)(mg.ones((2, 3, 4, 6)), mg.ones((2, 2, 8, 8))),
            r"sides that 4 divides.*got \(2, 3, 4, 6\) and \(2, 2, 8, 8\)",
        ),
    ],
)
def test_wrong_calls_are_named(call, message):
    with pytest.raises(mg.errors.ShapeError, match=message):
        call()
