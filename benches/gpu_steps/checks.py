"""Is what the GPU computes right: gradients against differences, float32 against float64, replays against calls."""

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np

import minigan as mg
from minigan import backend
from minigan.kernels import cpu, cuda_conv, geometry
from minigan.ops import conv

from .in_minigan import digits_game, nodes_of, uploaded
from .plan import PRECISIONS
from .stand_in import TESTS

Case = tuple[Any, ...]  # x, w, stride, padding, dilation, groups of a convolution

TOLERANCES = {"fp32": 1e-5, "tf32": 3e-3, "bf16": 1e-2}  # of a convolution's result, relative to its norm
SLACK = 0.05  # by which memory may grow after half of the rounds: what a pool rounds up

GEOMETRIES: tuple[Case, ...] = (
    ((2, 3, 7, 6), (4, 3, 3, 2), (2, 1), ((1, 0), (0, 1)), 1, 1),
    ((2, 4, 6, 5), (6, 2, 3, 2), (2, 1), ((1, 0), (0, 1)), (1, 2), 2),
    ((3, 2, 8, 8), (3, 2, 4, 4), 2, 1, 1, 1),
    ((1, 1, 5, 5), (2, 1, 5, 5), 1, 0, 1, 1),
    ((2, 3, 4, 4), (2, 3, 1, 1), 3, 0, 1, 1),
)


def gradcheck(step: int, wide: int) -> dict[str, Any]:
    """How many checks were made, and the text of each that failed."""
    failed: list[str] = []
    rows = check_table(step, failed)
    convolutions = check_convolutions(failed)
    return {"rows": rows, "convolutions": convolutions, "float32": check_precision(wide, failed), "failed": failed}


def checked(name: str, check: Callable[[], None], failed: list[str]) -> None:
    try:
        check()
    except Exception as error:
        failed.append(f"{name}: {type(error).__name__}: {str(error).strip()[:500]}")


def check_table(step: int, failed: list[str]) -> int:
    """Rows of the op table, in float64: values against the CPU's, gradients to second order against differences."""
    sys.path.insert(0, str(TESTS))
    from device_checks import check_op_to_second_order
    from op_table import ROWS

    chosen = ROWS[::step]
    for name, k in chosen:
        check = partial(check_op_to_second_order, name, k, np.random.default_rng(0))
        checked(f"{name} {k}", check, failed)
    return len(chosen)


def check_convolutions(failed: list[str]) -> int:
    """Gradients of the three faces to second order, each way."""
    rng, count = np.random.default_rng(0), 0
    for case in GEOMETRIES:
        s = geometry.convolution("conv2d", *case)
        x, w, y = (mg.tensor(rng.standard_normal(shape), device="cuda") for shape in (s.x, s.w, s.y))
        faces = {
            "conv": (lambda x, w, s=s: conv._conv(x, w, s), (x, w)),
            "conv_input": (lambda w, y, s=s: conv._conv_input(w, y, s), (w, y)),
            "conv_weight": (lambda x, y, s=s: conv._conv_weight(x, y, s), (x, y)),
        }
        for way in cuda_conv.WAYS:
            for face, (fn, points) in faces.items():
                with patch.object(cuda_conv, "FORCED", way):
                    checked(
                        f"{face} {s.x} {s.w}, {way}",
                        lambda fn=fn, points=points: mg.testing.gradcheck(fn, points),
                        failed,
                    )
                count += 1
    return count


