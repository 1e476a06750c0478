"""What a thread is doing while ops run, and who is told: recording or not, which derivative, in which module.

An op asks `mode` whether to leave a node, and tells the observer, if there is one.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from .tensor import Node, Tensor, Version


class Cause(NamedTuple):
    """Why the engine runs an op while it takes a gradient."""

    doing: str  # "rule": of the node's op for that argument; "unbroadcast", "add": what it makes of the rule's result
    node: Node
    argument: int
    cotangent: Tensor  # of the node's result: what the rule calls g


class _Mode(threading.local):
    """What this thread is doing: are ops recorded, which order of derivative is being built, in which module."""

    recording = True
    order = 0
    module = ""
    cause: Cause | None = None  # known only while somebody observes
    reads: "Reads | None" = None  # of a block whose results are computed again


mode = _Mode()


class Reads:
    """What the ops of a block have made, and what they have read: nodes, and how often arrays had been written."""

    def __init__(self) -> None:
        self.made: set[Node] = set()
        self.versions: dict[Version, int] = {}

    def note(self, node: Node, args: Iterable[Any]) -> None:
        """An op has made this node of these arguments."""
        self.add(node, {a.version: a.version.count for a in args if isinstance(a, Tensor) and a.version is not None})

    def add(self, node: Node, versions: Mapping[Version, int]) -> None:
        """This node was made of what has these versions."""
        self.made.add(node)
        for version, count in versions.items():
            self.versions.setdefault(version, count)


@contextmanager
def reads_of(reads: Reads) -> Iterator[Reads]:
    """Within the block, this thread's recorded ops are noted there."""
    before, mode.reads = mode.reads, reads
    try:
        yield reads
    finally:
        mode.reads = before


class GradCall(NamedTuple):
    """One call of `grad`: what was asked, and what it found."""

    y: Tensor
    inputs: list[Tensor]
    seed: Tensor  # the cotangent of y that it began with
    given: bool  # whether the caller gave it
    results: list[Tensor | None]  # None where y does not depend on the input
    order: int


Callback = Callable[[Any, tuple, Tensor, int], None]
GradCallback = Callable[[GradCall], None]


class _Watch:
    """Who is told of every op, and of every gradient, in any thread: nobody, or one callback each."""

    callback: Callback | None = None
    gradients: GradCallback | None = None

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._observers: dict[int, tuple[Callback, GradCallback | None]] = {}  # by the thread that observes

    def exchange(self, observer: tuple[Callback, GradCallback | None] | None) -> Any:
        """Have this observer, or none, told in place of the one that this thread had before: which is returned."""
        thread = threading.get_ident()
        with self._lock:
            before = self._observers.pop(thread, None)
            if observer is not None:
                self._observers[thread] = observer
            self.callback = _all([callback for callback, _ in self._observers.values()])
            self.gradients = _all([told for _, told in self._observers.values() if told is not None])
        return before


def _all(callbacks: list[Callable[..., None]]) -> Callable[..., None] | None:
    """What calls each of them; None if there are none."""
    if len(callbacks) < 2:
        return callbacks[0] if callbacks else None

    def tell(*what: Any) -> None:
        for callback in callbacks:
            callback(*what)

    return tell


watch = _Watch()


@contextmanager
def observe(callback: Callback, gradients: GradCallback | None = None) -> Iterator[None]:
    """Within the block, call `callback(op, args, result, order)` after every op, recorded or not, of every thread.

    `order` is 0 for a forward pass, 1 for the pass that `grad` adds, 2 for a gradient of that, and so on;
    `mode.module` is the path of the module that is running, `mode.cause` why `grad` runs the op, None outside of it.
    `gradients(call)` is called after each `grad`. While somebody observes, `grad` adds contributions up by ops instead
    of in place, so that they are seen too, and captured functions are called instead of replayed.
    Of blocks within each other the inner one observes; those of several threads all do.
    """
    before = watch.exchange((callback, gradients))
    try:
        yield
    finally:
        watch.exchange(before)


@contextmanager
def within(module: str) -> Iterator[None]:
    """Within the block, `mode.module` is this module's path, for an observer to read."""
    before, mode.module = mode.module, module
    try:
        yield
    finally:
        mode.module = before


@contextmanager
def recording(on: bool, order: int | None = None) -> Iterator[None]:
    """Within the block, record ops or do not; `order` names the derivative that is being built."""
    before = mode.recording, mode.order, mode.cause
    mode.recording = on
    if order is not None:
        mode.order = order
    try:
        yield
    finally:
        mode.recording, mode.order, mode.cause = before


def no_grad(fn: Callable[..., Any] | None = None) -> Any:
    """A context manager, and a decorator with or without brackets, within which ops leave no graph."""
    return recording(False) if fn is None else recording(False)(fn)


_PASSES = ("forward", "first backward", "second backward", "third backward")


def pass_name(order: int) -> str:
    """forward, first backward, second backward, ..."""
    return _PASSES[order] if order < len(_PASSES) else f"{order}th backward"
