"""A network as a program: the graph of its ONNX model for one sample, as plain values that JSON can hold."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import random
from ...nn import Module
from ...random import Stream
from ...system.templates import text_of
from ...tensor import Tensor
from ..blueprint import NotDescribed
from ..onnx import model  # noqa: F401  it fills the table
from ..onnx.graph import Graph, Node, Operand
from ..onnx.passes import evaluated
from ..onnx.table import translated
from .packed import Bytes

SOURCES = ("arrays.js", "kernels.js", "ops.js", "program.js")
FEW = 64  # numbers of a constant that are written as such
Inputs = dict[str, np.ndarray]


def source(*names: str) -> str:
    """The JavaScript that runs programs: `new Program(description, arraysOf(arrays, bytes)).run(...inputs)`.

    Or these files of it: arrays.js alone reads what `Bytes` writes.
    """
    return "\n".join(text_of(__package__, name) for name in names or SOURCES)


def known_ops() -> set[str]:
    """The ops that it computes, by the names that ONNX has for them."""
    table = source("ops.js").partition("const OPS = {")[2]
    return set(re.findall(r"(?:^  |, )([A-Z]\w+): (?=\(|of|test|reduced|soonest)", table, re.MULTILINE))


@dataclass(frozen=True)
class Program:
    """Nodes of one sample's pass through a network without noise, and the network whose weights they read.

    The inputs, by name, have a batch of 1.
    """

    network: Module
    inputs: list[Operand]
    nodes: list[Node]
    result: str
    constants: dict[str, np.ndarray]

    @classmethod
    def of(cls, network: Module, drawn: Callable[[Stream], Inputs]) -> "Program":
        """The program of network(*inputs); `drawn` gives inputs of one sample by name, in the network's order.

        Normal noise that the network draws itself is 0 in it, and dropout keeps all. NotDescribed names an op, and the
        layer it is of, that cannot be told as nodes, or that no page computes.
        """
        given = [drawn(Stream(seed, "page")) for seed in (0, 1)]
        with random.using(Stream(0, "noise")):
            passes = [evaluated(network, inputs)[0] for inputs in given]
        inputs = [Operand(name, (x.shape, given[1][name].shape), x.dtype) for name, x in given[0].items()]
        graph, result = translated(passes, inputs, noise=False)
        nodes = graph.needed(result.name)
        _check(nodes)
        return cls(network, inputs, nodes, result.name, _read(graph, nodes))

    def weights(self) -> dict[str, Tensor]:
        """Those of the network that the program reads, by name."""
        read = {name for node in self.nodes for name in node.inputs} | {self.result}
        return {name: t for name, t in self.network.named_tensors() if name in read}

    def described(self, bytes_: Bytes) -> dict[str, Any]:
        """The program as JSON can hold it; its weights go to `bytes_`, as they are now."""
        arrays = {name: bytes_.add(t.numpy()) for name, t in self.weights().items()}
        arrays |= {name: _constant(bytes_, array) for name, array in self.constants.items()}
        return {
            "inputs": [{"name": x.name, "shape": x.shapes[0], "type": x.dtype.name} for x in self.inputs],
            "nodes": [
                {"op": n.kind, "name": n.name, "inputs": n.inputs, "attributes": _told(n.attributes)}
                for n in self.nodes
            ],
            "result": self.result,
            "arrays": arrays,
        }

    def run(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """What the network gives, in Python, of any number of samples, without the noise that it draws itself."""
        with random.using(Stream(0, "noise")):
            return evaluated(self.network, inputs)[1]


def _read(graph: Graph, nodes: list[Node]) -> Inputs:
    read = {name for node in nodes for name in node.inputs}
    return {name: array for name, array in graph.constants.items() if name in read}


def _constant(bytes_: Bytes, array: np.ndarray) -> dict[str, Any]:
    """A constant is no weight: it is not rounded, and where it is small, it is written as numbers."""
    if array.dtype.kind == "f" and array.size <= FEW and np.isfinite(array).all():
        return {"shape": array.shape, "type": array.dtype.name, "values": array.ravel().tolist()}
    return bytes_.add(array, "float32")


def _told(attributes: dict[str, Any]) -> dict[str, Any]:
    """Attributes as JSON can hold them: types by name, an array with its type."""
    found = {}
    for name, value in attributes.items():
        if isinstance(value, np.dtype):
            value = value.name
        elif isinstance(value, np.ndarray):
            value = {"type": value.dtype.name, "values": value.ravel().tolist()}
        found[name] = value
    return found


def _check(nodes: list[Node]) -> None:
    """NotDescribed names the first node that no page computes, and its layer."""
    known = known_ops()
    for node in nodes:
        layer = node.name.partition("/")[0] or "the network"
        if node.kind not in known:
            raise NotDescribed(f"{layer}: no page computes the op {node.kind}")
        if len(node.attributes.get("kernel_shape", (0, 0))) != 2:
            raise NotDescribed(f"{layer}: a page computes {node.kind} of images only")
