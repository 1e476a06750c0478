"""Convolutions with fewer multiplications in C: each face of each F(m, r) against NumPy in float64."""

import re
from fractions import Fraction

import compiled_variants
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minigan.kernels import compiled_conv, cpu_conv, geometry, library, variants
from minigan.kernels import compiled_winograd as winograd
from minigan.kernels.threads import get_num_threads, set_num_threads

RUNNABLE = compiled_variants.runnable()
needs_kernels = pytest.mark.skipif(not RUNNABLE, reason="needs the compiled kernels: python -m building")

SMALL = st.integers(1, 3)
KNOWN = list(winograd.ERROR)


# --- the matrices ---------------------------------------------------------------------------------------------------


def matrices():
    """The matrices of the C source by name, as fractions."""
    text = re.sub(r"//.*", "", (variants.SOURCES / "winograd_transforms.c").read_text())
    found = re.findall(r"static const float ([ABG](?:_\d)+)\[\d\]\[\d\] = (.*?);", text, re.DOTALL)
    listed = str.maketrans("{}", "[]")
    return {
        name: eval(re.sub(r"(\d*\.?\d+)\.?f?", r"Fraction('\1')", body.translate(listed)), {"Fraction": Fraction})
        for name, body in found
    }


@pytest.mark.parametrize(("m", "r"), KNOWN)
def test_the_matrices_filter_exactly(m, r):
    known = matrices()
    a, g, b = known[f"A_{m}_{r}"], known[f"G_{m}_{r}"], known[f"B_{m + r - 1}"]
    for tap in range(r):
        for pixel in range(m + r - 1):
            v, u = [row[pixel] for row in b], [row[tap] for row in g]
            y = [sum(a[k][i] * u[k] * v[k] for k in range(m + r - 1)) for i in range(m)]
            assert y == [int(i + tap == pixel) for i in range(m)]


# --- the faces ------------------------------------------------------------------------------------------------------

SIZES = st.sampled_from([1, 2, 3, 5, 16, 17, 33])


@st.composite
def geometries(draw):
    """((m, r), a geometry): images of odd sizes, pads of any side, channels that do not fill vectors, empty batches."""
    m, r = draw(st.sampled_from(KNOWN))
    stride = draw(SMALL)
    pads = draw(st.tuples(*[st.tuples(st.integers(0, 4), st.integers(0, 4))] * 2))
    size = draw(st.tuples(st.integers(1, 15), st.integers(1, 15)))
    assume(all(n + sum(pad) >= r * stride for n, pad in zip(size, pads, strict=True)))  # the kernel fits in
    x = (draw(st.integers(0, 4)), draw(SIZES), *size)
    return (m, r), geometry.convolution("conv2d", x, (draw(SIZES), x[1], r * stride, r * stride), stride, pads, 1, 1)


def images(rng, shape):
    """Random numbers (N, C, H, W), channels-last in memory."""
    n, c, h, w = shape
    return rng.standard_normal((n, h, w, c), dtype="float32").transpose(0, 3, 1, 2)


def three_faces(s, m, x, w, y, over_x, over_y, slope):
    """conv, conv_input and conv_weight of the C kernels, the first with an activation, as F(m, r)."""
    arrays = [np.ascontiguousarray(a.transpose(0, 2, 3, 1)) for a in (x, w, y)]
    (x, w, y), geometry = [library.address(a) for a in arrays], library.address(compiled_conv._packed(s))
    results = [np.full((n, h, w, c), np.nan, "float32") for n, c, h, w in (s.y, s.x, s.w)]
    over_x, over_y = map(library.address, (over_x, over_y))
    library.call("winograd_conv", geometry, m, x, w, over_y, slope, library.address(results[0]))
    library.call("winograd_input", geometry, m, w, y, over_x, library.address(results[1]))
    library.call("winograd_weight", geometry, m, x, y, library.address(results[2]))
    return [a.transpose(0, 3, 1, 2) for a in results]


def faces(s, m, seed):
    """(a face, its result in C, in NumPy's float64, the largest sum of absolute values that it takes)."""
    rng = np.random.default_rng(seed)
    x, w, y = (images(rng, shape) for shape in (s.x, s.w, s.y))
    over_x, over_y = (rng.standard_normal(shape[1], dtype="float32") for shape in (s.x, s.y))
    exact = [a.astype("float64") for a in (x, w, y, over_x, over_y)]
    large = [abs(a) for a in exact]
    direct = [
        (cpu_conv.conv(x, w, s, to_y), cpu_conv.conv_input(w, y, s, to_x), cpu_conv.conv_weight(x, y, s))
        for x, w, y, to_x, to_y in (exact, large)
    ]
    activated = np.where(direct[0][0] > 0, direct[0][0], 0.25 * direct[0][0])
    found = three_faces(s, m, x, w, y, over_x, over_y, 0.25)
    names = ("conv", "conv_input", "conv_weight")
    return [*zip(names, found, (activated, *direct[0][1:]), [a.max(initial=0) for a in direct[1]], strict=True)]


