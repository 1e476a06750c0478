"""Images in other sizes, and blurred: what is linear, and does the same to each row of pixels and to each column.

Such a map is two matrices, one for each axis (`kernels/sampling.py`), and its gradient the map of their transposes: one
op, whose rule is itself, has every order. The matrices are products of the BLAS, so that an infinite or undefined
pixel spoils some of its neighbours too.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backend import Array, is_cuda
from ..errors import DTypeError, ShapeError, brief, described
from ..kernels import kernels, sampling
from ..kernels.banded import Banded
from ..kernels.geometry import Pads, Pair, frozen, pair
from ..op import op, takes_tensors
from ..tensor import Tensor
from .pool import avg_pool2d, upsample_nearest


def _resample_flops(y: Array, x: Array, rows: Banded, columns: Banded) -> float:
    n, c, _, width = x.shape
    return 2 * n * c * (rows.weights.size * width + y.shape[2] * columns.weights.size)


@op(
    lambda g, _y, _x, rows, columns: _resample(g, rows.transposed, columns.transposed),
    name="resample",
    formula="y[n,c,i,j] = sum over k,l of rows[i,k] columns[j,l] x[n,c,k,l]",
    flops=_resample_flops,
)
def _resample(x: Array, rows: Banded, columns: Banded) -> Array:
    n, c, h, w = x.shape
    of_device = kernels(x)
    nhwc = of_device.channels_last(x).transpose(0, 2, 3, 1)
    down = of_device.banded(rows, nhwc.reshape(n, h, w * c))
    across = of_device.banded(columns, down.reshape(n * rows.shape[0], w, c))
    return across.reshape(n, rows.shape[0], columns.shape[0], c).transpose(0, 3, 1, 2)


# --- another size -------------------------------------------------------------------------------------------------


@takes_tensors("x")
def interpolate(
    x: Tensor,
    size: int | Pair | None = None,
    scale_factor: float | tuple[float, float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool = False,
    antialias: bool = False,
) -> Tensor:
    """The images x (N, C, H, W) in another size: (N, C, OH, OW), as torch.nn.functional.interpolate has them.

    Given is either `size`, (OH, OW) or one integer for both, or `scale_factor`, by which H and W are multiplied and
    rounded down. `mode` is "nearest", "nearest-exact" (the pixel whose middle is nearest), "bilinear", "bicubic" (Keys
    1981 with a = -0.75) or "area" (the mean of the pixels that a new one touches). Bilinear and bicubic take pixels as
    squares, whose outer borders coincide, or with `align_corners` as points, of which the corners do; with `antialias`
    they widen as pixels do where the image shrinks, as Pillow's do. Where a factor leaves a part of a pixel, new pixels
    lie as far apart as it says; with `recompute_scale_factor`, as the two sizes say. Raises ShapeError if these do not
    fit, DTypeError unless x is of floats: what repeats each pixel as often takes integers too.

    NumPy has no such function (its `resize` repeats an array), so the name and the arguments are PyTorch's.
    """
    check_images(x, "interpolate")
    factors, out = _target(x.shape[2:], size, scale_factor)
    check_mode("interpolate", mode, align_corners, antialias)
    if recompute_scale_factor:
        factors = None, None
    times = [m // n for m, n in zip(out, x.shape[2:], strict=True)]
    exactly = all(m == n * t and f in (None, t) for m, n, t, f in zip(out, x.shape[2:], times, factors, strict=True))
    if exactly and mode.startswith("nearest"):
        return upsample_nearest(x, (times[0], times[1]))
    _check_floats("interpolate", x)
    shares = [n // m for n, m in zip(x.shape[2:], out, strict=True)]
    evenly = all(
        n == m * s and f in (None, 1 / s) for n, m, s, f in zip(x.shape[2:], out, shares, factors, strict=True)
    )
    is_mean = mode == "area" or (mode == "bilinear" and max(shares) <= 2 and not (align_corners or antialias))
    if evenly and is_mean:  # faster than by matrices
        return avg_pool2d(x, (shares[0], shares[1]))
    rows, columns = (
        sampling.resized(n, m, mode, bool(align_corners), f, antialias)
        for n, m, f in zip(x.shape[2:], out, factors, strict=True)
    )
    return _resample(x, rows, columns)


def check_images(x: Tensor, name: str) -> None:
    """ShapeError unless x is a batch of images that have a pixel, of which there may be none."""
    if x.ndim != 4 or not all(x.shape[2:]):
        raise ShapeError(f"{name}: expected x of shape (N, C, H, W), with a pixel, got {x.shape}")


def _check_floats(name: str, x: Tensor) -> None:
    if x.dtype.kind != "f":
        raise DTypeError(f"{name}: expected floats, got x {x.shape} {x.dtype}; .astype(dtype) converts")


def check_mode(name: str, mode: Any, align_corners: Any, antialias: Any = False) -> None:
    """ShapeError unless there is such a mode, and it has these options."""
    if mode not in sampling.MODES:
        raise ShapeError(f"{name}: mode: expected one of {', '.join(sampling.MODES)}, got {brief(mode)}")
    if align_corners not in (None, False, True) or antialias not in (False, True):
        given = f"{brief(align_corners)} and {brief(antialias)}"
        raise ShapeError(f"{name}: align_corners and antialias: expected True or False, got {given}")
    if mode not in sampling.SMOOTH and (align_corners is not None or antialias):
        given = f"align_corners={align_corners}, antialias={antialias}"
        raise ShapeError(f"{name}: align_corners and antialias are for bilinear and bicubic, got {given} for {mode}")


def _target(given: Sequence[int], size: Any, scale_factor: Any) -> tuple[tuple[float | None, ...], Pair]:
    """(the factors, None where a size is given; the new size) of images of a size."""
    factors = asked_size("interpolate", size, scale_factor)[1]
    if factors is None:
        return (None, None), pair(size, "interpolate: size", 1)
    out = (math.floor(given[0] * factors[0]), math.floor(given[1] * factors[1]))
    if min(out) < 1:
        raise ShapeError(f"interpolate: scale_factor {brief(scale_factor)} leaves no pixel of {tuple(given)}")
    return factors, out


def asked_size(name: str, size: Any, scale_factor: Any) -> tuple[Pair | None, tuple[float, float] | None]:
    """The size or the factors that were asked for; ShapeError unless it is one of them, of numbers above 0."""
    if (size is None) == (scale_factor is None):
        given = f"size={brief(size)}, scale_factor={brief(scale_factor)}"
        raise ShapeError(f"{name}: expected either a size or a scale_factor, got {given}")
    if size is not None:
        return pair(size, f"{name}: size", 1), None
    several = isinstance(scale_factor, list | tuple)
    both = [_number(f) for f in (scale_factor if several else (scale_factor, scale_factor))]
    if len(both) != 2 or not all(0 < f < 1 << 31 for f in both):
        expected = "expected a number > 0 and < 2^31, or two of them"
        raise ShapeError(f"{name}: scale_factor: {expected}, got {brief(scale_factor)}")
    return None, (both[0], both[1])


def _number(value: Any) -> float:
    """`value` as a float; NaN if it is none."""
    fits = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return float(value) if fits else math.nan


# --- filters ------------------------------------------------------------------------------------------------------

Border = int | Pair | Pads | tuple[int, int, int, int]


@takes_tensors("x")
def upfirdn2d(
    x: Tensor,
    f: Any,
    up: int | Pair = 1,
    down: int | Pair = 1,
    padding: Border = 0,
    flip_filter: bool = False,
    gain: float = 1.0,
) -> Tensor:
    """Upsample, filter, downsample each channel of x (N, C, H, W) by itself, as StyleGAN2 does (Karras et al. 2020).

    up - 1 zeros are put behind each pixel and row, a border of zeros around all that (a negative one crops), the result
    is convolved with f and multiplied by `gain`, and each down-th pixel and row of it is kept: (N, C, OH, OW) with
    OH = floor((H up + pads - length of f) / down) + 1. f is one sequence of numbers for both axes, a matrix of them, or
    None for the number 1; with `flip_filter` it is correlated and not convolved. It is a constant: no gradient flows to
    it. A matrix costs as much as as many sequences as its rank is.

    `up` and `down` are an integer or (vertical, horizontal), `padding` likewise, ((top, bottom), (left, right)), or, as
    StyleGAN has it, (left, right, top, bottom). Raises ShapeError if anything does not fit, DTypeError unless x is of
    floats and f of numbers.
    """
    check_images(x, "upfirdn2d")
    _check_floats("upfirdn2d", x)
    taps = filter_of("upfirdn2d", f)
    ups, downs = pair(up, "upfirdn2d: up", 1), pair(down, "upfirdn2d: down", 1)
    pads = border("upfirdn2d", padding)
    strength = _number(gain)
    if not math.isfinite(strength):
        raise ShapeError(f"upfirdn2d: gain: expected a finite number, got {brief(gain)}")
    filtered_size("upfirdn2d", x.shape, taps, ups, downs, pads)
    y = None
    for vertical, horizontal in _separated(taps if flip_filter else np.flip(taps), strength):
        rows, columns = (
            sampling.filtered(n, tuple(t.tolist()), u, d, p)
            for n, t, u, d, p in zip(x.shape[2:], (vertical, horizontal), ups, downs, pads, strict=True)
        )
        term = _resample(x, rows, columns)
        y = term if y is None else y + term
    return y  # type: ignore[return-value]  # a filter has a term


def filter_of(name: str, f: Any) -> np.ndarray:
    """A filter as float64 (taps,) or (rows, columns); DTypeError or ShapeError if it is none."""
    if f is None:
        return np.ones(1)
    if isinstance(f, Tensor) or is_cuda(f):
        raise DTypeError(f"{name}: a filter is a constant: expected numbers or an array of NumPy's, got {described(f)}")
    try:
        taps = np.asarray(f, "float64")
    except (TypeError, ValueError):
        raise DTypeError(f"{name}: expected numbers as a filter, got {brief(f)}") from None
    if taps.ndim not in (1, 2) or not taps.size or not np.isfinite(taps).all():
        raise ShapeError(f"{name}: expected a filter of one or two axes of finite numbers, got {brief(f)}")
    return taps


def border(name: str, padding: Any) -> Pads:
    """`padding` as ((top, bottom), (left, right)), which may be negative; ShapeError if it is of no form."""
    given = frozen(f"{name}: padding", padding)
    both = given if isinstance(given, tuple) else (given, given)
    if len(both) == 4:
        both = (both[2:], both[:2])
    pads = tuple(p if isinstance(p, tuple) else (p, p) for p in both)
    if len(pads) != 2 or not all(len(p) == 2 and all(isinstance(n, int) for n in p) for p in pads):
        forms = "an integer, (h, w), ((top, bottom), (left, right)) or (left, right, top, bottom)"
        raise ShapeError(f"{name}: padding: expected {forms}, got {brief(padding)}")
    return pads


def filtered_size(name: str, shape: Sequence[int], taps: np.ndarray, up: Pair, down: Pair, pads: Pads) -> Pair:
    """(OH, OW) of `upfirdn2d` of images of that shape; ShapeError if the filter does not fit into them."""
    lengths = (taps.shape * 2)[:2]
    wide = [n * u + sum(p) for n, u, p in zip(shape[2:], up, pads, strict=True)]
    if any(w < k for w, k in zip(wide, lengths, strict=True)):
        got = f"x {tuple(shape)}, up {up}, padding {pads}"
        raise ShapeError(f"{name}: a filter of {lengths} does not fit into {tuple(wide)} pixels ({got})")
    oh, ow = ((w - k) // d + 1 for w, k, d in zip(wide, lengths, down, strict=True))
    return oh, ow


def _separated(taps: np.ndarray, gain: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of a vertical and a horizontal filter whose outer products add up to the filter, times gain."""
    if taps.ndim == 1:
        return [(taps * gain, taps)]
    left, sizes, right = np.linalg.svd(taps)
    rank = max(1, int((sizes > sizes[0] * max(taps.shape) * np.finfo("float64").eps).sum()))
    return [(left[:, k] * (sizes[k] * gain), right[k]) for k in range(rank)]
