"""Is minigan right on this device: what no stand-in can show, one check at a time. Nothing here is timed.

Each check is a function of a `Check`: it puts what it finds into `found` and says what it expects of it.
"""

import importlib.util
import re
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import minigan as mg
from minigan import backend
from minigan.kernels import cublas, cuda, cuda_linear, launch, portable
from minigan.tensor import Tensor

from . import checks, clocks, device_minigan, in_minigan
from .clocks import Clock
from .driver import nvidia_smi
from .layers_minigan import graphed
from .plan import PRECISIONS, Plan
from .stand_in import TESTS
from .worker import traced

NEEDED = ("pytest", "hypothesis")  # by the tests
WANTED = (*NEEDED, "torch")  # by what is measured afterwards
PRODUCTS = {  # the least and the most that a product's error is, relative to the norm of the result
    "fp32": (0, 2e-6),
    "tf32": (5e-5, 3e-3),
    "bf16": (4e-4, 1e-2),
}
HEAVY = 200, 64  # registers of a thread, bytes of it kept outside of them: kernels above either are listed
SPILLED = 1024  # bytes that a thread of a float32 kernel keeps outside of its registers, at most
CALLS = 6  # of a step: it is captured by then


@dataclass
class Check:
    """One check: its sizes, what it has found so far, and which of its expectations are not met."""

    plan: Plan
    rehearse: bool
    clock: Clock
    found: dict[str, Any] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def expect(self, what: str, holds: Any, value: Any) -> None:
        """It is an error unless this holds; `value` is what was found instead."""
        if not holds:
            self.errors.append(f"expected {what}; found {value}")

    def expect_fast(self, what: str, holds: Any, value: Any) -> None:
        """The same of a time, which a rehearsal does not measure."""
        self.expect(what, holds or self.rehearse, value)

    def kernel(self, call: Callable[[], Any]) -> float:
        """Milliseconds of one call, without the gaps between launches."""
        return clocks.kernel(self.clock, graphed, call, self.plan.kernel)


def run(fn: Callable[[Check], None], plan: Plan, rehearse: bool, clock: Clock) -> dict[str, Any]:
    """What this check has found, and its errors, an exception among them."""
    check = Check(plan, rehearse, clock)
    try:
        fn(check)
        backend.array_module("cuda").cuda.Device().synchronize()
    except Exception as error:
        check.errors.append(f"{type(error).__name__}: {error}\n{traced()}")
    finally:
        mg.set_precision("fp32")
    return {"found": check.found, "errors": check.errors}


def named(*checks: Callable[[Check], None]) -> dict[str, Callable[[Check], None]]:
    """The checks by the names of their functions."""
    return {check.__name__: check for check in checks}


def on_device(rng: np.random.Generator, *shape: int) -> Any:
    return in_minigan.uploaded(rng.standard_normal(shape, dtype="float32")).data


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def calls_of(step: Any, *args: Tensor) -> tuple[list[list[np.ndarray]], list[str]]:
    """(the results of some calls, of which the last are replays; what was warned of)."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        results = []
        for _ in range(CALLS):
            made = step(*args)
            results.append([y.numpy() for y in (made if isinstance(made, tuple) else (made,))])
    return results, [str(w.message)[:300] for w in said]


# --- the checks ---------------------------------------------------------------------------------------------------


def environment(check: Check) -> None:
    """CUDA is usable, cuBLAS is found, and what the tests import is installed; versions, clocks, what is missing."""
    check.found |= device_minigan.identity(check.rehearse) | {"nvidia_smi": nvidia_smi()}
    cupy = backend.array_module("cuda")
    check.found["cublas_library"] = str(device_minigan.attempt(lambda: cublas.load_library(cupy)))
    missing = check.found["missing"] = [name for name in WANTED if importlib.util.find_spec(name) is None]
    problem = backend.cuda_problem()
    check.expect("a usable CUDA device", problem is None, problem)
    handle = check.found["own_cublas_handle"]
    check.expect("a cuBLAS library: our own kernel is several times slower", handle is True, handle)
    check.expect(f"{' and '.join(NEEDED)} to be installed", not set(NEEDED) & set(missing), f"no {missing}")


def sources_compile(check: Check) -> None:
    """Every CUDA source compiles with CuPy's own options for each type and each large tile; no kernel spills much."""
    sys.path[:0] = [str(TESTS)]
    from kernel_variants import variants

    heavy = check.found["heavy"] = []
    seconds = check.found["seconds"] = {}
    for name in launch.SOURCES:
        functions = re.findall(r"__global__ void\s+(?:__launch_bounds__\([\w, ]+\)\s*)?(\w+)\(", launch.source(name))
        for real, dtype in (("float", "float32"), ("double", "float64")):
            for defines in variants(name, real):
                start = time.perf_counter()
                for function in functions:
                    made = launch.kernel(name, function, dtype, **defines)
                    registers, spilled = (getattr(made, what, 0) for what in ("num_regs", "local_size_bytes"))
                    if registers > HEAVY[0] or spilled > HEAVY[1]:
                        heavy.append([name, function, dtype, defines, registers, spilled])
                    if dtype == "float32":
                        title = f"{function} {defines} to keep at most {SPILLED} bytes of a thread out of registers"
                        check.expect(title, spilled <= SPILLED, spilled)
                described = " ".join([name, dtype, *(f"{k}={v}" for k, v in defines.items())])
                seconds[described] = round(time.perf_counter() - start, 3)


