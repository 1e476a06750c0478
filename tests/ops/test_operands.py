"""What functions of Tensors do with arguments that are none: the same as with a Tensor, or an error that names them."""

import numpy as np
import pytest

import minigan as mg

IMAGES, SQUARE = np.arange(8.0, dtype="float32").reshape(2, 1, 2, 2), np.array([[1.0, 2.0], [3.0, 5.0]], "float32")
LABELS, MASK = np.array([0, 1]), np.array([[True, False], [False, True]])
ONE = mg.ones((1, 1, 1, 1))

# name: (the function of one argument, an array that fits it)
FUNCTIONS = {
    **{name: (getattr(mg, name), SQUARE) for name in ("sum", "mean", "var", "max", "min", "logsumexp", "softmax")},
    **{name: (getattr(mg, name), SQUARE) for name in ("exp", "log", "relu", "sigmoid", "negative", "absolute", "sign")},
    **{name: (getattr(mg, name), SQUARE) for name in ("transpose", "flip", "squeeze", "leaky_relu", "elu")},
    **{name: (getattr(mg, name), SQUARE) for name in ("zeros_like", "ones_like", "log_softmax")},
    "reshape": (lambda x: mg.reshape(x, -1), SQUARE),
    "broadcast_to": (lambda x: mg.broadcast_to(x, (3, 2, 2)), SQUARE),
    "expand_dims": (lambda x: mg.expand_dims(x, 0), SQUARE),
    "split": (lambda x: mg.split(x, 2)[1], SQUARE),
    "pad": (lambda x: mg.pad(x, 1), SQUARE),
    "getitem": (lambda x: mg.getitem(x, 0), SQUARE),
    "clip": (lambda x: mg.clip(x, 2.0, 4.0), SQUARE),
    "astype": (lambda x: mg.astype(x, "int64"), SQUARE),
    "full_like": (lambda x: mg.full_like(x, 2.0), SQUARE),
    "add": (lambda x: mg.ones((2, 2)) + x, SQUARE),
    "subtract": (lambda x: x - mg.ones((2, 2)), SQUARE),
    "greater": (lambda x: mg.greater(mg.full((2, 2), 2.5), x), SQUARE),
    "equal": (lambda x: mg.equal(mg.ones((2, 2)), x), SQUARE),
    "maximum": (lambda x: mg.maximum(x, 2.0), SQUARE),
    "matmul": (lambda x: mg.full((2, 2), 3.0) @ x, SQUARE),
    "einsum": (lambda x: mg.einsum("ij,jk->ik", mg.ones((2, 2)), x), SQUARE),
    "linear": (lambda x: mg.linear(mg.ones((2, 2)), x), SQUARE),
    "where": (lambda x: mg.where(mg.tensor(MASK), x, 0.0), SQUARE),
    "where of a mask": (lambda x: mg.where(x, mg.ones((2, 2)), 0.0), MASK),
    "concatenate": (lambda x: mg.concatenate([mg.ones((2, 2)), x]), SQUARE),
    "stack": (lambda x: mg.stack([x, mg.ones((2, 2))]), SQUARE),
    "cross_entropy": (lambda x: mg.cross_entropy(x, [0, 1]), SQUARE),
    "cross_entropy of labels": (lambda x: mg.cross_entropy(mg.tensor(SQUARE), x), LABELS),
    "binary_cross_entropy_with_logits": (lambda x: mg.binary_cross_entropy_with_logits(mg.ones((2, 2)), x), SQUARE),
    "channel_norm": (lambda x: mg.channel_norm(x, 1e-5)[0], SQUARE),
    "batch_norm": (lambda x: mg.batch_norm(x, mg.ones(2), mg.ones(2), 1e-5)[0], SQUARE),
    "scale_shift": (lambda x: mg.scale_shift(mg.tensor(SQUARE), x, x), np.ones(2, "float32")),
    "group_norm": (lambda x: mg.group_norm(x, 1, np.ones(2, "float32"), x), SQUARE),
    "conv2d": (lambda x: mg.conv2d(x, ONE), IMAGES),
    "conv2d of a bias": (lambda x: mg.conv2d(mg.tensor(IMAGES), ONE, x), np.ones(1, "float32")),
    "conv_transpose2d": (lambda x: mg.conv_transpose2d(x, ONE), IMAGES),
    "max_pool2d": (lambda x: mg.max_pool2d(x, 2), IMAGES),
    "avg_pool2d": (lambda x: mg.avg_pool2d(x, 2), IMAGES),
    "upsample_nearest": (lambda x: mg.upsample_nearest(x, 2), IMAGES),
    "interpolate": (lambda x: mg.interpolate(x, 3, mode="bicubic"), IMAGES),
    "upfirdn2d": (lambda x: mg.upfirdn2d(x, [1, 2, 1], padding=1), IMAGES),
    "pixel_shuffle": (lambda x: mg.pixel_shuffle(x, 1), IMAGES),
}


