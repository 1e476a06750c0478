"""The compiled kernels that pass over memory, of each variant that this processor runs, against portable.py.

The examples are those of the CUDA kernels (kernel_checks.py), on larger sizes too, which threads share.
"""

import kernel_checks
import numpy as np
import pytest
from compiled_variants import can_sanitize, run_sanitized, runnable, using
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_checks import RULES, known, rows_to_move
from kernel_comparisons import spoilt

from minigan.kernels import compiled, compiled_channels, cpu, library, portable, variants

VARIANTS = runnable()
THREADS = [1, 2, 3, 8]
ARITHMETIC = ["add", "subtract", "multiply", "divide", "maximum", "minimum"]

pytestmark = pytest.mark.skipif(not VARIANTS, reason="needs compiled kernels: python -m building")

seeds = st.integers(0, 2**32 - 1)
counts = st.sampled_from(THREADS)
dtypes = st.sampled_from(["float32", "float32", "float64"])


@pytest.fixture(params=VARIANTS)
def kernels(request, monkeypatch):
    """The library in use, called however small arrays are."""
    for size in ("SIMPLE", "SMALL", "FEW_CHANNELS"):
        monkeypatch.setattr(compiled, size, 0)
    monkeypatch.setattr(compiled_channels, "SIMPLE", 0)
    with using(request.param) as found:
        before = library.find()
        yield found
        assert library.find() is before


def shared_by(threads, library):
    library.function("set_threads")(threads)


@st.composite
def shapes(draw, most=60):
    """Images of few channels or many, as small as one pixel and so large that threads share them."""
    n, c = draw(st.integers(1, 3)), draw(st.sampled_from([1, 2, 3, 8, 16, 24, 33, 64, 70]))
    return n, c, draw(st.integers(1, most)), draw(st.integers(1, most))


LAYOUTS = ["channels first", "channels last", "every second", "turned"]


def laid_out(x, layout):
    """x (N, C, H, W) in another order of memory, which may have gaps."""
    if layout == "channels last":
        return portable.channels_last(x)
    if layout == "every second":
        return np.repeat(x, 2, axis=3)[..., ::2]
    return np.ascontiguousarray(x.transpose(3, 2, 1, 0)).transpose(3, 2, 1, 0) if layout == "turned" else x


def draw_image(rng, shape, layout="channels last"):
    """Random floats, some of which are zero, infinite or no number."""
    x = rng.standard_normal(shape).astype("float32")
    return laid_out(spoilt(rng, x, 0.0, -0.0, np.inf, -np.inf, np.nan), layout)


@settings(max_examples=15)
@given(threads=counts, seed=seeds, dtype=dtypes, slope=st.sampled_from([0.0, 0.2, 1.0, 1.5]), shape=shapes())
def pointwise(kernels, threads, **sizes):
    shared_by(threads, kernels)
    kernel_checks.pointwise("compiled", **sizes)


def test_pointwise(kernels):
    pointwise(kernels)


@settings(max_examples=15)
@given(threads=counts, seed=seeds, dtype=dtypes, shape=shapes())
def channels(kernels, threads, **sizes):
    shared_by(threads, kernels)
    kernel_checks.channels("compiled", **sizes)


def test_channels(kernels):
    channels(kernels)


@settings(max_examples=30)
@given(
    threads=counts,
    seed=seeds,
    dtype=dtypes,
    shape=shapes(most=30).map(lambda shape: (*shape[:2], shape[2] + 3, shape[3] + 3)),
    window=st.tuples(st.integers(1, 4), st.integers(1, 4)) | st.just((2, 2)),
    stride=st.tuples(st.integers(1, 5), st.integers(1, 5)) | st.just((2, 2)),
)
def pooling(kernels, threads, **sizes):
    shared_by(threads, kernels)
    kernel_checks.pool("compiled", **sizes)


def test_pooling(kernels):
    pooling(kernels)


