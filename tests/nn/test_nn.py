"""Modules: names, order, state, modes; what layers refuse. Their values are held against PyTorch elsewhere."""

import collections
import copy
import pickle

import numpy as np
import pytest

import minigan as mg
from minigan import nn


class Net(nn.Module):
    def __init__(self):
        self.scale = nn.Parameter(mg.ones(1))
        self.body = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.BatchNorm1d(4))
        self.head = nn.Linear(4, 2, bias=False)
        self.note = "not a tensor"

    def forward(self, x):
        return self.head(self.body(x)) * self.scale


def test_names_and_order():
    net = Net()
    assert list(net.state_dict()) == [
        *["scale", "body.0.weight", "body.0.bias", "body.2.weight", "body.2.bias"],
        *["body.2.running_mean", "body.2.running_var", "body.2.num_batches_tracked", "head.weight"],
    ]
    assert [name for name, _ in net.named_parameters()] == [
        *["scale", "body.0.weight", "body.0.bias", "body.2.weight", "body.2.bias", "head.weight"]
    ]
    assert [p.shape for p in net.parameters()] == [(1,), (4, 3), (4,), (4,), (4,), (2, 4)]
    assert net.num_parameters() == 1 + 16 + 8 + 8
    assert net.num_parameters(buffers=True) == net.num_parameters() + 8  # the batch counter is stored, not counted


def test_a_shared_parameter_is_listed_once():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    assert len(net.parameters()) == 3


def test_tensors_know_their_names_wherever_modules_are_put():
    net = Net()
    assert net.body[0].weight.label() == "'body.0.weight'"
    net.rename("critic")
    assert net.body[0].weight.label() == "'critic.body.0.weight'"
    outer = nn.Sequential(nn.Tanh(), net)
    assert net.body[0].weight.label() == "'1.body.0.weight'"
    assert len(outer) == 2
    part = outer[1:]
    assert len(part) == 1
    assert part[0] is net
    assert net.body[0].weight.label() == "'1.body.0.weight'"  # a slice renames nothing


def test_modes_reach_every_module():
    net = Net().eval()
    assert [m.training for m in net.modules()] == [False] * 6
    x = mg.tensor(np.random.default_rng(0).standard_normal((5, 3)).astype("float32"))
    before = net.state_dict()["body.2.running_mean"].numpy()
    net(x)
    assert np.array_equal(before, net.state_dict()["body.2.running_mean"].numpy())
    net.train()(x)
    assert not np.array_equal(before, net.state_dict()["body.2.running_mean"].numpy())
    assert net.state_dict()["body.2.num_batches_tracked"].item() == 1


def test_state_dict_round_trip_copies_into_the_same_arrays():
    net, other = Net(), Net()
    arrays = {id(t.data) for _, t in other.named_tensors()}
    other.load_state_dict(net.state_dict())
    assert {id(t.data) for _, t in other.named_tensors()} == arrays
    for (k, a), b in zip(net.state_dict().items(), other.state_dict().values(), strict=True):
        assert np.array_equal(a.numpy(), b.numpy()), k


def test_load_state_dict_names_every_problem_and_copies_nothing():
    net = Net()
    before = {k: v.numpy() for k, v in net.state_dict().items()}
    state = {k: np.zeros_like(v) for k, v in before.items()}
    del state["scale"]
    state["head.weight"] = np.zeros((9, 9))
    state["tail"] = np.zeros(1)
    with pytest.raises(mg.errors.CheckpointError) as caught:
        net.load_state_dict(state)
    for part in ("scale is missing", "tail is unknown", "head.weight has shape (9, 9), expected (2, 4)"):
        assert part in str(caught.value)
    assert all(np.array_equal(before[k], v.numpy()) for k, v in net.state_dict().items())


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
        ([nn.ReLU(), mg.tanh], "expected modules, layer 1 is"),
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


def test_functional_call_leaves_the_module_alone(rng):
    net = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    own = net.parameters()
    x = mg.tensor(rng.standard_normal((4, 3)).astype("float32"))
    others = [mg.zeros((2, 3)), mg.ones(2)]
    y = nn.functional_call(net, others, x)
    np.testing.assert_allclose(y.numpy(), np.tanh(1), rtol=1e-6)
    assert all(a is b for a, b in zip(net.parameters(), own, strict=True))
    assert mg.grad(mg.sum(y), others[1]).shape == (2,)
    y = nn.functional_call(net, {"0.bias": mg.ones(2)}, x)
    expected = np.tanh(x.numpy() @ own[0].numpy().T + 1)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-5)
    with pytest.raises(mg.errors.ShapeError, match="the module has 2 parameters, got 1"):
        nn.functional_call(net, others[:1], x)
    with pytest.raises(mg.errors.ShapeError, match=r"0\.bias of shape"):
        nn.functional_call(net, {"0.bias": mg.ones(3)}, x)
    with pytest.raises(mg.errors.ShapeError, match=r"expected one of 0\.weight, 0\.bias"):
        nn.functional_call(net, {"bias": mg.ones(2)}, x)