class Foreign:
    """Another library's array: NumPy can read it, and would, without its history."""

    def __init__(self, values):
        self.shape, self.dtype, self.ndim, self.size = values.shape, values.dtype, values.ndim, values.size
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return self.values.copy()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arrays_and_lists_are_taken_as_tensors_are(name):
    call, array = FUNCTIONS[name]
    expected = call(mg.tensor(array))
    for x in (array, array.tolist(), array.astype(array.dtype.newbyteorder())):
        y = call(x)
        assert y.dtype is expected.dtype
        assert y.numpy().tolist() == expected.numpy().tolist()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_anything_else_is_refused_by_the_name_of_the_function(name):
    call, array = FUNCTIONS[name]
    function = name.split()[0]
    for x, told in (
        (Foreign(array), r"got a test_operands\.Foreign; mg\.tensor\(...\) makes a Tensor of it"),
        ("words", "got 'words'"),
        ({"a": 1}, "got a dict"),
        ([[None]], "got a list$"),
        ([mg.ones(2), mg.ones(2)], r"got a list; mg\.stack and mg\.concatenate join Tensors"),
        (mg.nn.ReLU(), "got a ReLU"),
        (1j, "got 1j"),
        (array.astype("complex64"), "cannot hold elements of type complex64"),
        (array.astype(object), "cannot hold elements of type object"),
    ):
        with pytest.raises(mg.errors.DTypeError, match=rf"^{function}\b.*{told}"):
            call(x)
    if name != "conv2d of a bias":
        with pytest.raises(mg.errors.DTypeError, match=rf"^{function}\b.*got None"):
            call(None)


def test_what_may_be_left_out_may_be_none():
    x = mg.tensor(IMAGES)
    assert mg.conv2d(x, ONE, None).numpy().tolist() == mg.conv2d(x, ONE).numpy().tolist()
    assert mg.linear(x, mg.ones((3, 2)), None).shape == (2, 1, 2, 3)
    assert mg.linear(x=x, w=mg.ones((3, 2)), b=mg.ones(3)).shape == (2, 1, 2, 3)


def test_lists_take_the_width_of_the_tensors_they_meet():
    x = mg.tensor(np.array([1.0, 2.0]))
    assert mg.add(x, [0.1, 0.2]).numpy().tolist() == [1.1, 2.2]
    assert mg.binary_cross_entropy_with_logits(x, [0.1, 0.2]).dtype == np.float64
    assert mg.where([True, False], x, [0.1, 0.2]).numpy().tolist() == [1.0, 0.2]
    assert mg.add([0.5, 0.5], mg.tensor([1, 2])).dtype == np.float32


def test_a_gradient_flows_past_arrays_and_lists():
    x = mg.tensor(SQUARE)
    assert mg.grad(mg.sum(x * [[1.0, 2.0], [3.0, 4.0]]), x).numpy().tolist() == [[1, 2], [3, 4]]
    assert mg.grad(mg.sum(mg.where(MASK, x, SQUARE)), x).numpy().tolist() == MASK.tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: mg.exp(), "exp: missing a required argument: 'x'"),
        (lambda x: mg.exp(x, x), "exp: .*2 were given"),
        (lambda x: mg.concatenate(x, x), r"concatenate: expected a list of Tensors and an axis, .* got a Tensor"),
        (lambda x: mg.stack(3.0), "stack: expected a list of Tensors .* got 3.0"),
        (lambda x: mg.einsum(x, x), "einsum: expected subscripts, .* got a Tensor"),
        (lambda x: x.astype("flot"), "astype: 'flot' is no type of elements"),
        (lambda x: x.astype(complex), "astype: Tensors hold floats, integers or booleans, not complex128"),
        (lambda x: x[1.0:], "getitem: slice indices must be integers"),
        (lambda x: x[{"a": 1}], "getitem: expected integers or booleans"),
        (lambda x: x[np.zeros(0)], "getitem: expected integers or booleans as indices, got float64"),
    ],
)
def test_a_wrong_call_is_told_what_was_expected(call, message):
    with pytest.raises(mg.errors.DTypeError, match=message):
        call(mg.tensor(SQUARE))


