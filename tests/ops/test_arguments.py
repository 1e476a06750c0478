"""What ops make of integers, of no element, and of arguments that do not fit."""

import numpy as np
import pytest

import minigan as mg
from minigan.errors import DTypeError, MiniganError, ShapeError

REAL = ["exp", "log", "log1p", "expm1", "sqrt", "rsqrt", "sin", "cos", "tanh", "sigmoid", "softplus", "elu"]
REDUCTIONS = ["softmax", "log_softmax", "logsumexp", "mean", "var"]
INTEGERS = ["bool", "uint8", "int8", "int32", "int64"]


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("name", REAL + REDUCTIONS)
def test_a_function_of_integers_is_the_function_of_their_floats(name, dtype):
    """uint8 wraps at 256 and NumPy takes bytes for half precision: neither may show."""
    values = np.array([[3, 1, 100], [1, 127, 2]]).astype(dtype)
    with np.errstate(over="ignore"):
        found = getattr(mg, name)(mg.tensor(values))
        expected = getattr(mg, name)(mg.tensor(values.astype("float32")))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-6)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_a_mean_over_windows_of_integers(dtype):
    x = np.array([[200, 200], [200, 1]]).astype(dtype).reshape(1, 1, 2, 2)
    found = mg.avg_pool2d(mg.tensor(x), 2)
    assert found.dtype == np.float32
    assert found.item() == x.astype("float32").mean()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mg.tensor(np.array([1], "uint8")) + 300, "add: .*300.*uint8"),
        (lambda: -mg.tensor([True]), "negative: .*bool"),
        (lambda: mg.tensor([True]) - mg.tensor([True]), "subtract: .*bool"),
        (lambda: mg.sign(mg.tensor([True])), "sign: .*bool"),
        (lambda: mg.ops.linear(mg.ones((2, 3)).astype("int64"), mg.ones((4, 3))), r"linear: .*\(2, 3\) int64"),
        (lambda: mg.nn.BatchNorm1d(3)(mg.ones((2, 3)).astype("int64")), r"batch_norm: .*\(2, 3\) int64"),
        (lambda: mg.nn.BatchNorm1d(3, affine=False)(mg.ones((2, 3)).astype("int32")), "channel_norm: .*int32"),
        (lambda: mg.ops.scale_shift(mg.ones((2, 3)).astype("uint8"), mg.ones(3), mg.ones(3)), "scale_shift: .*uint8"),
        (lambda: mg.group_norm(mg.ones((2, 4)).astype("int32"), 2), "group_norm: .*int32"),
        (lambda: mg.group_norm(mg.ones((2, 4)), 0.5), "group_norm: num_groups: expected an integer"),
        (lambda: mg.sum(mg.ones(3), 0.5), "sum: expected an integer or several, got 0.5"),
        (lambda: mg.ones(3).reshape(1.0, 3), "reshape: expected an integer or several"),
        (lambda: mg.split(mg.ones(4), 2.0), "split: expected an integer or several, got 2.0"),
    ],
)
def test_types_that_an_op_cannot_take(call, words):
    with pytest.raises(DTypeError, match=words):
        call()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: mg.binary_cross_entropy_with_logits(mg.ones((2, 1)), np.ones(2, "float32")),
            r"logits \(2, 1\), target \(2,\)",
        ),
        (lambda: mg.ops.scale_shift(mg.ones((2, 1, 3)), mg.ones(4), mg.ones(4)), r"shape \(1,\), got \(4,\)"),
        (
            lambda: mg.ops.scale_shift(mg.ones(3), mg.ones(3), mg.ones(3)),
            r"expected x of shape \(N, C, ...\), got \(3,\)",
        ),
        (lambda: mg.ops.scale_shift(mg.ones((2, 3)), mg.ones(3), mg.ones(1)), r"got \(3,\) and \(1,\)"),
        (lambda: mg.ops.batch_norm(mg.ones((2, 3)), mg.ones(1), mg.ones(3), 0.1), r"got \(1,\) and \(3,\)"),
        (lambda: mg.group_norm(mg.ones((2, 4, 3)), 3), "4 channels do not split into 3 groups"),
        (lambda: mg.group_norm(mg.ones((2, 4, 3)), 0), "4 channels do not split into 0 groups"),
        (lambda: mg.group_norm(mg.ones(4), 1), r"expected x of shape \(N, C, ...\), got \(4,\)"),
        (lambda: mg.group_norm(mg.ones((2, 4)), 1, mg.ones(2)), r"weight of shape \(4,\) or \(2, 4\), got \(2,\)"),
        (lambda: mg.group_norm(mg.ones((2, 4)), 1, None, mg.ones((1, 4))), r"bias of shape .*, got \(1, 4\)"),
        (lambda: mg.ops.linear(mg.ones((2, 3)), mg.ones((4, 3)), mg.ones((2, 4))), r"\(4,\), got \(2, 4\)"),
        (lambda: mg.ops.linear(mg.ones((2, 3)), mg.ones((4, 3)), mg.ones(1)), r"bias of shape \(4,\), got \(1,\)"),
        (lambda: mg.ops.linear(mg.ones((2, 3)), mg.ones((3, 4))), r"got \(2, 3\) and \(3, 4\)"),
        (lambda: mg.ops.linear(mg.tensor(1.0), mg.ones((3, 4))), r"got \(\) and \(3, 4\)"),
        (lambda: mg.pixel_shuffle(mg.ones((1, 4, 1, 1)), 2.0), "pixel_shuffle: factor: .*got 2.0"),
        (lambda: mg.pixel_shuffle(mg.ones((1, 4, 1, 1)), 0), "integer factor >= 1, got 0"),
        (lambda: mg.max_pool2d(mg.ones((1, 0, 4, 4)), 2), r"images \(1, 0, 4, 4\) have no channel"),
        (lambda: mg.conv2d(mg.ones((1, 1, 2, 2)), mg.ones((1, 1, 1, 1)), stride={}), "conv2d: stride: .*got {}"),
        (lambda: mg.pad(mg.ones(2), 1.5), "whole widths >= 0.*got 1.5"),
        (lambda: mg.split(mg.ones((2, 2)), 2, (0, 1)), r"split: expected one axis, got \(0, 1\)"),
        (lambda: mg.concatenate([mg.ones((2, 2))], (0, 1)), "concatenate: expected one axis"),
        (lambda: mg.max(mg.zeros((2, 0)), 1), r"max: .*\(2, 0\)"),
    ],
)
def test_shapes_that_do_not_fit(call, words):
    with pytest.raises(ShapeError, match=words):
        call()