def test_to_converts_floats_only():
    net = Net().to(dtype="float64")
    kinds = {k: str(v.dtype) for k, v in net.state_dict().items()}
    assert kinds.pop("body.2.num_batches_tracked") == "int64"
    assert set(kinds.values()) == {"float64"}


def test_dropout():
    layer = nn.Dropout(0.25, rng=mg.random.Stream(1))
    x = mg.ones((200, 200))
    y = layer(x).numpy()
    assert set(np.unique(y)) == {0, np.float32(1 / 0.75)}
    assert abs((y == 0).mean() - 0.25) < 0.01
    assert layer.eval()(x) is x
    always = nn.Dropout(0.25, always=True, rng=mg.random.Stream(1)).eval()
    assert np.array_equal(always(x).numpy(), y)
    z = mg.ones((3, 3))
    layer.train()
    dropped = layer(z)
    assert np.array_equal(mg.grad(mg.sum(dropped), z).numpy(), dropped.numpy())


def test_batch_norm_normalises_and_tracks(rng):
    layer = nn.BatchNorm2d(3, momentum=0.5)
    x = mg.tensor((rng.standard_normal((8, 3, 5, 5)) * 4 + 7).astype("float32"))
    y = layer(x).numpy()
    np.testing.assert_allclose(y.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(y.var((0, 2, 3)), 1, atol=1e-4)
    np.testing.assert_allclose(layer.running_mean.numpy(), 0.5 * x.numpy().mean((0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(layer.running_var.numpy(), 0.5 + 0.5 * x.numpy().var((0, 2, 3), ddof=1), rtol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.BatchNorm2d(2).to(dtype="float64"),
        lambda: nn.GroupNorm(1, 2).to(dtype="float64"),
        lambda: nn.InstanceNorm2d(2),
        lambda: nn.LayerNorm((2, 3, 3)).to(dtype="float64"),
    ],
)
def test_normalisation_to_second_order(make, rng):
    layer = make()
    params = [mg.tensor(rng.standard_normal(p.shape)) for p in layer.parameters()]
    x = mg.tensor(rng.standard_normal((4, 2, 3, 3)))
    mg.testing.gradcheck(lambda x, *ps: mg.tanh(nn.functional_call(layer, list(ps), x)), [x, *params], rtol=1e-5)


def test_initialisers():
    rng = mg.random.Stream(0)
    w = mg.zeros((200, 100, 2, 2))
    assert nn.init.fans(w) == (400, 800)
    bounds = {"xavier_uniform_": (6 / 1200) ** 0.5, "kaiming_uniform_": (6 / 400) ** 0.5}
    for name, bound in bounds.items():
        values = getattr(nn.init, name)(w, rng=rng).numpy()
        assert 0.99 * bound < np.abs(values).max() <= bound
    for name, std in {"xavier_normal_": (2 / 1200) ** 0.5, "kaiming_normal_": (2 / 400) ** 0.5}.items():
        assert getattr(nn.init, name)(w, rng=rng).numpy().std() == pytest.approx(std, rel=0.02)
    assert nn.init.normal_(w, 1.0, 0.02, rng=rng).numpy().mean() == pytest.approx(1, abs=0.01)
    assert nn.init.ones_(w).numpy().min() == 1
    with pytest.raises(mg.errors.ShapeError, match="two axes"):
        nn.init.fans(mg.zeros(3))


def test_observer_is_told_the_module():
    net = Net()
    seen = set()
    with mg.observe(lambda op, args, out, order: seen.add((op.name, mg.mode.module))):
        net(mg.ones((4, 3)))
    assert ("linear", "body.0") in seen
    assert ("linear", "head") in seen
    assert mg.mode.module == ""


def test_a_network_prints_its_layers():
    text = repr(nn.Sequential(nn.Conv2d(1, 2, 3, stride=2), nn.LeakyReLU(0.2), nn.Flatten()))
    assert "(0): Conv2d(1, 2, (3, 3), stride=2)" in text
    assert "(1): LeakyReLU(0.2)" in text


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.Linear(3, 2)(mg.ones((4, 5))), r"Linear: expected \(..., 3\), got \(4, 5\)"),
        (lambda: nn.Conv2d(3, 4, 3, groups=2), "groups must divide both 4 and 3 channels, got 2"),
        (lambda: nn.Conv2d(3, 4, 0), "kernel_size"),
        (lambda: nn.BatchNorm2d(3)(mg.ones((2, 4, 5, 5))), r"expected 3 channels on 4 axes, got \(2, 4, 5, 5\)"),
        (lambda: nn.BatchNorm1d(3)(mg.ones((1, 3))), "more than one value per channel, got 1"),
        (lambda: nn.LayerNorm(3)(mg.ones((2, 4))), "LayerNorm"),
        (lambda: nn.GroupNorm(3, 4), "4 channels do not split into 3 groups"),
        (lambda: nn.GroupNorm(2, 4)(mg.ones((2, 6, 1, 1))), "expected 4 channels"),
        (lambda: nn.Dropout(1.0), "Dropout: p: expected a finite number >= 0 and < 1, got 1.0"),
        (lambda: nn.Unflatten(1, 4), "Unflatten: expected the sizes of at least one axis, got 4"),
        (lambda: nn.Unflatten(3, (1,))(mg.ones((2, 2))), r"Unflatten: \(2, 2\) has no axis 3"),
        (lambda: nn.LayerNorm(()), "at least one axis"),
        (lambda: nn.Conv2d(3, 4, 3, padding="full"), 'padding must be "valid", "same" or numbers'),
        (lambda: nn.ConvTranspose2d(3, 4, 3, output_padding=1), "must be smaller than stride"),
        (lambda: nn.Embedding(4, 2)(mg.tensor([0, -1])), "Embedding: expected indices from 0 to 3, got -1 to 0"),
        (lambda: nn.Embedding(4, 2)(mg.tensor([4])), "Embedding: expected indices from 0 to 3, got 4 to 4"),
        (lambda: nn.init.normal_(mg.ones(2), std=-1.0), "init.normal_: std: expected a finite number >= 0"),
        (
            lambda: nn.init.uniform_(mg.ones(2), 1.0, 0.0),
            "init.uniform_: low: expected a finite number <= 0.0",
        ),
        (lambda: nn.init.xavier_uniform_(mg.ones((2, 2)), float("nan")), "expected a finite number, got nan"),
    ],
)
def test_wrong_calls_are_named(call, message):
    with pytest.raises(mg.errors.ShapeError, match=message):
        call()


