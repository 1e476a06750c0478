"""A strict stand-in for CuPy on machines without a GPU: NumPy underneath, CuPy's rules on top.

It refuses what CuPy refuses (implicit conversion in either direction, lists in ufuncs, names that CuPy does not
have) and what CuPy leaves undefined (assignment through repeated indices, integer indices out of bounds). It
counts the transfers that would make a GPU wait. `install(monkeypatch)` makes it what `import cupy` finds.
Streams, graphs and kernels are in fakecuda.py, cuBLAS in fakecublas.py.
"""

import operator
import re
import sys
import types
from pathlib import Path

import fakecublas
import fakecuda
import numpy as np
from fakecuda import Work, counts, device

_SECTIONS = re.split(r"^\[(.*)\]\n", Path(__file__).with_name("cupy_names.txt").read_text(), flags=re.M)
NAMES = {name: frozenset(text.split()) for name, text in zip(_SECTIONS[1::2], _SECTIONS[2::2], strict=True)}

THROUGH_CUBLAS = {"matmul", "dot", "vdot", "inner", "outer", "tensordot", "einsum", "kron"}
IN_C_ORDER = {"where", "clip"}  # that are ufuncs in CuPy
JOINING = {"concatenate", "stack"}
IN_PLACE = {"fill", "sort", "partition", "put"}


def _host(value, where):
    """`value` with device arrays unwrapped; TypeError for a host array, which CuPy never converts."""
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, np.ndarray | np.generic) and not isinstance(value, np.dtype):
        raise TypeError(f"{where}: unsupported type {type(value)} (CuPy converts nothing implicitly)")
    if isinstance(value, tuple):
        return tuple(_host(v, where) for v in value)
    if isinstance(value, list):
        return [_host(v, where) for v in value]
    return value


def _call(where, function, *args, changes=None, **kwargs):
    """function(*args) on the host arrays behind device arrays; a result that is a view remembers whose.

    `changes` is the array that the function writes into, if it is not `out`.
    """
    inputs = [a for a in (*args, *kwargs.values()) if isinstance(a, ndarray)]
    inputs += [a for arg in args if isinstance(arg, list | tuple) for a in arg if isinstance(a, ndarray)]
    hosts, named = [_host(a, where) for a in args], {k: _host(v, where) for k, v in kwargs.items()}
    changed = kwargs.get("out", changes)
    if changed is not None:
        turned = _turned(changed._host, [a._host for a in inputs if a is not changed])
        device.work(Work(where, lambda: function(*hosts, **named), turned), changed._host)
        return changed
    result = function(*hosts, **named)
    if isinstance(result, list | tuple):
        return type(result)(_device(r, inputs) for r in result)
    made = _device(result, inputs)
    if isinstance(made, ndarray) and made.base is None:
        host = made._host  # `made` itself dies, and its memory with it, as on a device
        if where not in ("empty", "empty_like"):
            turned = _turned(host, [a._host for a in inputs])
            device.note(Work(where, lambda: host.__setitem__(..., function(*hosts, **named)), turned))
        elif host.dtype.kind == "f" and not device.idle:
            host.fill(np.nan)  # what is read before it is written shows
    return made


def _turned(target, sources):
    """The bytes of `target`, if it lies in another memory order than one of what it is made of; else 0."""
    return max((target.nbytes for source in sources if _order_differs(target, source)), default=0)


def _order_differs(target, source):
    if target.ndim != source.ndim:
        return target.size == source.size > 1  # a reshape that is no view
    alike = [a for a in range(target.ndim) if target.shape[a] > 1 and source.strides[a] and source.shape[a] > 1]
    orders = [sorted(alike, key=lambda a, x=x: -x.strides[a]) for x in (target, source)]
    return orders[0] != orders[1]


def _device(result, inputs=()):
    if not isinstance(result, np.ndarray | np.generic):
        return result
    host = np.asarray(result)  # reductions give 0-d arrays, not scalars
    if isinstance(result, np.generic):
        host = host.copy()
    owner = next((a for a in inputs if np.may_share_memory(a._host, host)), None)
    return ndarray(host, None if owner is None else owner if owner.base is None else owner.base)


class ndarray:
    """cupy.ndarray."""

    __slots__ = ("_host", "_memory", "base")
    __array_ufunc__ = None
    __hash__ = object.__hash__

    def __init__(self, host, base=None):
        self._host = host
        self.base = base
        self._memory = device.allocated(host) if base is None else None

    @property
    def T(self):
        return self.transpose()

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __iter__(self):
        raise TypeError("iterating over a device array copies one element at a time")

    def __len__(self):
        return len(self._host)

    @property
    def data(self):
        return types.SimpleNamespace(ptr=self._host.ctypes.data)

    def __getattr__(self, name):
        if name not in NAMES["cupy.ndarray"]:
            raise AttributeError(f"cupy.ndarray has no attribute {name!r}")
        value = getattr(self._host, name)
        if not callable(value):
            return value
        if name in THROUGH_CUBLAS:
            fakecuda.through_cublas(name)

        def method(*args, **kwargs):
            changes = self if name in IN_PLACE else None
            function = lambda host, *a, **k: getattr(host, name)(*a, **k)
            return _call(f"ndarray.{name}", function, self, *args, changes=changes, **kwargs)

        return method

    def get(self):
        fakecuda.wait("ndarray.get")
        return self._host.copy(order="C")

    def set(self, host, stream=None):
        fakecuda.upload()
        self._host[...] = host

    def item(self):
        fakecuda.wait("ndarray.item")
        return self._host.item()

    def __bool__(self):
        return bool(self.item())

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __getitem__(self, key):
        return _call("ndarray[key]", operator.getitem, self, key)

    def __setitem__(self, key, value):
        for index in key if isinstance(key, tuple) else (key,):
            if not isinstance(index, ndarray) or index.dtype.kind not in "iu":
                continue
            if np.unique(index._host).size < index._host.size:
                raise ValueError("assignment through repeated indices is undefined in CuPy")
        _call("ndarray[key] = value", operator.setitem, self, key, value, changes=self)


