"""Tensor, the `@op` recorder, `no_grad`, and the observer that can watch every op.

Executing an op makes a `Node`: the op, its parents' nodes, and the arrays its rules will read, nothing more.
A Tensor points to its node and a node to its parents, never back, so a graph dies with its last Tensor.
"""

import inspect
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from . import backend
from .backend import Array
from .errors import DeviceError, DTypeError, GraphError, ShapeError

Axis = int | Sequence[int] | None

FLOAT64 = np.dtype(np.float64)
FLOAT32 = np.dtype(np.float32)


class Version:
    """How often an array was written in place, by whom last, and the name it goes by in errors.

    Tensors that share memory (a parameter, its transpose, its detached twin) share one Version.
    """

    __slots__ = ("count", "name", "writer")

    def __init__(self, name: str = "") -> None:
        self.count = 0
        self.name = name
        self.writer = ""


class Node:
    """One executed op as its rules will see it. `op` is None for a leaf: an array that no op made."""

    __slots__ = ("args", "dtype", "op", "order", "output", "parents", "shape", "versions")

    def __init__(self, op: "Op | None", shape: tuple[int, ...], dtype: np.dtype, order: int = 0) -> None:
        self.op = op
        self.shape = shape
        self.dtype = dtype
        self.order = order  # 0 in a forward pass, 1 in the pass that grad() adds, 2 in a second, ...
        self.parents: tuple[Node | None, ...] = ()
        self.args: tuple[Any, ...] = ()
        self.output: Array = None
        self.versions: tuple[tuple[Version, int] | None, ...] = ()


