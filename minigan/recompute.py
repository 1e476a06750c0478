"""Blocks whose inner results are not kept for the gradient, but computed again when it is taken (Chen et al. 2016).

A Node of such a block holds what the block read from outside, no more. Its gradient is that of the block, done again
and recorded. If that is itself to be differentiated, it is a block too: what a gradient penalty needs is computed again
as well, and so on to any order.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from .errors import DTypeError, GraphError, described
from .grad import pulled_back
from .op import changed
from .ops.shape import concatenate, getitem, reshape
from .recording import Reads, mode, reads_of, recording
from .system.once import Memory
from .tensor import Node, Tensor, _tensor, writes


def checkpoint(fn: Callable[..., Any]) -> Callable[..., Any]:
    """fn, which is computed again when a gradient through it is taken, instead of keeping what is computed within it.

        block = mg.checkpoint(lambda x: layers(x))

    Of a chain of n such blocks a step keeps what lies between them, and in its turn what one of them computes; it takes
    one more forward pass (Chen et al. 2016, "Training deep nets with sublinear memory cost"). `fn` gives a Tensor, or
    a tuple of Tensors of one type. Gradients flow to its arguments and to whatever else it reads, of any order. It may
    draw random numbers and move running statistics: done again it draws the same ones and moves none.

    What it reads has to be the same when the gradient is taken: GraphError if a Tensor was changed in place in between,
    or if, done again, it reads others. As a decorator or a call; `nn.checkpointed` is the same for a layer.
    """

    @functools.wraps(fn)
    def called(*args: Any, **options: Any) -> Any:
        if not mode.recording:
            return fn(*args, **options)
        return _Block(functools.partial(fn, *args, **options)).first()

    return called


class _Block:
    """One call of a function that is done again for each gradient through it; what a Node holds in place of an op."""

    name = "checkpoint"
    formula = "computed again for its gradient"

    def __init__(self, fn: Callable[[], Any]) -> None:
        self._fn = fn
        self._memory = Memory()
        self._order = mode.order
        self._read: tuple[Node, ...] = ()  # from outside: the parents of the node
        self._versions: list[tuple[Any, int]] = []  # of all that was read, and how often each had been written

    def first(self) -> Any:
        """What the function gives, recorded as one node."""
        with reads_of(Reads()) as reads, self._memory.remembering():
            result = self._fn()
            y, shapes = _packed(result)
        if y is None or y.node not in reads.made:
            return result  # nothing was computed of what has gradients
        out = _tensor(y.data)
        out.version = y.version
        out.node = node = Node(self, y.shape, y.dtype, self._order)
        node.parents = self._read = _reached(y.node, reads)
        self._versions = list(reads.versions.items())
        if mode.reads is not None:
            mode.reads.add(node, reads.versions)
        return out if shapes is None else _parted(out, shapes)

    def gradients(self, g: Tensor, wanted: Sequence[int]) -> dict[int, Tensor]:
        """Of the parents of those numbers, for the cotangent g of the result, where they are not zero.

        They are recorded if `mode` says so.
        """
        reached: list[int] = []
        pull = functools.partial(self._pulled, g, wanted, reached)
        found = _Block(pull).first() if mode.recording else pull()
        return dict(zip(reached, found, strict=True))

    def _pulled(self, g: Tensor, wanted: Sequence[int], reached: list[int]) -> tuple[Tensor, ...]:
        """The gradients that are not zero; `reached` becomes their numbers."""
        for version, count in self._versions:
            if version.count != count:
                raise changed(self.name, version)
        create_graph = mode.recording
        log: list[tuple[Tensor, str]] = []
        with recording(True, self._order), self._memory.recalling(), writes(log):
            again, _ = _packed(self._fn())
        if log:
            raise GraphError(
                f"checkpoint: the function changes a Tensor in place ({log[0][1]}), and does so again for its gradient"
            )
        found = pulled_back(again, [self._read[i] for i in wanted], g, create_graph=create_graph)
        reached[:] = [i for i, t in zip(wanted, found, strict=True) if t is not None]
        return tuple(t for t in found if t is not None)


def _reached(root: Node, reads: Reads) -> tuple[Node, ...]:
    """The nodes outside of a block that its result `root` depends on, in the order in which they are found."""
    found: dict[Node, None] = {}
    seen, stack = {root}, [root]
    while stack:
        for parent in stack.pop().parents:
            if parent is None or parent in seen:
                continue
            seen.add(parent)
            if parent in reads.made:
                stack.append(parent)
            else:
                found[parent] = None
    return tuple(found)


def _packed(result: Any) -> tuple[Tensor | None, list[tuple[int, ...]] | None]:
    """A function's result as one Tensor, and the shapes that it is made of if it is a tuple."""
    if isinstance(result, Tensor):
        return result, None
    if not isinstance(result, tuple) or not all(isinstance(t, Tensor) and t.dtype == result[0].dtype for t in result):
        raise DTypeError(f"checkpoint: expected a Tensor, or a tuple of Tensors of one type, got {described(result)}")
    if not result:
        return None, []
    return concatenate([reshape(t, (t.size,)) for t in result]), [t.shape for t in result]


def _parted(packed: Tensor, shapes: list[tuple[int, ...]]) -> tuple[Tensor, ...]:
    """What `_packed` has put together."""
    found, begin = [], 0
    for shape in shapes:
        size = math.prod(shape)
        found.append(reshape(getitem(packed, slice(begin, begin + size)), shape))
        begin += size
    return tuple(found)
