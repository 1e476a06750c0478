"""A strict stand-in for CuPy on machines without a GPU: NumPy underneath, CuPy's rules on top.

It refuses what CuPy refuses (implicit conversion in either direction, lists in ufuncs, names that CuPy does not
have) and what CuPy leaves undefined (assignment through repeated indices, integer indices out of bounds). It
counts the transfers that would make a GPU wait. `install(monkeypatch)` makes it what `import cupy` finds.
"""

import operator
import sys
import types
from pathlib import Path

import numpy as np

_SECTIONS = Path(__file__).with_name("cupy_names.txt").read_text().split("[cupy.ndarray]")
ARRAY_NAMES = frozenset(_SECTIONS[1].split())
MODULE_NAMES = frozenset(_SECTIONS[0].split("[cupy]")[1].split())


class Counts:
    """How often the host waited for the device, or sent it something."""

    syncs = 0
    uploads = 0


counts = Counts()


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


def _call(where, function, *args, **kwargs):
    """function(*args) on the host arrays behind device arrays; a result that is a view remembers whose."""
    inputs = [a for a in (*args, *kwargs.values()) if isinstance(a, ndarray)]
    inputs += [a for arg in args if isinstance(arg, list | tuple) for a in arg if isinstance(a, ndarray)]
    result = function(*(_host(a, where) for a in args), **{k: _host(v, where) for k, v in kwargs.items()})
    if isinstance(kwargs.get("out"), ndarray):
        return kwargs["out"]
    if isinstance(result, list | tuple):
        return type(result)(_device(r, inputs) for r in result)
    return _device(result, inputs)


def _device(result, inputs=()):
    if not isinstance(result, np.ndarray | np.generic):
        return result
    host = np.asarray(result)  # reductions give 0-d arrays, not scalars
    owner = next((a for a in inputs if np.may_share_memory(a._host, host)), None)
    return ndarray(host, None if owner is None else owner if owner.base is None else owner.base)


class ndarray:
    """cupy.ndarray."""

    __slots__ = ("_host", "base")
    __array_ufunc__ = None
    __hash__ = object.__hash__

    def __init__(self, host, base=None):
        self._host = host
        self.base = base

    @property
    def T(self):
        return self.transpose()

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __iter__(self):
        raise TypeError("iterating over a device array copies one element at a time")

    def __len__(self):
        return len(self._host)

    def __getattr__(self, name):
        if name not in ARRAY_NAMES:
            raise AttributeError(f"cupy.ndarray has no attribute {name!r}")
        value = getattr(self._host, name)
        if not callable(value):
            return value
        return lambda *args, **kwargs: _call(
            f"ndarray.{name}", lambda host, *a, **k: getattr(host, name)(*a, **k), self, *args, **kwargs
        )

    def get(self):
        counts.syncs += 1
        return self._host.copy(order="K")

    def item(self):
        counts.syncs += 1
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
        _call("ndarray[key] = value", operator.setitem, self, key, value)


def _bind(name, ufunc):
    def forward(self, other):
        return _call(name, ufunc, self, other)

    def reflected(self, other):
        return _call(name, ufunc, other, self)

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
ndarray.__neg__ = lambda self: _call("neg", np.negative, self)
ndarray.__abs__ = lambda self: _call("abs", np.absolute, self)


class _Ufunc:
    """A cupy.ufunc: arrays of the device and numbers only."""

    def __init__(self, ufunc):
        self._ufunc = ufunc

    def __call__(self, *args, **kwargs):
        if any(isinstance(a, list | tuple) for a in args):
            raise TypeError(f"{self._ufunc.__name__}: unsupported type list")
        return _call(self._ufunc.__name__, self._ufunc, *args, **kwargs)

    def at(self, array, index, values):
        _call(f"{self._ufunc.__name__}.at", self._ufunc.at, array, index, values)


def _upload(value, dtype=None):
    if isinstance(value, ndarray):
        return ndarray(np.array(value._host, dtype=dtype))
    counts.uploads += 1
    return ndarray(np.array(value, dtype=dtype, order="K"))


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
        if name not in MODULE_NAMES:
            raise AttributeError(f"module 'cupy' has no attribute {name!r}")
        value = getattr(np, name)
        if isinstance(value, np.ufunc):
            return _Ufunc(value)
        if isinstance(value, type) or not callable(value):
            return value
        return lambda *args, **kwargs: _call(name, value, *args, **kwargs)


def _make():
    fake = _Module("cupy")
    fake.cuda = types.SimpleNamespace(
        is_available=lambda: True, cublas=types.SimpleNamespace(getVersion=lambda: 130000), runtime=None
    )

    def sliding_window_view(x, window_shape, axis=None):
        return _call("sliding_window_view", np.lib.stride_tricks.sliding_window_view, x, window_shape, axis)

    fake.lib = types.SimpleNamespace(stride_tricks=types.SimpleNamespace(sliding_window_view=sliding_window_view))
    return fake


def install(monkeypatch):
    """Make the stand-in what `import cupy` finds, and start counting from zero."""
    counts.syncs = counts.uploads = 0
    fake = _make()
    monkeypatch.setitem(sys.modules, "cupy", fake)
    return fake
