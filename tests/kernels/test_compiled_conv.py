"""Direct convolutions in C against NumPy in float64: each face and way, any geometry, each variant, some threads.

The bound: no element is off by more than 2e-6 of the sum of the absolute values of what it adds up.
"""

import compiled_variants
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minigan.kernels import compiled_conv, cpu_conv, geometry, variants
from minigan.kernels.threads import set_num_threads

RUNNABLE = compiled_variants.runnable()
pytestmark = pytest.mark.skipif(not RUNNABLE, reason="needs the compiled kernels: python -m building")

BOUND = 2e-6

WAYS = [("conv", "direct"), ("conv_input", "direct"), ("conv_input", "planes"), ("conv_weight", "direct")]
PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))
PADS = st.tuples(st.integers(0, 4), st.integers(0, 4))
CHANNELS = st.sampled_from([1, 2, 3, 5, 8, 16, 17, 33])


@st.composite
def geometries(draw):
    """Odd sizes, strides beyond the kernel, dilation, groups, one channel, one pixel, pads of each side its own."""
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    stride, dilation = draw(st.tuples(st.integers(1, 6), st.integers(1, 6))), draw(PAIR)
    pads, size = draw(st.tuples(PADS, PADS)), draw(st.tuples(st.integers(1, 17), st.integers(1, 17)))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    free = [n + sum(p) - r for n, p, r in zip(size, pads, reach, strict=True)]
    assume(min(free) >= 0)
    windows = [f // s + 1 for f, s in zip(free, stride, strict=True)]
    n, c, o = draw(st.integers(1, 3)), draw(CHANNELS), draw(CHANNELS)
    return geometry.Geometry(
        (n, groups * c, *size), (groups * o, c, *kernel), (n, groups * o, *windows), stride, pads, dilation, groups
    )


def image(rng, shape):
    """Channels-last in memory."""
    n, c, h, w = shape
    return rng.standard_normal((n, h, w, c), dtype="float32").transpose(0, 3, 1, 2)


def arguments(face, s, rng, biased=False):
    """(the two slots that are given, then the geometry and what else there is)."""
    x, w, y = (image(rng, shape) for shape in (s.x, s.w, s.y))
    slots = {"conv": (x, w), "conv_input": (w, y), "conv_weight": (x, y)}[face]
    if face == "conv_weight":
        return slots, ()
    channels = s.y[1] if face == "conv" else s.x[1]
    return slots, (rng.standard_normal(channels, dtype="float32") if biased else None,)


def computed(module, face, slots, s, rest, change=lambda a: a):
    return getattr(module, face)(*map(change, slots), s, *(None if a is None else change(a) for a in rest))


def assert_close(found, face, slots, s, rest):
    expected = computed(cpu_conv, face, slots, s, rest, lambda a: a.astype("float64"))
    terms = computed(cpu_conv, face, slots, s, rest, lambda a: abs(a).astype("float64"))
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    assert (abs(found - expected) <= BOUND * terms).all()


@pytest.fixture
def taken(monkeypatch):
    """Have every face go the way that is named."""

    def take(name):
        monkeypatch.setattr(compiled_conv, "way", lambda face, s: (name,))

    return take


@pytest.mark.parametrize(("face", "way"), WAYS)
@pytest.mark.parametrize("name", RUNNABLE)
def test_every_face_is_numpys_up_to_rounding(name, face, way, taken):
    taken(way)

    @given(geometries(), st.booleans(), st.sampled_from([1, 2, 3, 8]), st.integers(0, 2**32))
    def check(s, biased, threads, seed):
        slots, rest = arguments(face, s, np.random.default_rng(seed), biased)
        set_num_threads(threads)
        found = computed(compiled_conv, face, slots, s, rest)
        np.testing.assert_array_equal(computed(compiled_conv, face, slots, s, rest), found)
        assert_close(found, face, slots, s, rest)

    with compiled_variants.using(name):
        try:
            check()
        finally:
            set_num_threads(None)


# larger than a block of pixels, of rows, of sums, of channels
LARGE = {
    "pixels": ((9, 3, 40, 40), (20, 3, 4, 4), 2, 1, 1, 1),
    "rows": ((1, 40, 90, 70), (16, 40, 3, 3), 1, 1, 1, 1),
    "sums": ((4, 130, 6, 6), (300, 130, 3, 3), 1, 1, 1, 1),
    "dilation": ((2, 24, 40, 40), (130, 24, 3, 3), 1, 2, 2, 1),
    "groups": ((2, 48, 30, 30), (96, 24, 5, 5), 2, 2, 1, 2),
    "one pixel": ((70, 64, 4, 4), (33, 64, 4, 4), 1, 0, 1, 1),
}


def large(name):
    x, w, stride, padding, dilation, groups = LARGE[name]
    return geometry.convolution("conv2d", x, w, stride, padding, dilation, groups)


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize(("face", "way"), WAYS)
def test_work_in_several_blocks(face, way, name, taken, rng):
    taken(way)
    s = large(name)
    slots, rest = arguments(face, s, rng, biased=True)
    results = []
    try:
        for threads in (1, 2, 8):
            set_num_threads(threads)
            results.append(computed(compiled_conv, face, slots, s, rest))
            assert_close(results[-1], face, slots, s, rest)
    finally:
        set_num_threads(None)
    if face != "conv_weight":  # each element is one sum, whoever adds it up
        for found in results[1:]:
            np.testing.assert_array_equal(found, results[0])


@pytest.mark.parametrize("face", ["conv", "conv_weight"])
@pytest.mark.parametrize("outs", [1, 3, 7])
def test_from_many_channels_to_few_it_is_the_gradient_of_the_way_back(outs, face, rng):
    for kernel, padding, dilation in ((3, 1, 1), ((3, 5), ((1, 0), (2, 3)), 1), (2, 1, 2), (1, 0, 1)):
        shape = (outs, 32, *(kernel if isinstance(kernel, tuple) else (kernel, kernel)))
        s = geometry.convolution("conv2d", (10, 32, 24, 21), shape, 1, padding, dilation, 1)
        assert compiled_conv.way(face, s) == ("reversed",)
        slots, rest = arguments(face, s, rng, biased=True)
        found = computed(compiled_conv, face, slots, s, rest)
        assert found.transpose(0, 2, 3, 1).flags.c_contiguous
        assert_close(found, face, slots, s, rest)
    s = geometry.convolution("conv2d", (10, 32, 24, 21), (outs, 32, 2, 2), 1, 3, 1, 1)
    assert compiled_conv.way(face, s) == ("direct",)  # some windows see nothing of the image


@pytest.mark.parametrize("face", ["conv", "conv_input", "conv_weight"])
def test_any_memory_order_will_do(face, rng):
    s = large("rows")
    slots, rest = arguments(face, s, rng, biased=True)
    expected = computed(compiled_conv, face, slots, s, rest)
    found = computed(compiled_conv, face, slots, s, rest, np.ascontiguousarray)
    np.testing.assert_array_equal(found, expected)
    spread = [np.repeat(a, 2, axis=-1)[..., ::2] for a in slots]
    np.testing.assert_array_equal(computed(compiled_conv, face, spread, s, rest), expected)


@pytest.mark.parametrize("face", ["conv", "conv_input", "conv_weight"])
def test_what_c_does_not_do_is_numpys(face, rng, monkeypatch):
    def refused(*arguments):
        raise AssertionError(arguments)

    for shape in (((2, 3, 5, 5), (4, 3, 3, 3)), ((0, 64, 32, 32), (64, 64, 3, 3))):
        s = geometry.convolution("conv2d", *shape, 1, 1, 1, 1)
        assert compiled_conv.way(face, s) == ("numpy",)
    monkeypatch.setattr(compiled_conv, "call", refused)
    s = large("rows")
    slots, rest = arguments(face, s, rng)
    found = computed(compiled_conv, face, slots, s, rest, lambda a: a.astype("float64"))
    assert found.dtype == np.float64


def test_a_nan_stays_in_the_windows_that_see_it(taken, rng):
    taken("direct")
    s = geometry.convolution("conv2d", (2, 17, 12, 12), (33, 17, 3, 3), 1, 1, 1, 1)
    (x, w), rest = arguments("conv", s, rng)
    x[0, 2, 5, 7] = np.nan
    y = compiled_conv.conv(x, w, s, *rest)
    assert np.isnan(y[0, :, 4:7, 6:9]).all()
    y[0, :, 4:7, 6:9] = 0
    assert np.isfinite(y).all()


SCRIPT = """
import numpy as np
from hypothesis import given, settings, strategies as st
from test_compiled_conv import WAYS, arguments, computed, geometries, large, LARGE
from minigan.kernels import compiled_conv, threads
cases = [large(name) for name in LARGE]
@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(geometries())
def collect(s):
    cases.append(s)
collect()
for k, s in enumerate(cases):
    threads.set_num_threads(1 + k % 3)
    for face, way in WAYS:
        compiled_conv.way = lambda *_, taken=(way,): taken
        slots, rest = arguments(face, s, np.random.default_rng(0), biased=True)
        computed(compiled_conv, face, slots, s, rest)
print("done")
"""


@pytest.mark.slow
@pytest.mark.skipif(not compiled_variants.can_sanitize(), reason="needs gcc")
@pytest.mark.parametrize("name", RUNNABLE)
def test_nothing_is_read_or_written_out_of_bounds(name):
    """Images that are exactly as large as they must be, under gcc's sanitizers."""
    (variant,) = (v for v in variants.variants() if v.name == name)
    here = f"import sys; sys.path.insert(0, {str(compiled_variants.ROOT / 'tests' / 'kernels')!r})\n"
    ended = compiled_variants.run_sanitized(here + SCRIPT, variant)
    assert (ended.returncode, ended.stdout.split()) == (0, ["done"]), ended.stderr
