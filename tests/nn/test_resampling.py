"""Layers that resize, blur and border images: their arguments, their sizes, what they leave as it is."""

import numpy as np
import pytest

import minigan as mg
from minigan import export, nn
from minigan.errors import CheckpointError, DTypeError, ShapeError
from minigan.gan import lipschitz
from minigan.nn import cost

EACH = [
    nn.Upsample(7),
    nn.Upsample((3, 9), mode="bilinear", align_corners=True),
    nn.Upsample(scale_factor=(1.7, 0.5), mode="bicubic"),
    nn.Upsample(scale_factor=2),
    nn.Blur(),
    nn.Blur(up=2),
    nn.Blur((1, 2, 1), down=(2, 3)),
    nn.Blur([[1, 2], [3, 4], [5, 6]], (3, 1), 2),
    nn.Blur((1,), up=4),
    nn.ZeroPad2d((0, 1, 2, 3)),
    nn.ReflectionPad2d(2),
    nn.ReplicationPad2d((7, 0, 1, 0)),
]


@pytest.mark.parametrize("layer", EACH, ids=repr)
def test_a_layer_makes_what_it_says_it_will(layer, rng):
    x = mg.tensor(rng.standard_normal((2, 3, 6, 5)))
    y = layer(x)
    assert y.shape == layer.target(x.shape)
    assert layer.state_dict() == {}
    assert y.data.transpose(0, 2, 3, 1).flags.c_contiguous
    mg.testing.gradcheck(layer, x)


