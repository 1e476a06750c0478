"""Tensors: kinds, widths, devices, sequences, and what every op refuses."""

import copy
import pickle

import numpy as np
import pytest

import minigan as mg
from minigan.nn import Parameter
from minigan.op import CHECKED, Op


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
    with pytest.raises(mg.errors.DTypeError, match=r"conv2d: expected floats of one width, got x .* uint8, w.*astype"):
        mg.conv2d(mg.ones((1, 1, 4, 4), "uint8"), mg.ones((1, 1, 2, 2)))
    with pytest.raises(mg.errors.DTypeError, match=r"leaky_relu: expected floats, got int64 .*astype"):
        mg.leaky_relu(mg.tensor([1, 2]))
    with pytest.raises(mg.errors.DTypeError, match=r"linear: expected floats, got x \(1, 2\) int64, w.*astype"):
        mg.nn.Linear(2, 1)(mg.tensor([[1, 2]]))


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


# --- making tensors -------------------------------------------------------------------------------------------------


def test_a_byte_order_is_the_machines_at_every_door():
    swapped = np.array([1.0, 2.0], ">f4")
    target, whole = mg.zeros(2), mg.tensor([1, 2, 3])
    target.copy_(swapped)
    layer = mg.nn.Linear(1, 2)
    layer.load_state_dict({"weight": swapped[:, None], "bias": swapped})
    made = [
        *(
            mg.tensor(swapped),
            mg.Tensor(swapped),
            Parameter(swapped),
            target,
            layer.bias,
            mg.exp(swapped) * 0 + swapped,
        ),
        *(mg.ones(2).astype(">f4") * swapped, mg.zeros(2, ">f4") + swapped, mg.tensor([1.0, 2.0], ">f4")),
        *(mg.ones(2).to("cpu") * swapped, mg.nn.Linear(1, 2).to(dtype=">f4").bias * 0 + swapped),
    ]
    for t in made:
        assert t.data.dtype is np.dtype("float32")  # the very object, by which ops know it
        assert t.numpy().tolist() == [1, 2]
        assert (t * mg.ones(2)).dtype == np.float32
    assert whole[np.array([2, 0], ">i8")].numpy().tolist() == [3, 1]
    assert mg.cross_entropy(mg.ones((2, 3)), np.array([0, 1], ">i4")).dtype == np.float32
    assert swapped.dtype == ">f4"


@pytest.mark.parametrize("make", [mg.zeros, mg.ones, lambda shape, **more: mg.full(shape, 3, **more)])
def test_shapes_are_integers_of_any_kind(make):
    for shape in (6, np.int64(6), (np.int64(6),), [np.uint8(6)], np.array([6]), mg.tensor(6), mg.tensor([6])):
        assert make(shape).shape == (6,)
    assert make(()).shape == make([]).shape == ()
    assert make((2, np.prod((2, 2)))).shape == (2, 4)
    for shape in (-1, (2, -1), 1 << 63, 1.5, (2, 1.5), "a", None, [[1, 2], [3]]):
        with pytest.raises(mg.errors.ShapeError, match="expected a shape, an integer >= 0 or a tuple of them"):
            make(shape)
    for dtype in (complex, object, str, "flot", "M8[s]"):
        with pytest.raises(mg.errors.DTypeError, match=r"^(zeros|ones|full): "):
            make(2, dtype=dtype)


def test_a_shape_in_two_arguments_is_told_how_to_be_one():
    with pytest.raises(mg.errors.ShapeError, match=r"zeros: a shape is one argument: zeros\(\(2, 3\)\)"):
        mg.zeros(2, 3)
    with pytest.raises(mg.errors.ShapeError, match=r"ones: a shape is one argument: ones\(\(2, 3\)\)"):
        mg.ones(2, 3)


def test_full_takes_numbers():
    assert mg.full(2, np.float64(0.1), "float64").numpy().tolist() == [0.1, 0.1]
    assert mg.full(2, 0.1, "float64").numpy().tolist() == [0.1, 0.1]
    assert mg.full((2,), mg.tensor(3.0)).numpy().tolist() == [3, 3]
    for value in (None, "a", mg.full):
        with pytest.raises(mg.errors.DTypeError, match="full: expected a Tensor, an array, numbers"):
            mg.full(2, value)
    with pytest.raises(mg.errors.ShapeError, match=r"full: expected a shape.*got 1\.5"):
        mg.full(1.5, (2,))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "cannot hold elements of type object"),
        (1j, "cannot hold elements of type complex128"),
        ([None, 1.0], "cannot hold elements of type object"),
        (2**70, "cannot hold elements of type object"),
        ({1, 2}, "cannot hold elements of type object"),
        (mg.nn.ReLU(), r"cannot hold elements of type object \(ReLU\)"),
    ],
)
def test_tensor_refuses_what_are_no_numbers(data, message):
    with pytest.raises(mg.errors.DTypeError, match=f"tensor: {message}"):
        mg.tensor(data)


def test_an_array_that_numpy_cannot_read_is_refused_in_its_own_words():
    class OnAnotherDevice:
        def __array__(self, dtype=None, copy=None):
            raise TypeError("copy it to host memory first")

    with pytest.raises(mg.errors.DTypeError, match=r"tensor: cannot read a .*OnAnotherDevice: copy it to host memory"):
        mg.tensor(OnAnotherDevice())


