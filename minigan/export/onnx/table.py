"""The table of counterparts: what adds the nodes of an op to a graph, or of a function of arrays beside ops."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...op import OPS
from ..blueprint import NotDescribed
from .graph import Graph, Operand, Undetermined, Varying
from .passes import RANDOM, Array, Origin, Pass

Counterpart = Callable[..., str]
TABLE: dict[Callable[..., Any], tuple[Counterpart, bool]] = {}
"""By the function: what is called with the graph, the result as an Operand without a name, and the arguments.

Beside it whether it takes arguments that are not the same in all traces.
"""


def counterpart(*of: str | Callable[..., Any], varying: bool = False) -> Callable[[Counterpart], Counterpart]:
    """Decorator that puts a function into the table, for ops by name and for functions of arrays."""

    def wrap(function: Counterpart) -> Counterpart:
        for each in of:
            TABLE[OPS[each].forward if isinstance(each, str) else each] = function, varying
        return function

    return wrap


def translated(passes: list[Pass], inputs: list[Operand], noise: bool) -> tuple[Graph, Operand]:
    """(the graph of what the passes of these inputs have in common, the result).

    NotDescribed names an op without counterpart and its layer, Undetermined what depends on sizes in a way that no
    graph computes.
    """
    graph = Graph(noise)
    found = {Origin("input", x.name): x for x in inputs}
    for x in inputs:
        graph.know(x, given=True)
    weights = {a.origin: a for a in _arrays(tuple(call.args for call in passes[0].calls)) if a.origin.kind == "weight"}
    found |= {origin: _operand(str(origin.of), [a] * len(passes)) for origin, a in weights.items()}
    calls = [[one.calls[k] for one in passes] for k in _needed(passes)]
    for same in calls:
        place = f"{same[0].module}/{same[0].name}"
        graph.place = place
        result = _operand("", [call.result for call in same])
        args = [_merged(graph, found, parts) for parts in zip(*(call.args for call in same), strict=True)]
        function, varying = TABLE.get(same[0].function, (None, False))
        if function is None:
            raise NotDescribed(f"{same[0].module}: the op {same[0].name} has no counterpart in ONNX")
        if not varying and any(_varies(arg) for arg in args):
            raise Undetermined(f"{place}: depends on the size of the batch or of images, {args}")
        named = result._replace(name=function(graph, result, *args))
        found[same[0].result.origin] = named
        if same[0].function not in RANDOM:  # whoever asks for a size is not to draw for it
            graph.know(named)
    last = _merged(graph, found, tuple(one.result for one in passes))
    return graph, last


def _needed(passes: list[Pass]) -> list[int]:
    """The numbers of the calls that the result follows from; Undetermined unless all passes are the same calls."""
    kinds = [[(call.function, call.module) for call in one.calls] for one in passes]
    if any(other != kinds[0] for other in kinds[1:]):
        raise Undetermined("the network computes otherwise where a batch or images have another size")
    needed = {passes[0].result.origin.of} if passes[0].result.origin.kind == "call" else set()
    for k in reversed(range(len(passes[0].calls))):
        if k in needed:
            needed |= {a.origin.of for a in _arrays(passes[0].calls[k].args) if a.origin.kind == "call"}
    return sorted(int(k) for k in needed)


def _operand(name: str, arrays: list[Array]) -> Operand:
    return Operand(name, tuple(a.shape for a in arrays), arrays[0].dtype)


def _merged(graph: Graph, found: dict[Origin, Operand], parts: tuple[Any, ...]) -> Any:
    """An argument, which each pass has seen, in terms of the graph."""
    first = parts[0]
    if isinstance(first, Array):
        if first.origin.kind != "constant" and all(part.origin == first.origin for part in parts):
            return found[first.origin]
        contents = [part.content for part in parts if isinstance(part, Array)]
        if any(content is None or not _equal(content, contents[0]) for content in contents):
            raise Undetermined(f"{graph.place}: reads an array that is not the same for all inputs, and no op's result")
        return _operand(graph.constant(first.content), list(parts))
    if isinstance(first, tuple) and all(len(part) == len(first) for part in parts):
        merged = [_merged(graph, found, each) for each in zip(*parts, strict=True)]
        return type(first)(*merged) if hasattr(first, "_fields") else tuple(merged)
    return first if all(_same(first, part) for part in parts[1:]) else Varying(parts)


def _equal(a: Any, b: Any) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def _same(a: Any, b: Any) -> bool:
    """Are two constant arguments the same? Objects, such as matrices with a band, are if all they hold is."""
    if a is b or type(a) is not type(b) or not hasattr(a, "weights"):
        return a is b or (type(a) is type(b) and a == b)
    return a.shape == b.shape and all(_equal(getattr(a, n), getattr(b, n)) for n in ("rows", "columns", "weights"))


def _arrays(x: Any) -> Iterator[Array]:
    if isinstance(x, Array):
        yield x
    elif isinstance(x, tuple):
        for part in x:
            yield from _arrays(part)


def _varies(x: Any) -> bool:
    return isinstance(x, Varying) or (isinstance(x, tuple) and not isinstance(x, Operand) and any(map(_varies, x)))