class Tensor:
    """An array that remembers how it was computed.

    Made by `mg.tensor(data)`; arithmetic and NumPy-named methods are bound in `minigan/ops/__init__.py`.
    """

    __slots__ = ("data", "node", "version")
    __array_ufunc__ = None  # so that `numpy_array + tensor` asks the tensor instead of looping over it
    __array_priority__ = 1000

    data: Array
    node: Node | None
    version: Version | None

    def __init__(self, data: Array) -> None:
        self.data = data
        self.node = None
        self.version = Version()

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along each axis."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        """Element type, a numpy.dtype."""
        return self.data.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.data.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.data.size

    @property
    def device(self) -> str:
        """Where the array lives: "cpu" or "cuda"."""
        return backend.device_of(self.data)

    def numpy(self) -> np.ndarray:
        """A copy of the values as a NumPy array, on the host, in C order."""
        return np.array(backend.to_numpy(self.data), order="C")

    def item(self) -> float | int | bool:
        """The value of a one-element tensor as a Python number."""
        if self.data.size != 1:
            raise ShapeError(f"item: expected one element, got a tensor of shape {self.shape}")
        return self.data.item()

    def detach(self) -> "Tensor":
        """The same values, shared, with no history: gradients stop here."""
        out = _tensor(self.data)
        out.version = self.version
        if out.version is None:
            out.version = self.version = Version()
        return out

    def copy_(self, values: "Tensor | Array", by: str = "copy_") -> "Tensor":
        """This tensor, its array overwritten in place by `values` of the same shape; `by` is named in errors."""
        source = values.data if isinstance(values, Tensor) else values
        if tuple(source.shape) != self.shape:
            raise ShapeError(f"{by}: cannot copy shape {tuple(source.shape)} into {self.label()} of {self.shape}")
        self.data[...] = backend.to_device(source, self.device)
        self.written(by)
        return self

    def written(self, by: str) -> None:
        """Note that `by` has changed the array in place. Only leaves may be: a result belongs to its graph."""
        if self.node is not None and self.node.op is not None:
            raise GraphError(f"{by}: cannot write in place into the result of {self.node.op.name}")
        if self.version is None:
            self.version = Version()
        self.version.count += 1
        self.version.writer = by

    def label(self) -> str:
        """The name this tensor goes by in messages, or "a tensor"."""
        return repr(self.version.name) if self.version is not None and self.version.name else "a tensor"

    if TYPE_CHECKING:  # bound in ops/__init__.py, declared here for editors and type checkers
        T: "Tensor"

        def __add__(self, other: Any) -> "Tensor": ...
        def __radd__(self, other: Any) -> "Tensor": ...
        def __sub__(self, other: Any) -> "Tensor": ...
        def __rsub__(self, other: Any) -> "Tensor": ...
        def __mul__(self, other: Any) -> "Tensor": ...
        def __rmul__(self, other: Any) -> "Tensor": ...
        def __truediv__(self, other: Any) -> "Tensor": ...
        def __rtruediv__(self, other: Any) -> "Tensor": ...
        def __pow__(self, other: Any) -> "Tensor": ...
        def __rpow__(self, other: Any) -> "Tensor": ...
        def __matmul__(self, other: Any) -> "Tensor": ...
        def __rmatmul__(self, other: Any) -> "Tensor": ...
        def __gt__(self, other: Any) -> "Tensor": ...
        def __ge__(self, other: Any) -> "Tensor": ...
        def __lt__(self, other: Any) -> "Tensor": ...
        def __le__(self, other: Any) -> "Tensor": ...
        def __neg__(self) -> "Tensor": ...
        def __abs__(self) -> "Tensor": ...
        def __getitem__(self, index: Any) -> "Tensor": ...
        def sum(self, axis: Axis = None, keepdims: bool = False) -> "Tensor": ...
        def mean(self, axis: Axis = None, keepdims: bool = False) -> "Tensor": ...
        def var(self, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> "Tensor": ...
        def max(self, axis: Axis = None, keepdims: bool = False) -> "Tensor": ...
        def min(self, axis: Axis = None, keepdims: bool = False) -> "Tensor": ...
        def reshape(self, *shape: Any) -> "Tensor": ...
        def transpose(self, axes: Sequence[int] | None = None) -> "Tensor": ...
        def permute(self, axes: Sequence[int] | None = None) -> "Tensor": ...
        def squeeze(self, axis: Axis = None) -> "Tensor": ...
        def astype(self, dtype: Any) -> "Tensor": ...
        def to(self, device: str) -> "Tensor": ...

    def __len__(self) -> int:
        if not self.shape:
            raise ShapeError("len: a 0-d tensor has no length")
        return self.shape[0]

    def __bool__(self) -> bool:
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __repr__(self) -> str:
        values = np.array2string(backend.to_numpy(self.data), precision=4, separator=", ", threshold=20, prefix=" " * 7)
        return f"tensor({values}, shape={self.shape}, dtype={self.dtype}, device={self.device})"


def _tensor(array: Array, node: Node | None = None) -> Tensor:
    """A Tensor around an op's result: no version until it is known to be a leaf."""
    out = Tensor.__new__(Tensor)
    out.data = array
    out.node = node
    out.version = None
    return out


def tensor(data: Any, dtype: Any = None, device: str | None = None) -> Tensor:
    """A new Tensor that holds a copy of `data`.

    Python floats become float32; float64 arrays stay float64; integers and booleans keep their kind.
    `data` may be a number, nested lists, a NumPy or CuPy array or a Tensor; `device` defaults to where it is.
    """
    if isinstance(data, Tensor):
        data = data.data
    is_array = isinstance(data, np.ndarray | np.generic) or backend.is_cuda(data)
    lib = backend.xp(data)
    array = lib.array(data)
    if array.dtype.kind not in "biuf":
        raise DTypeError(f"tensor: cannot hold elements of type {array.dtype} ({type(data).__name__})")
    if dtype is None and not is_array and array.dtype.kind == "f":
        dtype = FLOAT32
    if dtype is not None:
        array = array.astype(dtype)
    return Tensor(backend.to_device(array, device or backend.device_of(array)))


