"""Functions of minigan/kernels on made-up arrays: each is called twice, in two ways, and must give the same."""

import contextlib
from functools import partial

import fakecupy
import numpy as np
import pytest
from fakecuda import device

from minigan.backend import array_module, to_device
from minigan.kernels import compiled, cuda, portable


@contextlib.contextmanager
def on_the_shim(order):
    device.order = order
    try:
        yield
    finally:
        device.order = None


def on_device(*arrays):
    return [a if a is None else fakecupy.ndarray(a.copy(order="K")) for a in arrays]


def arrays_of(made, changed=()):
    """What a function has made, an array or several, then what it has changed; None is left out."""
    made = made if isinstance(made, list | tuple) else [made]
    return [a for a in (*made, *changed) if a is not None]


def called_on_the_stand_in(function, arrays, changes):
    """What function(*arrays) makes and changes there, as host arrays."""
    given = on_device(*arrays)
    return [a._host for a in arrays_of(function(*given), [given[i] for i in changes])]


def check(order, function, *arrays, changes=(), rtol=1e-4):
    """function(*arrays) gives the same on the shim as by the references; `changes` are positions written in place.

    `order` is that of the shim's threads; "gpu" stands for the device of this machine in the shim's place.
    """
    if order == "gpu":
        with pytest.MonkeyPatch.context() as patch:
            fakecupy.install(patch)
            expected = called_on_the_stand_in(function, arrays, changes)
        given = [a if a is None else to_device(a.copy(order="K"), "cuda") for a in arrays]
        made = arrays_of(function(*given), [given[i] for i in changes])
        _compare(expected, [array_module("cuda").asnumpy(a) for a in made], rtol)
        return
    expected = called_on_the_stand_in(function, arrays, changes)
    with on_the_shim(order):
        found = called_on_the_stand_in(function, arrays, changes)
    _compare(expected, found, rtol)


def check_kernels(order, function, *arrays, changes=(), rtol=1e-4):
    """The same of function(kernels, *arrays), where the order "compiled" stands for the compiled kernels of the CPU.

    Those are held against the portable functions.
    """
    if order != "compiled":
        check(order, partial(function, cuda), *arrays, changes=changes, rtol=rtol)
        return
    outcomes = []
    for kernels in (portable, compiled):
        given = [a.copy(order="K") for a in arrays]
        outcomes.append(arrays_of(function(kernels, *given), [given[i] for i in changes]))
    _compare(*outcomes, rtol)


def _compare(expected_arrays, found_arrays, rtol):
    for expected, found in zip(expected_arrays, found_arrays, strict=True):
        assert found.dtype == expected.dtype
        assert found.shape == expected.shape
        scale = np.abs(expected[np.isfinite(expected)]).max(initial=1.0)
        tolerance = rtol if expected.dtype != np.float64 else 1e-11
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


def images(rng, shape, dtype):
    """Random images (N, C, H, W), channels-last in memory as often as not."""
    x = rng.standard_normal(shape).astype(dtype)
    return portable.channels_last(x) if rng.integers(2) else x


def spoilt(rng, x, *values):
    """x with an eighth of its elements replaced by some of `values`."""
    chosen = rng.random(x.shape) < 1 / 8
    x[chosen] = rng.choice(values, chosen.sum())
    return x


def faces(kernels, x, w, y, s):
    """The three faces of a convolution by these kernels."""
    return kernels.conv(x, w, s), kernels.conv_input(w, y, s), kernels.conv_weight(x, y, s)