def wide_case(wide: int) -> Case:
    """A convolution of `wide` channels, of odd sizes."""
    return (4, wide // 2, 33, 31), (wide, wide // 2, 3, 3), 2, 1, 1, 1


def check_precision(wide: int, failed: list[str]) -> list[dict[str, Any]]:
    """Errors of the three faces in each precision, each way."""
    found = list(convolution_errors(wide_case(wide)))
    for entry in found:
        if not entry["error"] <= TOLERANCES[entry["precision"]]:
            failed.append(f"a convolution of {wide} channels: {entry}")
    return found


def convolution_errors(case: Case) -> Iterator[dict[str, Any]]:
    """face, way, precision, error of each: relative to the norm of the CPU's float64 result."""
    s = geometry.convolution("conv2d", *case)
    rng = np.random.default_rng(0)
    arrays = {name: rng.standard_normal(shape) for name, shape in (("x", s.x), ("w", s.w), ("y", s.y))}
    on_gpu = {name: uploaded(a.astype("float32")).data for name, a in arrays.items()}
    try:
        for face, (a, b) in {"conv": "xw", "conv_input": "wy", "conv_weight": "xy"}.items():
            expected = getattr(cpu, face)(arrays[a], arrays[b], s)
            for way in cuda_conv.WAYS:
                for precision in PRECISIONS:
                    mg.set_precision(precision)
                    with patch.object(cuda_conv, "FORCED", way):
                        result = backend.to_numpy(getattr(cuda_conv, face)(on_gpu[a], on_gpu[b], s))
                    error = float(np.linalg.norm(result - expected) / np.linalg.norm(expected))
                    yield {"face": face, "way": way, "precision": precision, "error": error}
    finally:
        mg.set_precision("fp32")


def soak(rounds: int, batch: int, images: int, rehearse: bool) -> dict[str, Any]:
    """The same rounds of the main job's game, captured and not: are losses and weights the same, bit by bit."""
    said, played = [], []
    for graphs in (True, False):
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            played.append(play(rounds, batch, images, graphs, rehearse))
        said += [str(w.message) for w in warned if "CUDA graph" in str(w.message)]
    captured, eager = played
    differing = [k for k, v in captured.state.items() if not np.array_equal(v, eager.state[k], equal_nan=True)]
    unlike = [k for k, (a, b) in enumerate(zip(captured.losses, eager.losses, strict=True)) if a != b]
    return {
        "rounds": rounds,
        "weights_equal": not differing,
        "differing": differing[:10],
        "losses_equal": not unlike,
        "first_unlike_round": None if not unlike else unlike[0] // (len(captured.losses) // rounds),
        "last_losses": captured.losses[-4:],
        "not_captured": said,
        "graph_nodes": captured.nodes,
        "seconds": {"captured": captured.seconds, "eager": eager.seconds},
        "pool_bytes": {"captured": captured.pool_bytes, "eager": eager.pool_bytes},
    }


def soak_errors(found: dict[str, Any]) -> list[str]:
    """What is wrong with what `soak` has found."""
    errors = [f"not captured: {said}" for said in found["not_captured"]]
    for what in ("weights_equal", "losses_equal"):
        if not found[what]:
            errors.append(f"{what} is false; first at round {found['first_unlike_round']}: {found['differing']}")
    for name, memory in found["pool_bytes"].items():
        if memory and memory["end"] > memory["half_way"] * (1 + SLACK):
            errors.append(f"memory grew, {name}: {memory['half_way']} bytes half way, {memory['end']} at the end")
    return errors


class Played(NamedTuple):
    """Such a run: its losses, the final state, seconds, nodes of each turn, CuPy's memory half way and at the end."""

    losses: list[float]
    state: dict[str, np.ndarray]
    seconds: float
    nodes: list[int | None]
    pool_bytes: dict[str, int] | None


def play(rounds: int, batch: int, images: int, graphs: bool, rehearse: bool) -> Played:
    """So many rounds of the main job's game on random images."""
    game, batches = digits_game(batch, images, rehearse)
    game.graphs = graphs
    losses: list[float] = []
    pending: list[Any] = []
    half_way, every = 0, min(100, max(1, rounds // 2))
    start = time.perf_counter()
    for k in range(1, rounds + 1):
        pending += [t.data for t in game.play(batches).values()]
        if k % every == 0 or k == rounds:
            losses += backend.to_numbers(pending)
            pending.clear()
        if k == rounds // 2 and not rehearse:  # epochs have begun by then, which send their order to the GPU
            half_way = pool_bytes()
    seconds = time.perf_counter() - start
    state = {name: t.numpy() for name, t in game.state.items()}
    nodes = [nodes_of(turn) for turn in game._turns[1].values()] if graphs else []
    memory = None if rehearse else {"half_way": half_way, "end": pool_bytes()}
    return Played(losses, state, seconds, nodes, memory)


def pool_bytes() -> int:
    """Bytes that CuPy's shared pool holds; the pools of graphs do not count."""
    import cupy

    return cupy.get_default_memory_pool().total_bytes()
