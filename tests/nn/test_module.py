"""What a module finds, takes and copies: its parts wherever they are, a state whole or not at all, itself."""

import collections
import copy
import pickle

import numpy as np
import pytest

import minigan as mg
from minigan import nn

SOUND = {"0.weight": np.full((2, 2), 7.0), "0.bias": np.full(2, 7.0), "count": np.array(7)}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("0.bias", np.array(["a", "b"]), "0.bias is of <U1, expected float32"),
        ("0.bias", np.array([1 + 2j, 0]), "0.bias is of complex128, expected float32"),
        ("0.bias", [None, 1], "0.bias is of object, expected float32"),
        ("0.bias", np.zeros(2, "M8[s]"), r"0.bias is of datetime64\[s\], expected float32"),
        ("0.bias", [[1.0], [1.0, 2.0]], "0.bias is no array"),
        ("0.bias", [1e300, 0.0], "0.bias overflow"),
        ("0.bias", np.ones((2, 1)), r"0.bias has shape \(2, 1\), expected \(2,\)"),
        ("0.bias", 1.0, r"0.bias has shape \(\), expected \(2,\)"),
        ("count", 7.0, "count is of float64, expected int64"),
        ("count", np.uint64(2**63), "count is of uint64, expected int64"),
        ("count", "7", "count is of <U1, expected int64"),
        (0, np.ones(2), "0 is unknown"),
    ],
)
def test_load_state_dict_copies_all_or_nothing(name, value, message):
    net = counting()
    before = {k: v.numpy() for k, v in net.state_dict().items()}
    with pytest.raises(mg.errors.CheckpointError, match=f"load_state_dict of Sequential: {message}"):
        net.load_state_dict({**SOUND, name: value})
    assert all(np.array_equal(before[k], v.numpy()) for k, v in net.state_dict().items())


def counting():
    net = nn.Sequential(nn.Linear(2, 2))
    net.count = nn.Buffer(0)
    return net


@pytest.mark.parametrize("state", [None, "weights.safetensors", [np.ones(2)], nn.ReLU()])
def test_load_state_dict_says_what_it_was_given_instead(state):
    with pytest.raises(mg.errors.CheckpointError, match="expected tensors or arrays by name, got"):
        counting().load_state_dict(state)


@pytest.mark.parametrize(
    "bias", [np.array([1, 2], ">f4"), np.array([1, 2], ">i2"), np.array([1, 2], "float16"), [1, 2], mg.tensor([1.0, 2])]
)
def test_load_state_dict_takes_numbers_of_any_width_and_byte_order(bias):
    net = counting()
    net.load_state_dict({**SOUND, "0.bias": bias})
    assert net[0].bias.dtype == np.dtype("=f4")
    assert net[0].bias.numpy().tolist() == [1, 2]
    assert net.count.item() == 7
    net.load_state_dict({**SOUND, "0.bias": [np.nan, np.inf]})
    np.testing.assert_array_equal(net[0].bias.numpy(), [np.nan, np.inf])


def test_layers_change_places_by_a_state_dict_that_shares_their_memory():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    first, second = (layer.weight.numpy() for layer in net)
    state = net.state_dict()
    net.load_state_dict({name: state[("1" if name[0] == "0" else "0") + name[1:]] for name in state})
    np.testing.assert_array_equal(net[0].weight.numpy(), second)
    np.testing.assert_array_equal(net[1].weight.numpy(), first)


# --- what a module finds ------------------------------------------------------------------------------------------


class Many(nn.Module):
    """Parts in containers of each kind, within each other."""

    def __init__(self):
        self.layers = [nn.Linear(2, 2), nn.Dropout(0.5)]
        self.scales = (nn.Parameter([1.0, 2.0]), "of two features")
        self.heads = {"real": nn.Linear(2, 1), "spare": {"deep": [nn.BatchNorm1d(2)]}, "width": 2}
        self.last = nn.Parameter([3.0])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.heads["real"](self.heads["spare"]["deep"][0](x * self.scales[0])) * self.last


