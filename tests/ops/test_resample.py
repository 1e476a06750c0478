"""Images in other sizes, filtered and bordered: against plain loops, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg
from minigan.errors import DTypeError, ShapeError
from minigan.kernels import sampling
from minigan.tensor import Tensor

IMAGE = mg.ones((1, 2, 4, 5))


def by_loops(x, f, up, down, pads, flip, gain):
    """`upfirdn2d` as its steps are described, pixel by pixel; f is a matrix."""
    n, c, h, w = x.shape
    stuffed = np.zeros((n, c, h * up[0], w * up[1]))
    stuffed[:, :, :: up[0], :: up[1]] = x
    (top, bottom), (left, right) = pads
    padded = np.pad(stuffed, ((0, 0), (0, 0), *((max(a, 0), max(b, 0)) for a, b in pads)))
    padded = padded[:, :, max(-top, 0) : padded.shape[2] - max(-bottom, 0)]
    padded = padded[:, :, :, max(-left, 0) : padded.shape[3] - max(-right, 0)]
    f = f if flip else f[::-1, ::-1]
    y = np.zeros((n, c, padded.shape[2] - len(f) + 1, padded.shape[3] - f.shape[1] + 1))
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            window = padded[:, :, i : i + len(f), j : j + f.shape[1]]
            y[:, :, i, j] = (window * f).sum((2, 3)) * gain
    return y[:, :, :: down[0], :: down[1]]


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
pads = st.tuples(*[st.tuples(st.integers(-2, 3), st.integers(-1, 4))] * 2)


@given(pairs, pairs, pads, st.booleans(), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_filtering_against_plain_loops(up, down, pads, flip, kind, seed):
    rng = np.random.default_rng(seed)
    h, w, taps = rng.integers(1, 6, 3)
    x = rng.standard_normal((2, 3, h, w))
    f = [rng.standard_normal(taps), rng.standard_normal((taps, 2)), rng.standard_normal((1, taps)), np.zeros((2, 3))][
        kind
    ]
    matrix = np.outer(f, f) if f.ndim == 1 else f
    sizes = [n * u + sum(p) for n, u, p in zip((h, w), up, pads, strict=True)]
    options = {"up": up, "down": down, "padding": pads, "flip_filter": flip, "gain": -1.5}
    if any(n < k for n, k in zip(sizes, matrix.shape, strict=True)):
        with pytest.raises(ShapeError, match=r"upfirdn2d: a filter of .* does not fit into"):
            mg.upfirdn2d(Tensor(x), f, **options)
        return
    found = mg.upfirdn2d(Tensor(x), f, **options)
    expected = by_loops(x, matrix, up, down, pads, flip, -1.5)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10, atol=1e-12)
    mg.testing.gradcheck(lambda x: mg.upfirdn2d(x, f, **options), Tensor(x))


def test_the_four_forms_of_a_border(rng):
    x = Tensor(rng.standard_normal((1, 1, 3, 4)))
    f = [1.0, 2.0]
    expected = mg.upfirdn2d(x, f, padding=((1, 2), (3, 0))).numpy()
    assert np.array_equal(mg.upfirdn2d(x, f, padding=(3, 0, 1, 2)).numpy(), expected)
    expected = mg.upfirdn2d(x, f, padding=((1, 1), (2, 2))).numpy()
    assert np.array_equal(mg.upfirdn2d(x, f, padding=[1, 2]).numpy(), expected)
    assert mg.upfirdn2d(x, f, padding=np.int64(1)).shape == (1, 1, 4, 5)
    assert np.array_equal(mg.upfirdn2d(x, None).numpy(), x.numpy())


def test_a_matrix_that_is_a_product_costs_one_pass(rng):
    passes = []
    with mg.observe(lambda op, *_: passes.append(op.name)):
        mg.upfirdn2d(IMAGE, np.outer([1, 3, 3, 1], [1, 2, 1]), padding=1)
        mg.upfirdn2d(IMAGE, [[1, 2], [3, 5]])
    assert passes == ["resample", "resample", "resample", "add"]


def test_a_bilinear_double_by_hand():
    x = mg.tensor(np.array([[0.0, 4.0]]).reshape(1, 1, 1, 2))
    assert mg.interpolate(x, (1, 4), mode="bilinear").numpy().ravel().tolist() == [0, 1, 3, 4]
    assert mg.interpolate(x, (1, 5), mode="bilinear", align_corners=True).numpy().ravel().tolist() == [0, 1, 2, 3, 4]


@given(st.sampled_from(sampling.MODES), st.integers(1, 60), st.integers(1, 60), st.booleans(), st.booleans())
def test_a_constant_image_stays_one_in_any_size(mode, size, out, corners, antialias):
    options = {"align_corners": corners, "antialias": antialias} if mode in sampling.SMOOTH else {}
    x = mg.full((1, 1, size, 1), 3.0)
    np.testing.assert_allclose(mg.interpolate(x, (out, 2), mode=mode, **options).numpy(), 3.0, rtol=1e-5)


def test_the_gradient_of_a_size_is_the_transposed_map(rng):
    rows = sampling.resized(50, 37, "bicubic", True, None, False)
    assert rows.transposed.transposed is rows
    x, y = Tensor(rng.standard_normal((1, 2, 50, 50))), Tensor(rng.standard_normal((1, 2, 37, 37)))
    made = mg.interpolate(x, 37, mode="bicubic", align_corners=True)
    back = mg.grad(made, x, y)
    np.testing.assert_allclose(mg.sum(made * y).item(), mg.sum(x * back).item(), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (2, 0, 4, 5), (2, 3, 4, 5)])
@pytest.mark.parametrize(
    "call",
    [
        lambda x: mg.interpolate(x, (7, 3), mode="bilinear"),
        lambda x: mg.upfirdn2d(x, [1, 3, 3, 1], up=2, padding=(2, 1)),
        lambda x: mg.pad(x, ((0, 0), (0, 0), (1, 2), (0, 1)), mode="reflect"),
        lambda x: mg.pad(x, ((0, 0), (0, 0), (5, 2), (0, 9)), mode="edge"),
    ],
)
def test_types_stay_and_a_batch_may_be_empty(call, shape, dtype):
    x = mg.ones(shape).astype(dtype)
    y = call(x)
    g = mg.grad(mg.sum(y * y), x, create_graph=True)
    again = mg.grad(mg.sum(g), x)
    assert y.dtype == g.dtype == again.dtype == dtype
    assert y.shape[:2] == shape[:2]
    assert g.shape == again.shape == shape


def test_a_large_batch_is_shared_by_threads_with_the_same_result(rng):
    x = Tensor(rng.standard_normal((9, 16, 48, 48)).astype("float32"))
    found = [mg.upfirdn2d(x[k : k + 3], [1, 3, 3, 1], up=2, padding=2).numpy() for k in range(0, 9, 3)]
    before = mg.get_num_threads()
    mg.set_num_threads(2)
    try:
        together = mg.upfirdn2d(x, [1, 3, 3, 1], up=2, padding=2).numpy()
    finally:
        mg.set_num_threads(before)
    np.testing.assert_allclose(together, np.concatenate(found), rtol=1e-5, atol=1e-5)


def test_a_captured_step_resizes_filters_and_pads(rng):
    w = mg.nn.Parameter(mg.ones((3, 3, 3, 3)))

    def step(x):
        y = mg.pad(
            mg.interpolate(x, scale_factor=1.5, mode="bicubic"), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect"
        )
        y = mg.upfirdn2d(mg.conv2d(y, w), [1, 3, 3, 1], down=2, padding=1)
        slope = mg.grad(mg.sum(mg.tanh(y)), x, create_graph=True)
        return mg.grad(mg.sum(slope * slope), w)

    captured = mg.capture(step)
    for _ in range(8):
        x = Tensor(rng.standard_normal((2, 3, 8, 8)).astype("float32"))
        assert np.array_equal(captured(x).numpy(), step(x).numpy())
    assert captured.graph is not None


WRONG = [
    (lambda: mg.interpolate(IMAGE), "either a size or a scale_factor, got size=None, scale_factor=None"),
    (lambda: mg.interpolate(IMAGE, 3, 2.0), "got size=3, scale_factor=2.0"),
    (lambda: mg.interpolate(IMAGE, 0), "interpolate: size: expected an integer >= 1 or two of them, got 0"),
    (lambda: mg.interpolate(IMAGE, (3, 3, 3)), r"got \(3, 3, 3\)"),
    (
        lambda: mg.interpolate(IMAGE, scale_factor=-1),
        "scale_factor: expected a number > 0 and < 2.31, or two of them, got -1",
    ),
    (lambda: mg.interpolate(IMAGE, scale_factor=(1, float("nan"))), r"got \(1, nan\)"),
    (lambda: mg.interpolate(IMAGE, scale_factor=True), "got True"),
    (lambda: mg.interpolate(IMAGE, scale_factor=1e308), "got 1e.308"),
    (lambda: mg.interpolate(IMAGE, scale_factor=0.2), r"scale_factor 0.2 leaves no pixel of \(4, 5\)"),
    (lambda: mg.interpolate(IMAGE, 3, mode="linear"), "mode: expected one of nearest, .*, got 'linear'"),
    (lambda: mg.interpolate(IMAGE, 3, align_corners=False), "got align_corners=False, antialias=False for nearest"),
    (lambda: mg.interpolate(IMAGE, 3, mode="area", antialias=True), "antialias=True for area"),
    (lambda: mg.interpolate(IMAGE, 3, mode="bilinear", align_corners=2), "expected True or False, got 2 and False"),
    (lambda: mg.interpolate(mg.ones((4, 5)), 3), r"expected x of shape \(N, C, H, W\), with a pixel, got \(4, 5\)"),
    (lambda: mg.interpolate(mg.ones((1, 2, 0, 5)), 3), r"got \(1, 2, 0, 5\)"),
    (lambda: mg.upfirdn2d(IMAGE, []), "a filter of one or two axes of finite numbers"),
    (lambda: mg.upfirdn2d(IMAGE, [1, np.inf]), "finite numbers, got"),
    (lambda: mg.upfirdn2d(IMAGE, np.ones((1, 1, 1))), "one or two axes"),
    (lambda: mg.upfirdn2d(IMAGE, None, up=0), "upfirdn2d: up: expected an integer >= 1 .* got 0"),
    (lambda: mg.upfirdn2d(IMAGE, None, down=(1, 1.5)), "upfirdn2d: down: .* got 1.5"),
    (lambda: mg.upfirdn2d(IMAGE, None, padding=(1, 2, 3)), r"padding: expected .* got \(1, 2, 3\)"),
    (lambda: mg.upfirdn2d(IMAGE, None, padding="same"), "got 'same'"),
    (lambda: mg.upfirdn2d(IMAGE, None, padding=((1, 2), 3, 4, 5)), "padding: expected"),
    (lambda: mg.upfirdn2d(IMAGE, None, gain=float("nan")), "gain: expected a finite number, got nan"),
    (
        lambda: mg.upfirdn2d(IMAGE, [1] * 6),
        r"a filter of \(6, 6\) does not fit into \(4, 5\) pixels \(x \(1, 2, 4, 5\)",
    ),
    (lambda: mg.upfirdn2d(IMAGE, None, padding=-2), r"a filter of \(1, 1\) does not fit into \(0, 1\) pixels"),
    (lambda: mg.pad(IMAGE, 1, mode="wrap"), "got constant_values=0.0, mode='wrap'"),
    (lambda: mg.pad(IMAGE, 1, "reflect"), "as mode= .* got constant_values='reflect', mode='constant'"),
    (lambda: mg.pad(IMAGE, 1, mode="reflect"), r"mode reflect has too few elements to show in \(1, 2, 4, 5\)"),
    (lambda: mg.pad(mg.ones(3), (0, 3), mode="reflect"), r"too few elements to show in \(3,\), got \(\(0, 3\),\)"),
    (lambda: mg.pad(mg.ones(0), 1, mode="edge"), "mode edge has too few"),
]


@pytest.mark.parametrize("k", range(len(WRONG)))
def test_what_does_not_fit_is_named(k):
    call, message = WRONG[k]
    with pytest.raises(ShapeError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mg.interpolate(IMAGE.astype("uint8"), 3, mode="bilinear"), r"interpolate: expected floats, .* uint8"),
        (lambda: mg.upfirdn2d(IMAGE.astype("int64"), None), r"upfirdn2d: expected floats, .* int64"),
        (lambda: mg.upfirdn2d(IMAGE, mg.ones(3)), "a filter is a constant: .*, got a Tensor"),
        (lambda: mg.upfirdn2d(IMAGE, "1331x"), "expected numbers as a filter, got '1331x'"),
    ],
)
def test_a_type_that_does_not_fit_is_named(call, message):
    with pytest.raises(DTypeError, match=message):
        call()


# --- borders ------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=4),
    st.sampled_from(["edge", "reflect"]),
    st.integers(0, 2**32 - 1),
)
def test_borders_are_numpys(axes, mode, seed):
    sizes = [n for n, _, _ in axes]
    widths = [(a, b) if mode == "edge" else (min(a, n - 1), min(b, n - 1)) for n, a, b in axes]
    x = np.random.default_rng(seed).standard_normal(sizes)
    assert np.array_equal(mg.pad(Tensor(x), widths, mode=mode).numpy(), np.pad(x, widths, mode))
    if x.size <= 60:
        mg.testing.gradcheck(lambda x: mg.pad(x, widths, mode=mode), Tensor(x))


def test_a_pixel_that_is_not_a_number_does_not_leave_its_place_in_a_border():
    x = mg.tensor(np.array([1.0, np.nan, 3.0]))
    assert np.isnan(mg.pad(x, 2, mode="reflect").numpy()).tolist() == [False, True, False, True, False, True, False]
    assert np.isnan(mg.pad(x, 1, mode="edge").numpy()).tolist() == [False, False, True, False, False]
