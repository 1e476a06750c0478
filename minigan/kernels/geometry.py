"""Where a convolution's windows lie: built once by the public function, handed along, never inferred again."""

import operator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..errors import ShapeError, brief

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]  # ((top, bottom), (left, right))


@dataclass(frozen=True, slots=True)
class Geometry:
    """The three shapes of a convolution and how its windows step.

    x (N, C, H, W) is the larger image, w (O, C / groups, kh, kw) the kernel, y (N, O, OH, OW) the smaller image:
    y = conv(x, w). A transposed convolution takes y and returns x. A pooling window has no w: O = C = groups.
    """

    x: tuple[int, int, int, int]
    w: tuple[int, int, int, int]
    y: tuple[int, int, int, int]
    stride: Pair
    pads: Pads
    dilation: Pair
    groups: int

    @property
    def padded(self) -> tuple[int, int, int, int]:
        """The shape of x in channels-last order with its padding: (N, H + pads, W + pads, C)."""
        n, c, h, w = self.x
        return n, h + sum(self.pads[0]), w + sum(self.pads[1]), c

    @property
    def flops(self) -> int:
        """Multiplications and additions of any one face of the convolution."""
        _, c, kh, kw = self.w
        n, o, oh, ow = self.y
        return 2 * n * o * oh * ow * c * kh * kw

    def group_slices(self) -> list[tuple[slice, slice]]:
        """(channels of x, channels of y) of each group."""
        c, o = self.w[1], self.w[0] // self.groups
        return [(slice(k * c, (k + 1) * c), slice(k * o, (k + 1) * o)) for k in range(self.groups)]

    def taps(self) -> list[tuple[int, int, slice, slice]]:
        """(i, j, rows, columns) per kernel element: the slices of padded x that it meets, one for each y."""
        (sh, sw), (dh, dw) = self.stride, self.dilation
        oh, ow = self.y[2:]
        return [
            (i, j, slice(i * dh, i * dh + sh * (oh - 1) + 1, sh), slice(j * dw, j * dw + sw * (ow - 1) + 1, sw))
            for i in range(self.w[2])
            for j in range(self.w[3])
        ]