NAMES = [
    *["last", "layers.0.weight", "layers.0.bias", "scales.0", "heads.real.weight", "heads.real.bias"],
    *["heads.spare.deep.0.weight", "heads.spare.deep.0.bias", "heads.spare.deep.0.running_mean"],
    *["heads.spare.deep.0.running_var", "heads.spare.deep.0.num_batches_tracked"],
]


def test_parts_in_lists_tuples_and_dicts_belong_to_the_module():
    net = Many()
    assert list(net.state_dict()) == NAMES
    assert [name for name, _ in net.named_parameters()] == NAMES[:8]
    assert [type(m).__name__ for m in net.modules()] == ["Many", "Linear", "Dropout", "Linear", "BatchNorm1d"]
    assert net.num_parameters() == 1 + 6 + 2 + 3 + 4
    assert net.layers[0].weight.label() == "'layers.0.weight'"
    net.rename("critic")
    assert net.scales[0].label() == "'critic.scales.0'"
    assert "(heads.spare.deep.0): BatchNorm1d(2" in repr(net)
    assert not any(m.training for m in net.eval().modules())
    assert {str(t.dtype) for t in net.to(dtype="float64").parameters()} == {"float64"}
    net.layers.append(nn.Linear(2, 2))
    assert net.state_dict()["layers.2.weight"].shape == (2, 2)


def test_parts_in_containers_learn_are_averaged_saved_and_called_with_others(rng):
    net = Many()
    x = mg.tensor(rng.standard_normal((4, 2)).astype("float32"))
    ema = mg.optim.EMA(net, 0.0)
    before = {k: t.numpy() for k, t in net.state_dict().items()}
    mg.optim.Adam(net.parameters()).minimize(mg.mean((net(x) - 1) ** 2))
    moved = {k for k, t in net.state_dict().items() if not np.array_equal(t.numpy(), before[k])}
    assert {"last", "scales.0", "layers.0.weight", "heads.real.weight", "heads.spare.deep.0.weight"} <= moved
    ema.update()
    for k, t in net.state_dict().items():
        np.testing.assert_array_equal(ema.state_dict()[k].numpy(), t.numpy(), err_msg=k)
    other = Many()
    other.load_state_dict(net.state_dict())
    with nn.evaluating(net, other):
        np.testing.assert_array_equal(other(x).numpy(), net(x).numpy())
    net.eval().to(dtype="float64")
    x = x.astype("float64")
    scales, layers = net.scales, net.layers
    zero = {"scales.0": mg.zeros(2, "float64"), "last": 2 * net.last}
    net.layers.clear()  # what the other scale meets is x itself
    assert not np.array_equal(net(x).numpy(), net(0 * x).numpy())
    np.testing.assert_allclose(nn.functional_call(net, zero, x).numpy(), 2 * net(0 * x).numpy(), rtol=1e-12)
    assert net.scales is scales
    assert net.layers is layers
    net = Many().eval().to(dtype="float64")
    params = [mg.tensor(p.numpy()) for p in net.parameters()]
    mg.testing.gradcheck(lambda *ps: mg.tanh(nn.functional_call(net, list(ps), x)), params, rtol=1e-5)


def test_a_layer_that_is_held_twice_is_walked_over_once():
    class Net(nn.Module):
        def __init__(self):
            self.first = nn.Linear(2, 2)
            self.layers = [self.first, nn.Linear(2, 2)]

    net = Net()
    assert len(net.parameters()) == 4
    assert len(net.state_dict()) == 6
    for module in net.modules():
        if isinstance(module, nn.Linear):
            nn.spectral_norm(module)  # would refuse a second time
    assert "layers.1.weight_orig" in net.state_dict()