def zeros(shape: int | Sequence[int], dtype: Any = FLOAT32, device: str = "cpu") -> Tensor:
    """A tensor of `shape` filled with 0."""
    return Tensor(backend.library(device).zeros(shape, dtype=dtype))


def ones(shape: int | Sequence[int], dtype: Any = FLOAT32, device: str = "cpu") -> Tensor:
    """A tensor of `shape` filled with 1."""
    return Tensor(backend.library(device).ones(shape, dtype=dtype))


def full(shape: int | Sequence[int], value: float, dtype: Any = FLOAT32, device: str = "cpu") -> Tensor:
    """A tensor of `shape` filled with `value`."""
    return Tensor(backend.library(device).full(shape, value, dtype=dtype))


def zeros_like(x: Tensor) -> Tensor:
    """Zeros of the shape, type and device of `x`."""
    return Tensor(backend.xp(x.data).zeros(x.shape, dtype=x.dtype))


def ones_like(x: Tensor) -> Tensor:
    """Ones of the shape, type and device of `x`."""
    return Tensor(backend.xp(x.data).ones(x.shape, dtype=x.dtype))


# --- modes ------------------------------------------------------------------------------------------------


class _Mode(threading.local):
    """What this thread is doing: are ops recorded, which order of derivative is being built, in which module."""

    recording = True
    order = 0
    module = ""


mode = _Mode()

Callback = Callable[["Op", tuple, Tensor, int], None]


class _Watch:
    """Who is told of every op, in any thread: nobody, or one callback."""

    callback: Callback | None = None


watch = _Watch()


@contextmanager
def observe(callback: Callback) -> Iterator[None]:
    """Within the block, call `callback(op, args, result, order)` after every op, recorded or not, of every thread.

    `order` is 0 for a forward pass, 1 for the pass that `grad` adds, 2 for a gradient of that, and so on;
    `mode.module` is the path of the module that is running.
    """
    before, watch.callback = watch.callback, callback
    try:
        yield
    finally:
        watch.callback = before


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
    before = mode.recording, mode.order
    mode.recording = on
    if order is not None:
        mode.order = order
    try:
        yield
    finally:
        mode.recording, mode.order = before


def no_grad() -> Any:
    """A context manager, and a decorator, within which ops leave no graph."""
    return recording(False)


# --- ops --------------------------------------------------------------------------------------------------

OPS: dict[str, "Op"] = {}
"""Every op by name: what the op table checks, the benches time and the documentation lists."""

Rule = Callable[..., Tensor]