COUNTS = {
    "Linear: in_features": lambda n: nn.Linear(n, 2),
    "Linear: out_features": lambda n: nn.Linear(2, n),
    "Conv2d: in_channels": lambda n: nn.Conv2d(n, 2, 1),
    "Conv2d: out_channels": lambda n: nn.Conv2d(2, n, 1),
    "Conv2d: kernel_size": lambda n: nn.Conv2d(2, 2, n),
    "Conv2d: stride": lambda n: nn.Conv2d(2, 2, 1, n),
    "Conv2d: dilation": lambda n: nn.Conv2d(2, 2, 1, dilation=n),
    "Conv2d: groups": lambda n: nn.Conv2d(6, 6, 1, groups=n),
    "ConvTranspose2d: in_channels": lambda n: nn.ConvTranspose2d(n, 2, 1),
    "ConvTranspose2d: out_channels": lambda n: nn.ConvTranspose2d(2, n, 1),
    "ConvTranspose2d: kernel_size": lambda n: nn.ConvTranspose2d(2, 2, (1, n)),
    "ConvTranspose2d: stride": lambda n: nn.ConvTranspose2d(2, 2, 1, n),
    "ConvTranspose2d: output_size": lambda n: nn.ConvTranspose2d(2, 2, 1, output_size=n),
    "Embedding: num_embeddings": lambda n: nn.Embedding(n, 2),
    "Embedding: embedding_dim": lambda n: nn.Embedding(2, n),
    "PReLU: num_parameters": lambda n: nn.PReLU(n),
    "MaxPool2d: kernel_size": lambda n: nn.MaxPool2d(n),
    "AvgPool2d: stride": lambda n: nn.AvgPool2d(2, n),
    "UpsampleNearest: scale": lambda n: nn.UpsampleNearest(n),
    "PixelShuffle: factor": lambda n: nn.PixelShuffle(n),
    "BatchNorm2d: num_features": lambda n: nn.BatchNorm2d(n),
    "LayerNorm: a size": lambda n: nn.LayerNorm(n),
    "GroupNorm: num_groups": lambda n: nn.GroupNorm(n, 6),
    "InstanceNorm2d: the number of channels": lambda n: nn.InstanceNorm2d(n),
}