def _bind(name, ufunc):
    def forward(self, other):
        if name in THROUGH_CUBLAS:
            fakecuda.through_cublas(name)
        return _call(name, _in_c_order(ufunc), self, other)

    def reflected(self, other):
        return _call(name, _in_c_order(ufunc), other, self)

    def in_place(self, other):
        return _call(name, ufunc, self, other, out=self)

    setattr(ndarray, f"__{name}__", forward)
    setattr(ndarray, f"__r{name}__", reflected)
    setattr(ndarray, f"__i{name}__", in_place)


for _name, _ufunc in {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "truediv": np.true_divide,
    "floordiv": np.floor_divide,
    "mod": np.remainder,
    "pow": np.power,
    "matmul": np.matmul,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
}.items():
    _bind(_name, _ufunc)
ndarray.__neg__ = lambda self: _call("neg", _in_c_order(np.negative), self)
ndarray.__invert__ = lambda self: _call("invert", _in_c_order(np.invert), self)
ndarray.__abs__ = lambda self: _call("abs", _in_c_order(np.absolute), self)


def _in_c_order(function):
    """`function`, whose result is in C order whatever its arguments are, as those of CuPy's ufuncs are."""
    return lambda *args, **kwargs: np.asarray(function(*args, **kwargs), order=None if "out" in kwargs else "C")


class _Ufunc:
    """A cupy.ufunc: arrays of the device and numbers only, results in C order."""

    def __init__(self, ufunc):
        self._ufunc = ufunc

    def __call__(self, *args, **kwargs):
        if any(isinstance(a, list | tuple) for a in args):
            raise TypeError(f"{self._ufunc.__name__}: unsupported type list")
        return _call(self._ufunc.__name__, _in_c_order(self._ufunc), *args, **kwargs)

    def at(self, array, index, values):
        _call(f"{self._ufunc.__name__}.at", self._ufunc.at, array, index, values, changes=array)


def _upload(value, dtype=None, copy=True, order="K"):
    assert copy, "what CuPy gives then may be a copy or not"
    if isinstance(value, ndarray):
        return _call("array", lambda host: np.array(host, dtype=dtype, order=order), value)
    fakecuda.upload()
    return ndarray(np.array(value, dtype=dtype, order="C"))  # as CuPy does, whatever the order was


class _Module(types.ModuleType):
    """The module `cupy`: NumPy's function of each name that CuPy has."""

    __version__ = "14.2.0 (stand-in)"
    ndarray = ndarray
    array = staticmethod(_upload)

    @staticmethod
    def asarray(value, dtype=None):
        return value if isinstance(value, ndarray) and dtype in (None, value.dtype) else _upload(value, dtype)

    @staticmethod
    def asnumpy(value):
        return value.get()

    def __getattr__(self, name):
        if name not in NAMES["cupy"]:
            raise AttributeError(f"module 'cupy' has no attribute {name!r}")
        if name in THROUGH_CUBLAS:
            fakecuda.through_cublas(name)
        value = getattr(np, name)
        if isinstance(value, np.ufunc):
            return _Ufunc(value)
        if isinstance(value, type) or not callable(value):
            return value
        if name in IN_C_ORDER:
            value = _in_c_order(value)
        if name in JOINING:
            return lambda arrays, *args, **kwargs: _call(name, value, _joined(name, arrays), *args, **kwargs)
        return lambda *args, **kwargs: _call(name, value, *args, **kwargs)


def _joined(name, arrays):
    """`arrays`, if as many can be joined without sending a table of their addresses to the device."""
    if len(arrays) > 8:
        fakecuda.upload()
    return arrays


def _make():
    fake = _Module("cupy")
    fake.cuda = fakecuda.make()
    assert set(vars(fake.cuda)) <= NAMES["cupy.cuda"]
    assert {name for name in vars(fakecuda.Device) if name[0] != "_"} <= NAMES["cupy.cuda.Device"]
    fake.RawModule = fakecuda.RawModule
    fake.get_default_memory_pool = lambda: device.pool
    return fake


def install(monkeypatch, library=fakecublas.Cublas, devices=1):
    """Make the stand-in what `import cupy` finds, with this cuBLAS library if any; start counting from zero."""
    counts.clear()
    device.reset(devices)
    fake = _make()
    monkeypatch.setitem(sys.modules, "cupy", fake)
    pinned = types.SimpleNamespace(empty_pinned=lambda shape, dtype: np.empty(shape, dtype))
    monkeypatch.setitem(sys.modules, "cupyx", pinned)
    monkeypatch.setattr("minigan.kernels.cublas.load_library", lambda cupy: library and library())
    return fake
