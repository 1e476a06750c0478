"""Matrix products in C against NumPy in float64: any strides, any sizes, each variant, each number of threads.

The bound: no element is off by more than 2e-6 of the sum of the absolute values of what it adds up.
"""

import compiled_variants
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.kernels import compiled_linear, cpu_linear, variants
from minigan.kernels.library import address, call
from minigan.kernels.threads import set_num_threads

RUNNABLE = compiled_variants.runnable()
pytestmark = pytest.mark.skipif(not RUNNABLE, reason="needs the compiled kernels: python -m building")

BOUND = 2e-6

SIZES = st.one_of(st.integers(1, 40), st.sampled_from([63, 64, 65, 128, 200, 769, 800]))
LAYOUTS = ("rows", "columns", "every second", "a part", "backwards", "one repeated")


def matrix(rng, shape, layout):
    """A matrix of that shape whose memory is laid out in one of several ways."""
    rows, columns = shape
    if layout == "columns":
        return rng.standard_normal((columns, rows), dtype="float32").T
    if layout == "every second":
        return rng.standard_normal((2 * rows, 3 * columns), dtype="float32")[::2, ::3]
    if layout == "a part":
        return rng.standard_normal((rows, columns + 3), dtype="float32")[:, 1 : columns + 1]
    if layout == "backwards":
        return rng.standard_normal(shape, dtype="float32")[::-1, ::-1]
    if layout == "one repeated":
        return np.broadcast_to(rng.standard_normal((1, columns), dtype="float32"), shape)
    return rng.standard_normal(shape, dtype="float32")


def assert_close(found, terms, expected):
    """`terms` is the sum of absolute values of what each element adds up."""
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    assert (abs(found - expected) <= BOUND * terms).all()


@given(
    st.sampled_from(RUNNABLE or [""]),
    st.tuples(SIZES, SIZES, SIZES),
    st.tuples(*[st.sampled_from(LAYOUTS)] * 2),
    st.booleans(),
    st.sampled_from([1, 2, 3, 8]),
    st.integers(0, 2**32),
)
def test_a_product_of_any_strides(variant, sizes, layouts, has_bias, threads, seed):
    (m, n, depth), rng = sizes, np.random.default_rng(seed)
    a, b = matrix(rng, (m, depth), layouts[0]), matrix(rng, (depth, n), layouts[1])
    bias = rng.standard_normal(n, dtype="float32") if has_bias else None
    with compiled_variants.using(variant):
        try:
            set_num_threads(threads)
            found = compiled_linear.product(a, b, bias)
            np.testing.assert_array_equal(compiled_linear.product(a, b, bias), found)
        finally:
            set_num_threads(None)
    added = 0 if bias is None else bias.astype("float64")
    terms = abs(a).astype("float64") @ abs(b).astype("float64") + abs(added)
    assert_close(found, terms, a.astype("float64") @ b.astype("float64") + added)


