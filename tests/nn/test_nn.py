"""Modules: names, order, state, modes; what layers refuse. Their values are held against PyTorch elsewhere."""

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
    "Upsample": (lambda: nn.Upsample(scale_factor=1.5, mode="bilinear"), (4, 2, 2, 2)),
    "Blur": (lambda: nn.Blur(up=2), (4, 2, 2, 2)),
    "ZeroPad2d": (lambda: nn.ZeroPad2d(1), (4, 2, 2, 2)),
    "ReflectionPad2d": (lambda: nn.ReflectionPad2d(1), (4, 2, 2, 2)),
    "ReplicationPad2d": (lambda: nn.ReplicationPad2d(1), (4, 2, 2, 2)),
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
