"""Every row of the layer table: second order, replays, types, memory order, copies, descriptions, costs."""

import copy
import json

import numpy as np
import pytest
from layer_table import ROWS, TABLE

import minigan as mg
from minigan import nn
from minigan.export import blueprint
from minigan.nn.cost import bounded
from minigan.tensor import Tensor


def drawn(name, k, rng, dtype="float64"):
    """(the layer with random parameters, its inputs) of that row."""
    row = TABLE[name][k]
    layer = row.make().to(dtype=dtype)
    for p in layer.parameters():
        p.copy_(rng.standard_normal(p.shape).astype(dtype))
    return layer, [Tensor(a.astype(dtype) if a.dtype.kind == "f" else a) for a in row.inputs(rng)]


def results(found):
    return list(found) if isinstance(found, tuple) else [found]


def floats(inputs):
    return [x for x in inputs if x.dtype.kind == "f"]


def step(layer, inputs):
    """The layer's results, gradients of a function of them, and those of the squared first gradient."""
    found = results(layer(*inputs))
    wanted = [*floats(inputs), *layer.parameters()]
    total = sum((mg.sum(mg.sin(y)) for y in found[1:]), mg.sum(mg.sin(found[0])))
    slopes = mg.grad(total, wanted, create_graph=True)
    return [*found, *slopes, *mg.grad(mg.sum(mg.square(slopes[0])), wanted)]


@pytest.mark.parametrize(("name", "k"), ROWS)
def test_second_order(name, k, rng):
    layer, inputs = drawn(name, k, rng)
    count = len(inputs)
    params = [mg.tensor(p.numpy()) for p in layer.parameters()]

    def call(*args):
        with mg.random.using(mg.random.Stream(0)):
            return nn.functional_call(layer, list(args[count:]), *args[:count])

    mg.testing.gradcheck(call, [*inputs, *params], rtol=1e-5, atol=1e-6)


def test_every_layer_has_a_row():
    layers = {kind for kind in vars(nn).values() if isinstance(kind, type) and issubclass(kind, nn.Module)}
    assert {kind.__name__ for kind in layers - {nn.Module, nn.Sequential}} == set(TABLE)


@pytest.mark.parametrize(("name", "k"), ROWS)
def test_a_replay_is_the_step(name, k, rng):
    layer, inputs = drawn(name, k, rng, "float32")

    def once(*args):
        with mg.random.using(mg.random.Stream(0)):
            return step(layer, args)

    others = [Tensor(x.data * 0.7) if x.dtype.kind == "f" else x for x in inputs]
    expected = [y.numpy() for y in once(*others)]
    captured = mg.capture(once)
    for _ in range(7):
        captured(*[Tensor(x.data.copy()) for x in inputs])
    assert captured.graph is not None
    found = captured(*[Tensor(x.data.copy()) for x in others])  # what is left in memory is not theirs
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a.numpy(), b)


@pytest.mark.parametrize(("name", "k"), ROWS)
def test_float32_stays_and_images_stay_channels_last(name, k, rng):
    layer, inputs = drawn(name, k, rng, "float32")
    turned = [Tensor(np.ascontiguousarray(x.data.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)) if x.ndim == 4 else x
              for x in inputs]  # fmt: skip
    assert {y.dtype for y in step(layer, turned)} == {np.dtype("float32")}
    for y in results(layer(*turned)):
        assert y.ndim != 4 or y.data.transpose(0, 2, 3, 1).flags.c_contiguous


@pytest.mark.parametrize(("name", "k"), ROWS)
def test_a_copy_is_its_own(name, k, rng):
    layer, inputs = drawn(name, k, rng)
    other = copy.deepcopy(layer)
    assert type(other) is type(layer)
    assert repr(other) == repr(layer)
    for a, b in zip(layer.state_dict().values(), other.state_dict().values(), strict=True):
        assert not np.may_share_memory(a.data, b.data)
    with mg.random.using(mg.random.Stream(0)):
        expected = results(layer(*inputs))
    with mg.random.using(mg.random.Stream(0)):
        for a, b in zip(results(other(*inputs)), expected, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize(("name", "k"), ROWS)
def test_it_is_made_again_of_its_description(name, k, rng):
    layer, _ = drawn(name, k, rng)
    tree = json.loads(json.dumps(blueprint.tree_of(layer)))
    other = blueprint.built(tree).to(dtype="float64")
    assert repr(other) == repr(layer)
    other.load_state_dict({k: t.numpy() for k, t in layer.state_dict().items()})
    assert list(other.state_dict()) == list(layer.state_dict())
    held = layer.num_parameters(buffers=True)
    said = blueprint.held(tree)
    assert held <= 2 * said + 64, "a file of a few bytes could ask for more memory than its description says"
    assert said <= 16 * held + 64, "a file that is whole would be refused"


@pytest.mark.parametrize(("name", "k"), ROWS)
def test_what_it_costs_is_known_beforehand(name, k, rng):
    layer, inputs = drawn(name, k, rng)
    with bounded(layer):
        layer(*inputs)


@pytest.mark.parametrize(("name", "k"), ROWS)
def test_arrays_are_taken_and_what_is_none_is_named(name, k, rng):
    layer, inputs = drawn(name, k, rng, "float32")
    results(layer(*[x.data for x in inputs]))
    with pytest.raises(mg.errors.DTypeError, match=r"expected a Tensor, an array, numbers .*, got None"):
        layer(None, *inputs[1:])