@pytest.mark.parametrize("sizes", [(128, 700, 600), (600, 700, 128), (40, 300, 30), (128, 6272, 100)])
def test_the_linear_family(sizes, rng):
    rows, inner, columns = sizes
    x, w = (rng.standard_normal(shape, dtype="float32") for shape in ((rows, inner), (columns, inner)))
    y, b = rng.standard_normal((rows, columns), dtype="float32"), rng.standard_normal(columns, dtype="float32")
    wide = [a.astype("float64") for a in (x, w, y, b)]
    for stack in (lambda a: a, lambda a: a.reshape(2, rows // 2, -1)):
        x_, y_ = stack(x), stack(y)
        found = compiled_linear.linear(x_, w, b), compiled_linear.matmul(x_, w.T), compiled_linear.matmul(y_, w)
        expected = wide[0] @ wide[1].T + wide[3], wide[0] @ wide[1].T, wide[2] @ wide[1]
        terms = [
            abs(wide[0]) @ abs(wide[1]).T + abs(wide[3]),
            abs(wide[0]) @ abs(wide[1]).T,
            abs(wide[2]) @ abs(wide[1]),
        ]
        for one, other, sums in zip(found, expected, terms, strict=True):
            assert_close(one, stack(sums), stack(other))
        found = compiled_linear.linear_weight(x_, y_)
        assert_close(found, abs(wide[2]).T @ abs(wide[0]), wide[2].T @ wide[0])


def test_infinities_and_nan_go_where_they_belong(rng):
    """A zero times an infinity is not nothing, and a row that has none of them is untouched."""
    a, b = (rng.standard_normal((130, 130), dtype="float32") for _ in range(2))
    a[3, 5], a[7, 0], b[:, 2] = np.inf, np.nan, 0
    found = compiled_linear.product(a, b)
    with np.errstate(invalid="ignore"):
        expected = a @ b
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_array_equal(np.isinf(found), np.isinf(expected))
    assert np.isfinite(found[[0, 129]]).all()


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("slope", [0.0, 0.2, 1.5])
def test_an_activation_in_the_store(slope, turned, rng):
    """Straight, and the way round on which y is made as its transpose."""
    m, n, depth = (40, 300, 100) if turned else (300, 40, 100)
    x, w = (rng.standard_normal(shape, dtype="float32") for shape in ((m, depth), (n, depth)))
    b = rng.standard_normal(n, dtype="float32")
    w[0], b[:2] = 0, (-np.inf, np.nan)
    y = np.empty((m, n), "float32")
    arguments = address(x), depth, 1, address(w), 1, depth, address(b), slope, address(y), m, n, depth
    call("matrix_product", *arguments)
    plain = compiled_linear.product(x, w.T, b)
    with np.errstate(invalid="ignore"):
        expected = np.where(plain <= 0, np.float32(slope) * plain if slope else np.float32(0), plain)
    np.testing.assert_allclose(y, expected, rtol=1e-6)


def test_what_c_does_not_do_is_numpys(rng, monkeypatch):
    def refused(*arguments):
        raise AssertionError(arguments)

    monkeypatch.setattr(compiled_linear, "call", refused)
    large = rng.standard_normal((300, 300))
    np.testing.assert_array_equal(compiled_linear.matmul(large, large), cpu_linear.matmul(large, large))
    single = large.astype("float32")
    stack = single.reshape(3, 100, 300)
    for a, b in ((single, single[:, :1]), (single[:3, :3], single[:3]), (stack, stack.transpose(0, 2, 1))):
        np.testing.assert_array_equal(compiled_linear.matmul(a, b), cpu_linear.matmul(a, b))
    empty = np.empty((0, 300), "float32")
    assert compiled_linear.linear(empty, single).shape == (0, 300)
    assert not compiled_linear.linear_weight(empty, empty).any()
    assert compiled_linear.matmul(single[:, :0], empty[:0]).shape == (300, 300)


SCRIPT = """
import numpy as np
from minigan.kernels import compiled_linear, threads
rng = np.random.default_rng(0)
for sizes in [(1, 1, 1), (13, 33, 7), (40, 800, 65), (100, 17, 900), (300, 12, 31), (65, 65, 65), (3, 500, 20)]:
    for n in (1, 3):
        threads.set_num_threads(n)
        m, n, k = sizes
        for a in (rng.random((m, k), "float32"), rng.random((k, m), "float32").T):
            for b in (rng.random((k, n), "float32"), rng.random((n, k), "float32").T):
                for bias in (None, rng.random(n, "float32")):
                    assert np.allclose(compiled_linear.product(a, b, bias), a @ b + (0 if bias is None else bias), 1e-4)
print("done")
"""


@pytest.mark.slow
@pytest.mark.skipif(not compiled_variants.can_sanitize(), reason="needs gcc")
@pytest.mark.parametrize("name", RUNNABLE)
def test_nothing_is_read_or_written_out_of_bounds(name):
    """Arrays that are exactly as large as they must be, under gcc's sanitizers."""
    (variant,) = (v for v in variants.variants() if v.name == name)
    ended = compiled_variants.run_sanitized(SCRIPT, variant)
    assert (ended.returncode, ended.stdout.split()) == (0, ["done"]), ended.stderr
