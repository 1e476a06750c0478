"""Attention and the other newer layers side by side with PyTorch: its own layers, or their papers' formulas in it."""

import pytest
from parity import check, close, torch

import minigan as mg
from minigan import nn
from minigan.nn import functional_call

F = torch.nn.functional


def compare(layer, theirs, shapes, dtype, rng):
    """`layer` and theirs(*inputs, *parameters in the layer's order), to second order."""
    layer.to(dtype=dtype)
    arrays = [*(rng.standard_normal(s) for s in shapes), *(rng.standard_normal(p.shape) for p in layer.parameters())]
    count = len(shapes)
    check(lambda *xs: functional_call(layer, list(xs[count:]), *xs[:count]), theirs, arrays, dtype, rng)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("options", [{}, {"scale": 0.3}])
@pytest.mark.parametrize("shapes", [[(5, 4), (3, 4), (3, 2)], [(2, 1, 5, 4), (3, 6, 4), (3, 6, 2)]])
def test_scaled_dot_product_attention(shapes, options, dtype, rng):
    ours = lambda *xs: mg.scaled_dot_product_attention(*xs, **options)
    theirs = lambda *xs: F.scaled_dot_product_attention(*xs, **options)
    check(ours, theirs, [rng.standard_normal(s) for s in shapes], dtype, rng)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_self_attention_of_an_image(dtype, rng):
    """As BigGAN's code has it."""

    def theirs(x, gamma, theta, phi, g, o):
        n, c, h, w = x.shape
        queries = F.conv2d(x, theta).reshape(n, -1, h * w)
        keys = F.max_pool2d(F.conv2d(x, phi), 2).reshape(n, -1, h * w // 4)
        values = F.max_pool2d(F.conv2d(x, g), 2).reshape(n, -1, h * w // 4)
        beta = torch.softmax(torch.bmm(queries.transpose(1, 2), keys), -1)
        seen = torch.bmm(values, beta.transpose(1, 2)).reshape(n, c // 2, h, w)
        return gamma * F.conv2d(seen, o) + x

    compare(nn.SelfAttention2d(16), theirs, [(2, 16, 4, 6)], dtype, rng)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("shape", "dim"), [((3, 4), -1), ((2, 6, 3, 2), 1), ((2, 6, 3, 2), -2)])
def test_gated_linear_unit(shape, dim, dtype, rng):
    if shape[dim] % 2:
        with pytest.raises(mg.errors.ShapeError, match=rf"GLU: expected an axis {dim} of an even size, got"):
            nn.GLU(dim)(mg.zeros(shape))
    else:
        compare(nn.GLU(dim), torch.nn.GLU(dim), [shape], dtype, rng)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("batch_first", "bias"), [(True, True), (False, False)])
def test_multihead_attention(batch_first, bias, dtype, rng):
    options = {"bias": bias, "batch_first": batch_first}
    layer = nn.MultiheadAttention(6, 3, **options)
    reference = torch.nn.MultiheadAttention(6, 3, **options).to(getattr(torch, dtype))
    names = [k for k, _ in reference.named_parameters()]
    assert names == [k for k, _ in layer.named_parameters()]

    def theirs(*args):
        params = dict(zip(names, args[3:], strict=True))
        return torch.func.functional_call(reference, params, args[:3])[0]

    layer.forward = lambda *xs, forward=layer.forward: forward(*xs)[0]
    shapes = [(2, 3, 6), (2, 4, 6), (2, 4, 6)] if batch_first else [(3, 2, 6), (4, 2, 6), (4, 2, 6)]
    compare(layer, theirs, shapes, dtype, rng)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("demodulate", [True, False])
def test_modulated_convolution(demodulate, dtype, rng):
    """As the paper writes it, with a weight for each sample: equations 1 to 3, by a convolution in groups."""

    def theirs(x, style, weight, a, b):
        n, c, h, w = x.shape
        s = F.linear(style, a, b)
        each = weight[None] * s[:, None, :, None, None]
        if demodulate:
            each = each * (each.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
        y = F.conv2d(x.reshape(1, n * c, h, w), each.reshape(n * 5, c, 3, 3), padding=1, groups=n)
        return y.reshape(n, 5, h, w)

    layer = nn.ModulatedConv2d(4, 5, 3, 6, demodulate)
    compare(layer, theirs, [(3, 4, 5, 4), (3, 6)], dtype, rng)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("args", [(4,), ((3, 4), 0.1), (4, None, False)])
def test_rms_norm(args, dtype, rng):
    reference = torch.nn.RMSNorm(*args)
    theirs = lambda x, *w: F.rms_norm(x, reference.normalized_shape, *w, eps=reference.eps)
    compare(nn.RMSNorm(*args), theirs, [(2, 3, 4)], dtype, rng)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_pixel_norm(dtype, rng):
    theirs = lambda x: x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()
    compare(nn.PixelNorm(), theirs, [(2, 3, 4, 5)], dtype, rng)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_adaptive_instance_norm(dtype, rng):
    def theirs(x, style, w, b):
        s = F.linear(style, w, b)[:, :, None, None]
        return (1 + s[:, :3]) * F.instance_norm(x) + s[:, 3:]

    compare(nn.AdaptiveInstanceNorm2d(3, 2), theirs, [(4, 3, 5, 4), (4, 2)], dtype, rng)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_conditional_group_norm(dtype, rng):
    def theirs(x, style, w, b, v, c):
        scale, shift = F.linear(style, w, b), F.linear(style, v, c)
        return F.group_norm(x, 2) * scale[:, :, None, None] + shift[:, :, None, None]

    compare(nn.ConditionalGroupNorm(2, 4, style_dim=3), theirs, [(3, 4, 5, 4), (3, 3)], dtype, rng)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_squeeze_and_excitation(dtype, rng):
    def theirs(x, w, b, v, c):
        return x * F.conv2d(F.conv2d(F.adaptive_avg_pool2d(x, 1), w, b).relu(), v, c).sigmoid()

    compare(nn.SqueezeExcitation(8, 4), theirs, [(2, 8, 5, 3)], dtype, rng)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_skip_layer_excitation(dtype, rng):
    def theirs(low, high, w, v):
        return high * F.conv2d(F.leaky_relu(F.conv2d(F.adaptive_avg_pool2d(low, 4), w), 0.1), v).sigmoid()

    compare(nn.SkipLayerExcitation(3, 5), theirs, [(2, 3, 8, 4), (2, 5, 9, 7)], dtype, rng)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_an_equalised_convolution(dtype, rng):
    """As ProGAN's code has it: He's constant times N(0, 1) / lr_multiplier, all times lr_multiplier."""
    theirs = lambda x, w, b: F.conv2d(x, w * (2 / 36) ** 0.5 * 0.01, b * 0.01, padding=1)
    compare(nn.equalized(nn.Conv2d(4, 5, 3, padding=1), 0.01), theirs, [(2, 4, 6, 5)], dtype, rng)


SEQUENCES = {
    "plain": ("Conv1d", (4, 6, 3), {}, (2, 4, 9)),
    "options": ("Conv1d", (4, 6, 3), {"stride": 2, "padding": 2, "dilation": 2, "groups": 2}, (2, 4, 9)),
    "same": ("Conv1d", (2, 3, 4), {"padding": "same", "bias": False}, (3, 2, 7)),
    "long": ("Conv1d", (1, 3, 25), {"stride": 4, "padding": 11}, (2, 1, 40)),
    "transposed": ("ConvTranspose1d", (4, 6, 3), {}, (2, 4, 5)),
    "transposed, positional": ("ConvTranspose1d", (4, 6, 5, 3, 1, 2, 2, False), {}, (2, 4, 5)),
    "transposed, dilated": ("ConvTranspose1d", (2, 3, 3), {"stride": 2, "padding": 1, "dilation": 2}, (2, 2, 5)),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_convolutions_of_sequences(name, dtype, rng):
    kind, args, options, shape = SEQUENCES[name]
    reference = getattr(torch.nn, kind)(*args, **options).to(getattr(torch, dtype))
    layer = getattr(nn, kind)(*args, **options)
    names = [k for k, _ in reference.named_parameters()]
    assert [(k, p.shape) for k, p in layer.named_parameters()] == [
        (k, tuple(p.shape)) for k, p in reference.named_parameters()
    ]

    def theirs(x, *params):
        return torch.func.functional_call(reference, dict(zip(names, params, strict=True)), (x,))

    compare(layer, theirs, [shape], dtype, rng)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_minibatch_discrimination(dtype, rng):
    def theirs(x, t):
        m = (x @ t.reshape(4, -1)).reshape(-1, 3, 2)
        close = torch.exp(-(m[:, None] - m[None]).abs().sum(3)).sum(1) - 1
        return torch.cat([x, close], 1)

    compare(nn.MinibatchDiscrimination(4, 3, 2), theirs, [(5, 4)], dtype, rng)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_virtual_batch_norm(dtype, rng):
    """As the authors' code has it: mean and mean square of the reference batch, moved by 1 / (R + 1) to x's own."""

    def theirs(x, weight, bias):
        means, squares = (t.mean((2, 3), keepdim=True) for t in (x, x.square()))
        mean, square = (t[:3].mean(0, keepdim=True) for t in (means, squares))
        mean, square = (torch.cat([a.expand(3, -1, -1, -1), 0.75 * a + 0.25 * b[3:]]) for a, b in
                        ((mean, means), (square, squares)))  # fmt: skip
        y = (x - mean) / (square - mean.square() + 1e-5).sqrt()
        return y * weight[:, None, None] + bias[:, None, None]

    compare(nn.VirtualBatchNorm2d(2, 3), theirs, [(5, 2, 4, 3)], dtype, rng)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("resample", ["up", "down"])
def test_a_residual_block(resample, dtype, rng):
    def theirs(x, w1, b1, w2, b2, ws, bs):
        double = (lambda t: F.interpolate(t, scale_factor=2)) if resample == "up" else (lambda t: t)
        halve = (lambda t: F.avg_pool2d(t, 2)) if resample == "down" else (lambda t: t)
        h = F.conv2d(double(x.relu()), w1, b1, padding=1)
        return halve(F.conv2d(h.relu(), w2, b2, padding=1)) + halve(F.conv2d(double(x), ws, bs))

    compare(nn.ResidualBlock(3, 5, resample), theirs, [(2, 3, 4, 6)], dtype, rng)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_grouped_residual_block(dtype, rng):
    """As R3GAN's code has it: convolutions without bias, the bias added before each activation."""

    def theirs(x, w1, b1, w2, b2, w3):
        h = F.leaky_relu(F.conv2d(x, w1) + b1[:, None, None], 0.2)
        h = F.leaky_relu(F.conv2d(h, w2, padding=1, groups=4) + b2[:, None, None], 0.2)
        return x + F.conv2d(h, w3)

    compare(nn.GroupedResidualBlock(4, 3, 2, 2), theirs, [(2, 4, 5, 3)], dtype, rng)


def test_weights_of_several_heads_are_their_mean(rng):
    layer, reference = nn.MultiheadAttention(6, 3).to(dtype="float64"), torch.nn.MultiheadAttention(6, 3).double()
    layer.load_state_dict({k: t.numpy() for k, t in reference.state_dict().items()})
    arrays = [rng.standard_normal(s) for s in ((3, 2, 6), (4, 2, 6), (4, 2, 6))]
    for ours, theirs in zip(layer(*map(mg.tensor, arrays)), reference(*map(torch.tensor, arrays)), strict=True):
        close(ours, theirs, "float64")
