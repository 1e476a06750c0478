"""What minigan answers to names of other libraries: each hint is code that runs, and Python's own rules hold."""

import copy
import inspect
import pickle
import re

import numpy as np
import pytest

import minigan as mg
from minigan.op import CHECKED
from minigan.system.hints import HINTS, KEYWORDS


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A file with a generator."""
    path = tmp_path_factory.mktemp("hints") / "generator.safetensors"
    return mg.export.save_generator(path, mg.export.Generator(mg.nn.Linear(3, 2), mg.gan.latents.NormalLatent(3)))


@pytest.fixture
def names(path):
    """What the hints speak of."""
    network = mg.nn.Sequential(mg.nn.Linear(3, 3))
    x, y = mg.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), mg.ones((2, 3))
    return {
        **{"mg": mg, "np": np, "x": x, "y": y, "images": mg.ones((1, 2, 3, 3)), "path": path},
        **{"network": network, "params": network.parameters(), "loss": mg.mean(network(x))},
        **{"opt": mg.optim.SGD(network.parameters()), "generator": mg.export.load_generator(path)},
    }


def asked(owner, names):
    """Who is asked for the name."""
    return {
        **{"Tensor": names["x"], "Module": names["network"], "Optimizer": names["opt"]},
        **{"minigan": mg, "minigan.nn": mg.nn, "minigan.optim": mg.optim, "minigan.random": mg.random},
    }[owner]


@pytest.mark.parametrize(("owner", "name"), list(HINTS))
def test_each_hint_is_given_and_is_code_that_runs(owner, name, names):
    write, why = HINTS[owner, name]
    with pytest.raises(mg.errors.UnknownName) as told:
        getattr(asked(owner, names), name)
    assert f"has no attribute '{name}'; write {write}" in str(told.value)
    assert why in str(told.value)
    assert not hasattr(asked(owner, names), name)
    assert name not in dir(asked(owner, names))
    eval(write.replace('"cuda"', '"cpu"'), names)


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (lambda: mg.Linear, "mg.nn.Linear"),
        (lambda: mg.Adam, "mg.optim.Adam"),
        (lambda: mg.nn.relu, "mg.relu(x)"),
        (lambda: mg.nn.Conv2D, "mg.nn.Conv2d(1, 8, 3)"),
        (lambda: mg.nn.ModuleList, "[mg.nn.ReLU(), mg.nn.Tanh()] (an attribute may be a list of modules)"),
        (lambda: mg.random.randn, "mg.tensor(mg.random.default().normal((2, 3)))"),
        (lambda: mg.ones(2).zero_, "x.copy_(mg.zeros(x.shape))"),
    ],
)
def test_what_is_elsewhere_or_called_otherwise_is_told(write, told):
    with pytest.raises(mg.errors.UnknownName, match=re.escape(f"; write {told}") + "$"):
        write()


@pytest.mark.parametrize("owner", sorted({owner for owner, _ in HINTS}))
def test_any_other_name_is_refused_as_python_does(owner, names):
    who = asked(owner, names)
    with pytest.raises(AttributeError, match="has no attribute 'shap'") as told:
        who.shap  # noqa: B018
    assert type(told.value) is AttributeError
    assert (told.value.name, told.value.obj) == ("shap", who)  # from which Python finds what was meant
    assert getattr(who, "shap", 3) == 3


def test_names_that_a_network_gives_a_meaning_are_its_own():
    class Net(mg.nn.Module):
        dtype = "any"

        def __init__(self):
            self.device = "somewhere"

        def summary(self):
            return "a net"

    net = Net()
    assert (net.device, net.dtype, net.summary()) == ("somewhere", "any", "a net")
    assert {"device", "dtype", "summary"} <= set(dir(net))
    assert not hasattr(net, "cuda")


def test_a_normalised_layer_tells_as_any_other_does():
    layer = mg.nn.spectral_norm(mg.nn.Linear(2, 3))
    assert layer.weight.shape == (3, 2)
    with pytest.raises(mg.errors.UnknownName, match=r"'Linear' object has no attribute 'cuda'; write network.to"):
        layer.cuda()


def test_modules_and_optimizers_are_copied_and_pickled_all_the_same(names):
    network, opt = names["network"], names["opt"]
    for twin in (copy.copy(network), copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert np.array_equal(twin(names["x"]).numpy(), network(names["x"]).numpy())
    for twin in (copy.deepcopy(opt), pickle.loads(pickle.dumps(opt))):
        assert twin.lr == opt.lr


def test_importing_a_name_that_is_none_fails_as_python_does():
    with pytest.raises(ImportError):
        from minigan.nn import functional  # noqa: F401


# --- arguments by the names that other libraries give them ---------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: mg.sum(x, dim=1), r"sum: there is no argument dim=; it is axis= here"),
        (lambda x: x.mean(dim=1), "mean: there is no argument dim=; it is axis= here"),
        (lambda x: x.max(1, keepdim=True), "max: there is no argument keepdim=; it is keepdims= here"),
        (lambda x: mg.softmax(x, dim=1), "softmax: .* it is axis= here"),
        (lambda x: mg.concatenate([x, x], dim=1), "concatenate: .* it is axis= here"),
        (lambda x: mg.stack(tensors=[x, x]), "stack: there is no argument tensors=; it is xs= here"),
        (lambda x: mg.flip(x, dims=(0,)), "flip: .* it is axis= here"),
        (lambda x: mg.transpose(x, dims=(1, 0)), "transpose: .* it is axes= here"),
        (lambda x: mg.var(x, unbiased=False), "var: .* it is ddof= here"),
        (lambda x: mg.clip(x, min=0.0), "clip: .* it is low= here"),
        (lambda x: mg.linear(x, weight=x), "linear: .* it is w= here"),
        (lambda x: mg.conv2d(x, weight=x), "conv2d: .* it is w= here"),
        (lambda x: mg.cross_entropy(x, target=[0, 1]), "cross_entropy: .* it is labels= here"),
        (lambda x: mg.leaky_relu(x, inplace=True), "leaky_relu: there is no argument inplace=; there are x, neg"),
        (lambda x: x.sum(what=1), "sum: there is no argument what=; there are x, axis, keepdims"),
    ],
)
def test_arguments_are_named_as_numpy_names_them(call, message):
    with pytest.raises(mg.errors.DTypeError, match=message):
        call(mg.ones((2, 3)))


def test_every_name_of_an_argument_leads_to_one():
    parameters = {name for fn in CHECKED.values() for name in inspect.signature(fn).parameters}
    assert {name for names in KEYWORDS.values() for name in names} <= parameters
    assert not set(KEYWORDS) & {"x", "axis", "keepdims"}