def test_what_gives_parts_no_names_is_refused():
    net = nn.Module()
    layer = nn.Linear(2, 2)
    for parts in ({layer}, collections.deque([layer]), {"a": layer}.values(), frozenset([layer.weight])):
        with pytest.raises(mg.errors.ShapeError, match=r"Module\.parts: a \w+ gives what it holds no names"):
            net.parts = parts
    net.parts = {"a", "b"}
    for parts in (net, [net], {"whole": (net,)}, nn.Sequential(net)):
        with pytest.raises(mg.errors.ShapeError, match=r"Module\.mine: a module cannot be a part of itself"):
            net.mine = parts
    assert not hasattr(net, "mine")
    net.clash = {1: layer, "1": nn.ReLU(), "x.y": nn.Tanh()}
    assert list(net.state_dict()) == ["clash.1.weight", "clash.1.bias"]
    net.clash["1"] = nn.Linear(2, 2)
    with pytest.raises(mg.errors.ShapeError, match=r"more than one tensor goes by the name clash\.1\.weight"):
        net.state_dict()


def test_a_parameter_is_floats_in_memory_of_its_own():
    array = np.ones(2, "float32")
    p = nn.Parameter(array)
    array[:] = 5
    assert p.numpy().tolist() == [1, 1]
    assert nn.Parameter([1.0, 2.0]).dtype == np.float32
    for wrong in ("ab", [1, 2], [None], True):
        with pytest.raises(mg.errors.DTypeError):
            nn.Parameter(wrong)


def test_a_tensor_does_not_take_the_place_of_a_parameter():
    layer = nn.BatchNorm1d(2)
    for name, kind in (("weight", "Parameter"), ("running_mean", "Buffer")):
        with pytest.raises(mg.errors.DTypeError, match=rf"BatchNorm1d\.{name}: a Tensor in the place of a {kind}"):
            setattr(layer, name, mg.ones(2))
    layer.weight, layer.bias = nn.Parameter([2.0, 2.0]), None
    assert [p.numpy().tolist() for p in layer.parameters()] == [[2, 2]]


def test_what_a_module_was_made_with_is_its_own():
    layers = [nn.Linear(2, 2)]
    net = nn.Sequential(layers)
    layers.append(nn.ReLU())
    assert len(net.made_with[0][0]) == len(net) == 1


@pytest.mark.parametrize("make", [nn.Module, nn.Flatten, nn.Tanh, nn.Sigmoid, nn.Softplus])
def test_a_layer_that_takes_no_arguments_refuses_some(make):
    with pytest.raises(TypeError, match="argument"):
        make(2)


def test_modes_and_types_are_looked_at():
    net = counting()
    with pytest.raises(mg.errors.ShapeError, match="train: mode: expected True or False, got 'eval'"):
        net.train("eval")
    for dtype in ("int32", bool, "complex64"):
        with pytest.raises(mg.errors.DTypeError, match=r"Sequential\.to: .* floats"):
            net.to(dtype=dtype)
    assert net[0].weight.dtype == np.float32
    with pytest.raises(mg.errors.DTypeError, match=r"functional_call: expected a Tensor for 0\.bias, got array"):
        nn.functional_call(net, {"0.bias": np.ones(2, "float32")}, mg.ones((1, 2)))


def test_sequential_takes_layers_in_a_list_or_by_names():
    a, b = nn.Linear(2, 3), nn.Tanh()
    x = mg.ones((1, 2))
    for net in (nn.Sequential(a, b), nn.Sequential([a, b]), nn.Sequential((a, b))):
        assert list(net) == [a, b]
        assert list(net.state_dict()) == ["0.weight", "0.bias"]
        np.testing.assert_array_equal(net(x).numpy(), b(a(x)).numpy())
    named = nn.Sequential({"body": a, "end": b})
    assert list(named) == [a, b]
    assert list(named.state_dict()) == ["body.weight", "body.bias"]
    assert named.body is a
    assert len(nn.Sequential([])) == 0


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([nn.Linear], r"expected modules, layer 0 is <class '.*Linear'>: write Linear\(\.\.\.\)"),
        ([3], "expected modules, layer 0 is 3"),
        ([nn.ReLU(), mg.tanh], "expected modules, layer 1 is <op tanh.*: write a layer, such as ReLU"),
        ([iter([nn.ReLU()])], r"layer 0 is <list_iterator.*: write Sequential\(\*layers\)"),
        ([nn.ReLU(), [nn.ReLU()]], r"expected modules, layer 1 is \[ReLU"),
        ([None], "layer 0 is None"),
        ([{"body": "x"}], "layer body is 'x'"),
        ([{"a.b": nn.ReLU()}], "cannot go by the name 'a.b'"),
        ([{"forward": nn.ReLU()}], "cannot go by the name 'forward'"),
        ([{"": nn.ReLU()}], "cannot go by the name ''"),
    ],
)
def test_sequential_refuses_what_is_no_layer(layers, message):
    with pytest.raises(mg.errors.ShapeError, match=f"Sequential: .*{message}"):
        nn.Sequential(*layers)