def check(s, m, r, seed):
    for name, found, expected, scale in faces(s, m, seed):
        assert found.shape == expected.shape
        off = abs(found - expected).max(initial=0)
        assert off <= winograd.ERROR[m, r] * scale, f"{name}: {off / scale:.1e} of the largest sum"


@needs_kernels
@pytest.mark.parametrize("variant", RUNNABLE)
@given(known=geometries(), threads=st.sampled_from([1, 2, 3, 8]), seed=st.integers(0, 2**32 - 1))
def test_each_face_equals_numpys(variant, known, threads, seed):
    (m, r), s = known
    before = get_num_threads()
    set_num_threads(threads)
    try:
        with compiled_variants.using(variant):
            check(s, m, r, seed)
    finally:
        set_num_threads(before)


@needs_kernels
@pytest.mark.parametrize(("m", "r"), KNOWN)
@pytest.mark.parametrize("channels", [(64, 128), (20, 50)])
def test_many_tiles_equal_numpys(m, r, channels):
    """Several blocks of each face, the last not full."""
    c, o = channels
    s = geometry.convolution("conv2d", (7, c, 31, 29), (o, c, 2 * r, 2 * r), 2, r - 1, 1, 1)
    check(s, m, r, 0)
    s = geometry.convolution("conv2d", (5, c, 23, 21), (o, c, r, r), 1, r // 2, 1, 1)
    check(s, m, r, 1)


@needs_kernels
@pytest.mark.parametrize("variant", RUNNABLE)
@pytest.mark.parametrize(("m", "r"), KNOWN)
def test_results_are_the_same_bits_with_any_number_of_threads(variant, m, r):
    s = geometry.convolution("conv2d", (9, 24, 22, 22), (40, 24, 2 * r, 2 * r), 2, r - 1, 1, 1)
    before, results = get_num_threads(), []
    with compiled_variants.using(variant):
        for threads in (1, 2, 3, 8, 2):
            set_num_threads(threads)
            results.append([found for _, found, *_ in faces(s, m, 0)])
        set_num_threads(before)
    for again in results[1:]:
        for one, other in zip(results[0], again, strict=True):
            np.testing.assert_array_equal(one, other)


@needs_kernels
@pytest.mark.parametrize(("m", "r"), KNOWN)
def test_pixels_that_no_window_sees_count_for_nothing_and_get_nothing(m, r):
    s = geometry.convolution("conv2d", (2, 16, 3 * r + 2, 3 * r + 2), (16, 16, 3 * r, 3 * r), 3, 0, 1, 1)
    rng = np.random.default_rng(0)
    x, w, y = (images(rng, size) for size in (s.x, s.w, s.y))
    seen = 3 * r  # of each side: there is one window
    hidden = x.copy("K")
    hidden[:, :, seen:] = hidden[:, :, :, seen:] = np.nan
    over_x, over_y = np.zeros(s.x[1], "float32"), np.zeros(s.y[1], "float32")
    y_seen, found, w_seen = three_faces(s, m, x, w, y, over_x, over_y, 1.0)
    y_hidden, _, w_hidden = three_faces(s, m, hidden, w, y, over_x, over_y, 1.0)
    np.testing.assert_array_equal(y_hidden, y_seen)
    np.testing.assert_array_equal(w_hidden, w_seen)
    assert not found[:, :, seen:].any()
    assert not found[:, :, :, seen:].any()
    assert found[:, :, :seen, :seen].all()


@needs_kernels
def test_an_activation_keeps_a_nan():
    s = geometry.convolution("conv2d", (1, 16, 8, 8), (16, 16, 3, 3), 1, 1, 1, 1)
    x, w, y, over = np.ones(s.x, "float32"), np.ones(s.w, "float32"), np.ones(s.y, "float32"), np.zeros(16, "float32")
    x[0, 0, 0, 0] = np.nan
    assert np.isnan(three_faces(s, 2, x, w, y, over, over, 0.0)[0][0, :, :2, :2]).all()


# --- where it is done -----------------------------------------------------------------------------------------------


@needs_kernels
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("x", "w", "stride", "padding", "m"),
    [
        ((16, 64, 32, 32), (128, 64, 4, 4), 2, 1, 4),
        ((16, 64, 14, 14), (128, 64, 4, 4), 2, 1, 4),
        ((64, 128, 4, 4), (128, 128, 4, 4), 2, 1, 2),
        ((16, 32, 12, 12), (64, 32, 5, 5), 1, 0, 4),
        ((16, 64, 16, 16), (64, 64, 3, 3), 1, 1, 4),
        ((16, 64, 10, 10), (64, 64, 3, 3), 1, 0, 4),
    ],
)
def test_it_is_chosen_where_it_pays(x, w, stride, padding, m, bias):
    s = geometry.convolution("conv2d", x, w, stride, padding, 1, 1)
    for face in ("conv", "conv_input", "conv_weight"):
        assert compiled_conv.way(face, s) == ("winograd", m)
    rng = np.random.default_rng(0)
    x, w, y = (images(rng, shape) for shape in (s.x, s.w, s.y))
    over_x, over_y = (rng.standard_normal(shape[1], dtype="float32") if bias else None for shape in (s.x, s.y))
    found = (
        compiled_conv.conv(x, w, s, over_y),
        compiled_conv.conv_input(w, y, s, over_x),
        compiled_conv.conv_weight(x, y, s),
    )
    expected = cpu_conv.conv(x, w, s, over_y), cpu_conv.conv_input(w, y, s, over_x), cpu_conv.conv_weight(x, y, s)
    for a, b in zip(found, expected, strict=True):
        assert a.transpose(0, 2, 3, 1).flags.c_contiguous
        np.testing.assert_allclose(a, b, rtol=0, atol=3e-5 * abs(b).max())


