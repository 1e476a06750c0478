"""Tensor: an array that remembers how it was computed, and the nodes in which it remembers.

A Node holds the op that was executed, its parents' nodes, and the arrays its rules will read, nothing more.
A Tensor points to its node and a node to its parents, never back, so a graph dies with its last Tensor.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import setitem
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from . import backend
from .backend import FLOAT32, FLOAT64, NUMBERS, Array, as_dtype, as_shape, native
from .errors import DeviceError, DTypeError, GraphError, ShapeError, described
from .kernels.calls import done, made
from .system.hints import hinted

Axis = int | Sequence[int] | None

NUMBER_TYPES: frozenset[type] = frozenset({bool, int, float})


class Version:
    """How often an array was written in place, by whom last, and the name it goes by in errors.

    Tensors that share memory (a parameter, its transpose, its detached twin) share one Version.
    """

    __slots__ = ("count", "name", "result_of", "writer")
    order = 0  # of the node of a leaf with this version

    def __init__(self, name: str = "", result_of: str = "") -> None:
        self.count = 0
        self.name = name
        self.writer = ""
        self.result_of = result_of  # the op whose result this memory is: nobody may write there


class Unrecorded(Version):
    """The Version of a gradient that was taken without `create_graph`."""

    __slots__ = ()
    order = 1


class Node:
    """One executed op (an `Op`) as its rules will see it. `op` is None for a leaf: an array that no op made.

    The order of a leaf is 0, or 1 if it is a gradient that was not recorded.
    """

    __slots__ = ("args", "dtype", "op", "order", "output", "parents", "shape", "versions")

    def __init__(self, op: Any, shape: tuple[int, ...], dtype: np.dtype, order: int = 0) -> None:
        self.op = op
        self.shape = shape
        self.dtype = dtype
        self.order = order  # 0 in a forward pass, 1 in the pass that grad() adds, 2 in a second, ...
        self.parents: tuple[Node | None, ...] = ()
        self.args: tuple[Any, ...] = ()
        self.output: Array = None
        self.versions: tuple[tuple[Version, int] | None, ...] = ()


class _Changes(threading.local):
    """Who is told of every change in place in this thread: nobody, or one list."""

    log: "list[tuple[Tensor, str]] | None" = None


_changes = _Changes()


@contextmanager
def writes(log: "list[tuple[Tensor, str]]") -> Iterator[None]:
    """Within the block, append (tensor, who) to `log` for every change in place that this thread makes."""
    before, _changes.log = _changes.log, log
    try:
        yield
    finally:
        _changes.log = before


@hinted("Tensor")
class Tensor:
    """An array that remembers how it was computed.

    Made by `mg.tensor(data)`; arithmetic and NumPy-named methods are bound in `minigan/ops/__init__.py`. A copy by
    `copy` or `pickle` has the values in memory of its own, and no history: graphs are not copied.
    """

    __slots__ = ("data", "node", "version")

    data: Array
    node: Node | None
    version: Version | None

    def __init__(self, data: Array) -> None:
        known = type(data) is np.ndarray and (data.dtype is FLOAT32 or data.dtype is FLOAT64)
        self.data = data if known else native("Tensor", data)
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
        backend.reads_back(self.data)
        return self.data.item()

    def detach(self) -> "Tensor":
        """The same values, shared, with no history: gradients stop here."""
        out = _tensor(self.data)
        if self.version is None:
            self.version = Version(result_of="" if self.node is None or self.node.op is None else self.node.op.name)
        out.version = self.version
        return out

    def copy_(self, values: Any, by: str = "copy_") -> "Tensor":
        """This tensor, its array overwritten in place by `values` of the same shape; `by` is named in errors."""
        self.check_writable(by)
        # an array is read here and no more, so that it need not be copied first, as `as_tensor` does
        source = native(by, values) if backend.is_array(values) else as_tensor(values, by, width([self])).data
        if source.shape != self.shape:
            raise ShapeError(f"{by}: cannot copy shape {source.shape} into {self.label()} of {self.shape}")
        done(setitem, self.data, ..., backend.to_device(source, self.device))
        self.written(by)
        return self

    def check_writable(self, by: str) -> None:
        """GraphError unless `by` may write here: only into leaves, because a result belongs to its graph.

        Nor into memory that its owner has lent to be read (`from_dlpack`).
        """
        if made_by := self._made_by():
            raise GraphError(f"{by}: cannot write in place into the result of {made_by}")
        if isinstance(self.data, np.ndarray) and not self.data.flags.writeable:
            raise GraphError(f"{by}: cannot write in place into {self.label()} {self.shape}, whose memory is read-only")

    def _made_by(self) -> str:
        """The op whose result this is, "" for a leaf."""
        if self.node is not None and self.node.op is not None:
            return str(self.node.op.name)
        return self.version.result_of if self.version is not None else ""

    def written(self, by: str) -> None:
        """Note that `by` has changed the array in place."""
        if self.version is None:
            self.version = Version()
        self.version.count += 1
        self.version.writer = by
        if _changes.log is not None:
            _changes.log.append((self, by))

    def label(self) -> str:
        """The name this tensor goes by in messages, or "a tensor"."""
        return repr(self._name()) if self._name() else "a tensor"

    if TYPE_CHECKING:  # bound in ops/__init__.py, declared here for editors and type checkers
        T: "Tensor"
        __array_ufunc__: Any

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
        def std(self, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> "Tensor": ...
        def max(self, axis: Axis = None, keepdims: bool = False) -> "Tensor": ...
        def min(self, axis: Axis = None, keepdims: bool = False) -> "Tensor": ...
        def prod(self, axis: Axis = None, keepdims: bool = False) -> "Tensor": ...
        def any(self, axis: Axis = None, keepdims: bool = False) -> "Tensor": ...
        def all(self, axis: Axis = None, keepdims: bool = False) -> "Tensor": ...
        def argmax(self, axis: int | None = None, keepdims: bool = False) -> "Tensor": ...
        def argmin(self, axis: int | None = None, keepdims: bool = False) -> "Tensor": ...
        def argsort(self, axis: int = -1, descending: bool = False) -> "Tensor": ...
        def cumsum(self, axis: int | None = None) -> "Tensor": ...
        def round(self, decimals: int = 0) -> "Tensor": ...
        def repeat(self, repeats: int | Sequence[int], axis: int | None = None) -> "Tensor": ...
        def swapaxes(self, axis1: int, axis2: int) -> "Tensor": ...
        def reshape(self, *shape: Any) -> "Tensor": ...
        def transpose(self, *axes: Any) -> "Tensor": ...
        def permute(self, *axes: Any) -> "Tensor": ...
        def squeeze(self, axis: Axis = None) -> "Tensor": ...
        def astype(self, dtype: Any) -> "Tensor": ...
        def to(self, device: str) -> "Tensor": ...

    def __len__(self) -> int:
        if not self.shape:
            raise ShapeError("len: a 0-d tensor has no length")
        return self.shape[0]

    def __iter__(self) -> "Iterator[Tensor]":
        return (self[i] for i in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self.device != "cpu":
            raise DeviceError("a tensor on cuda is not converted implicitly; call .numpy()")
        return self.numpy() if dtype is None else self.numpy().astype(dtype)

    def __dlpack__(self, **asked: Any) -> Any:
        """The values for another library, in the same memory: torch.from_dlpack(x), numpy.from_dlpack(x).

        What is a result of ops is lent to be read; a leaf may be written to, which `x.written(by)` then has to be told.
        A library that does not know read-only memory gets a BufferError from NumPy.
        """
        return self._lent().__dlpack__(**asked)

    def __dlpack_device__(self) -> tuple[int, int]:
        """The kind of the device and its number, as DLPack counts them."""
        return self.data.__dlpack_device__()

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """Where the values lie on a GPU, for other libraries; AttributeError on the cpu."""
        if self.device != "cuda":
            raise AttributeError(f"__cuda_array_interface__: a tensor on the {self.device} has none")
        about = dict(self.data.__cuda_array_interface__)
        return {**about, "data": (about["data"][0], bool(self._made_by()))}

    def _lent(self) -> Array:
        """The array as another library may have it: read-only if it is a result, where arrays know that."""
        backend.reads_back(self.data)
        if not self._made_by() or not isinstance(self.data, np.ndarray):
            return self.data
        view = self.data.view()
        view.flags.writeable = False
        return view

    def __bool__(self) -> bool:
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.shape or self.dtype.kind not in "iu":
            raise DTypeError(f"index: expected a 0-d tensor of integers, got {self.dtype} of shape {self.shape}")
        return int(self.item())

    def __format__(self, spec: str) -> str:
        if spec and self.size != 1:
            raise ShapeError(f"format: {spec!r} is for one number, got a tensor of shape {self.shape}")
        return format(self.item(), spec) if spec else str(self)

    def __copy__(self) -> Self:
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return _twin(type(self), backend.xp(self.data).array(self.data), range(self.ndim), self._name())

    def __reduce__(self) -> tuple:
        return _twin, (type(self), *backend.in_memory_order(self.data), self._name())

    def _name(self) -> str:
        return "" if self.version is None else self.version.name

    def __setitem__(self, index: Any, values: Any) -> None:
        raise DTypeError("a Tensor is not changed at an index; write mg.where(mask, values, x), or x.copy_(all_values)")

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


def _twin(kind: Any, array: Array, axes: Sequence[int], name: str) -> Any:
    """A leaf of that kind of Tensor, around `array` with its axes permuted: what `copy` and `pickle` make."""
    out = kind.__new__(kind)
    out.data, out.node, out.version = native(kind.__name__, array).transpose(axes), None, Version(name)
    return out


# --- from numbers, lists and arrays --------------------------------------------------------------------------


def tensor(data: Any, dtype: Any = None, device: str | None = None) -> Tensor:
    """A new Tensor that holds a copy of `data`.

    Python floats become float32; float64 arrays stay float64; integers and booleans keep their kind.
    `data` may be a number, nested lists, a NumPy or CuPy array, a Tensor, or another library's array that NumPy can
    read; `device` defaults to where it is. Lists of Tensors give their values (`stack` keeps their history). Raises
    ShapeError for lists of unequal length, DTypeError for what is neither numbers nor booleans.
    """
    if isinstance(data, Tensor):
        data = data.data
    is_array = backend.is_array(data)
    try:
        array = backend.xp(data).array(data)
    except ValueError as error:
        raise ShapeError(f"tensor: {error}") from error
    except (TypeError, RuntimeError) as error:  # arrays of other libraries, of another device or with a history
        raise DTypeError(f"tensor: cannot read {described(data)}: {error}") from error
    if array.dtype.kind not in NUMBERS:
        raise DTypeError(f"tensor: cannot hold elements of type {array.dtype} ({type(data).__name__})")
    if dtype is None and not is_array and array.dtype.kind == "f":
        dtype = FLOAT32
    if dtype is not None:
        array = array.astype(as_dtype("tensor", dtype))
    return Tensor(backend.to_device(array, backend.device_of(array) if device is None else device))


def from_dlpack(x: Any) -> Tensor:
    """A Tensor in the memory of another library's array, that of PyTorch, JAX or CuPy say: a leaf, without a copy.

    Changes are seen on both sides. minigan notes those that it makes; who makes others calls `written` before a
    gradient is taken. Memory that is lent read-only is not written to. DTypeError for what does not speak DLPack (the
    Python array API's __dlpack__), has no device that minigan knows, or no numbers of a type that it has.
    """
    if not hasattr(x, "__dlpack__") or not hasattr(x, "__dlpack_device__"):
        raise DTypeError(f"from_dlpack: expected an array of another library, got {described(x)}")
    device = _DLPACK_DEVICES.get(int(x.__dlpack_device__()[0]))
    if device is None:
        raise DTypeError(f"from_dlpack: {described(x)} is on a device of kind {x.__dlpack_device__()[0]}, unknown here")
    try:
        array = backend.array_module(device).from_dlpack(x)
    except (BufferError, TypeError, RuntimeError, ValueError) as error:
        raise DTypeError(f"from_dlpack: cannot take {described(x)}: {error}") from error
    if array.dtype.kind not in NUMBERS:
        raise DTypeError(f"from_dlpack: cannot hold elements of type {array.dtype} ({described(x)})")
    return Tensor(array)


_DLPACK_DEVICES = {1: "cpu", 2: "cuda"}  # kDLCPU, kDLCUDA


def as_tensor(x: Any, name: str, floats: np.dtype = FLOAT32) -> Tensor:
    """x as an argument of the function `name`: itself if it is a Tensor, a copy of an array or of numbers in lists.

    A copy, because a gradient may read it after its owner has changed it, which only a Tensor takes note of. Python's
    floats become `floats`. DTypeError for anything else: other libraries' arrays, which `mg.tensor` copies; lists of
    Tensors, which `stack` joins; modules.
    """
    if isinstance(x, Tensor):
        return x
    if backend.is_array(x):
        return Tensor(native(name, backend.xp(x).array(x)))
    told = ""
    if isinstance(x, int | float | list | tuple):
        leaves = list(_leaves(x))
        if all(isinstance(leaf, int | float | np.ndarray | np.generic) for leaf in leaves):
            made = tensor(x)
            return tensor(x, floats) if made.dtype is FLOAT32 and floats is not FLOAT32 else made  # not rounded twice
        if any(isinstance(leaf, Tensor) for leaf in leaves):
            told = "; mg.stack and mg.concatenate join Tensors"
    elif hasattr(x, "__array__") and not isinstance(x, type):
        told = "; mg.tensor(...) makes a Tensor of it"
    raise DTypeError(f"{name}: expected a Tensor, an array, numbers or lists of numbers, got {described(x)}{told}")


def width(args: Iterable[Any]) -> np.dtype:
    """The type of the first float Tensor or array among `args`, float32 if there is none."""
    return next((a.dtype for a in args if isinstance(a, Tensor | np.ndarray) and a.dtype.kind == "f"), FLOAT32)


def _leaves(xs: Any) -> Iterator[Any]:
    """What nested lists hold."""
    if isinstance(xs, list | tuple):
        for x in xs:
            yield from _leaves(x)
    else:
        yield xs


def node_of(t: Tensor) -> Node:
    """The node of t; a leaf's is made when it is first needed."""
    if t.node is None:
        if t.version is None:
            t.version = Version()
        t.node = Node(None, t.data.shape, t.data.dtype, t.version.order)
    return t.node


def mapped(tree: Any, change: Callable[[Any], Any]) -> Any:
    """A tree of tuples, named tuples, lists and dicts with each of its leaves changed."""
    if isinstance(tree, dict):
        return {key: mapped(value, change) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        values = [mapped(value, change) for value in tree]
        return type(tree)(*values) if hasattr(tree, "_fields") else type(tree)(values)
    return change(tree)


def zeros(shape: int | Sequence[int], dtype: Any = FLOAT32, device: str = "cpu") -> Tensor:
    """A tensor of `shape` filled with 0."""
    return _filled("zeros", shape, 0, dtype, device)


def ones(shape: int | Sequence[int], dtype: Any = FLOAT32, device: str = "cpu") -> Tensor:
    """A tensor of `shape` filled with 1."""
    return _filled("ones", shape, 1, dtype, device)


def full(shape: int | Sequence[int], value: float, dtype: Any = FLOAT32, device: str = "cpu") -> Tensor:
    """A tensor of `shape` filled with `value`."""
    return _filled("full", shape, value, dtype, device)


def _filled(name: str, shape: Any, value: Any, dtype: Any, device: str) -> Tensor:
    if not isinstance(value, int | float):
        value = as_tensor(value, name).data
    if isinstance(dtype, int):
        raise ShapeError(f"{name}: a shape is one argument: {name}(({shape!r}, {dtype!r}))")
    lib = backend.array_module(device)
    return Tensor(made(lib.full, as_shape(name, shape), value, as_dtype(name, dtype)))


def zeros_like(x: Tensor) -> Tensor:
    """Zeros of the shape, type and device of `x`."""
    x = as_tensor(x, "zeros_like")
    return Tensor(made(backend.xp(x.data).zeros, x.shape, x.dtype))


def ones_like(x: Tensor) -> Tensor:
    """Ones of the shape, type and device of `x`."""
    x = as_tensor(x, "ones_like")
    return Tensor(made(backend.xp(x.data).ones, x.shape, x.dtype))