class Op:
    """A forward function on arrays, one rule per Tensor argument, and the facts that others read.

    A rule maps (g, y, *args) to the gradient with respect to its argument: g is the cotangent of the result
    y. A parameter whose name starts with "_" is not kept alive; the rule sees only its shape and dtype.
    A rule that is None says the derivative is zero everywhere it exists. A variadic op has a single rule
    that is told the position of its argument first.
    """

    def __init__(
        self,
        forward: Callable[..., Array],
        rules: Sequence[Rule | None],
        *,
        name: str,
        formula: str,
        flops: Callable[..., float],
        domain: tuple[float, float],
        kinks: tuple[float, ...],
        variadic: bool,
    ) -> None:
        self.forward = forward
        self.rules = tuple(rules)
        self.name = name
        self.formula = formula
        self.flops = flops
        self.domain = domain
        self.kinks = kinks
        self.variadic = variadic
        self.__doc__ = forward.__doc__
        self.__name__ = name
        self.__signature__ = inspect.signature(forward)
        # reads[i][j]: does rule i read argument j? The last column stands for the output y.
        reads = [() if rule is None else _reads(rule, variadic) for rule in rules]
        self._rule_reads = reads
        width = max((len(r) - 1 for r in reads if r), default=0)
        self.keeps = tuple(any(r and j < len(r) - 1 and r[j] for r in reads) for j in range(width))
        self.keeps_output = any(r and r[-1] for r in reads)

    def __repr__(self) -> str:
        return f"<op {self.name}: {self.formula}>"

    def rule(self, i: int) -> Rule | None:
        """The rule of argument `i`, or None if the derivative is zero."""
        if self.variadic:
            return self.rules[0]
        return self.rules[i] if i < len(self.rules) else None

    def keep(self, j: int) -> bool:
        """Does any rule read argument `j`?"""
        if self.variadic:
            return self.keeps[0]
        return j < len(self.keeps) and self.keeps[j]

    def rule_reads(self, i: int, j: int) -> bool:
        """Does rule `i` read argument `j`? (-1: the output.)"""
        reads = self._rule_reads[0 if self.variadic else i]
        if j == -1:
            return reads[-1]
        return reads[0] if self.variadic else j < len(reads) - 1 and reads[j]

    def __call__(self, *args: Any) -> Tensor:
        first = None
        arrays = []
        for a in args:
            if isinstance(a, Tensor):
                array = a.data
                if first is None:
                    first = array
                elif array.dtype is not first.dtype or type(array) is not type(first):
                    _check_operands(self.name, args)
                arrays.append(array)
            elif isinstance(a, np.ndarray | np.generic) or backend.is_cuda(a):
                return self(*_promote(args))
            else:
                arrays.append(a)
        if first is None:
            return self(tensor(args[0]), *args[1:])
        try:
            y = self.forward(*arrays)
        except ValueError as error:
            if isinstance(error, ShapeError):
                raise
            shapes = ", ".join(str(a.shape) for a in args if isinstance(a, Tensor))
            raise ShapeError(f"{self.name}: {error} (tensors of shape {shapes})") from error
        if isinstance(y, np.generic):  # NumPy turns 0-d results into scalars
            y = np.asarray(y)
        if y.dtype is FLOAT64 and first.dtype is not FLOAT64 and self.name != "astype" and not _any_float64(arrays):
            y = y.astype(FLOAT32)  # only a float64 makes a float64: integers and Python floats never do
        out = _tensor(y)
        if y.base is not None:
            _share_version(out, args)
        if mode.recording and self.rules and y.dtype.kind == "f":
            out.node = self._record(args, arrays, y)
        if watch.callback is not None:
            watch.callback(self, args, out, mode.order)
        return out

    def _record(self, args: tuple, arrays: list, y: Array) -> Node | None:
        parents: list[Node | None] = []
        kept: list[Any] = []
        versions: list[tuple[Version, int] | None] = []
        recorded = False
        for j, a in enumerate(args):
            parent, keep, version = None, a, None
            if isinstance(a, Tensor) and a.data.dtype.kind == "f":
                parent = a.node
                if parent is None:
                    parent = a.node = Node(None, a.data.shape, a.data.dtype)
                if a.version is None and parent.op is None:
                    a.version = Version()
                recorded = True
                if self.keep(j):
                    keep = arrays[j]
                    if a.version is not None:
                        version = (a.version, a.version.count)
                else:
                    keep = None
            parents.append(parent)
            kept.append(keep)
            versions.append(version)
        if not recorded:
            return None
        node = Node(self, y.shape, y.dtype, mode.order)
        node.parents = tuple(parents)
        node.args = tuple(kept)
        node.versions = tuple(versions)
        if self.keeps_output:
            node.output = y
        return node


def op(
    *rules: Rule | None,
    name: str | None = None,
    formula: str = "",
    flops: Callable[..., float] = lambda y, *args: y.size,
    domain: tuple[float, float] = (-2.0, 2.0),
    kinks: tuple[float, ...] = (),
    variadic: bool = False,
) -> Callable[[Callable[..., Array]], Op]:
    """Decorator that turns a function of arrays into an op: one rule per Tensor argument, in order.

    `formula` is how a text book writes it, `flops` counts its floating-point operations from (y, *arrays),
    `domain` is the interval in which it is tested and `kinks` the points where it has no derivative.
    """

    def wrap(forward: Callable[..., Array]) -> Op:
        made = Op(
            forward,
            rules,
            name=name or forward.__name__,
            formula=formula,
            flops=flops,
            domain=domain,
            kinks=kinks,
            variadic=variadic,
        )
        if made.name in OPS:
            raise ValueError(f"op {made.name!r} is defined twice")
        OPS[made.name] = made
        return made

    return wrap