@needs_kernels
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (4, 2), (5, 1)])
def test_where_it_is_chosen_the_trilinear_form_is_still_one(kernel, stride, rng):
    s = geometry.convolution("conv2d", (16, 64, 18, 18), (48, 64, kernel, kernel), stride, 1, 1, 1)
    assert compiled_conv.way("conv", s)[0] == "winograd"
    x, w, y = (images(rng, shape) for shape in (s.x, s.w, s.y))
    direct = cpu_conv.conv(*(a.astype("float64") for a in (x, w)), s) * y
    scale = abs(direct).sum()
    for of, found in (
        (y, compiled_conv.conv(x, w, s)),
        (x, compiled_conv.conv_input(w, y, s)),
        (w, compiled_conv.conv_weight(x, y, s)),
    ):
        assert abs((of * found).sum(dtype="float64") - direct.sum()) <= 1e-6 * scale


@pytest.mark.parametrize(
    ("x", "w", "stride", "dilation", "groups"),
    [
        ((8, 64, 16, 16), (64, 64, 3, 2), 1, 1, 1),
        ((8, 64, 16, 16), (64, 64, 3, 3), 2, 1, 1),  # a stride that does not divide the kernel
        ((8, 64, 16, 16), (64, 64, 4, 4), (2, 4), 1, 1),
        ((8, 64, 16, 16), (64, 64, 3, 3), 1, 2, 1),
        ((8, 64, 16, 16), (64, 32, 3, 3), 1, 1, 2),
        ((8, 64, 16, 16), (64, 64, 1, 1), 1, 1, 1),
        ((8, 64, 16, 16), (64, 64, 4, 4), 1, 1, 1),  # four taps
        ((8, 3, 16, 16), (64, 3, 3, 3), 1, 1, 1),  # few channels
        ((1, 256, 8, 8), (512, 256, 4, 4), 2, 1, 1),  # few tiles for so large a kernel
        ((64, 512, 4, 4), (1024, 512, 4, 4), 2, 1, 1),  # a kernel too large to be transformed
    ],
)
def test_what_goes_the_direct_way(x, w, stride, dilation, groups):
    s = geometry.convolution("conv2d", x, w, stride, 2 if x[2] > 8 else 1, dilation, groups)
    assert winograd.tile(s) is None
    assert compiled_conv.way("conv", s) == ("direct",)


SCRIPT = """
import sys
sys.path.insert(0, "tests/kernels")
import test_compiled_winograd as tests
from minigan.kernels import geometry, set_num_threads
for threads in (1, 3):
    set_num_threads(threads)
    for m, r in tests.KNOWN:
        for stride, c, o, size, pad in [(1, 3, 5, 9, 0), (2, 16, 33, 13, 1), (3, 17, 16, 16, 2), (1, 64, 16, 17, 1)]:
            k = stride * r
            for n in (0, 1, 5):
                s = geometry.convolution("conv2d", (n, c, size, size + 2), (o, c, k, k), stride, pad, 1, 1)
                tests.check(s, m, r, 0)
print("all ran")
"""


@pytest.mark.slow
@pytest.mark.skipif(not compiled_variants.can_sanitize(), reason="needs gcc")
@pytest.mark.parametrize("variant", variants.variants(), ids=lambda variant: variant.name)
def test_kernels_stay_within_their_memory(variant):
    if variant.name not in RUNNABLE:
        pytest.skip(f"this processor is no {variant.name}")
    result = compiled_variants.run_sanitized(SCRIPT, variant)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "all ran"