def products(check: Check) -> None:
    """Products by cuBLAS: fp32 has all its bits, TF32 and bf16 are rounded; batches, transposed and offset operands."""
    rng = np.random.default_rng(0)
    a, b = on_device(rng, 3, 130, 70), on_device(rng, 3, 70, 200)
    exact = a.get().astype("float64") @ b.get()
    tensor_cores = not check.rehearse and int(backend.array_module("cuda").cuda.Device().compute_capability) >= 80
    for precision in PRECISIONS:
        least, most = PRODUCTS[precision]
        mg.set_precision(precision)
        for name, found, expected in (
            ("a batch", cuda_linear.product(a, b), exact),
            ("one product", cuda_linear.product(a[1], b[1]), exact[1]),
        ):
            error = check.found[f"{name}, {precision}"] = relative_error(found.get(), expected)
            check.expect(f"an error of {name} in {precision} of at most {most}", error <= most, error)
            rounded = error >= least or not tensor_cores
            check.expect(f"an error of {name} in {precision} of {least} or more: it is to be rounded", rounded, error)
    mg.set_precision("fp32")
    wide = on_device(rng, 200, 260)
    left, right = wide[10:, 100:230].T, wide[10:, :7]
    error = relative_error(cuda_linear.product(left, right).get(), left.get().astype("float64") @ right.get())
    check.found["offset, transposed"] = error
    check.expect(f"operands that lie within others to be read, within {PRODUCTS['fp32'][1]}", error <= 2e-6, error)
    double = backend.to_device(rng.standard_normal((65, 33)), "cuda")
    error = relative_error(cuda_linear.product(double, double.T).get(), double.get() @ double.get().T)
    check.found["float64"] = error
    check.expect("an error in float64 of at most 1e-14", error <= 1e-14, error)


def convolutions(check: Check) -> None:
    """The three faces each way in each precision, against float64 on the CPU: strides, pads, dilation, groups."""
    wide = check.plan.wide_channels
    cases = [checks.wide_case(wide), *checks.GEOMETRIES]
    if not check.rehearse:
        cases.append(((64, 64, 32, 32), (wide, 64, 4, 4), 2, 1, 1, 1))  # of the largest tiles
    worst = check.found["worst"] = {}
    for case in cases:
        for entry in checks.convolution_errors(case):
            title = f"{entry['face']}, {entry['way']}, {entry['precision']}"
            worst[title] = max(worst.get(title, 0), entry["error"])
            most = checks.TOLERANCES[entry["precision"]]
            check.expect(f"{title} of {case} to be within {most}", entry["error"] <= most, entry["error"])


def capture_is_legal(check: Check) -> None:
    """Memory, sums, products, copies and launches are captured; a replay gives the call's bits and spares others'."""
    rng = np.random.default_rng(0)
    x, w = Tensor(on_device(rng, 64, 8, 16, 16)), Tensor(on_device(rng, 32, 32))

    def step(t: Tensor) -> tuple[Tensor, ...]:
        product = mg.zeros((32, 32), device="cuda") + w @ w
        return mg.sum(mg.exp(t * 0.1)), mg.sum(product), mg.mean(mg.relu(t), (0, 2, 3))

    captured = mg.capture(step)
    results, said = calls_of(captured, x)
    check.found["nodes"] = in_minigan.nodes_of(captured)
    check.expect("the step to be captured", captured.graph is not None, said)
    others = [mg.full((512, 512), float(k), device="cuda") for k in range(8)]
    again = [y.numpy() for y in captured(x)]
    for found in (results[-1], again):
        same = all(np.array_equal(a, b) for a, b in zip(results[0], found, strict=True))
        check.expect("replays to give the bits of the call", same, "others")
    spoilt = [k for k, other in enumerate(others) if not (other.numpy() == k).all()]
    check.expect("memory of others to be left alone by replays", not spoilt, spoilt)