@pytest.mark.parametrize("shape", [(2, 1), (2, 3)])
def test_a_target_may_be_an_array_or_a_number(shape):
    logits = mg.ones(shape)
    expected = mg.binary_cross_entropy_with_logits(logits, mg.ones(shape)).item()
    for target in (np.ones(shape, "float32"), 1.0, 1, np.float32(1), mg.tensor(1.0)):
        assert mg.binary_cross_entropy_with_logits(logits, target).item() == expected


WHOLE = {
    "reshape": (lambda x, n: x.reshape(n(6)), (6,)),
    "reshape, a list": (lambda x, n: mg.reshape(x, [n(3), n(2)]), (3, 2)),
    "squeeze": (lambda x, n: mg.ones((1, 3)).squeeze(n(0)), (3,)),
    "expand_dims": (lambda x, n: mg.expand_dims(x, n(0)), (1, 2, 3)),
    "transpose": (lambda x, n: mg.transpose(x, (n(1), n(0))), (3, 2)),
    "flip": (lambda x, n: mg.flip(x, n(1)), (2, 3)),
    "split": (lambda x, n: mg.split(x, n(2))[0], (1, 3)),
    "split, along": (lambda x, n: mg.split(x, 3, n(1))[0], (2, 1)),
    "stack": (lambda x, n: mg.stack([x, x], n(1)), (2, 2, 3)),
    "concatenate": (lambda x, n: mg.concatenate([x, x], n(1)), (2, 6)),
    "sum": (lambda x, n: mg.sum(x, n(1)), (2,)),
    "softmax": (lambda x, n: mg.softmax(x, n(1)), (2, 3)),
    "broadcast_to": (lambda x, n: mg.broadcast_to(mg.tensor(1.0), n(3)), (3,)),
    "pad": (lambda x, n: mg.pad(x, n(1)), (4, 5)),
    "interpolate": (lambda x, n: mg.interpolate(mg.ones((1, 1, 1, 1)), (n(2), n(1)), mode="bilinear"), (1, 1, 2, 1)),
    "upfirdn2d": (lambda x, n: mg.upfirdn2d(mg.ones((1, 1, 1, 1)), None, n(2), padding=n(1)), (1, 1, 4, 4)),
    "pixel_shuffle": (lambda x, n: mg.pixel_shuffle(mg.ones((1, 4, 1, 1)), n(2)), (1, 1, 2, 2)),
    "max_pool2d": (lambda x, n: mg.max_pool2d(mg.ones((1, 1, 4, 4)), n(2)), (1, 1, 2, 2)),
    "conv2d": (lambda x, n: mg.conv2d(mg.ones((1, 1, 4, 4)), mg.ones((1, 1, 1, 1)), stride=n(2)), (1, 1, 2, 2)),
}


