"""What the GPU is and what it can do, measured through minigan and CuPy."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

import minigan as mg
from minigan import backend
from minigan.backend import Array
from minigan.kernels import cublas, cuda, cuda_linear, portable
from minigan.kernels.launch import launch_each
from minigan.system.machine import versions
from minigan.tensor import Tensor

from . import clocks
from .clocks import Clock
from .plan import PRECISIONS

CHAIN = 100  # small launches in one captured graph
ADAM: dict[str, Any] = {"betas": (0.5, 0.999), "eps": 1e-8, "weight_decay": 0.0, "decoupled": False}


def attempt(fn: Callable[[], Any]) -> Any:
    """fn(), or the text of its exception: one fact that cannot be had hides no other."""
    try:
        return fn()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def noise(n: int) -> Array:
    """n random float32 numbers on the GPU: at most a million drawn on the host, repeated."""
    lib = backend.array_module("cuda")
    few = lib.asarray(np.random.default_rng(0).standard_normal(min(n, 1 << 20), dtype="float32"))
    return lib.tile(few, -(-n // few.size))[:n]


def identity(rehearse: bool) -> dict[str, Any]:
    """The GPU's name and properties, and versions of what runs on it."""
    cupy = backend.array_module("cuda")
    handle = attempt(lambda: cublas.find(cupy) is not None)
    found: dict[str, Any] = {"versions": versions(), "own_cublas_handle": handle}
    if rehearse:
        return {"gpu": cupy.__version__} | found
    runtime = cupy.cuda.runtime
    properties = runtime.getDeviceProperties(cupy.cuda.Device().id)
    found["versions"] |= {
        "cuda_runtime": runtime.runtimeGetVersion(),
        "cuda_driver": runtime.driverGetVersion(),
        "cublas": attempt(lambda: cupy.cuda.cublas.getVersion(cupy.cuda.Device().cublas_handle)),
        "nvrtc": attempt(lambda: list(cupy.cuda.nvrtc.getVersion())),
    }
    return {
        "gpu": properties["name"].decode(),
        "compute_capability": cupy.cuda.Device().compute_capability,
        "multiprocessors": properties.get("multiProcessorCount"),
        "memory_bytes": properties.get("totalGlobalMem"),
        "cache_bytes": properties.get("l2CacheSize"),
        "processor_cores": os.cpu_count(),
    } | found


def ceilings(clock: Clock, side: int, copied: int, seconds: float) -> dict[str, Any]:
    """The bandwidth of a copy and the rates of a large product, in each precision."""
    found = {"copy_gb_per_s": copy_rate(clock, copied, seconds)}
    a, b = noise(side * side).reshape(side, side), noise(side * side).reshape(side, side)
    for precision in PRECISIONS:
        mg.set_precision(precision)
        ms = clocks.median(clock, lambda: cuda_linear.product(a, b), seconds)
        found[f"{precision}_tflop_per_s"] = 2 * side**3 / ms / 1e9
    mg.set_precision("fp32")
    return found


def copy_rate(clock: Clock, size: int, seconds: float) -> float:
    """GB/s, read and written, of copying so many bytes."""
    cupy = backend.array_module("cuda")
    source = noise(size // 4)
    target = cupy.empty_like(source)
    return 2 * source.nbytes / clocks.median(clock, lambda: cupy.copyto(target, source), seconds) / 1e6


def launches(clock: Clock, times: int) -> dict[str, Any]:
    """Microseconds that one launch costs when many follow one another, of each kind."""
    cupy = backend.array_module("cuda")
    x, square = noise(1024), noise(64 * 64).reshape(64, 64)
    y = cupy.empty_like(x)
    tensor = Tensor(x)

    def chain(t: Tensor) -> Tensor:
        for _ in range(CHAIN):
            t = t + 1.0
        return t

    graph = mg.capture(chain)
    for _ in range(5):
        graph(tensor)
    calls = {
        "cupy_add": lambda: cupy.add(x, x, out=y),
        "own_kernel": lambda: launch_each("pointwise", "leaky_relu", x.dtype, x.size, x, y, 0.2, x.size),
        "product": lambda: cuda_linear.product(square, square),
        "op_on_tensors": lambda: tensor + tensor,
        "replay": lambda: graph(tensor),
    }
    found: dict[str, Any] = {}
    for name, call in calls.items():
        count = times if name != "replay" else max(1, times // CHAIN)
        clock.milliseconds(call, max(1, count // 10))
        found[f"{name}_us"] = clock.milliseconds(call, count) * 1e3
    found["launch_in_a_graph_us"] = found["replay_us"] / CHAIN
    found["graph_was_captured"] = graph.graph is not None
    return found


def memory_bound(clock: Clock, elements: int, seconds: float) -> dict[str, dict[str, float]]:
    """Milliseconds and achieved GB/s of kernels that do little but read and write float32 arrays."""
    cupy = backend.array_module("cuda")
    x = noise(elements).reshape(-1, 8, 8, 64).transpose(0, 3, 1, 2)
    stats = noise(128).reshape(2, 1, 64, 1, 1)
    p, g, m = (noise(elements).reshape(-1, 64) for _ in range(3))
    v = cupy.absolute(g)
    lr, t = cupy.full((), 1e-3, dtype="float64"), cupy.full((), 100, dtype="int64")
    kernels: dict[str, tuple[int, Callable[[], object]]] = {  # (arrays read and written, call)
        "leaky_relu": (2, lambda: cuda.leaky_relu(x, 0.2)),
        "channel_stats": (1, lambda: cuda.channel_stats(x, 1e-5)),
        "batch_norm": (2, lambda: cuda.batch_norm(x, stats)),
        "channel_sums": (2, lambda: cuda.channel_sums(x, x, stats)),
        "batch_norm_grad": (3, lambda: cuda.batch_norm_grad(x, x, stats, stats)),
        "sum over all but the channels": (1, lambda: cuda.sum(x, (0, 2, 3), False)),
        "adam": (7, lambda: cuda.update(portable.adam, [(p, g, m, v)], lr=lr, t=t, **ADAM)),
    }
    found = {}
    for name, (passes, call) in kernels.items():
        ms = clocks.median(clock, call, seconds)
        found[name] = {"milliseconds": ms, "gb_per_s": passes * x.nbytes / ms / 1e6}
    return found
