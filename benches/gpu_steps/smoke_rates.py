"""Is minigan as fast on this device as it is meant to be: checks that measure, so that nothing else may run beside."""

import numpy as np

import minigan as mg
from minigan import backend
from minigan.kernels import cuda, cuda_linear, portable
from minigan.tensor import Tensor

from . import checks, clocks, device_minigan, in_minigan, layers_minigan
from .device_minigan import noise
from .layers import Layer
from .plan import PRECISIONS
from .smoke_checks import Check, named, on_device

# The sizes of parameters beside a large one, and (M, K, N) of products.
SMALL = (1024 * 96, 1024, 1024, 51_200, 64, 32, 800, 131_072, 1, 10, 64, 64, 6272, 6272)
SHAPES = ((64, 8192, 800), (8192, 800, 64), (128, 6272, 1024), (1024, 128, 6272), (4096, 4096, 4096))
CONVOLUTION = Layer("conv", (128, 64, 32, 32), (128, 64, 4, 4), (128, 128, 16, 16), 2, 1)
TINY = Layer("conv", (2, 4, 8, 8), (6, 4, 4, 4), (2, 6, 4, 4), 2, 1)


def dcgan_captured_equals_eager(check: Check) -> None:
    """The main job's rounds, replayed against played: the same bits, and memory that does not grow."""
    plan = check.plan
    sizes = {"batch": plan.soak_batch, "images": plan.images, "rehearse": check.rehearse}
    found = checks.soak(rounds=plan.smoke_rounds, **sizes)
    check.found |= found
    check.errors += checks.soak_errors(found)
    for name, graphs in (("captured", True), ("eager", False)):
        check.found[f"{name}_ms"] = in_minigan.timed_rounds(check.clock, seconds=plan.block, graphs=graphs, **sizes)


def layouts(check: Check) -> None:
    """Images stay channels-last through what is computed element by element, which costs no copy."""
    rng = np.random.default_rng(0)
    shape = (4, 8, 6, 6) if check.rehearse else (128, 64, 32, 32)
    x = on_device(rng, *shape)
    t = Tensor(x)
    made = {"relu": mg.relu(t), "t + t": t + t, "tanh": mg.tanh(t), "leaky_relu": mg.leaky_relu(t, 0.2), "2 t": 2 * t}
    lost = [name for name, y in made.items() if not y.data.transpose(0, 2, 3, 1).flags.c_contiguous]
    check.expect("channels-last results", not lost, f"another order of {lost}")
    cupy = backend.array_module("cuda")
    ours = check.found["relu_ms"] = check.kernel(lambda: mg.relu(t).data)
    least = check.found["maximum_ms"] = check.kernel(lambda: cupy.maximum(x, 0, out=cupy.empty_like(x)))
    check.expect_fast("relu to take at most 1.3 times as long as CuPy's maximum", ours <= 1.3 * least, ours / least)


def adam_of_all_parameters(check: Check) -> None:
    """One launch moves a large parameter and small ones, at half of a copy's bandwidth or more."""
    cupy = backend.array_module("cuda")
    large = check.plan.elements // 4
    rows = [tuple(cupy.ones(size, dtype="float32") for _ in range(4)) for size in (large, *SMALL)]
    lr, t = cupy.full((), 1e-3, dtype="float64"), cupy.full((), 100, dtype="int64")

    def moved(chosen: list) -> object:
        cuda.update(portable.adam, chosen, lr=lr, t=t, **device_minigan.ADAM)
        return chosen[0][0]

    def copied() -> object:
        cupy.copyto(rows[0][0], rows[0][1])
        return rows[0][0]

    together = check.found["all_ms"] = check.kernel(lambda: moved(rows))
    alone = check.found["the_large_one_ms"] = check.kernel(lambda: moved(rows[:1]))
    floor = check.found["floor_by_a_copy_ms"] = 3.5 * check.kernel(copied)  # 7 passes over memory to a copy's 2
    check.expect_fast("at most twice the time of as many bytes copied", alone <= 2 * floor, alone / floor)
    check.expect_fast("small parameters to add at most a third", together <= 1.33 * alone, together / alone)


def skinny_products(check: Check) -> None:
    """Tall products (weight gradients) are cut into parts that fill the device: no slower than CuPy's own."""
    cupy = backend.array_module("cuda")
    for shape in SHAPES:
        m, k, n = (max(2, size // 64) for size in shape) if check.rehearse else shape
        a, b = noise(m * k).reshape(m, k), noise(k * n).reshape(k, n)
        ours = check.kernel(lambda a=a, b=b: cuda_linear.product(a, b))
        theirs = clocks.median(check.clock, lambda a=a, b=b: cupy.matmul(a, b), check.plan.kernel)
        check.found[f"{m} {k} {n}"] = {"ms": ours, "tflop_per_s": 2e-9 * m * n * k / ours, "cupy_ms": theirs}
        check.expect_fast(f"{m} {k} {n} in at most 1.25 of CuPy's time", ours <= 1.25 * theirs, ours / theirs)


def convolution_rates(check: Check) -> None:
    """The way that is chosen for a large layer is about the fastest there is, and tensor cores gain something."""
    layer = TINY if check.rehearse else CONVOLUTION
    found = layers_minigan.measure(check.clock, layer, check.plan.kernel)
    chosen = found["chosen"]
    check.found |= {"layer": layer.title, **found, "tflop_per_s": {}}
    for precision in PRECISIONS:
        for face, times in found[precision].items():
            ours, best = times[chosen[precision][face]], min(times.values())
            rate = check.found["tflop_per_s"][f"{face}, {precision}"] = layer.flops / ours / 1e9
            check.expect_fast(f"{face} in {precision} at most 1.3 of the best way's time", ours <= 1.3 * best, times)
            plain = check.found["tflop_per_s"][f"{face}, fp32"]
            check.expect_fast(f"{face} in {precision} to be no slower than in fp32", rate >= 0.95 * plain, rate)


def launch_costs(check: Check) -> None:
    """A launch that is replayed costs a third of one that Python asks for, or less."""
    check.found |= device_minigan.launches(check.clock, check.plan.launches)
    check.expect("a chain of launches to be captured", check.found["graph_was_captured"], "no graph")
    asked, replayed = check.found["cupy_add_us"], check.found["launch_in_a_graph_us"]
    check.expect_fast("a replayed launch to take a third of a call's time or less", 3 * replayed <= asked, replayed)


QUIET = named(
    *(dcgan_captured_equals_eager, layouts, adam_of_all_parameters, skinny_products, convolution_rates, launch_costs)
)