@settings(max_examples=40)
@given(
    name=st.sampled_from(ARITHMETIC),
    threads=counts,
    seed=seeds,
    shape=shapes(),
    layouts=st.tuples(st.sampled_from(LAYOUTS), st.sampled_from(LAYOUTS)),
    other=st.sampled_from(
        [
            "image",
            "row",
            "column",
            "rows",
            "repeated",
            "repeated row",
            "number",
            "whole number",
            "one element",
            "itself",
        ]
    ),
    turned=st.booleans(),
)
def arithmetic(kernels, name, threads, seed, shape, layouts, other, turned):
    shared_by(threads, kernels)
    rng = np.random.default_rng(seed)
    x = draw_image(rng, shape, layouts[0])
    second = {
        "image": draw_image(rng, shape, layouts[1]),
        "row": draw_image(rng, (1, shape[1], 1, 1)),
        "column": draw_image(rng, (shape[0], 1, 1, 1)),
        "rows": draw_image(rng, (*shape[:2], 1, 1)),
        "repeated": np.broadcast_to(draw_image(rng, (*shape[:2], 1, 1)), shape),
        "repeated row": np.broadcast_to(draw_image(rng, (1, shape[1], 1, 1)), shape),
        "number": 0.3,
        "whole number": 0,
        "one element": np.full((1, 1), np.inf, "float32"),
        "itself": x,
    }[other]
    a, b = (second, x) if turned else (x, second)
    with np.errstate(all="ignore"):
        got, expected = compiled.arithmetic(name, a, b), getattr(np, name)(a, b)
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of NumPy's, in its threads
def test_arithmetic_is_numpys_to_the_last_bit(kernels):
    arithmetic(kernels)


@settings(max_examples=25)
@given(threads=counts, seed=seeds, shape=shapes(), layout=st.sampled_from(LAYOUTS), dtype=dtypes)
def orders(kernels, threads, seed, shape, layout, dtype):
    shared_by(threads, kernels)
    x = laid_out(np.random.default_rng(seed).standard_normal(shape).astype(dtype), layout)
    turned = compiled.channels_last(x)
    np.testing.assert_array_equal(turned, x)
    assert turned.transpose(0, 2, 3, 1).flags.c_contiguous
    np.testing.assert_array_equal(compiled.reshaped(turned, (shape[0], -1)), x.reshape(shape[0], -1))


def test_orders_of_memory(kernels):
    orders(kernels)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("slope", [0.0, 0.2, 1.5])
def test_what_is_selected_has_no_trace_of_what_is_not(kernels, slope, layout, rng):
    shape = (3, 40, 30, 20)
    x, g = draw_image(rng, shape, layout), draw_image(rng, shape)
    with np.errstate(invalid="ignore"):
        scaled = slope * g if slope else np.zeros_like(g)
        np.testing.assert_array_equal(compiled.leaky_relu_grad(g, x, slope), np.where(x > 0, g, scaled))
        low = slope * x if slope else np.where(np.isnan(x), x, np.float32(0))
        np.testing.assert_array_equal(compiled.leaky_relu(x, slope), np.where(x > 0, x, low))


def test_sums_are_more_accurate_than_numpys(kernels, rng):
    """Of many rows, whose sum is large beside each of them: nine channels, so that several rows are one."""
    x = portable.channels_last((rng.random((50, 9, 100, 100)) + 100).astype("float32"))
    exact = x.sum(axis=(0, 2, 3), keepdims=True, dtype="float64")

    def error(total):
        return np.abs(total / exact - 1).max()

    for threads in THREADS:
        shared_by(threads, kernels)
        assert error(compiled.sum(x, (0, 2, 3), True)) <= min(1e-7, error(portable.sum(x, (0, 2, 3), True)))


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("shape", [(50, 9, 100, 100), (3, 1, 5, 7), (40, 70, 9, 9), (1, 3, 1, 67), (5, 200)])
def test_statistics_are_those_of_float64_however_far_the_mean_and_the_first_row(kernels, threads, shape, rng):
    shared_by(threads, kernels)
    for mean, first in ((0, 0), (1e4, 0), (0, 1e4), (-3e3, 1e6)):
        rows = (mean + rng.standard_normal((shape[0], *shape[2:], shape[1]))).astype("float32")
        rows.reshape(-1, shape[1])[0] += np.float32(first)
        x = np.moveaxis(rows, -1, 1)
        exact = portable.channel_stats(x.astype("float64"), 1e-5)
        found = compiled.channel_stats(x, 1e-5)
        np.testing.assert_array_less(abs(found[0] - exact[0]), 1.2e-7 * (abs(exact[0]) + 1 / exact[1]))
        np.testing.assert_allclose(found[1], exact[1], rtol=1e-6)
        for groups in {1, shape[1]} if x.ndim == 4 else ():
            exact = portable.sample_moments(x.astype("float64"), groups)
            found = compiled.sample_moments(x, groups)
            np.testing.assert_array_less(abs(found[0] - exact[0]), 2.4e-7 * (abs(exact[0]) + np.sqrt(exact[1])))
            np.testing.assert_allclose(found[1], exact[1], rtol=3e-6)


