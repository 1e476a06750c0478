"""Convolutions with fewer multiplications in C: each face of each F(m, r) against NumPy in float64."""

import re
from fractions import Fraction

import compiled_variants
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minigan.kernels import compiled_winograd as winograd
from minigan.kernels import cpu_conv, geometry, variants
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
    found = (
        winograd.conv(x, w, s, m, over_y, 0.25),
        winograd.conv_input(w, y, s, m, over_x),
        winograd.conv_weight(x, y, s, m),
    )
    names = ("conv", "conv_input", "conv_weight")
    return [*zip(names, found, (activated, *direct[0][1:]), [a.max(initial=0) for a in direct[1]], strict=True)]


def check(s, m, r, seed):
    for name, found, expected, scale in faces(s, m, seed):
        assert found.shape == expected.shape
        assert found.transpose(0, 2, 3, 1).flags.c_contiguous
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
    np.testing.assert_array_equal(winograd.conv(hidden, w, s, m), winograd.conv(x, w, s, m))
    np.testing.assert_array_equal(winograd.conv_weight(hidden, y, s, m), winograd.conv_weight(x, y, s, m))
    found = winograd.conv_input(w, y, s, m)
    assert not found[:, :, seen:].any()
    assert not found[:, :, :, seen:].any()
    assert found[:, :, :seen, :seen].all()


@needs_kernels
def test_an_activation_keeps_a_nan():
    s = geometry.convolution("conv2d", (1, 16, 8, 8), (16, 16, 3, 3), 1, 1, 1, 1)
    x, w = np.ones(s.x, "float32"), np.ones(s.w, "float32")
    x[0, 0, 0, 0] = np.nan
    assert np.isnan(winograd.conv(x, w, s, 2, slope=0.0)).any()


# --- where it is done -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "w", "stride", "dilation", "groups"),
    [
        ((8, 64, 16, 16), (64, 64, 3, 2), 1, 1, 1),
        ((8, 64, 16, 16), (64, 64, 3, 3), 2, 1, 1),
        ((8, 64, 16, 16), (64, 64, 4, 4), (2, 4), 1, 1),
        ((8, 64, 16, 16), (64, 64, 3, 3), 1, 2, 1),
        ((8, 64, 16, 16), (64, 32, 3, 3), 1, 1, 2),
        ((8, 64, 16, 16), (64, 64, 1, 1), 1, 1, 1),
        ((8, 64, 16, 16), (64, 64, 4, 4), 1, 1, 1),
    ],
)
def test_what_has_no_algorithm(x, w, stride, dilation, groups):
    s = geometry.convolution("conv2d", x, w, stride, 2, dilation, groups)
    assert winograd.best(s) == (0, float("inf"))


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
