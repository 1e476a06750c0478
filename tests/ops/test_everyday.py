"""Functions that NumPy's users reach for: NumPy's values, gradients to second order, and what they refuse."""

import numpy as np
import pytest

import minigan as mg
from minigan.errors import DTypeError, ShapeError

X = np.random.default_rng(0).standard_normal((2, 3, 4))
INTEGERS = np.random.default_rng(1).integers(-3, 4, (3, 5))

SAME = {  # of what NumPy has a function of the same name and arguments for
    "prod": [
        ((X,), {}),
        ((X,), {"axis": (0, 2), "keepdims": True}),
        ((INTEGERS,), {"axis": 1}),
        ((X[:, :0],), {"axis": 1}),
    ],
    "cumsum": [((X,), {}), ((X,), {"axis": -1}), ((INTEGERS > 0,), {"axis": 0})],
    "argmax": [((X,), {}), ((X,), {"axis": 1}), ((INTEGERS,), {"axis": -1, "keepdims": True})],
    "argmin": [((X,), {"axis": 0}), ((INTEGERS,), {"keepdims": True})],
    "argsort": [((X,), {}), ((INTEGERS,), {"axis": 0})],
    "sort": [((X,), {"axis": 1}), ((INTEGERS,), {})],
    "median": [
        ((X,), {}),
        ((X,), {"axis": (0, 1), "keepdims": True}),
        ((X[:, :2],), {"axis": 1}),
        ((INTEGERS,), {"axis": 1}),
    ],
    "std": [((X,), {"axis": 1, "ddof": 1}), ((X,), {"keepdims": True})],
    "any": [((X > 1,), {"axis": 1}), ((INTEGERS,), {}), ((X[:0],), {"axis": 0})],
    "all": [((X < 1,), {"axis": (0, 2)}), ((INTEGERS,), {"axis": 0, "keepdims": True})],
    "floor": [((3 * X,), {}), ((INTEGERS,), {})],
    "ceil": [((3 * X,), {})],
    "round": [((np.array([0.5, 1.5, -2.5, 2.6]),), {}), ((X,), {"decimals": 2}), ((300 * X,), {"decimals": -2})],
    "isnan": [((np.array([0, np.nan, np.inf]),), {})],
    "isinf": [((np.array([0, np.nan, -np.inf]),), {})],
    "isfinite": [((np.array([0, np.nan, np.inf]),), {}), ((INTEGERS,), {})],
    "swapaxes": [((X, 0, -1), {})],
    "moveaxis": [((X, 0, -1), {}), ((X, (0, 1), (2, 0)), {})],
    "roll": [((X, 5), {}), ((X, -2), {"axis": 1}), ((X, (1, 2)), {"axis": (0, 2)}), ((X[:0], 1), {"axis": 0})],
    "repeat": [((X, 2), {}), ((X, 3), {"axis": 1}), ((X, [1, 0, 2]), {"axis": 1}), ((X, 0), {"axis": 0})],
    "tile": [((X, 2), {}), ((X, (2, 1, 3)), {}), ((X[0, 0], (2, 2)), {})],
    "tril": [((X,), {}), ((X, 1), {}), ((INTEGERS, -1), {})],
    "triu": [((X,), {}), ((X, -1), {})],
    "outer": [((X[0, 0], X[1]), {})],
    "tensordot": [
        ((X, X[0].T), {"axes": 1}),
        ((X, X), {"axes": ((0, 2), (0, 2))}),
        ((X, X), {"axes": ((-1,), (2,))}),
        ((X, X), {"axes": 0}),
    ],
}
CASES = [(name, k) for name, calls in SAME.items() for k in range(len(calls))]


def tensors(args):
    return [mg.tensor(a) if isinstance(a, np.ndarray) else a for a in args]


@pytest.mark.parametrize(("name", "k"), CASES)
def test_values_are_numpys(name, k):
    args, options = SAME[name][k]
    expected = getattr(np, name)(*args, **options)
    found = getattr(mg, name)(*tensors(args), **options).numpy()
    assert found.shape == np.shape(expected)
    assert (found.dtype.kind == "f") == (np.asarray(expected).dtype.kind == "f") or args[0].dtype.kind == "i"
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    if hasattr(mg.Tensor, name):
        method = getattr(mg.tensor(args[0]), name)(*args[1:], **options)
        np.testing.assert_array_equal(method.numpy(), found)