def call_rule(node: Node, i: int, g: Tensor) -> Tensor | None:
    """The gradient that flows from `node` to its argument `i` for the cotangent `g`; None if it is zero."""
    op = node.op
    assert op is not None
    rule = op.rule(i)
    if rule is None:
        return None
    y: Tensor | Node = _tensor(node.output, node) if op.rule_reads(i, -1) else node
    args: list[Any] = []
    for j, (parent, kept) in enumerate(zip(node.parents, node.args, strict=True)):
        if parent is None:
            args.append(kept)  # a number, a shape, a geometry, or a tensor of integers or booleans
        elif not op.rule_reads(i, j):
            args.append(parent)  # shape and dtype only
        else:
            version = node.versions[j]
            if version is not None:
                _check_unchanged(op, *version)
            x = _tensor(kept, parent)
            x.version = version[0] if version is not None else None
            args.append(x)
    return rule(i, g, y, *args) if op.variadic else rule(g, y, *args)


def _check_unchanged(op: Op, version: Version, count: int) -> None:
    if version.count != count:
        raise GraphError(
            f"gradient of {op.name}: {version.name or 'an unnamed tensor'} was changed in place by {version.writer} "
            "after the forward pass that is being differentiated; take every gradient of a graph before an "
            "optimizer moves what it reads, or run the forward pass again"
        )


def _reads(rule: Rule, variadic: bool) -> tuple[bool, ...]:
    """For each argument of the op, whether `rule` reads it; last, whether it reads the output."""
    names = list(inspect.signature(rule).parameters)
    _g, y, *args = names[1:] if variadic else names
    if variadic:
        args = args[-1:]  # *xs: all alike
    return (*(not a.startswith("_") for a in args), not y.startswith("_"))


def _promote(args: Sequence[Any]) -> list[Any]:
    """`args` with bare arrays made Tensors and NumPy scalars made Python numbers (which never widen a dtype)."""
    plain = (a.item() if isinstance(a, np.generic) else a for a in args)
    return [Tensor(a) if isinstance(a, np.ndarray) or backend.is_cuda(a) else a for a in plain]


def _any_float64(arrays: list) -> bool:
    return any(getattr(a, "dtype", FLOAT32) == FLOAT64 for a in arrays)


def _share_version(out: Tensor, args: tuple) -> None:
    """A view of a leaf's memory is changed when the leaf is, so it shares the leaf's version."""
    for a in args:
        if isinstance(a, Tensor) and (out.data.base is a.data or out.data.base is a.data.base is not None):
            if a.version is None and a.node is None:
                a.version = Version()
            out.version = a.version
            return


def _check_operands(name: str, args: tuple) -> None:
    """Raise if the tensors among `args` live on two devices or have two float widths."""
    tensors = [a for a in args if isinstance(a, Tensor)]
    devices = [t.device for t in tensors]
    if len(set(devices)) > 1:
        found = ", ".join(f"{t.shape} on {d}" for t, d in zip(tensors, devices, strict=True))
        raise DeviceError(f"{name}: operands are on different devices ({found}); move one with .to(device)")
    floats = [t for t in tensors if t.dtype.kind == "f"]
    if len({t.dtype for t in floats}) > 1:
        found = ", ".join(f"{t.shape} {t.dtype}" for t in floats)
        raise DTypeError(f"{name}: operands have different float widths ({found}); convert one with .astype(dtype)")