def test_lists_of_unequal_length_are_refused():
    for call in (mg.tensor, mg.sum, lambda x: mg.ones(2) + x, lambda x: mg.ones((3, 3))[x]):
        with pytest.raises(mg.errors.ShapeError, match="inhomogeneous"):
            call([[1], [1, 2]])


def test_python_compares_what_is_no_operand_by_identity():
    x = mg.tensor([1.0, 2.0])
    for other in (None, "words", {}, object()):
        assert (x == other) is False
        assert (x != other) is True
    assert (x == [1.0, 3.0]).numpy().tolist() == [True, False]


# --- NumPy's functions of Tensors ---------------------------------------------------------------------------------


def test_functions_of_numpy_are_minigans_of_that_name():
    x = mg.tensor(SQUARE)
    for numpys, mine in ((np.exp, mg.exp), (np.log, mg.log), (np.abs, mg.abs), (np.tanh, mg.tanh), (np.sum, mg.sum)):
        assert mg.grad(mg.sum(numpys(x)), x).numpy().tolist() == mg.grad(mg.sum(mine(x)), x).numpy().tolist()
    for numpys, mine in ((np.mean, mg.mean), (np.max, mg.max), (np.min, mg.min), (np.var, mg.var)):
        assert numpys(x, axis=0).numpy().tolist() == mine(x, axis=0).numpy().tolist()
    assert np.sum(x, axis=1, keepdims=True).shape == (2, 1)
    assert np.reshape(x, (4, 1)).shape == (4, 1)
    assert np.maximum(x, 2.0).numpy().tolist() == [[2, 2], [3, 5]]


def test_arrays_and_numbers_of_numpy_on_the_left_leave_the_gradient_alone():
    x = mg.tensor(SQUARE)
    for y in (SQUARE * x, np.float64(3) * x, np.int64(3) * x, SQUARE @ x, SQUARE / x, SQUARE**x, SQUARE - x):
        assert y.dtype == np.float32
        assert mg.grad(mg.sum(y), x).shape == (2, 2)
    assert np.equal(SQUARE, x).numpy().all()
    assert (np.float32(2) < x).numpy().tolist() == [[False, False], [True, True]]


def test_a_function_that_minigan_lacks_names_what_to_write():
    x, array = mg.tensor(SQUARE), SQUARE.copy()
    with pytest.raises(mg.errors.DTypeError, match=r"numpy\.arctan of Tensors .* it is numpy\.arctan\(x\.numpy\(\)\)"):
        np.arctan(x)
    with pytest.raises(mg.errors.DTypeError, match=r"numpy\.add\.reduce of Tensors has no derivative"):
        np.add.reduce(x)
    with pytest.raises(mg.errors.DTypeError, match=r"numpy\.add: the result is a Tensor, and cannot go into an array"):
        array += x


# --- masks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3,), (2, 3), (0,), (0, 3), (2, 0)])
def test_a_mask_that_is_true_nowhere_picks_what_numpy_picks(shape):
    x = np.ones(shape)
    t = mg.tensor(x)
    for mask in (np.zeros(shape, bool), np.zeros(shape[:1], bool)):
        y = t[mask]
        assert y.shape == t[mg.tensor(mask)].shape == x[mask].shape
        (g,) = mg.grad(mg.sum(y * y), [t], create_graph=True)
        assert g.numpy().tolist() == np.zeros(shape).tolist()
        assert mg.grad(mg.sum(g), t).shape == shape
    for nothing in ([], np.zeros(0, int)):
        assert t[nothing].shape == x[nothing].shape


def test_a_mask_of_another_length_is_refused():
    with pytest.raises(mg.errors.ShapeError, match="getitem: boolean index did not match"):
        mg.ones(3)[np.zeros(2, bool)]