def test_tensor_reads_what_is_nested_and_what_is_empty():
    assert mg.tensor([]).shape == (0,)
    assert mg.tensor([[], []]).shape == (2, 0)
    assert mg.tensor(range(3)).numpy().tolist() == [0, 1, 2]
    assert mg.tensor([mg.tensor(1.0), mg.tensor(2.0)]).numpy().tolist() == [1, 2]
    assert mg.tensor([np.ones(2), [3, 4]]).numpy().tolist() == [[1, 1], [3, 4]]
    assert mg.tensor(np.ones(2, "float16")).dtype == np.float16
    assert mg.tensor(1, "double").dtype == mg.tensor(1, float).dtype == np.float64


@pytest.mark.parametrize("data", [[1.0], 1.0, None, mg.ones(2), np.array([None]), np.array(["a"])])
def test_the_class_itself_takes_arrays_of_numbers_only(data):
    with pytest.raises(mg.errors.DTypeError, match=r"^Tensor: "):
        mg.Tensor(data)


def test_copy_takes_what_ops_take():
    t = mg.zeros(2, "float64")
    for values in ([0.1, 0.2], (0.1, 0.2), np.array([0.1, 0.2]), mg.tensor(np.array([0.1, 0.2]))):
        assert t.copy_(values).numpy().tolist() == [0.1, 0.2]
        t.copy_([0, 0])
    for values in (None, "ab", np.array(["a", "b"]), np.array([None, None]), np.ones(2, complex), {}):
        with pytest.raises(mg.errors.DTypeError, match=r"^copy_: "):
            t.copy_(values)
    with pytest.raises(mg.errors.ShapeError, match=r"copy_: cannot copy shape \(\) into a tensor of \(2,\)"):
        t.copy_(1.0)
    assert t.numpy().tolist() == [0, 0]


def test_devices_and_types_that_are_mixed_up_are_told_apart():
    x, layer = mg.ones(2), mg.nn.Linear(2, 2)
    for call in (
        lambda d: x.to(d),
        lambda d: layer.to(d),
        lambda d: mg.tensor(1.0, device=d),
        lambda d: mg.zeros(2, device=d),
    ):
        for device in ("gpu", "cuda:1"):
            with pytest.raises(
                mg.errors.DeviceError, match=f"'{device}' is unknown: expected one of cpu, cuda; .*CUDA_V"
            ):
                call(device)
        for dtype in ("float64", np.float32, "int64"):
            with pytest.raises(mg.errors.DeviceError, match="a type of elements goes to a Tensor's astype"):
                call(dtype)
        for other in (["cpu"], 3, mg.ones(3)):
            with pytest.raises(mg.errors.DeviceError, match=r"is unknown: expected one of cpu, cuda$"):
                call(other)


# --- one number ------------------------------------------------------------------------------------------------------


def test_one_number_is_formatted_as_it_is():
    assert f"{mg.tensor(1.5):.3f}" == f"{mg.tensor([[1.5]]):.3f}" == "1.500"
    assert f"{mg.tensor(3):03d}" == "003"
    assert f"{mg.ones(2)}" == str(mg.ones(2))
    with pytest.raises(mg.errors.ShapeError, match=r"format: '\.3f' is for one number, got a tensor of shape \(2,\)"):
        f"{mg.ones(2):.3f}"


def test_a_whole_number_counts_and_picks():
    two = mg.tensor(2)
    assert list(range(two)) == [0, 1]
    assert [1, 2, 3][two] == 3
    assert "abc"[:two] == "ab"
    assert mg.ones(3)[:two].shape == mg.zeros(two).shape == (2,)
    for t in (mg.tensor(2.0), mg.tensor([2]), mg.tensor(True), mg.ones((2, 2))):
        with pytest.raises(TypeError, match="index: expected a 0-d tensor of integers"):
            range(t)


def test_an_element_is_not_assigned():
    x = mg.ones(2)
    with pytest.raises(mg.errors.DTypeError, match=r"not changed at an index; write mg\.where"):
        x[0] = 2.0
    assert x.numpy().tolist() == [1, 1]


# --- copies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_has_the_values_in_memory_of_its_own_and_no_history(twin):
    layer = mg.nn.Conv2d(3, 4, 3)
    y = x = mg.tensor([1.0, 2.0])
    for _ in range(3000):  # as deep as no recursion goes
        y = y * 1.0
    made = twin(y)
    assert made.numpy().tolist() == [1, 2]
    with pytest.raises(mg.errors.GraphError):
        mg.grad(mg.sum(made), x)
    made.copy_([5.0, 6.0])  # a leaf, that one may write in
    assert y.numpy().tolist() == [1, 2]
    assert mg.grad(mg.sum(y), x).numpy().tolist() == [1, 1]
    for t in (
        layer.weight,
        mg.nn.Buffer(mg.tensor([1, 2])),
        mg.tensor(np.ones((2, 3))).T,
        mg.tensor(2),
    ):
        made = twin(t)
        assert type(made) is type(t)
        assert made.data.dtype is t.data.dtype
        assert made.data.strides == t.data.strides
        assert not np.shares_memory(made.data, t.data)
        assert made.numpy().tolist() == t.numpy().tolist()
        assert made.label() == t.label()


def test_tensors_that_two_layers_share_are_shared_by_the_copies():
    net = mg.nn.Sequential(mg.nn.Linear(2, 2), mg.nn.Linear(2, 2))
    net[1].weight = net[0].weight
    for made in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert made[0].weight is made[1].weight is not net[0].weight
        assert len(made.parameters()) == 3


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_of_a_function_is_that_function(twin):
    offered = [*CHECKED.values(), *(fn for fn in vars(mg).values() if isinstance(fn, Op))]
    assert {mg.sum, mg.relu} <= {*offered}
    for fn in offered:
        assert twin(fn) is fn
    assert twin([mg.nn.Linear(2, 2), mg.tanh])[1] is mg.tanh  # as a network's activation