@pytest.mark.parametrize("what", COUNTS)
def test_counts_are_looked_at(what):
    COUNTS[what](np.int64(3))
    for wrong in (0, -1, 2.5, 2.0, "2", None if what != "AvgPool2d: stride" and "output_size" not in what else 0.0):
        with pytest.raises(mg.errors.ShapeError, match=f"^{what}"):
            COUNTS[what](wrong)


NUMBERS = {  # how, a few that are right, some that are wrong
    "Dropout: p": (nn.Dropout, [0, 0.999], [-0.1, 1, 2]),
    "LeakyReLU: negative_slope": (nn.LeakyReLU, [0, np.float32(2)], [-1]),
    "ELU: alpha": (nn.ELU, [0.1], [0, -1]),
    "PReLU: init": (lambda a: nn.PReLU(2, a), [-1], []),
    "BatchNorm1d: eps": (lambda a: nn.BatchNorm1d(2, a), [0], [-1e-9]),
    "BatchNorm2d: momentum": (lambda a: nn.BatchNorm2d(2, 1e-5, a), [0, 1], [-0.1, 1.1]),
    "LayerNorm: eps": (lambda a: nn.LayerNorm(2, a), [0], [-1e-9]),
    "GroupNorm: eps": (lambda a: nn.GroupNorm(1, 2, a), [0], [-1e-9]),
    "InstanceNorm2d: eps": (lambda a: nn.InstanceNorm2d(2, a), [0], [-1e-9]),
}


@pytest.mark.parametrize("what", NUMBERS)
def test_numbers_are_looked_at(what):
    make, right, wrong = NUMBERS[what]
    for value in right:
        make(value)
    for value in [*wrong, float("nan"), float("inf"), None, "0.5", True, [0.5]]:
        with pytest.raises(mg.errors.ShapeError, match=f"^{what}: expected a finite number"):
            make(value)


@pytest.mark.parametrize(
    ("what", "make"),
    [
        ("Linear: bias", lambda b: nn.Linear(2, 2, b)),
        ("Conv2d: bias", lambda b: nn.Conv2d(2, 2, 1, bias=b)),
        ("ConvTranspose2d: bias", lambda b: nn.ConvTranspose2d(2, 2, 1, bias=b)),
        ("Dropout: always", lambda b: nn.Dropout(0.5, always=b)),
        ("BatchNorm2d: affine", lambda b: nn.BatchNorm2d(2, affine=b)),
        ("LayerNorm: elementwise_affine", lambda b: nn.LayerNorm(2, 1e-5, b)),
        ("GroupNorm: affine", lambda b: nn.GroupNorm(1, 2, 1e-5, b)),
    ],
)
def test_flags_are_looked_at(what, make):
    make(np.bool_(True))
    for wrong in (1, 0, None, "relu"):
        with pytest.raises(mg.errors.ShapeError, match=f"^{what}: expected True or False"):
            make(wrong)


def test_indices_of_an_embedding_are_integers():
    layer = nn.Embedding(4, 2)
    for wrong in (mg.tensor([True, False, True, True]), mg.ones(2)):
        with pytest.raises(mg.errors.DTypeError, match="Embedding: expected integers as indices, got"):
            layer(wrong)
    rows = layer.weight.numpy()
    for right in ([[3, 0]], np.array([[3, 0]], np.uint8)):
        np.testing.assert_array_equal(layer(right).numpy(), rows[[[3, 0]]])
    assert layer(mg.tensor(np.zeros((0, 3), np.int64))).shape == (0, 3, 2)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_prelu_keeps_the_shape(shape):
    x = mg.full(shape, -2.0)
    y = nn.PReLU()(x)
    assert y.shape == shape
    assert (y.numpy() == -0.5).all()