@pytest.mark.parametrize("whole", [int, np.int64, np.uint8, np.array])
@pytest.mark.parametrize("name", WHOLE)
def test_whole_numbers_of_numpy_are_as_good_as_pythons(name, whole):
    call, shape = WHOLE[name]
    assert call(mg.ones((2, 3)), whole).shape == shape


def test_what_is_refused_does_not_depend_on_what_was_asked_before():
    x, w = mg.ones((1, 2, 4, 4)), mg.ones((2, 1, 1, 1))
    assert mg.conv2d(x, w, stride=2, dilation=(1, 1), groups=2).shape == (1, 2, 2, 2)
    assert mg.conv2d(x, w, stride=np.int64(2), groups=np.int64(2)).shape == (1, 2, 2, 2)
    for options in ({"stride": 2.0}, {"stride": 2, "dilation": (1.0, 1)}, {"stride": 2, "padding": 0.0}):
        with pytest.raises(ShapeError, match="expected an integer or several"):
            mg.conv2d(x, w, groups=2, **options)


def test_no_row_is_cut_into_equal_parts():
    assert [part.shape for part in mg.split(mg.ones((0, 2)), 2)] == [(0, 2), (0, 2)]


def test_a_large_array_and_one_without_an_element():
    assert (mg.ones((1 << 18, 1)) + mg.ones((0,))).shape == (1 << 18, 0)


def test_soft_maxima_of_no_element():
    x = mg.zeros((5, 0))
    assert mg.softmax(x).shape == mg.log_softmax(x).shape == (5, 0)
    np.testing.assert_array_equal(mg.logsumexp(x, 1).numpy(), np.full(5, -np.inf))
    assert mg.logsumexp(x, 0).shape == (0,)
    assert mg.grad(mg.sum(mg.softmax(x)), x).shape == (5, 0)


def test_soft_maxima_of_nothing_but_minus_infinity():
    x = mg.tensor(np.full((2, 3), -np.inf, "float32"))
    np.testing.assert_array_equal(mg.logsumexp(x, 1).numpy(), [-np.inf, -np.inf])


@pytest.mark.parametrize("shape", [(2, 0), (3, 2, 0), (0,), (0, 4), (3, 0, 4)])
@pytest.mark.parametrize("out", [0, 2])
def test_linear_of_no_feature_or_no_row(shape, out):
    x, w, b = mg.ones(shape), mg.ones((out, shape[-1])), mg.ones(out)
    y = mg.ops.linear(x, w, b)
    np.testing.assert_array_equal(y.numpy(), x.numpy() @ w.numpy().T + 1)
    gx, gw, gb = mg.grad(mg.sum(y * y), [x, w, b], create_graph=True)
    assert (gx.shape, gw.shape, gb.shape) == (x.shape, w.shape, b.shape)
    rows = y.size // max(out, 1)
    np.testing.assert_array_equal(gb.numpy(), np.full(out, 2 * rows * (1 + shape[-1]), "float32"))
    assert mg.grad(mg.sum(gw), w).shape == w.shape


def test_no_error_of_an_op_is_numpys_own():
    """Whatever an op is given, what it raises can be caught as an error of this library."""
    x = mg.ones((2, 3)).astype("uint8")
    for call in (lambda: x + 999, lambda: x**-1, lambda: mg.ones((2, 3)) + mg.ones(4), lambda: mg.max(mg.zeros(0))):
        with pytest.raises(MiniganError):
            call()


@pytest.mark.parametrize(
    ("call", "given", "expected"),
    [
        (lambda x, a: x * a, np.array([2.0, 3.0, 4.0], "float32"), [2.0, 3.0, 4.0]),
        (lambda x, a: mg.where(a, x, 0.0), np.array([True, False, True]), [1.0, 0.0, 1.0]),
        (lambda x, a: x[a], np.array([0, 0, 1]), [2.0, 1.0, 0.0]),
        (lambda x, a: x[a], np.array([True, False, True]), [1.0, 0.0, 1.0]),
        (lambda x, a: x[a], mg.tensor([0, 0, 1]), [2.0, 1.0, 0.0]),
    ],
)
def test_an_array_that_its_owner_changes_afterwards_changes_no_gradient(call, given, expected):
    x = mg.ones(3)
    y = mg.sum(call(x, given))
    if isinstance(given, np.ndarray):
        given[:] = 0
    else:
        given.copy_(mg.zeros(3).astype("int64"))
    np.testing.assert_array_equal(mg.grad(y, x).numpy(), expected)
