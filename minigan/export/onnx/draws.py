"""Counterparts of functions of arrays that are no ops: random draws, masks of dropout, what labels and texts become.

What is drawn is drawn by the model too, with other values than minigan's; or left out, where the graph is without
noise: normal noise is its mean then, and dropout keeps all.
"""

from typing import Any

import numpy as np

from ...kernels import draws
from ...models.labels import _one_hot
from ...models.text import _counted, _there
from ...nn.layers import _kept
from .graph import FLOAT32, INT64, Graph, Operand
from .table import counterpart


def _filled(g: Graph, y: Operand, value: float) -> str:
    return g.add("ConstantOfShape", g.shape(y.sizes), value=np.array([value], y.dtype))


@counterpart(draws.normal, varying=True)
def _normal(g: Graph, y: Operand, _draw: Any, _n: Any, mean: float, std: float, _dtype: Any) -> str:
    if not g.noise:
        return _filled(g, y, mean)
    return g.add("RandomNormalLike", _filled(g, y, 0.0), mean=mean, scale=std, dtype=y.dtype)


@counterpart(draws.uniform, varying=True)
def _uniform(g: Graph, y: Operand, _draw: Any, _n: Any, low: float, high: float, _dtype: Any) -> str:
    return g.add("RandomUniformLike", _filled(g, y, 0.0), low=low, high=high, dtype=y.dtype)


@counterpart(_kept)
def _mask(g: Graph, y: Operand, drawn: Operand, p: float) -> str:
    if not g.noise:
        return _filled(g, y, 1.0)
    kept = g.add("GreaterOrEqual", drawn.name, g.constant(p, y.dtype))
    return g.add("Mul", g.add("Cast", kept, to=y.dtype), g.constant(1 / (1 - p), y.dtype))


@counterpart(_one_hot)
def _of_labels(g: Graph, y: Operand, labels: Operand, classes: int, _dtype: Any) -> str:
    column = g.add("Unsqueeze", g.cast(labels, INT64), g.constant([1], INT64))
    return g.add("Cast", g.add("Equal", column, g.constant(np.arange(classes), INT64)), to=y.dtype)


@counterpart(_there)
def _of_words(g: Graph, y: Operand, tokens: Operand, _dtype: Any) -> str:
    words = g.add("Not", g.add("Equal", tokens.name, g.constant(0, tokens.dtype)))
    return g.add("Unsqueeze", g.add("Cast", words, to=y.dtype), g.constant([-1], INT64))


@counterpart(_counted)
def _number_of_words(g: Graph, y: Operand, there: Operand) -> str:
    count = g.add("ReduceSum", g.cast(there, FLOAT32), g.constant([1], INT64), keepdims=0)
    return g.add("Max", count, g.constant(1, y.dtype))