def test_norms_start_as_torch_documents():
    assert nn.InstanceNorm2d(3).weight is None
    assert nn.InstanceNorm2d(3).bias is None
    assert len(nn.InstanceNorm2d(3, affine=True).parameters()) == 2
    x = mg.tensor([[0.0, 0.0], [0.02, 0.0]])
    layer = nn.BatchNorm1d(2)
    y = layer(x).numpy()
    np.testing.assert_allclose(y[:, 0], np.array([-0.01, 0.01]) / np.sqrt(1e-4 + 1e-5), rtol=1e-5)
    np.testing.assert_allclose(layer.running_mean.numpy()[0], 0.1 * 0.01, rtol=1e-5)
    for norm in (nn.LayerNorm(2), nn.GroupNorm(1, 2), nn.InstanceNorm2d(1)):
        row = mg.reshape(x[1:], (1, 1, 1, 2)) if isinstance(norm, nn.InstanceNorm2d) else x[1:]
        expected = np.array([0.01, -0.01]) / np.sqrt(1e-4 + 1e-5)
        np.testing.assert_allclose(norm(row).numpy().ravel(), expected, rtol=1e-5)


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
    for (k, t), (_, theirs) in zip(layer.named_tensors(), other.named_tensors(), strict=True):
        np.testing.assert_array_equal(t.numpy(), theirs.numpy(), err_msg=k)
        assert not np.may_share_memory(t.data, theirs.data)
    np.testing.assert_allclose(other(x).numpy(), layer(x).numpy(), rtol=1e-5, atol=1e-6)
    if layer.parameters():
        y = mg.sum(other(x))
        mg.optim.SGD(layer.parameters()).minimize(mg.sum(layer(x)))
        mg.grad(y, other.parameters())  # nothing of it was changed


def test_evaluating_is_for_a_while_and_keeps_what_was():
    trained, evaluated = mg.nn.BatchNorm1d(3), mg.nn.Sequential(mg.nn.Dropout(0.5)).eval()
    x = mg.ones((2, 3))
    with mg.nn.evaluating(trained, evaluated):
        assert trained(x).node is None
        assert not trained.running_mean.numpy().any()
        assert not trained.training
    assert trained.training
    assert not evaluated.training
    assert not evaluated[0].training
    with pytest.raises(ZeroDivisionError), mg.nn.evaluating(trained):
        raise ZeroDivisionError
    assert trained.training


def test_evaluating_leaves_every_part_as_it_was():
    network = mg.nn.Sequential(mg.nn.Dropout(0.5), mg.nn.Sequential(mg.nn.BatchNorm1d(2), mg.nn.ReLU(True)))
    network[1].eval()  # frozen
    with mg.nn.evaluating(network):
        assert not any(module.training for module in network.modules())
    assert [module.training for module in network.modules()] == [True, True, False, False, False]


LAYERS = {
    "Linear": (lambda: nn.Linear(2, 3), (4, 2)),
    "Conv2d": (lambda: nn.Conv2d(2, 3, 1), (4, 2, 2, 2)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(2, 3, 1), (4, 2, 2, 2)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(2), (4, 2)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(2), (4, 2, 2, 2)),
    "LayerNorm": (lambda: nn.LayerNorm(2), (4, 2)),
    "GroupNorm": (lambda: nn.GroupNorm(1, 2), (4, 2)),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(2), (4, 2, 2, 2)),
    "PReLU": (lambda: nn.PReLU(), (4, 2)),
    "Dropout": (lambda: nn.Dropout(0.5).eval(), (4, 2)),
    "GaussianNoise": (lambda: nn.GaussianNoise(0.5).eval(), (4, 2)),
    "Flatten": (lambda: nn.Flatten(), (4, 2, 2)),
    "Unflatten": (lambda: nn.Unflatten(1, (1, 2)), (4, 2)),
    "MinibatchStdDev": (lambda: nn.MinibatchStdDev(), (4, 2)),
    "LeakyReLU": (lambda: nn.LeakyReLU(), (4, 2)),
    "Softmax": (lambda: nn.Softmax(), (4, 2)),
    "MaxPool2d": (lambda: nn.MaxPool2d(2), (4, 2, 2, 2)),
    "UpsampleNearest": (lambda: nn.UpsampleNearest(2), (4, 2, 2, 2)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_take_arrays_and_lists_and_name_what_they_cannot(name):
    make, shape = LAYERS[name]
    layer, x = make(), np.arange(float(np.prod(shape)), dtype="float32").reshape(shape)
    expected = layer(mg.tensor(x)).numpy()
    assert np.array_equal(layer(x).numpy(), expected)
    assert np.array_equal(layer(x.tolist()).numpy(), expected)
    for other, told in ((None, "None"), ("words", "'words'"), (layer, f"a {name}"), ([mg.ones(2)], "a list; mg.stack")):
        with pytest.raises(mg.errors.DTypeError, match=f"expected a Tensor, an array, numbers .*, got {told}"):
            layer(other)