def frozen(what: str, value: Any) -> Any:
    """`value` with lists as tuples and NumPy's integers as Python's, so that a geometry can be looked up by it.

    Texts and None are left as they are. Raises ShapeError for anything else.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return tuple(frozen(what, v) for v in value)
    try:
        return operator.index(value)
    except TypeError:
        raise ShapeError(f"{what}: expected an integer or several, got {brief(value)}") from None


def pair(value: int | Pair, what: str, least: int) -> Pair:
    """`value` as (vertical, horizontal); ShapeError unless both are integers of at least `least`."""
    given = frozen(what, value)
    both = given if isinstance(given, tuple) else (given, given)
    if len(both) != 2 or not all(isinstance(v, int) and v >= least for v in both):
        raise ShapeError(f"{what}: expected an integer >= {least} or two of them, got {brief(value)}")
    return both


@lru_cache(maxsize=1024)
def convolution(
    name: str,
    x: tuple[int, ...],
    w: tuple[int, ...],
    stride: int | Pair,
    padding: int | Pair | Pads | str,
    dilation: int | Pair,
    groups: int,
) -> Geometry:
    """The geometry of `conv2d(x, w)` for these shapes; ShapeError if they do not fit."""
    _check_shapes(name, x, w, groups)
    n, c, h, wd = x
    if c != w[1] * groups:
        expects = f"w expects {w[1] * groups}" + (f" in {groups} groups" if groups > 1 else "")
        raise ShapeError(f"{name}: x has {c} channels, {expects} (x {x}, w {w})")
    stride, dilation = pair(stride, f"{name}: stride", 1), pair(dilation, f"{name}: dilation", 1)
    extents = [(k - 1) * d + 1 for k, d in zip(w[2:], dilation, strict=True)]
    pads = _pads(name, padding, (h, wd), extents, stride)
    out = []
    for size, extent, pad, s in zip((h, wd), extents, pads, stride, strict=True):
        if extent > size + sum(pad):
            raise ShapeError(
                f"{name}: the kernel spans {extent} pixels, the padded image has {size + sum(pad)} "
                f"(x {x}, w {w}, padding {pads}, dilation {dilation})"
            )
        out.append((size + sum(pad) - extent) // s + 1)
    # mypy cannot see that these tuples have four entries: _check_shapes has
    return Geometry((n, c, h, wd), w, (n, w[0], *out), stride, pads, dilation, groups)  # type: ignore[arg-type]


@lru_cache(maxsize=1024)
def transposed(
    name: str,
    y: tuple[int, ...],
    w: tuple[int, ...],
    stride: int | Pair,
    padding: int | Pair | Pads | str,
    output_padding: int | Pair,
    output_size: int | Pair | None,
    dilation: int | Pair,
    groups: int,
) -> Geometry:
    """The geometry whose y is the input of `conv_transpose2d` and whose x is its result."""
    _check_shapes(name, y, w, groups)
    if y[1] != w[0]:
        raise ShapeError(f"{name}: x has {y[1]} channels, w expects {w[0]} (x {y}, w {w})")
    stride, dilation = pair(stride, f"{name}: stride", 1), pair(dilation, f"{name}: dilation", 1)
    extents = [(k - 1) * d + 1 for k, d in zip(w[2:], dilation, strict=True)]
    if output_padding not in (0, (0, 0)) and (output_size is not None or padding == "same"):
        raise ShapeError(f'{name}: output_padding {output_padding} means nothing with padding "same" or an output_size')
    if output_size is not None:
        size: Pair = pair(output_size, f"{name}: output_size", 1)
    elif padding == "same":
        size = (y[2] * stride[0], y[3] * stride[1])
    else:
        pads = _pads(name, padding, (0, 0), extents, stride)
        extra = pair(output_padding, f"{name}: output_padding", 0)
        if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
            raise ShapeError(f"{name}: output_padding {extra} must be smaller than stride {stride} or dilation")
        sizes = [
            (n - 1) * s + extent - sum(pad) + e
            for n, s, extent, pad, e in zip(y[2:], stride, extents, pads, extra, strict=True)
        ]
        if min(sizes) < 1:
            raise ShapeError(
                f"{name}: padding {pads} leaves no pixel of the {sizes[0]}x{sizes[1]} result (x {y}, w {w})"
            )
        size = (sizes[0], sizes[1])
    pads = _pads(name, padding, size, extents, stride)
    for axis, (n, out, s, d, extent, pad) in enumerate(zip(y[2:], size, stride, dilation, extents, pads, strict=True)):
        surplus = out + sum(pad) - extent - (n - 1) * s  # pixels past the last window
        if not 0 <= surplus < max(s, d):
            raise ShapeError(
                f"{name}: a {('height', 'width')[axis]} of {out} does not come from {n} with kernel extent {extent}, "
                f"stride {s} and padding {pad} (x {y}, w {w})"
            )
    x = (y[0], w[1] * groups, *size)
    # mypy cannot see that these tuples have four entries: _check_shapes has
    return Geometry(x, w, y, stride, pads, dilation, groups)  # type: ignore[arg-type]


@lru_cache(maxsize=1024)
def pooling(name: str, x: tuple[int, ...], window: int | Pair, stride: int | Pair | None) -> Geometry:
    """The geometry of windows of `window` pixels over x (N, C, H, W), each channel by itself."""
    if len(x) != 4:
        raise ShapeError(f"{name}: expected x of shape (N, C, H, W), got {x}")
    if not x[1]:
        raise ShapeError(f"{name}: images {x} have no channel")
    window = pair(window, f"{name}: window", 1)
    return convolution(name, x, (x[1], 1, *window), window if stride is None else stride, 0, 1, x[1])


def _check_shapes(name: str, x: tuple[int, ...], w: tuple[int, ...], groups: int) -> None:
    if len(x) != 4 or len(w) != 4:
        raise ShapeError(f"{name}: expected x of shape (N, C, H, W) and w of 4 axes, got x {x} and w {w}")
    if min(w) < 1:
        raise ShapeError(f"{name}: the kernel has no element (w {w})")
    if not isinstance(groups, int) or groups < 1 or w[0] % groups:
        raise ShapeError(f"{name}: groups must be a positive divisor of {w[0]}, got {brief(groups)} (w {w})")


def _pads(name: str, padding: int | Pair | Pads | str, size: Pair, extents: list[int], stride: Pair) -> Pads:
    """Padding in any of the contract's forms as ((top, bottom), (left, right)); `size` is that of the larger image."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":  # TensorFlow's rule: ceil(size / stride) windows, an odd pixel at the bottom and right
        total = [max((-(-n // s) - 1) * s + k - n, 0) for n, s, k in zip(size, stride, extents, strict=True)]
        return (total[0] // 2, total[0] - total[0] // 2), (total[1] // 2, total[1] - total[1] // 2)
    if isinstance(padding, str):
        raise ShapeError(f'{name}: padding must be "valid", "same" or numbers, got {brief(padding)}')
    if isinstance(padding, int):
        padding = (padding, padding)
    if not isinstance(padding, tuple) or len(padding) != 2:
        raise ShapeError(f"{name}: padding must have two entries, vertical and horizontal, got {brief(padding)}")
    sides = [p if isinstance(p, tuple) else (p, p) for p in padding]
    if not all(len(p) == 2 and all(isinstance(v, int) and v >= 0 for v in p) for p in sides):
        raise ShapeError(f"{name}: padding must be integers >= 0, got {brief(padding)}")
    return sides[0], sides[1]