@pytest.mark.parametrize(
    ("name", "k"),
    [
        case
        for case in CASES
        if SAME[case[0]][case[1]][0][0].dtype == "float64"
        and case[0]
        not in {"argmax", "argmin", "argsort", "any", "all", "isnan", "isinf", "isfinite", "floor", "ceil", "round"}
    ],
)
def test_gradients_to_second_order(name, k):
    args, options = SAME[name][k]
    given = tensors(args)
    wanted = [t for t in given if isinstance(t, mg.Tensor)]
    if not all(t.size for t in wanted):
        return
    rest = [a for a in given if not isinstance(a, mg.Tensor)]
    mg.testing.gradcheck(lambda *xs: getattr(mg, name)(*xs, *rest, **options), wanted, order=2)


@pytest.mark.parametrize("zeros", [0, 1, 2])
def test_gradients_of_a_product_are_right_at_zeros(zeros):
    x = np.array([1.5, -2.0, 0.5, 3.0, -1.0])
    x[:zeros] = 0
    mg.testing.gradcheck(mg.prod, mg.tensor(x), order=3)
    slope = mg.grad(mg.prod(t := mg.tensor(x)), t).numpy()
    np.testing.assert_allclose(slope, [np.prod(np.delete(x, i)) for i in range(5)])


@pytest.mark.parametrize("ord", [1, 2, 3, 0.5, np.inf, -np.inf])
@pytest.mark.parametrize(("axis", "keepdims"), [(None, False), (1, True), ((0, 2), False)])
def test_norm_is_that_of_one_vector(ord, axis, keepdims):
    expected = np.linalg.vector_norm(X, ord=ord, axis=axis, keepdims=keepdims)
    np.testing.assert_allclose(mg.norm(mg.tensor(X), ord, axis, keepdims).numpy(), expected, rtol=1e-12)
    mg.testing.gradcheck(lambda x: mg.norm(x, ord, axis, keepdims), mg.tensor(X), order=2)


@pytest.mark.parametrize("fn", [mg.norm, lambda x: mg.norm(x, 3), mg.std])
def test_where_it_is_zero_the_slope_is_taken_to_be_zero(fn):
    x = mg.zeros((4,), "float64")
    y = fn(x)
    assert y.item() == 0
    assert (mg.grad(y, x).numpy() == 0).all()


def test_order_of_equal_elements_and_of_nan():
    x = mg.tensor([2.0, float("nan"), 1.0, 2.0, -float("inf")])
    assert mg.argsort(x).numpy().tolist() == [4, 2, 0, 3, 1]
    assert mg.argsort(x, descending=True).numpy().tolist() == [1, 0, 3, 2, 4]
    values, indices = mg.topk(x, 2, largest=False)
    assert values.numpy().tolist() == [-np.inf, 1.0]
    assert indices.numpy().tolist() == [4, 2]
    assert mg.argmax(x).item() == 1
    assert np.isnan(mg.median(x).item())


def test_topk_gives_the_largest_with_their_gradients():
    x = mg.tensor(X)
    values, indices = mg.topk(x, 2, axis=1)
    np.testing.assert_array_equal(values.numpy(), -np.sort(-X, 1)[:, :2])
    np.testing.assert_array_equal(np.take_along_axis(X, indices.numpy(), 1), values.numpy())
    slope = mg.grad(mg.sum(values), x).numpy()
    assert slope.sum() == values.size
    assert (slope[values.numpy()[:, 1:] > X] == 0).all()


def test_taking_along_an_axis_broadcasts_as_numpy_does(rng):
    places = rng.integers(-4, 4, (2, 1, 5))
    expected = np.take_along_axis(X, places, 2)
    np.testing.assert_array_equal(mg.take_along_axis(mg.tensor(X), places, 2).numpy(), expected)
    few = rng.integers(0, 3, (1, 2, 4))
    found = mg.take_along_axis(mg.tensor(X[:, :, :1]), few, 1)
    np.testing.assert_array_equal(
        found.numpy(), np.take_along_axis(np.broadcast_to(X[:, :, :1], X.shape), np.broadcast_to(few, (2, 2, 4)), 1)
    )
    mg.testing.gradcheck(lambda x: mg.take_along_axis(x, places, 2), mg.tensor(X), order=2)


def test_adding_at_places_counts_each_mention(rng):
    places, values = rng.integers(0, 3, (2, 6, 4)), rng.standard_normal((2, 6, 4))
    expected = X.copy()
    for i, j, k in np.ndindex(places.shape):
        expected[i, places[i, j, k], k] += values[i, j, k]
    found = mg.scatter_add(mg.tensor(X), places, values, axis=1)
    np.testing.assert_allclose(found.numpy(), expected)
    mg.testing.gradcheck(lambda x, v: mg.scatter_add(x, places, v, 1), [mg.tensor(X), mg.tensor(values)], order=2)
    counts = mg.scatter_add(mg.zeros((4,)), mg.tensor([0, 2, 2, -1, 2]), 1.0, axis=0)
    assert counts.numpy().tolist() == [1, 0, 3, 1]
    assert (mg.scatter_add(mg.tensor(X), places[:, :1], 2.0, 1).numpy() - X).sum() == pytest.approx(2 * 8)


