"""Tensors: kinds, widths, devices, sequences, and what every op refuses."""

import numpy as np
import pytest

import minigan as mg


def test_tensors_are_sequences_and_arrays():
    x = mg.tensor([[1.0, 2.0], [3.0, 4.0]])
    first, second = x
    assert second.numpy().tolist() == [3, 4]
    assert np.asarray(x).tolist() == [[1, 2], [3, 4]]
    assert np.asarray(x, dtype="float64").dtype == np.float64
    for swapped in (x.transpose(1, 0), x.permute(1, 0), x.permute((1, 0)), x.transpose(), x.T):
        assert swapped.numpy().tolist() == [[1, 3], [2, 4]]
    assert mg.sum(x, np.int64(0)).numpy().tolist() == [4, 6]
    assert first.device == "cpu"


def test_tensor_keeps_kinds():
    assert mg.tensor(1.5).dtype == np.float32
    assert mg.tensor([[1.0, 2.0]]).dtype == np.float32
    assert mg.tensor(np.zeros(2)).dtype == np.float64
    assert mg.tensor([1, 2]).dtype == np.int64
    assert mg.tensor([True]).dtype == bool
    assert mg.tensor([1, 2], dtype="float64").dtype == np.float64
    source = np.zeros(2)
    copied = mg.tensor(source)
    source[:] = 7
    assert copied.numpy().tolist() == [0, 0]
    with pytest.raises(mg.errors.DTypeError, match="cannot hold"):
        mg.tensor(["a"])


def test_numbers_never_widen():
    x = mg.tensor([1.0, 2.0])
    for y in (x * 2, 2 - x, x / 3.0, x**2, x * np.float64(2), mg.where(x > 1, x, 0.0), mg.mean(x), 1 / x, x * True):
        assert y.dtype == np.float32
    counts = mg.tensor([1, 2])
    assert (counts * 0.5).dtype == np.float32
    assert (counts * x).dtype == np.float32
    assert (counts * 2).dtype == np.int64
    assert (np.ones(2, "float32") + x).dtype == np.float32
    assert x.astype("float64").dtype == counts.astype("float64").dtype == np.float64
    assert mg.grad(mg.sum(x.astype("float64") ** 2), x).dtype == np.float32


def test_mixed_widths_name_both_operands():
    with pytest.raises(mg.errors.DTypeError, match=r"add: .*\(2,\) float32, \(3,\) float64"):
        mg.ones(2) + mg.tensor(np.ones(3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: x + mg.ones(4), r"add: .*\(2, 3\), \(4,\)"),
        (lambda x: x @ mg.ones((2, 3)), r"matmul: inner sizes differ \(\(2, 3\) @ \(2, 3\)\)"),
        (lambda x: mg.sum(x, 2), r"sum: axis 2 does not fit a tensor of 2 axes"),
        (lambda x: mg.sum(x, (0, 0)), "sum: axis"),
        (lambda x: x.reshape(4, -1), r"reshape: cannot make \(4, -1\) from \(2, 3\)"),
        (lambda x: mg.transpose(x, (0, 0)), "not a permutation"),
        (lambda x: mg.squeeze(x, 0), "squeeze: axis 0"),
        (lambda x: mg.concatenate([x, mg.ones((3, 3))], 1), "cannot be joined"),
        (lambda x: mg.concatenate([]), "at least one"),
        (lambda x: mg.split(x, 2, 1), "into 2 equal parts"),
        (lambda x: mg.pad(x, -1), "widths >= 0"),
        (lambda x: mg.pad(x, [(1, 1)] * 3), "one pair for each axis"),
        (lambda x: x[5], "getitem: index 5 is out of bounds"),
        (lambda x: mg.max_pool2d(x, 2), r"expected x of shape \(N, C, H, W\)"),
        (lambda x: mg.leaky_relu(x, -1), "negative_slope >= 0"),
        (lambda x: mg.elu(x, 0), "alpha > 0"),
        (lambda x: mg.einsum("ii->i", x), "each once per operand"),
        (lambda x: mg.einsum("ijk->i", x), "does not fit operands"),
        (lambda x: mg.einsum("ij,ij->", x, mg.ones((2, 1))), "index 'j' of 'ij,ij->' is both 3 and 1"),
        (lambda x: mg.cross_entropy(x, mg.tensor([0, -1])), r"labels must lie in 0\.\.2, got -1\.\.0"),
        (lambda x: mg.var(x, 0, ddof=2), "nothing to divide by"),
        (lambda x: mg.cross_entropy(x, mg.tensor([0])), r"labels \(N,\)"),
        (lambda x: x.item(), r"expected one element, got a tensor of shape \(2, 3\)"),
        (lambda x: mg.pixel_shuffle(mg.ones((1, 3, 2, 2)), 2), "multiple of 2\\^2 channels"),
    ],
)
def test_wrong_shapes_are_named(call, message):
    with pytest.raises(mg.errors.ShapeError, match=message):
        call(mg.ones((2, 3)))


def test_wrong_dtypes_are_named():
    with pytest.raises(mg.errors.DTypeError, match="boolean mask"):
        mg.where(mg.ones(2), 1.0, 0.0)
    with pytest.raises(mg.errors.DTypeError, match="integers or booleans"):
        mg.ones(2)[mg.ones(2)]
    with pytest.raises(mg.errors.DTypeError, match="integer labels"):
        mg.cross_entropy(mg.ones((2, 3)), mg.ones(2))
    with pytest.raises(mg.errors.DTypeError, match="limits must be numbers"):
        mg.clip(mg.ones(2), mg.ones(2))
    with pytest.raises(mg.errors.DTypeError, match=r"conv2d: expected floats of one width, got x .* uint8, w"):
        mg.conv2d(mg.ones((1, 1, 4, 4), "uint8"), mg.ones((1, 1, 2, 2)))
    with pytest.raises(mg.errors.DTypeError, match="leaky_relu: expected floats, got int64"):
        mg.leaky_relu(mg.tensor([1, 2]))


def test_unknown_devices_are_named():
    with pytest.raises(mg.errors.DeviceError, match="'tpu' is unknown"):
        mg.tensor(1.0, device="tpu")


def test_empty_batches_pass_through():
    x = mg.ones((0, 3, 8, 8))
    w = mg.ones((4, 3, 3, 3))
    y = mg.max_pool2d(mg.leaky_relu(mg.conv2d(x, w, padding=1)), 2)
    assert y.shape == (0, 4, 4, 4)
    assert mg.grad(mg.sum(y), w).numpy().max() == 0
    assert mg.conv_transpose2d(mg.ones((0, 4, 4, 4)), w, stride=2).shape == (0, 3, 9, 9)
    assert (mg.ones((0, 3)) @ mg.ones((3, 2))).shape == (0, 2)
