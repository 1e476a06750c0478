"""Gradients of convolutions with fewer multiplications equal the direct ones."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minigan.kernels import cpu, cpu_conv, cpu_winograd, geometry
from minigan.kernels.cpu_winograd import _ALGORITHMS, Plan, plan

SMALL = st.integers(1, 3)


@pytest.mark.parametrize(("taps", "which"), [(2, 0), (2, 1), (3, 0)])
def test_an_algorithm_filters(taps, which, rng):
    a = _ALGORITHMS[taps][which]
    d, g = rng.standard_normal(a.B.shape[1]), rng.standard_normal(taps)
    y = a.A.T @ (np.array(a.factors) * (a.B @ d) * (a.G @ g))
    np.testing.assert_allclose(y, np.correlate(d, g, "valid"), rtol=1e-12, atol=1e-12)


@given(
    shape=st.tuples(SMALL, SMALL, st.integers(2, 13), st.integers(2, 13)),
    outs=SMALL,
    stride=st.integers(1, 2),
    algorithm=st.sampled_from([(taps, a) for taps, known in _ALGORITHMS.items() for a in known]),
    pads=st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * 2),
    block=SMALL,
    seed=st.integers(0, 2**32 - 1),
)
def test_both_gradients_equal_the_direct_ones(shape, outs, stride, algorithm, pads, block, seed):
    taps, found = algorithm
    kernel = (outs, shape[1], taps * stride, taps * stride)
    sizes = [size + sum(pad) for size, pad in zip(shape[2:], pads, strict=True)]
    assume(min(sizes) >= taps * stride)  # the kernel fits into the image
    s = geometry.convolution("conv2d", shape, kernel, stride, pads, 1, 1)
    p = Plan(found, stride, taps, (-(-s.y[2] // found.m), -(-s.y[3] // found.m)), block)
    assert plan(s) is None  # so few channels go the direct way
    rng = np.random.default_rng(seed)
    x, w, y, b = (rng.standard_normal(size) for size in (s.x, s.w, s.y, s.x[1]))
    for bias in (None, b):
        got = cpu_winograd.conv_input(w, y, s, p, bias)
        np.testing.assert_allclose(got, cpu_conv.conv_input(w, y, s, bias), rtol=1e-11, atol=1e-11)
        assert got.transpose(0, 2, 3, 1).flags.c_contiguous
    got = cpu_winograd.conv_weight(x, y, s, p)
    np.testing.assert_allclose(got, cpu_conv.conv_weight(x, y, s), rtol=1e-11, atol=1e-11)
    assert got.transpose(0, 2, 3, 1).flags.c_contiguous


DEEP = (70, 128, 12, 12)


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "groups", "goes"),
    [
        ((20, 128, 3, 3), 1, 1, 1, True),
        ((20, 128, 3, 3), (1, 2), 1, 1, False),
        ((20, 128, 4, 4), (2, 4), 1, 1, False),
        ((20, 128, 3, 3), 1, 2, 1, False),
        ((20, 128, 3, 2), 1, 1, 1, False),
        ((20, 128, 4, 6), 2, 1, 1, False),
        ((20, 128, 5, 5), 2, 1, 1, False),
        ((20, 128, 5, 5), 1, 1, 1, False),
        ((40, 64, 3, 3), 1, 1, 2, False),
    ],
)
def test_it_is_chosen_for_square_kernels_without_holes_alone(kernel, stride, dilation, groups, goes, rng):
    s = geometry.convolution("conv2d", DEEP, kernel, stride, 2, dilation, groups)
    assert (plan(s) is not None) == goes
    if min(s.y[2:]) * max(s.y[2:]) < 100:  # the trilinear form, where it is quick
        x, w, y = (rng.standard_normal(size) for size in (s.x, s.w, s.y))
        np.testing.assert_allclose((cpu.conv_input(w, y, s) * x).sum(), (cpu.conv(x, w, s) * y).sum(), rtol=1e-9)


def test_groups_of_many_channels_go_the_direct_way():
    s = geometry.convolution("conv2d", (70, 256, 12, 12), (40, 128, 3, 3), 1, 1, 1, 2)
    assert plan(s) is None


def test_pixels_that_no_window_sees_get_nothing(rng):
    s = geometry.convolution("conv2d", (70, 128, 19, 21), (20, 128, 6, 6), 2, 0, 1, 1)
    p = plan(s)
    assert p is not None
    assert s.x[2] > 2 * s.y[2] + 4  # the last row and column
    w, y = rng.standard_normal(s.w), rng.standard_normal(s.y)
    np.full((70, 19, 21, 128), np.nan)  # memory that is taken next
    got = cpu_winograd.conv_input(w, y, s, p)
    assert not got[:, :, 18:].any()
    assert not got[:, :, :, 20:].any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_where_it_is_chosen_the_trilinear_form_is_still_one(dtype, rng):
    s = geometry.convolution("conv2d", (70, 128, 12, 12), (20, 128, 4, 4), 2, 1, 1, 1)
    assert plan(s) is not None
    x, w, y = (rng.standard_normal(size).astype(dtype) for size in (s.x, s.w, s.y))
    direct = cpu.conv(x, w, s)
    by_y, scale = float((direct * y).sum(dtype="float64")), float(abs(direct * y).sum(dtype="float64"))
    close = 1e-6 if dtype == "float32" else 1e-14
    assert abs(float((cpu.conv_input(w, y, s) * x).sum(dtype="float64")) - by_y) <= close * scale
    assert abs(float((cpu.conv_weight(x, y, s) * w).sum(dtype="float64")) - by_y) <= close * scale


@pytest.mark.parametrize(
    ("x", "w", "stride", "padding", "dilation", "groups"),
    [
        ((64, 64, 14, 14), (128, 64, 4, 4), 2, 1, 1, 1),  # 7 x 7 results waste too much of their tiles
        ((64, 64, 32, 32), (64, 64, 5, 5), 1, 2, 1, 1),  # five taps
        ((64, 64, 32, 32), (64, 64, 3, 3), 2, 1, 1, 1),  # a stride that does not divide the kernel
        ((64, 64, 32, 32), (64, 32, 3, 3), 1, 1, 1, 2),  # groups
        ((64, 64, 32, 32), (64, 64, 3, 3), 1, 2, 2, 1),  # dilation
        ((1, 64, 8, 8), (64, 64, 3, 3), 1, 1, 1, 1),  # few tiles
        ((64, 3, 32, 32), (64, 3, 3, 3), 1, 1, 1, 1),  # few channels
    ],
)
def test_where_it_would_not_pay_it_is_not_chosen(x, w, stride, padding, dilation, groups):
    s = geometry.convolution("conv2d", x, w, stride, padding, dilation, groups)
    assert plan(s) is None
