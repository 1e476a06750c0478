"""Convolution: its three faces, every form of padding, against plain loops and against each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigan as mg
from minigan.kernels import geometry
from minigan.kernels.portable import channels_last
from minigan.ops import conv as faces
from minigan.tensor import Tensor


def naive(x, w, s):
    """The convolution by its definition, one multiplication at a time."""
    y = np.zeros(s.y)
    per_group = s.w[0] // s.groups
    for n, o, p, q in np.ndindex(*s.y):
        for c, i, j in np.ndindex(*s.w[1:]):
            row = p * s.stride[0] + i * s.dilation[0] - s.pads[0][0]
            column = q * s.stride[1] + j * s.dilation[1] - s.pads[1][0]
            if 0 <= row < s.x[2] and 0 <= column < s.x[3]:
                y[n, o, p, q] += w[o, c, i, j] * x[n, o // per_group * s.w[1] + c, row, column]
    return y


@st.composite
def geometries(draw):
    """All that fits: kernels of one pixel or one row, borders wider than the kernel or the image, an empty batch."""
    small = st.integers(1, 3)
    pixel = st.just((1, 1))
    kernel = draw(st.one_of(pixel, st.tuples(st.integers(1, 4), st.integers(1, 4))))
    stride, dilation = draw(st.one_of(pixel, st.tuples(small, small))), draw(st.tuples(small, small))
    groups = draw(st.integers(1, 2))
    sides = st.tuples(*[st.sampled_from([0, 0, 1, 2, 5])] * 2)
    padding = draw(st.one_of(sides, st.tuples(sides, sides), st.just("same"), st.just("valid")))
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    border = [sum(p) if isinstance(p, tuple) else 2 * p for p in padding] if isinstance(padding, tuple) else (0, 0)
    least = [1 if padding == "same" else max(1, e - b) for e, b in zip(extent, border, strict=True)]
    size = [n + draw(st.integers(0, 4)) for n in least]
    x = (draw(st.sampled_from([0, 1, 2])), groups * draw(st.integers(1, 3)), *size)
    w = (groups * draw(st.integers(1, 2)), x[1] // groups, *kernel)
    if draw(st.booleans()):
        return geometry.convolution("conv2d", x, w, stride, padding, dilation, groups)
    padding = padding if padding != "valid" else 0
    fits = [(n - 1) * s + e > b for n, s, e, b in zip(size, stride, extent, border, strict=True)]
    extra = (
        0
        if padding == "same"
        else tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    )
    y, w = (x[0], w[0], *size), (w[0], w[1], *kernel)
    return geometry.transposed(
        "conv_transpose2d", y, w, stride, padding if all(fits) else 0, extra, None, dilation, groups
    )


def slots(s, seed):
    rng = np.random.default_rng(seed)
    return [Tensor(rng.standard_normal(shape)) for shape in (s.x, s.w, s.y)]


@settings(max_examples=300)
@given(geometries(), st.integers(0, 99))
def test_three_faces_of_one_trilinear_form(s, seed):
    x, w, y = slots(s, seed)
    by_y = mg.sum(faces._conv(x, w, s) * y).item()
    by_x = mg.sum(faces._conv_input(w, y, s) * x).item()
    by_w = mg.sum(faces._conv_weight(x, y, s) * w).item()
    scale = mg.sum(abs(faces._conv(x, w, s) * y)).item()
    assert abs(by_y - by_x) <= 1e-12 * scale
    assert abs(by_y - by_w) <= 1e-12 * scale


@settings(max_examples=100)
@given(geometries(), st.integers(0, 99))
def test_one_face_against_plain_loops(s, seed):
    x, w, _ = slots(s, seed)
    expected = naive(x.numpy(), w.numpy(), s)
    np.testing.assert_allclose(faces._conv(x, w, s).numpy(), expected, rtol=1e-12, atol=1e-12)


@given(geometries(), st.integers(0, 99))
def test_every_face_to_second_order(s, seed):
    x, w, y = slots(s, seed)
    mg.testing.gradcheck(lambda x, w: faces._conv(x, w, s), [x, w])
    mg.testing.gradcheck(lambda w, y: faces._conv_input(w, y, s), [w, y])
    mg.testing.gradcheck(lambda x, y: faces._conv_weight(x, y, s), [x, y])


@pytest.mark.parametrize("padding", [(1, 1), ((0, 2), (1, 0)), ((0, 0), (0, 3))])
@pytest.mark.parametrize("batch", [0, 2])
def test_a_kernel_of_one_pixel_with_a_border(padding, batch, rng):
    """The windows are not the image itself then."""
    s = geometry.convolution("conv2d", (batch, 3, 4, 5), (2, 3, 1, 1), 1, padding, 1, 1)
    x, w, y = slots(s, 0)
    np.testing.assert_allclose(faces._conv(x, w, s).numpy(), naive(x.numpy(), w.numpy(), s), rtol=1e-12)
    (top, bottom), (left, right) = s.pads
    image = np.pad(x.numpy(), ((0, 0), (0, 0), (top, bottom), (left, right)))
    np.testing.assert_allclose(
        faces._conv_weight(x, y, s).numpy()[:, :, 0, 0], np.einsum("ncij,noij->oc", image, y.numpy()), rtol=1e-12
    )
    if batch:
        mg.testing.gradcheck(lambda x, w: faces._conv(x, w, s), [x, w])
        mg.testing.gradcheck(lambda x, y: faces._conv_weight(x, y, s), [x, y])


def test_a_kernel_of_one_pixel_and_pixels_that_it_does_not_see():
    """A dilated kernel allows an output padding at a stride of 1, even one of a single pixel."""
    x, w = mg.ones((2, 1, 1, 3)), mg.ones((1, 1, 1, 1))
    y = mg.conv_transpose2d(x, w, output_padding=(1, 0), dilation=(2, 1))
    np.testing.assert_array_equal(y.numpy(), np.broadcast_to([[[[1.0] * 3, [0.0] * 3]]], (2, 1, 2, 3)))
    assert mg.grad(mg.sum(y), w).item() == 6
    np.testing.assert_array_equal(mg.grad(mg.sum(y), x).numpy(), np.ones(x.shape))


def test_convolution_to_third_order(rng):
    x, w = Tensor(rng.standard_normal((1, 2, 4, 4))), Tensor(rng.standard_normal((3, 2, 3, 3)))
    mg.testing.gradcheck(lambda x, w: mg.tanh(mg.conv2d(x, w, padding=1, stride=2)), [x, w], order=3)


@given(
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.integers(1, 2),
    st.integers(0, 1),
    st.integers(0, 1),
    st.sampled_from([1, 2]),
)
def test_transposed_convolution_is_the_adjoint(size, kernel, stride, dilation, padding, extra, groups):
    extent = [(k - 1) * dilation + 1 for k in kernel]
    extra = tuple(min(extra, s - 1) for s in stride)
    out = [(n - 1) * s + e - 2 * padding + o for n, s, e, o in zip(size, stride, extent, extra, strict=True)]
    if min(out) < 1:
        padding, out = 0, [o + 2 * padding for o in out]
    rng = np.random.default_rng(0)
    y = Tensor(rng.standard_normal((2, 2 * groups, *size)))
    w = Tensor(rng.standard_normal((2 * groups, 3, *kernel)))
    x = Tensor(rng.standard_normal((2, 3 * groups, *out)))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    mg.testing.check_adjoint(
        "conv_transpose2d",
        lambda x: mg.conv2d(x, w, **options),
        lambda y: mg.conv_transpose2d(y, w, output_padding=extra, **options),
        x,
        y,
    )


def test_the_slides_example_as_a_matrix(rng):
    """3x3 on 4x4 is a 4x16 matrix; its transpose is the transposed convolution (Dumoulin and Visin 2016)."""
    w = rng.standard_normal((1, 1, 3, 3))
    matrix = np.zeros((4, 16))
    for p, q, i, j in np.ndindex(2, 2, 3, 3):
        matrix[2 * p + q, 4 * (p + i) + q + j] = w[0, 0, i, j]
    x, y = rng.standard_normal((1, 1, 4, 4)), rng.standard_normal((1, 1, 2, 2))
    np.testing.assert_allclose(mg.conv2d(Tensor(x), Tensor(w)).numpy().ravel(), matrix @ x.ravel(), rtol=1e-13)
    back = mg.conv_transpose2d(Tensor(y), Tensor(w)).numpy()
    np.testing.assert_allclose(back.ravel(), matrix.T @ y.ravel(), rtol=1e-13)
    flipped = mg.conv2d(Tensor(y), Tensor(w[:, :, ::-1, ::-1].copy()), padding=2)
    np.testing.assert_allclose(flipped.numpy(), back, rtol=1e-13)


# --- the forms of padding -----------------------------------------------------------------------------------


def test_same_padding_is_tensorflows():
    w = mg.ones((1, 1, 5, 5))
    for side, out in [(28, 14), (14, 7), (7, 4)]:
        assert mg.conv2d(mg.ones((1, 1, side, side)), w, stride=2, padding="same").shape[2:] == (out, out)
    # an even kernel leaves an odd pixel: it goes to the bottom and the right
    y = mg.conv2d(mg.ones((1, 1, 3, 3)), mg.ones((1, 1, 2, 2)), padding="same")
    assert y.numpy()[0, 0].tolist() == [[4, 4, 2], [4, 4, 2], [2, 2, 1]]


def test_same_transposed_multiplies_by_the_stride_unless_told_the_size():
    w = mg.ones((1, 1, 5, 5))
    assert mg.conv_transpose2d(mg.ones((1, 1, 4, 4)), w, stride=2, padding="same").shape[2:] == (8, 8)
    y = mg.conv_transpose2d(mg.ones((1, 1, 4, 4)), w, stride=2, padding="same", output_size=7)
    assert y.shape[2:] == (7, 7)
    x = mg.ones((1, 1, 7, 7))
    left = mg.sum(mg.conv2d(x, w, stride=2, padding="same") * mg.ones((1, 1, 4, 4)))
    assert left.item() == mg.sum(y * x).item()


def test_every_form_of_padding_agrees(rng):
    x, w = Tensor(rng.standard_normal((1, 2, 5, 6))), Tensor(rng.standard_normal((3, 2, 3, 3)))
    expected = mg.conv2d(x, w, padding=((1, 1), (1, 1))).numpy()
    for padding in (1, (1, 1), [1, 1], ((1, 1), (1, 1)), [[1, 1], [1, 1]], "same"):
        assert np.array_equal(mg.conv2d(x, w, padding=padding).numpy(), expected)
    assert np.array_equal(mg.conv2d(x, w, padding=np.int64(1), stride=np.int64(1)).numpy(), expected)
    assert mg.max_pool2d(x, [2, 2], [1, 1]).shape == (1, 2, 4, 5)
    assert np.array_equal(mg.conv2d(x, w, padding="valid").numpy(), mg.conv2d(x, w).numpy())


# --- memory order -------------------------------------------------------------------------------------------


def test_images_stay_channels_last(rng):
    def last(t):
        return t.data.transpose(0, 2, 3, 1).flags.c_contiguous

    x = Tensor(rng.standard_normal((4, 3, 8, 8)).astype("float32"))
    w = Tensor(rng.standard_normal((6, 3, 4, 4)).astype("float32"))
    y = mg.conv2d(x, w, mg.ones(6), stride=2, padding=1)
    chain = {
        "conv2d": y,
        "leaky_relu": mg.leaky_relu(y),
        "tanh": mg.tanh(y),
        "normalised": (y - mg.mean(y, (0, 2, 3), keepdims=True)) * mg.ones((1, 6, 1, 1)),
        "max_pool2d": mg.max_pool2d(y, 2),
        "avg_pool2d": mg.avg_pool2d(y, 2),
        "upsample_nearest": mg.upsample_nearest(y, 2),
        "interpolate": mg.interpolate(y, (5, 3), mode="bilinear"),
        "upfirdn2d": mg.upfirdn2d(y, [1, 2, 1], up=2),
        "reflection": mg.pad(y, ((0, 0), (0, 0), (1, 1), (1, 0)), mode="reflect"),
        "its gradient": mg.grad(mg.sum(mg.tanh(mg.pad(y, ((0, 0), (0, 0), (1, 1), (1, 0)), mode="edge"))), y),
        "pixel_shuffle": mg.pixel_shuffle(mg.concatenate([y, y], 1), 2),
        "conv_transpose2d": mg.conv_transpose2d(y, w, stride=2, padding=1),
        "reshape": mg.ones((4, 48)).reshape(4, 3, 4, 4),
        "concatenate": mg.concatenate([y, y], 1),
        "pad": mg.pad(y, ((0, 0), (0, 0), (1, 1), (1, 1))),
        "gradient": mg.grad(mg.sum(mg.tanh(mg.max_pool2d(mg.leaky_relu(y), 2))), y),
        "weight gradient": mg.grad(mg.sum(mg.tanh(y)), w),
    }
    assert [name for name, t in chain.items() if not last(t)] == []


def test_channels_last_copies_only_when_it_must(rng):
    a = rng.standard_normal((2, 3, 4, 5))
    b = channels_last(a)
    assert np.array_equal(a, b)
    assert channels_last(b) is b


# --- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 0}, r"conv2d: stride: expected an integer >= 1 .* got 0"),
        ({"stride": -2}, "got -2"),
        ({"stride": (1, 2, 3)}, r"got \(1, 2, 3\)"),
        ({"stride": 1.5}, "got 1.5"),
        ({"dilation": 0}, "conv2d: dilation"),
        ({"padding": -1}, r"padding must be integers >= 0, got \(-1, -1\)"),
        ({"padding": "full"}, "'full'"),
        ({"padding": 1.5}, "got 1.5"),
        ({"padding": None}, "got None"),
        ({"padding": (1, 1, 1)}, "two entries"),
        ({"padding": ((1, 1), (1, -1))}, ">= 0"),
        ({"groups": 3}, "groups must be a positive divisor of 64"),
        ({"groups": 0}, "groups"),
        ({"groups": 2}, r"x has 64 channels, w expects 128 in 2 groups"),
        ({"dilation": 11}, r"the kernel spans 34 pixels, the padded image has 32"),
        ({"b": mg.ones(3)}, r"expected a bias of shape \(64,\), got \(3,\)"),
    ],
)
def test_a_wrong_convolution_names_its_values(options, message):
    b = options.pop("b", None)
    with pytest.raises(mg.errors.ShapeError, match=message):
        mg.conv2d(mg.ones((1, 64, 32, 32)), mg.ones((64, 64, 4, 4)), b, **options)


def test_the_error_of_the_design():
    with pytest.raises(mg.errors.ShapeError) as caught:
        mg.conv2d(mg.ones((8, 3, 32, 32)), mg.ones((128, 64, 4, 4)))
    assert str(caught.value) == ("conv2d: x has 3 channels, w expects 64 (x (8, 3, 32, 32), w (128, 64, 4, 4))")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 0}, "stride"),
        ({"output_padding": 2}, r"output_padding \(2, 2\) must be smaller than stride \(2, 2\)"),
        ({"output_size": 10, "output_padding": 1}, "output_padding 1 means nothing"),
        ({"output_size": 20}, "a height of 20 does not come from 4"),
        ({"padding": 9}, "leaves no pixel"),
    ],
)
def test_a_wrong_transposed_convolution_names_its_values(options, message):
    with pytest.raises(mg.errors.ShapeError, match=message):
        mg.conv_transpose2d(mg.ones((1, 2, 4, 4)), mg.ones((2, 3, 4, 4)), **{"stride": 2, **options})
    with pytest.raises(mg.errors.ShapeError, match="x has 2 channels, w expects 5"):
        mg.conv_transpose2d(mg.ones((1, 2, 4, 4)), mg.ones((5, 3, 4, 4)))


def test_images_and_kernels_need_four_axes():
    with pytest.raises(mg.errors.ShapeError, match=r"expected x of shape \(N, C, H, W\)"):
        mg.conv2d(mg.ones((3, 32, 32)), mg.ones((1, 3, 3, 3)))
    with pytest.raises(mg.errors.ShapeError, match="no element"):
        mg.conv2d(mg.ones((1, 3, 32, 32)), mg.ones((1, 3, 0, 3)))


def test_large_batches_are_shared_by_threads_and_blocks(rng):
    """Big enough for several blocks and threads, with a last block that is shorter than the others."""
    for shape, kernel, options in [
        ((37, 16, 20, 20), (24, 16, 5, 5), {"stride": 2, "padding": 2}),
        ((37, 1, 28, 28), (32, 1, 5, 5), {}),
        ((37, 16, 18, 18), (32, 8, 3, 3), {"groups": 2}),
    ]:
        s = geometry.convolution(
            "conv2d", shape, kernel, options.get("stride", 1), options.get("padding", 0), 1, options.get("groups", 1)
        )
        x, w, y = slots(s, 1)
        parts = [geometry.convolution("conv2d", (1, *shape[1:]), kernel, s.stride, s.pads, 1, s.groups)] * shape[0]
        one_by_one = [faces._conv(x[n : n + 1], w, part).numpy() for n, part in enumerate(parts)]
        np.testing.assert_allclose(faces._conv(x, w, s).numpy(), np.concatenate(one_by_one), rtol=1e-12, atol=1e-12)
        value = mg.sum(faces._conv(x, w, s) * y).item()
        scale = mg.sum(abs(faces._conv(x, w, s) * y)).item()
        assert abs(value - mg.sum(faces._conv_input(w, y, s) * x).item()) <= 1e-12 * scale
        assert abs(value - mg.sum(faces._conv_weight(x, y, s) * w).item()) <= 1e-12 * scale