def refused_captures(check: Check) -> None:
    """A step that cannot be captured is called instead, after one warning, and the next one can be captured."""
    cupy = backend.array_module("cuda")
    x = mg.ones((8, 8), device="cuda")
    host = np.ones((8, 8), "float32")
    steps: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {  # with what they come to
        "a value read back": (lambda t: t * float(mg.sum(t)), 64),
        "an array sent": (lambda t: t + mg.tensor(host, device="cuda"), 2),
        "CuPy's cuBLAS": (lambda t: Tensor(cupy.tensordot(t.data, t.data, 1)), 8),
        "a table of nine addresses": (lambda t: Tensor(cupy.stack([t.data] * 9)), 1),
    }
    for name, (step, value) in steps.items():
        captured = mg.capture(step)
        results, said = calls_of(captured, x)
        check.found[name] = said
        check.expect(f"one warning of {name}, or a graph", len(said) == (captured.graph is None), said)
        check.expect(f"{value} of the plain calls", all((y == value).all() for (y,) in results), results[-1][0].flat[0])
        good = mg.capture(lambda t: t * 2)
        after, said = calls_of(good, x)
        check.expect(f"a step to be captured after {name}", good.graph is not None, said)
        check.expect("2 of its replays", all((y == 2).all() for (y,) in after), after[-1][0].flat[0])


def denormals(check: Check) -> None:
    """float32 below 1.2e-38 is 0 on the device, or what it is on the CPU: nothing else."""
    x = np.array([-80.0, -90.0, -100.0], "float32")
    ours, theirs = cuda.softplus(backend.to_device(x, "cuda")).get(), portable.softplus(x)
    check.found |= {"device": ours.tolist(), "cpu": theirs.tolist()}
    holds = [(a == 0 and b < 1.2e-38) or abs(a - b) <= 1e-4 * b for a, b in zip(ours, theirs, strict=True)]
    check.expect("softplus of -80, -90, -100 as on the CPU, or 0 for a denormal number", all(holds), ours.tolist())


def random_draws(check: Check) -> None:
    """The CPU's integers, its normal numbers up to rounding, and new ones in each replay, as plain calls have them."""
    step = mg.tensor(7, device="cuda")
    stream = mg.random.Stream(1, "a")
    same = np.array_equal(stream.at(step).integers(1000, 4099).get(), stream.at(7).integers(1000, 4099))
    check.expect("the CPU's integers", same, "others")
    error = check.found["normal"] = relative_error(stream.at(step).normal(4099).get(), stream.at(7).normal(4099))
    check.expect("the CPU's normal numbers within 1e-5", error <= 1e-5, error)
    draw = mg.capture(lambda: Tensor(stream.at(step).normal(1000)))
    errors = check.found["of each call"] = []
    for k in range(CALLS + 1):
        step.data[...] = k
        errors.append(relative_error(draw().numpy(), stream.at(k).normal(1000)))
    check.expect("draws to be captured", draw.graph is not None, "no graph")
    check.expect("the numbers of its own step in each call", max(errors) <= 1e-5, errors)


def two_streams(check: Check) -> None:
    """Batches that are sent while the device is busy are the batches that lie there."""
    images = np.random.default_rng(0).integers(0, 256, (600, 3, 32, 32)).astype("uint8")
    resident, streamed = mg.data.Batches(images, 64, device="cuda"), mg.data.StreamedBatches(images, 64)
    load = device_minigan.noise((check.plan.side // 2) ** 2).reshape(check.plan.side // 2, -1)
    kept = []
    for k in range(20):
        cuda_linear.product(load, load)
        kept.append(streamed.at(k))
    worst = check.found["worst"] = max(float(np.abs(kept[k].get() - resident.at(k).get()).max()) for k in range(20))
    check.expect("the same pixels within 1e-6", worst <= 1e-6, worst)


CHECKS = named(
    *(environment, sources_compile, products, convolutions, capture_is_legal, refused_captures),
    *(denormals, random_draws, two_streams),
)