def test_numbers_that_count():
    for args in ((5,), (2, 7), (5, -1, -2), (0.0, 1.0, 0.25)):
        found = mg.arange(*args)
        np.testing.assert_array_equal(found.numpy(), np.arange(*args, dtype=found.dtype))
        assert found.dtype == ("int64" if all(isinstance(n, int) for n in args) else "float32")
    np.testing.assert_array_equal(mg.linspace(-1, 2, 7).numpy(), np.linspace(-1, 2, 7, dtype="float32"))
    assert mg.linspace(0, 1, dtype="float64").dtype == "float64"
    for args in ((3,), (2, 4), (4, 3, -1)):
        np.testing.assert_array_equal(mg.eye(*args).numpy(), np.eye(*args, dtype="float32"))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda x: mg.argmax(x[:0]),
            ShapeError,
            r"argmax: expected at least one element along axis None of \(0, 3, 4\)",
        ),
        (lambda x: mg.median(x[:, :0], 1), ShapeError, "median: expected at least one element over axis 1"),
        (lambda x: mg.topk(x, 5), ShapeError, r"topk: expected 0 to 4 elements of axis -1 of \(2, 3, 4\), got 5"),
        (lambda x: mg.sort(x, 3), ShapeError, "sort: axis 3 does not fit a tensor of 3 axes"),
        (lambda x: mg.norm(x, 0), ShapeError, "norm: expected as ord a number above 0, inf or -inf, got 0"),
        (lambda x: mg.tril(x[0, 0]), ShapeError, r"tril: expected matrices \(\.\.\., M, N\), got \(4,\)"),
        (lambda x: mg.roll(x, (1, 2), 0), ShapeError, r"roll: expected a shift for each axis of 0, got \(1, 2\)"),
        (lambda x: mg.repeat(x, [1, 2], 1), ShapeError, "repeat: expected one number or 3, 0 or more, for axis 1"),
        (lambda x: mg.tile(x, -1), ShapeError, "tile: expected numbers of 0 or more, got -1"),
        (lambda x: mg.moveaxis(x, (0, 1), 0), ShapeError, "moveaxis: cannot move the axes"),
        (lambda x: mg.tensordot(x, x, 1), ShapeError, "tensordot: the axes 1 of .* do not fit"),
        (
            lambda x: mg.take_along_axis(x, x, 0),
            DTypeError,
            "take_along_axis: expected integers as indices, got float64",
        ),
        (
            lambda x: mg.take_along_axis(x, [3], 1),
            ShapeError,
            r"expected indices of 3 axes for \(2, 3, 4\), got \(1,\)",
        ),
        (
            lambda x: mg.take_along_axis(x, [[[3]]], 1),
            ShapeError,
            "take_along_axis: expected places from -3 to 2, got 3",
        ),
        (lambda x: mg.scatter_add(x, [[[0]], [[0]], [[0]]], 1.0, 1), ShapeError, "do not fit"),
        (
            lambda x: mg.scatter_add(x, [[[-4]]], 1.0, 1),
            ShapeError,
            "scatter_add: expected places from -3 to 2, got -4",
        ),
        (lambda x: mg.arange(0, 5, 0), ShapeError, "arange: expected a step that is not 0, from 0 to 5"),
        (lambda x: mg.linspace(0, np.inf), ShapeError, "linspace: expected finite numbers, got inf"),
        (lambda x: mg.eye(-1), ShapeError, "eye: "),
    ],
)
def test_what_does_not_fit_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call(mg.tensor(X))


def test_replayed_they_are_computed_anew(rng):
    def step(x):
        values, _ = mg.topk(x, 2)
        y = mg.sum(mg.cumsum(values, 1)) + mg.median(x) + mg.sum(mg.triu(x) * mg.round(x)) + mg.norm(x)
        return y, mg.grad(y, x)

    replayed = mg.capture(step)
    for _ in range(5):
        x = mg.tensor(rng.standard_normal((3, 4)))
        for ours, expected in zip(replayed(x), step(x), strict=True):
            np.testing.assert_array_equal(ours.numpy(), expected.numpy())
