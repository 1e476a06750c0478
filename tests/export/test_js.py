"""A network as a program: what is refused, how weights are kept, and that every op the browser knows is there."""

import base64
import re

import numpy as np
import pytest

import minigan as mg
from minigan.errors import CheckpointError, ShapeError
from minigan.export import NotDescribed
from minigan.export.js import Bytes, Program, program, rounded, source


class Applied(mg.nn.Module):
    def __init__(self, fn):
        self.fn = fn

    def forward(self, x):
        return self.fn(x)


def drawn(rng):
    return {"x": rng.normal((1, 3))}


def test_the_known_ops_are_those_of_the_table_in_javascript():
    table = source().partition("const OPS = {")[2].partition("\n};")[0]
    names = set(re.findall(r"\b([A-Z][A-Za-z0-9]+): (?=ofOne|ofTwo|test|reduced|soonest|\()", table))
    assert program.known_ops() == names
    assert {"Gemm", "ConvTranspose", "Sigmoid", "ReduceSumSquare", "ArgMin", "Less", "IsInf"} <= names


def test_an_op_that_no_page_computes_is_named_with_its_layer():
    network = mg.nn.Sequential(mg.nn.Linear(3, 3), Applied(lambda x: mg.einsum("ij,ij->ij", x, x)))
    with pytest.raises(NotDescribed, match=r"^1: no page computes the op Einsum$"):
        Program.of(network, drawn)
    with pytest.raises(NotDescribed, match=r"the op argsort has no counterpart"):
        Program.of(Applied(lambda x: mg.sort(x)), drawn)


def test_a_program_holds_its_weights_and_nothing_else():
    network = mg.nn.Sequential(mg.nn.Linear(3, 4), mg.nn.ReLU(), mg.nn.Linear(4, 2))
    network[0].unused = mg.nn.Linear(100, 100)
    made = Program.of(network, drawn)
    bytes_ = Bytes("float32")
    described = made.described(bytes_)
    assert [node["op"] for node in described["nodes"]] == ["Gemm", "Relu", "Gemm"]
    assert described["inputs"] == [{"name": "x", "shape": (1, 3), "type": "float32"}]
    assert set(described["arrays"]) == {"0.weight", "0.bias", "2.weight", "2.bias"}
    held = np.frombuffer(base64.b64decode(bytes_.text), "<f4")
    at = described["arrays"]["2.weight"]["at"] // 4
    np.testing.assert_array_equal(held[at : at + 8].reshape(2, 4), network[2].weight.numpy())
    assert held.size == 12 + 4 + 8 + 2
    x = drawn(mg.random.Stream(7))
    np.testing.assert_array_equal(made.run(x), network(mg.tensor(x["x"])).numpy())


@pytest.mark.parametrize("kind", ["float16", "int8", "float32"])
def test_weights_are_read_as_what_they_are_rounded_to(kind, rng):
    array = rng.standard_normal((5, 3, 4)).astype("float32") * np.array([1, 10, 0.01, 0, 3], "float32").reshape(5, 1, 1)
    bytes_ = Bytes(kind)
    about = bytes_.add(array)
    held = base64.b64decode(bytes_.text)
    assert about["shape"] == (5, 3, 4)
    read = np.frombuffer(held, {"float16": "<f2", "int8": "i1", "float32": "<f4"}[kind], 60, about["at"])
    read = read.reshape(5, 3, 4).astype("float32")
    if kind == "int8":
        steps = np.frombuffer(held, "<f4", 5, about["scales"])
        read *= steps.reshape(5, 1, 1)
        apart = np.abs(read - array).max((1, 2))
        assert (apart <= np.abs(array).max((1, 2)) / 127 / 2 * 1.001).all()
        assert apart[0] > 1e-4
    np.testing.assert_array_equal(rounded(array, kind), read)
    again = Bytes(kind)
    again.add(np.arange(3.0, dtype="float32"))
    assert again.add(array)["at"] % 4 == 0
    np.testing.assert_array_equal(rounded(array[0, 0], "int8"), array[0, 0])


def test_what_no_float16_holds_is_refused_and_so_is_another_kind():
    with pytest.raises(CheckpointError, match=r"weights up to 1e\+05 do not fit into float16; take float32"):
        rounded(np.array([1e5], "float32"), "float16")
    with pytest.raises(ShapeError, match="expected one of float16, int8, float32, got 'float8'"):
        rounded(np.zeros(1, "float32"), "float8")