@pytest.mark.parametrize("shape", [(0, 9, 2, 2), (2, 0, 3, 3), (0, 4)])
@pytest.mark.parametrize("module", [compiled, cpu])
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # the mean of nothing
@pytest.mark.filterwarnings("ignore:Mean of empty slice:RuntimeWarning")
def test_nothing_is_normalised_to_nothing(kernels, module, shape):
    x, w = np.zeros(shape, "float32"), np.zeros((1, shape[1], *(1 for _ in shape[2:])), "float32")
    pair, each = np.stack([w, w]), x.sum(axis=tuple(range(2, len(shape))), keepdims=True)
    for name, arrays in {
        "channel_stats": (x, 0.1),
        "batch_norm": (x, pair, w, w),
        "channel_sums": (x, x, pair),
        "batch_norm_grad": (x, x, pair, pair),
        "sample_moments": (x, max(shape[1], 1)),
        "sample_affine": (x, each, each),
        "sample_sums": (x, x, each),
    }.items():
        np.testing.assert_array_equal(getattr(module, name)(*arrays), getattr(portable, name)(*arrays))
    np.testing.assert_array_equal(module.channel_dot(x, x), portable.channel_dot(x, x))


@pytest.mark.parametrize("threads", THREADS)
def test_the_same_number_of_threads_gives_the_same_bits(kernels, threads, rng):
    x, g = (portable.channels_last(rng.standard_normal((20, 33, 40, 40)).astype("float32")) for _ in range(2))

    def results(threads):
        shared_by(threads, kernels)
        stats = compiled.channel_stats(x, 1e-5)
        sums = compiled.channel_sums(g, x, stats)
        moments = compiled.sample_moments(x, 3)
        of_pixels = compiled.sample_sums(g, x, moments[0]), compiled.sum(x, (2, 3), True)
        own = [moments, *(total / x[0, 0].size for total in of_pixels)]
        return [compiled.sum(x, (0, 2, 3), True), stats, sums, compiled.batch_norm_grad(g, x, stats, sums), *own]

    first = results(threads)
    for other in (threads, 1):
        for again, before in zip(results(other), first, strict=True):
            if other == threads:
                np.testing.assert_array_equal(again, before)
            np.testing.assert_allclose(again, before, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("rule", "slots", "options"), RULES, ids=lambda v: getattr(v, "__name__", None))
