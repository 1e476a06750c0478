"""Networks as ONNX models, and what onnxruntime computes of them."""

import pytest

from minigan import random
from minigan.export.onnx.file import content
from minigan.export.onnx.graph import Operand
from minigan.export.onnx.model import translated  # with the table of counterparts filled
from minigan.export.onnx.passes import evaluated

REASON = "needs onnx and onnxruntime: pip install 'minigan[onnx]'"
onnx = pytest.importorskip("onnx", reason=REASON)
onnxruntime = pytest.importorskip("onnxruntime", reason=REASON)


def session(model):
    """onnxruntime's, of a model in a file or in memory."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def computed(model, inputs):
    """What onnxruntime makes of inputs by name."""
    (result,) = session(model).run(None, inputs)
    return result


def expected(network, inputs):
    """What the network makes of them, without noise."""
    with random.using(random.Stream(0, "noise")):
        return evaluated(network, inputs)[1]


def traced(network, several, noise=False):
    """The model of a network that was applied to these inputs by name, one after the other."""
    passes = [evaluated(network, inputs)[0] for inputs in several]
    operands = [Operand(name, tuple(each[name].shape for each in several), x.dtype) for name, x in several[0].items()]
    graph, result = translated(passes, operands, noise)
    return content(graph, operands, result, {name: t.data for name, t in network.named_tensors()})
