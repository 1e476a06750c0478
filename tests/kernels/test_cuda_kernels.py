"""The CUDA kernels, run on the CPU as they are written, against their NumPy references.

Each case calls a function of minigan/kernels on the stand-in for CuPy twice: with the kernels computed by their
references, and on the shim, in three orders of threads. Sizes are drawn by hypothesis: odd ones, strides larger
than the kernel, padding, groups.
"""

import fakecupy
import kernel_checks
import numpy as np
import pytest
import shim
from cuda_references import bfloat16, from_bfloat16
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_checks import ROUNDING, RULES, known, rows_to_move
from kernel_comparisons import check, images, on_device, on_the_shim

from minigan.errors import ShapeError
from minigan.kernels import cuda, cuda_conv, cuda_linear, cuda_random, cuda_sums, geometry, portable, precision
from minigan.kernels.draws import Draw
from minigan.kernels.tiles import Tile

pytestmark = pytest.mark.skipif(shim.compiler() is None, reason="needs g++, to compile CUDA C for the CPU")

ORDERS = ["forward", "backward", 3]
DTYPES = ["float32", "float64"]


@pytest.fixture(params=ORDERS, ids=str)
def order(request, monkeypatch):
    fakecupy.install(monkeypatch, library=None)  # no cuBLAS: products are kernels too
    return request.param


seeds = st.integers(0, 2**32 - 1)
dtypes = st.sampled_from(DTYPES)


