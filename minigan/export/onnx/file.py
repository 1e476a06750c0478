"""A graph as the content of a file: what goes in and out by name, weights, and what is told beside it."""

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import CheckpointError, MissingExtra
from ...system.machine import __version__
from ..generator import LATENTS, Generator
from .graph import Graph, Operand, Vector

OPSET, IR = 17, 8
"""The versions of the operators and of the file, which onnxruntime reads from 1.12 on."""
MOST = 2**31 - 2**20  # bytes of weights in a file, which cannot have 2 GB
INSTALL = "pip install 'minigan[onnx]'"


def library(name: str) -> Any:
    """onnx or onnxruntime; MissingExtra with the command that installs what is not there."""
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtra(f"a model in ONNX needs {name} ({error}): {INSTALL}") from None


def content(
    graph: Graph,
    inputs: list[Operand],
    result: Operand,
    weights: Mapping[str, np.ndarray],
    out: str = "result",
    told: Mapping[str, str] | None = None,
) -> bytes:
    """The model, after onnx has checked it: a graph of inputs and weights by name, whose result goes by the name `out`.

    `told` are its metadata. CheckpointError if it is too large for one file.
    """
    onnx = library("onnx")
    helper, tensor = onnx.helper, onnx.numpy_helper.from_array
    nodes = graph.needed(result.name)
    read = {name for node in nodes for name in node.inputs} | {result.name}
    arrays = {name: array for name, array in [*weights.items(), *graph.constants.items()] if name in read}
    if sum(array.nbytes for array in arrays.values()) > MOST:
        raise CheckpointError("its weights are more than 2 GB, which no file in ONNX holds")
    named = _names(inputs)
    model = helper.make_model(
        helper.make_graph(
            [
                *(_node(onnx, node.kind, node.inputs, node.name, node.attributes) for node in nodes),
                helper.make_node("Identity", [result.name], [out], out),
            ],
            "minigan",
            [_value(onnx, x.name, x, named) for x in inputs],
            [_value(onnx, out, result, named)],
            [tensor(np.asarray(array, order="C"), name) for name, array in arrays.items()],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR,
        producer_name="minigan",
        producer_version=__version__,
    )
    helper.set_model_props(model, dict(told or {}))
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def metadata(generator: Generator) -> dict[str, str]:
    """What a program needs to know beside the model, as texts; JSON but for the version."""
    latent = generator.latent
    kind = next((name for name, each in LATENTS.items() if type(latent) is each), type(latent).__name__)
    told = {
        "latent": {"kind": kind, **{name: str(v) if name == "dtype" else v for name, v in vars(latent).items()}},
        "range": [-1, 1],
        "classes": generator.classes,
        "counts": generator.counts,
        "words": None if generator.texts is None else list(generator.texts.vocabulary.words),
        "about": generator.about,
    }
    return {"minigan": __version__} | {name: json.dumps(value) for name, value in told.items() if value is not None}


def signature(path: Path) -> dict[str, dict[str, list[int | str]]]:
    """{"inputs": {name: shape}, "outputs": {name: shape}} of a model in a file; sizes that may be any have names."""
    graph = library("onnx").load(path).graph
    return {
        kind: {x.name: [d.dim_param or d.dim_value for d in x.type.tensor_type.shape.dim] for x in values}
        for kind, values in (("inputs", graph.input), ("outputs", graph.output))
    }


def _names(inputs: list[Operand]) -> dict[Vector, str]:
    """How sizes that may be any are called."""
    found: dict[Vector, str] = {}
    for x in inputs:
        for axis, size in enumerate(x.sizes):
            if not x.fixed(axis):
                found.setdefault(size, ("batch", "channels", "height", "width")[axis])
    return found


def _value(onnx: Any, name: str, x: Operand, named: dict[Vector, str]) -> Any:
    """An input or the output, with names for the sizes that may be any."""
    sides = [
        size[0] if x.fixed(axis) else named.get(size, f"{name}_{('batch', 'channels', 'height', 'width')[axis]}")
        for axis, size in enumerate(x.sizes)
    ]
    return onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(x.dtype), sides)


def _node(onnx: Any, kind: str, inputs: tuple[str, ...], name: str, attributes: dict[str, Any]) -> Any:
    """A node, its attributes in ONNX's terms."""

    def told(value: Any) -> Any:
        if isinstance(value, np.dtype):
            return onnx.helper.np_dtype_to_tensor_dtype(value)
        return onnx.numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value

    return onnx.helper.make_node(kind, inputs, [name], name, **{key: told(v) for key, v in attributes.items()})