# --- copies -------------------------------------------------------------------------------------------------------

COPIED = {
    "linear": (lambda: nn.Linear(3, 2), (4, 3)),
    "conv": (lambda: nn.Conv2d(2, 3, 3), (2, 2, 5, 5)),
    "transposed": (lambda: nn.ConvTranspose2d(2, 3, 3), (2, 2, 5, 5)),
    "embedding": (lambda: nn.Embedding(4, 3), None),
    "dropout": (lambda: nn.Dropout(0.5, rng=mg.random.Stream(3)), (4, 3)),
    "noise": (lambda: nn.GaussianNoise(0.5, rng=mg.random.Stream(3)), (4, 3)),
    "shapes": (lambda: nn.Sequential(nn.Flatten(), nn.Unflatten(1, (3, 2))), (4, 3, 2)),
    "prelu": (lambda: nn.PReLU(2), (2, 2)),
    "activations": (lambda: nn.Sequential([nn.LeakyReLU(0.1), nn.ELU(), nn.Softmax(), nn.Softplus()]), (2, 2)),
    "pools": (lambda: nn.Sequential(nn.MaxPool2d(2), nn.UpsampleNearest(4), nn.AvgPool2d(2)), (1, 1, 4, 4)),
    "sizes": (
        lambda: nn.Sequential(nn.Upsample(6, mode="bicubic"), nn.Blur(down=2), nn.ReflectionPad2d((0, 1, 1, 0))),
        (1, 1, 4, 4),
    ),
    "batch": (lambda: nn.BatchNorm2d(2), (2, 2, 5, 5)),
    "group": (lambda: nn.Sequential({"a": nn.GroupNorm(1, 2), "b": nn.MinibatchStdDev()}), (4, 2)),
    "layer": (lambda: nn.LayerNorm(3), (4, 3)),
    "spectral": (lambda: nn.spectral_norm(nn.Conv2d(2, 3, 3)), (2, 2, 5, 5)),
    "spectral, transposed": (lambda: nn.Sequential(nn.spectral_norm(nn.ConvTranspose2d(2, 3, 3))), (2, 2, 5, 5)),
    "weight": (lambda: nn.weight_norm(nn.Linear(3, 2)), (4, 3)),
}


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
@pytest.mark.parametrize("name", COPIED)
def test_a_copy_computes_the_same_and_is_its_own(name, copied, rng):
    make, shape = COPIED[name]
    layer = make()
    x = mg.tensor([3, 1]) if shape is None else mg.tensor(rng.standard_normal(shape).astype("float32"))
    layer(x)  # a layer that was used
    other = copied(layer)
    assert type(other) is type(layer)
    assert repr(other) == repr(layer)
    assert repr(other.made_with) == repr(layer.made_with)
    for (k, t), (_, theirs) in zip(layer.named_tensors(), other.named_tensors(), strict=True):
        np.testing.assert_array_equal(t.numpy(), theirs.numpy(), err_msg=k)
        assert not np.may_share_memory(t.data, theirs.data)
    np.testing.assert_allclose(other(x).numpy(), layer(x).numpy(), rtol=1e-5, atol=1e-6)
    if layer.parameters():
        y = mg.sum(other(x))
        mg.optim.SGD(layer.parameters()).minimize(mg.sum(layer(x)))
        mg.grad(y, other.parameters())  # nothing of it was changed