@st.composite
def geometries(draw, least=1):
    """A convolution of small odd sizes, any of whose settings may be unusual."""
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    c, o = (groups * draw(st.sampled_from([1, 2, 3, 4, 8])) for _ in range(2))
    kernel = tuple(draw(st.integers(1, 4)) for _ in range(2))
    stride = tuple(draw(st.integers(1, 5)) for _ in range(2))
    pads = tuple(tuple(draw(st.integers(0, 3)) for _ in range(2)) for _ in range(2))
    dilation = tuple(draw(st.integers(1, 3)) for _ in range(2))
    size = [
        draw(st.integers(max(1, (k - 1) * d + 1 - sum(p)), 10)) for k, d, p in zip(kernel, dilation, pads, strict=True)
    ]
    n = draw(st.integers(least, 3))
    return geometry.convolution("conv", (n, c, *size), (o, c // groups, *kernel), stride, pads, dilation, groups)


WAYS = {
    "columns": {"FORCED": "im2col"},
    "slabs of columns": {"FORCED": "im2col", "SLAB": 1 << 10},
    "windows": {"FORCED": "implicit"},
    "wide tiles": {"FORCED": "implicit", "tile": Tile(128, 128)},
    "tall tiles": {"FORCED": "implicit", "tile": Tile(128, 64)},
    **{
        f"tensor cores, {tile.m} x {tile.n} by {tile.warps} warps": {
            "FORCED": "implicit",
            "tile": tile,
            "precision": rounding,
        }
        for rounding, tile in [
            ("tf32", Tile(64, 64, 4, 32, 3)),
            ("tf32", Tile(128, 64, 8, 16, 4)),
            ("bf16", Tile(128, 128, 4, 16, 2)),
            ("tf32", Tile(256, 128, 8, 16, 3)),
        ]
    },
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("face", ["conv", "conv_input", "conv_weight"])
def test_convolution(order, face, way, monkeypatch):
    chosen = WAYS[way]
    monkeypatch.setattr(cuda_conv, "FORCED", chosen["FORCED"])
    monkeypatch.setattr(cuda_conv, "SLAB", chosen.get("SLAB", cuda_conv.SLAB))
    monkeypatch.setattr(precision, "_chosen", chosen.get("precision", "fp32"))
    if "tile" in chosen:
        small = Tile(64, 64)
        monkeypatch.setattr(cuda_conv, "_tile", lambda dtype, *_: chosen["tile"] if dtype.itemsize == 4 else small)

    @settings(max_examples=12 if way in ("columns", "windows") else 3)
    @given(s=geometries(), seed=seeds, dtype=dtypes, bias=st.booleans())
    def run(s, seed, dtype, bias):
        rng = np.random.default_rng(seed)
        x, w, y = (images(rng, shape, dtype) for shape in (s.x, s.w, s.y))
        rounded = ROUNDING.get(chosen.get("precision"), 1e-5)
        if face == "conv_weight":
            check(order, lambda x, y: cuda.conv_weight(x, y, s), x, y, rtol=rounded)
            return
        b = rng.standard_normal(s.w[0] if face == "conv" else s.x[1]).astype(dtype) if bias else None
        if face == "conv":
            check(order, lambda x, w, b: cuda.conv(x, w, s, b), x, w, b, rtol=rounded)
        else:
            check(order, lambda w, y, b: cuda.conv_input(w, y, s, b), w, y, b, rtol=rounded)

    run()


@pytest.mark.parametrize("rounding", precision.PRECISIONS)
def test_a_weight_gradient_in_slices(order, rounding, rng, monkeypatch):
    monkeypatch.setattr(precision, "_chosen", rounding)
    monkeypatch.setattr(cuda_conv, "FORCED", "implicit")
    s = geometry.convolution("conv", (3, 4, 17, 18), (4, 4, 2, 3), 1, 0, 1, 1)
    assert cuda_conv._slices(3 * 16 * 16, 1) == (3, 256)
    x, y = (images(rng, shape, "float32") for shape in (s.x, s.y))
    check(order, lambda x, y: cuda.conv_weight(x, y, s), x, y, rtol=ROUNDING.get(rounding, 1e-5))


@pytest.mark.parametrize("rounding", precision.PRECISIONS)
def test_product(order, rounding, monkeypatch):
    monkeypatch.setattr(precision, "_chosen", rounding)

    @settings(max_examples=12)
    @given(
        sizes=st.tuples(*[st.integers(1, 70)] * 3),
        flipped=st.tuples(st.booleans(), st.booleans()),
        batch=st.sampled_from([None, 1, 3]),
        seed=seeds,
        dtype=dtypes,
        bias=st.booleans(),
    )
    def run(sizes, flipped, batch, seed, dtype, bias):
        rng = np.random.default_rng(seed)
        m, n, k = sizes
        leading = () if batch is None else (batch,)

        def matrix(rows, columns, flip):
            a = rng.standard_normal((*leading, *((columns, rows) if flip else (rows, columns)))).astype(dtype)
            return a.swapaxes(-1, -2) if flip else a

        a, b = matrix(m, k, flipped[0]), matrix(k, n, flipped[1])
        c = rng.standard_normal(n).astype(dtype) if bias else None
        check(order, cuda_linear.product, a, b, c, rtol=ROUNDING.get(rounding, 1e-5))

    run()


def toward_tf32(x):
    """x rounded to 11 bits, halves away from zero."""
    return ((x.view(np.uint32) + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32)


@pytest.mark.parametrize(
    ("rounding", "rounded"), [("tf32", toward_tf32), ("bf16", lambda x: from_bfloat16(bfloat16(x)))]
)
def test_operands_are_rounded_to_the_nearest(order, rounding, rounded, rng, monkeypatch):
    monkeypatch.setattr(precision, "_chosen", rounding)
    a, b = (rng.standard_normal(shape).astype("float32") for shape in ((70, 65), (65, 33)))
    exact = rounded(a).astype("float64") @ rounded(b)
    a[3, :4], b[:4, 5] = np.array([0x7FFFFFFF, 0x7FC00000, 0xFFC00000, 0x7F800000], np.uint32).view(np.float32), 0
    with on_the_shim(order):
        found = cuda_linear.product(*on_device(a, b))._host
    assert np.isnan(found[3]).all()
    assert np.isfinite(np.delete(found, 3, axis=0)).all()
    keep = np.ix_(np.delete(np.arange(70), 3), np.delete(np.arange(33), 5))
    np.testing.assert_allclose(found[keep], exact[keep], rtol=0, atol=1e-5)


def test_pointwise(order):
    @settings(max_examples=15)
    @given(
        shape=st.tuples(st.integers(1, 9), st.integers(1, 70)),
        seed=seeds,
        dtype=dtypes,
        slope=st.sampled_from([0.0, 0.2, 1.5]),
    )
    def run(**sizes):
        kernel_checks.pointwise(order, **sizes)

    run()


def test_sums(order, monkeypatch):
    monkeypatch.setattr(cuda_sums, "ONE_BLOCK", 1000)
    monkeypatch.setattr(cuda_sums, "WRITTEN_OUT", 500)

    @settings(max_examples=15)
    @given(
        shape=st.lists(st.integers(1, 12), min_size=1, max_size=4).map(tuple),
        seed=seeds,
        dtype=dtypes,
        scale=st.sampled_from([1.0, -1.0, 0.5]),
        shift=st.sampled_from([0.0, 1.0]),
    )
    def run(**sizes):
        kernel_checks.sums(order, **sizes)

    run()


def test_channels(order):
    @settings(max_examples=12)
    @given(
        shape=st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 9), st.integers(1, 50)),
        seed=seeds,
        dtype=dtypes,
    )
    def run(**sizes):
        kernel_checks.channels(order, **sizes)

    run()


@pytest.mark.parametrize("shape", [(40, 5, 12, 12), (64, 2, 48, 48), (700, 33), (2, 3, 1, 1)])
def test_statistics_are_those_of_float64_however_far_the_mean_and_the_first_row(order, shape, rng):
    for mean, first in ((0, 0), (1e4, 0), (0, 1e4)):
        x = (mean + rng.standard_normal(shape)).astype("float32")
        x[(0, slice(None)) + (0,) * (x.ndim - 2)] += first
        exact = portable.channel_stats(x.astype("float64"), 1e-5)
        with on_the_shim(order):
            found = cuda.channel_stats(*on_device(x), 1e-5)._host
        np.testing.assert_array_less(abs(found[0] - exact[0]), 1.2e-7 * (abs(exact[0]) + 1 / exact[1]))
        np.testing.assert_allclose(found[1], exact[1], rtol=1e-6)


def test_more_columns_than_there_are_counters(order, monkeypatch, rng):
    monkeypatch.setattr(cuda, "COUNTERS", 1)
    x = rng.standard_normal((300, 40)).astype("float32")
    check(order, lambda x: cuda.sum(x, (0,), False), x)
    check(order, lambda x: cuda.channel_stats(x, 0.1), x)


def test_pooling(order):
    @settings(max_examples=12)
    @given(
        shape=st.tuples(st.integers(1, 2), st.integers(1, 5), st.integers(4, 9), st.integers(4, 9)),
        window=st.tuples(st.integers(1, 4), st.integers(1, 4)),
        stride=st.tuples(st.integers(1, 5), st.integers(1, 5)),
        seed=seeds,
        dtype=dtypes,
    )
    def run(**sizes):
        kernel_checks.pool(order, **sizes)

    run()


def test_more_matrices_than_a_grid_can_have(order, monkeypatch, rng):
    monkeypatch.setattr(cuda_linear, "_BATCH", 2)
    a, b = rng.standard_normal((5, 3, 4)), rng.standard_normal((4, 2))
    check(order, cuda_linear.product, a, b, b[0, :2].copy())
    check(order, cuda_linear.product, a, rng.standard_normal((5, 4, 2)), None)


@pytest.mark.parametrize(("rule", "slots", "options"), RULES, ids=lambda v: getattr(v, "__name__", None))
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:invalid value encountered in subtract:RuntimeWarning")  # fmax has the last word
def test_update(order, rule, slots, options, dtype, rng):
    sizes = [(3, 5), (1,), (700,), *[(2, 2)] * 70]  # more arrays than one table holds
    rows = rows_to_move(rng, rule, slots, options, sizes, dtype)
    arrays = [a for row in rows for a in row]

    def update(*given):
        width = 2 + slots
        step = known(rule, options, fakecupy.ndarray)
        cuda.update(rule, [given[i : i + width] for i in range(0, len(given), width)], **step)
        return []

    check(order, update, *arrays, changes=range(len(arrays)))

    expected = [a.copy() for a in arrays]  # and the references do what the formulas in portable.py do
    for i in range(0, len(arrays), 2 + slots):
        rule(*expected[i : i + 2 + slots], **known(rule, options, np.asarray))
    given = on_device(*arrays)
    update(*given)
    for a, b in zip(given, expected, strict=True):
        np.testing.assert_allclose(a._host, b, rtol=1e-5 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_of_several_arrays(order, dtype):
    kernel_checks.totals(order, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("on_the_device", [False, True], ids=["step of the host", "step of the device"])
def test_random(order, dtype, on_the_device):
    key = np.array([123456789, 2**63 + 5], np.uint64)

    def draw(name, step, *args):
        return getattr(cuda_random, name)(Draw(key, 2**33 + 7, step), *args)

    for n in (1, 4, 7, 1001):
        for step in (0, 2**40 + 1):
            where = [np.array(step)] if on_the_device else []
            at = (lambda s: s[0]) if on_the_device else (lambda _s, step=step: step)
            check(order, lambda *s, n=n, at=at: draw("words", at(s), n), *where)
            check(order, lambda *s, n=n, at=at: draw("integers", at(s), n, 1000), *where)
            check(order, lambda *s, n=n, at=at: draw("uniform", at(s), n, -1.0, 2.0, dtype), *where)
            check(order, lambda *s, n=n, at=at: draw("normal", at(s), n, 1.0, 2.0, dtype), *where, rtol=1e-5)


def test_batches(order, rng):
    images = rng.integers(0, 256, (13, 3, 5, 2)).astype("uint8")
    order_of = rng.permutation(13)
    for k in (0, 2, 7):
        check(order, lambda i, o, c: cuda.gather_images(i, o, c, 3, 4), images, order_of, np.array(k))
    check(order, cuda.scaled, images)
    check(order, cuda.scaled, images.transpose(0, 2, 3, 1))


def test_a_geometry_that_cannot_be_is_refused_before_any_kernel():
    with pytest.raises(ShapeError):
        geometry.convolution("conv", (1, 1, 2, 2), (1, 1, 5, 5), (1, 1), 0, (1, 1), 1)