@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:invalid value encountered in subtract:RuntimeWarning")  # fmax has the last word
def test_updates(kernels, threads, rule, slots, options, rng):
    shared_by(threads, kernels)
    sizes = [(3, 5), (1,), (700,), (300, 500), *[(2, 2)] * 70, (0,), (4, 3, 30, 30)]
    rows = rows_to_move(rng, rule, slots, options, sizes, "float32")
    rows.append([a[::2] for a in rows_to_move(rng, rule, slots, options, [(90,)], "float32")[0]])  # has gaps
    rows.append([a.copy() for a in rows[0]])
    rows[-1][1] = np.asfortranarray(rows[-1][1])  # a gradient in another order than its parameter
    expected = [[a.copy() for a in row] for row in rows]
    compiled.update(rule, rows, **known(rule, options, np.asarray))
    for row, moved in zip(expected, rows, strict=True):
        rule(*row, **known(rule, options, np.asarray))
        for ours, theirs in zip(moved, row, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_an_infinite_parameter_without_decay_is_not_spoilt(kernels):
    p, g, m, v = np.array([[np.inf], [1.0], [0.0], [0.0]], "float32")
    options = {"betas": (0.5, 0.9), "eps": 1e-8, "weight_decay": 0.0, "decoupled": False, "t": 1}
    compiled.update(portable.adam, [[p, g, m, v]], **known(portable.adam, options, np.asarray))
    assert p == np.inf


@pytest.mark.parametrize("threads", THREADS)
def test_batches_are_numpys_to_the_last_bit(kernels, threads, rng):
    shared_by(threads, kernels)
    pictures, order = rng.integers(0, 256, (130, 3, 25, 40)).astype("uint8"), rng.permutation(130)
    for images in (pictures, pictures.transpose(0, 2, 3, 1), pictures[:, ::2], pictures[:0], pictures.astype("int64")):
        np.testing.assert_array_equal(compiled.scaled(images), portable.scaled(images))
        assert compiled.scaled(images).strides == portable.scaled(images).strides
    for k in (0, 2, 7):
        for batch in (40, 41):
            expected = portable.gather_images(pictures, order, k, 3, batch)
            np.testing.assert_array_equal(compiled.gather_images(pictures, order, k, 3, batch), expected)


def test_an_image_that_is_not_there_is_numpys_error(kernels, rng):
    pictures = rng.integers(0, 256, (5, 2, 2)).astype("uint8")
    with pytest.raises(IndexError):
        compiled.gather_images(pictures, np.array([0, 5]), 0, 1, 2)
    found = compiled.gather_images(pictures, np.array([0, -1]), 0, 1, 2)
    np.testing.assert_array_equal(found, portable.scaled(pictures[[0, -1]]))


@settings(max_examples=15)
@given(
    st.integers(1, 40),
    st.sampled_from([1, 2, 7, 8, 15, 16, 17, 33, 64, 100, 3001]),
    st.floats(0.01, 200),
    counts,
    seeds,
)
def check_softmax(kernels, rows, columns, scale, threads, seed):
    """As in double precision, but for the rounding of x - max x, and of a sum of so many."""
    shared_by(threads, kernels)
    rng = np.random.default_rng(seed)
    x, g = (rng.standard_normal((2, rows, columns)) * scale).astype("float32")
    y = compiled.softmax(x, (1,))
    exact = portable.softmax(x.astype("float64"), (1,))
    rounded = 5e-6 + 2.0**-23 * (x.max(1, keepdims=True) - x)
    assert (abs(y - exact) <= exact * rounded + 1e-37).all()
    slope = compiled.softmax_grad(g, y, (1,))
    expected = portable.softmax_grad(g.astype("float64"), y.astype("float64"), (1,))
    assert (abs(slope - expected) <= 5e-6 * abs(g).max() * y).all()


def test_softmax(kernels):
    check_softmax(kernels)


@pytest.mark.parametrize("columns", [3, 16, 40])
@pytest.mark.parametrize("place", [0, 2, -1])
def test_softmax_of_what_is_not_finite(kernels, columns, place):
    """NaN in a row with a NaN or infinity, or of nothing but -infinity; else -infinity has no weight."""
    x = np.zeros((5, columns), "float32")
    x[0, place], x[1, place], x[2, place], x[3] = np.nan, np.inf, -np.inf, -np.inf
    x[4, place] = 3e38
    for kernel in (compiled.softmax, cpu.softmax):
        y = kernel(x, (1,))
        assert np.isnan(y[[0, 1, 3]]).all()
        expected = np.full(columns, np.float32(1 / (columns - 1)))
        expected[place] = 0
        np.testing.assert_allclose(y[2], expected, rtol=1e-6)
        assert (y[4] == (x[4] > 0)).all()


def test_every_thread_gives_the_same_soft_maximum(kernels, rng):
    x, g = rng.standard_normal((2, 90, 3001)).astype("float32")
    found = []
    for threads in THREADS:
        shared_by(threads, kernels)
        y = compiled.softmax(x, (1,))
        found.append((y, compiled.softmax_grad(g, y, (1,))))
    assert all(np.array_equal(a, b) for other in found[1:] for a, b in zip(other, found[0], strict=True))


PASSES = ["channels", "images", "layout", "pointwise", "pool", "softmax", "update"]


def test_every_function_is_called(kernels, monkeypatch):
    """None of them goes NumPy's way on the arrays of a training step."""
    called = set()
    for module in (compiled, compiled_channels):
        monkeypatch.setattr(module, "call", lambda name, *args: called.add(name) or library.call(name, *args))
    kernel_checks.run_passes()
    sources = [path for path in variants.source_files() if path.stem in PASSES]
    declared = {name for path in sources for _, name, _ in library._EXPORT.findall(path.read_text(encoding="utf-8"))}
    assert called == declared
    assert len(sources) == len(PASSES)


@pytest.mark.slow
@pytest.mark.skipif(not can_sanitize(), reason="needs gcc, to build the kernels with its sanitizers")
@pytest.mark.parametrize("name", VARIANTS)
def test_memory_is_read_and_written_within_arrays(name):
    script = """
import kernel_checks
from minigan.kernels import compiled, compiled_channels
compiled.SIMPLE = compiled_channels.SIMPLE = compiled.SMALL = compiled.FEW_CHANNELS = 0
for threads in (1, 3):
    found.function("set_threads")(threads)
    kernel_checks.run_passes()
print("all ran")
"""
    variant = next(v for v in variants.variants() if v.name == name)
    result = run_sanitized(script, variant)
    assert "all ran" in result.stdout, result.stderr
    assert not result.returncode