@pytest.mark.parametrize("up", [1, 2, 3])
@pytest.mark.parametrize("taps", [1, 2, 3, 4, 7, 12])
def test_a_blur_has_the_sizes_and_the_padding_of_stylegan(up, taps):
    """upsample2d, downsample2d and filter2d of its upfirdn2d.py."""
    filter = np.arange(1, taps + 1)
    larger, smaller = nn.Blur(filter, up=up), nn.Blur(filter, down=up)
    assert larger.padding == (((taps + up - 1) // 2, (taps - up) // 2),) * 2
    assert smaller.padding == (((taps - up + 1) // 2, (taps - up) // 2),) * 2
    assert larger.target((1, 1, 8, 5)) == (1, 1, 8 * up, 5 * up)
    assert smaller.target((1, 1, 8, 5)) == (1, 1, 8 // up, 5 // up)


@pytest.mark.parametrize("options", [{}, {"up": 2}, {"down": 2}, {"filter": [[1, 2], [0, 5]], "up": (2, 1)}])
def test_a_blur_keeps_a_constant_image_but_for_its_border(options):
    y = nn.Blur(**options)(mg.full((1, 2, 16, 16), 3.0)).numpy()
    middle = y[:, :, 3:-3, 3:-3]
    if options.get("up") == 2:
        assert middle.shape == (1, 2, 26, 26)
    sums = middle.reshape(2, *middle.shape[2:])
    if options.get("up") == (2, 1):  # its rows have other weights than those between them
        sums = (sums[:, ::2] + sums[:, 1::2]) / 2
    np.testing.assert_allclose(sums, 3.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Upsample(), "Upsample: expected either a size or a scale_factor"),
        (lambda: nn.Upsample(2, 2), "got size=2, scale_factor=2"),
        (lambda: nn.Upsample(scale_factor="2"), "Upsample: scale_factor: expected a number > 0 .* got '2'"),
        (lambda: nn.Upsample(2, mode="cubic"), "Upsample: mode: expected one of nearest, .* got 'cubic'"),
        (lambda: nn.Upsample(2, align_corners=True), "align_corners=True, antialias=False for nearest"),
        (lambda: nn.Upsample(scale_factor=2, recompute_scale_factor=3), "recompute_scale_factor: .* got 3"),
        (lambda: nn.Blur((1, -1)), r"Blur: filter: expected numbers whose sum is not 0, got \(1, -1\)"),
        (lambda: nn.Blur((0, 0)), r"sum is not 0, got \(0, 0\)"),
        (lambda: nn.Blur(()), r"Blur: expected a filter of one or two axes of finite numbers, got \(\)"),
        (lambda: nn.Blur(up=(2, 0)), r"Blur: up: expected an integer >= 1 or two of them, got \(2, 0\)"),
        (lambda: nn.Blur((1,) * 9)(mg.ones((1, 1, 0, 3))), r"expected x of shape \(N, C, H, W\), with a pixel"),
        (lambda: nn.Blur(down=9)(mg.ones((1, 1, 3, 3))), r"a filter of \(4, 4\) does not fit into \(-2, -2\) pixels"),
        (lambda: nn.ZeroPad2d(-1), "ZeroPad2d: padding: expected an integer >= 0 or four of them, got -1"),
        (lambda: nn.ReflectionPad2d((1, 2)), r"ReflectionPad2d: padding: .* got \(1, 2\)"),
        (lambda: nn.ReplicationPad2d((1, 2, 3, -4)), r"got \(1, 2, 3, -4\)"),
        (lambda: nn.ZeroPad2d(True), "got True"),
        (lambda: nn.ZeroPad2d(1.5), "ZeroPad2d: padding: .* got 1.5"),
        (lambda: nn.ReflectionPad2d(4)(mg.ones((1, 1, 9, 4))), r"too few elements to show in \(1, 1, 9, 4\)"),
        (lambda: nn.ReflectionPad2d(1)(mg.ones((3, 9, 4))), r"ReflectionPad2d: expected x of shape .* got \(3, 9, 4\)"),
    ],
)
def test_what_a_layer_cannot_be_made_with_is_named(make, message):
    with pytest.raises(ShapeError, match=message):
        make()


def test_a_filter_is_a_constant():
    with pytest.raises(DTypeError, match=r"Blur: a filter is a constant: .*, got a Tensor"):
        nn.Blur(mg.ones(3))


def generator():
    mg.random.seed(0)
    layers = [
        nn.Unflatten(1, (4, 4, 4)),
        nn.Upsample((7, 9), mode="bicubic"),
        nn.Blur((1, 7, 21, 35, 35, 21, 7, 1), up=2),
    ]
    layers += [nn.ReflectionPad2d(1), nn.ReplicationPad2d((1, 0, 0, 1)), nn.ZeroPad2d(1), nn.Upsample(scale_factor=1.5)]
    return export.Generator(nn.Sequential(*layers, nn.Conv2d(4, 1, 3)), mg.gan.normal_latent(64))


def test_a_generator_of_such_layers_leaves_as_a_file(tmp_path):
    made = generator()
    again = export.load_generator(export.save_generator(tmp_path / "g.safetensors", made))
    assert np.array_equal(again.sample(3).numpy(), made.sample(3).numpy())


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Upsample(10**5), (1, 1, 1, 1)),
        (nn.Upsample(scale_factor=2.0**30), (1, 1, 1, 1)),
        (nn.Upsample((10**4, 1), mode="bilinear"), (1, 1, 1, 10**4)),
        (nn.Blur(up=10**5), (1, 1, 1, 1)),
        (nn.Blur((1,) * 10**6), (1, 1, 300, 300)),
        (nn.Blur(np.eye(999)), (1, 1, 999, 999)),
        (nn.ZeroPad2d(10**5), (1, 1, 1, 1)),
        (nn.ReplicationPad2d((10**8, 0, 0, 0)), (1, 1, 1, 1)),
    ],
)
def test_too_much_is_refused_before_it_is_spent(layer, shape):
    with pytest.raises(CheckpointError, match=r"more than \d+"), cost.bounded(layer):
        layer(mg.tensor(np.broadcast_to(np.float32(0), shape)))


@pytest.mark.parametrize("layer", [nn.Blur(), nn.Blur((1, -3, 1), down=2), nn.Blur([[1, 2], [3, 4]], up=(1, 2))])
def test_how_steep_a_blur_is_at_most(layer, rng):
    """A critic that blurs in front of a linear layer; power iteration comes close for a filter that is positive."""
    x = mg.tensor(rng.standard_normal((1, 1, 24, 24)))
    for _ in range(60):
        x = x / mg.sqrt(mg.sum(mg.square(x))).item()
        y = layer(x)
        length = mg.sqrt(mg.sum(mg.square(y))).item()
        x = mg.grad(y, x, y).detach()
    assert 0.2 * layer.steepest() < length <= layer.steepest() * (1 + 1e-9)
    critic = nn.Sequential(
        layer, nn.ZeroPad2d(1), nn.Flatten(), nn.Linear(np.prod(layer(x).shape[2:] + np.array(2)), 1)
    )
    bound = lipschitz.spectral_bound(critic, (1, 24, 24))
    assert bound == pytest.approx(layer.steepest() * np.linalg.norm(critic[3].weight.numpy()), rel=1e-5)
