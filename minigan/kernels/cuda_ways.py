"""Which way a convolution is computed on CUDA: as it was measured for its shape on this kind of GPU, or by a rule.

What was measured lies in cuda_ways.json beside this file, which benches/gpu.py writes: milliseconds by compute
capability, precision, face with shape, and way.
"""

import json
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path

from .geometry import Geometry

WAYS = ("im2col", "implicit")
PATH = Path(__file__).with_name("cuda_ways.json")

SMALL_WINDOW = 64  # elements of a window below which it is multiplied where it lies
FEW_CHANNELS = 4  # of y, up to which gradients are; on tensor cores of x too, for that of the kernel
# on tensor cores:
MOST_CHANNELS = {"tf32": 256, "bf16": 128}  # of y, up to which windows are multiplied where they lie
NARROW = 32  # channels of x below which a tile of its gradient is mostly empty
SMALL_RESULT = 1 << 19  # elements below which a result has too few tiles

Times = dict[str, float]  # milliseconds by way
Table = dict[str, dict[str, dict[str, Times]]]  # these by compute capability, precision, and key


def key(face: str, s: Geometry) -> str:
    """A text that tells this face of a convolution from all others."""
    shapes = (*s.x, *s.w, *s.y[2:]), (*s.stride, *s.pads[0], *s.pads[1], *s.dilation, s.groups)
    (n, c, h, w, o, _, kh, kw, oh, ow), (sh, sw, top, bottom, left, right, dh, dw, groups) = shapes
    return (
        f"{face} {n}x{c}x{h}x{w} by {o}x{kh}x{kw} to {oh}x{ow}, "
        f"stride {sh}x{sw}, pads {top} {bottom} {left} {right}, dilation {dh}x{dw}, groups {groups}"
    )


def load(path: Path = PATH) -> Table:
    """What was measured; nothing if there is no such file."""
    found: Table = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def merged(tables: Iterable[Table]) -> Table:
    """All of them in one; what a later one has counts."""
    found: Table = {}
    for table in tables:
        for gpu, precisions in table.items():
            for precision, rows in precisions.items():
                found.setdefault(gpu, {}).setdefault(precision, {}).update(rows)
    return found


def save(table: Table, path: Path = PATH) -> None:
    """Write a table to three digits, a line for each shape, in an order that depends on the shapes alone."""
    gpus = []
    for gpu, precisions in sorted(table.items()):
        blocks = []
        for precision, rows in sorted(precisions.items()):
            lines = [f"   {json.dumps(name)}: {json.dumps(_rounded(times))}" for name, times in sorted(rows.items())]
            blocks.append(f"  {json.dumps(precision)}: {{\n" + ",\n".join(lines) + "\n  }")
        gpus.append(f" {json.dumps(gpu)}: {{\n" + ",\n".join(blocks) + "\n }")
    path.write_text("{\n" + ",\n".join(gpus) + "\n}\n" if gpus else "{}\n", encoding="utf-8")
    chosen.cache_clear()
    _measured.cache_clear()


def _rounded(times: Times) -> Times:
    """Milliseconds to three digits: they differ by more from run to run."""
    return {way: float(f"{ms:.3g}") for way, ms in times.items()}


@lru_cache(maxsize=4096)
def chosen(face: str, s: Geometry, precision: str, gpu: str) -> str:
    """The faster way on such a GPU, if all were measured, else what the rule says."""
    times = _measured().get(gpu, {}).get(precision, {}).get(key(face, s), {})
    return min(WAYS, key=lambda way: times[way]) if set(WAYS) <= set(times) else rule(face, s, precision)


@cache
def _measured() -> Table:
    return load()


def rule(face: str, s: Geometry, precision: str) -> str:
    """The way for a shape that nobody measured; figures of an H100 and an H200 in benches/README.md.

    Writing windows costs more than the product where a window, or what it is multiplied with, is small. On tensor
    cores products are so fast that this holds up to many channels, if the result has tiles enough to do without
    cuBLAS's ways to share out a sum, and if windows lie in the image for the most part.
    """
    c, o, kernel = s.w[1], s.w[0] // s.groups, s.w[2:]
    if c * kernel[0] * kernel[1] < SMALL_WINDOW if face == "conv" else o <= FEW_CHANNELS:
        return "implicit"
    if precision == "fp32" or o > MOST_CHANNELS[precision] or s.y[2] < kernel[0] or s.y[3] < kernel[1]:
        return "im2col"
    images, channels = (s.x, c) if face == "conv_input" else (s.y, o)
    fills_tiles = images[0] * images[2] * images[3] * channels >= SMALL_RESULT
    few = c <= FEW_CHANNELS and face == "conv_weight"
    aligned = c % 4 == 0 and o % 4 == 0 and (face != "conv_input" or c >= NARROW)
    return "implicit" if fills_tiles and (aligned or few) else "im2col"
