"""Every mode of `interpolate`, and filters as convolutions of what zeros were put into, side by side with PyTorch."""

import itertools

import numpy as np
import pytest
from parity import check, close, torch

import minigan as mg

F = torch.nn.functional

SIZES = [(5, 7), (8, 8), (1, 3), (13, 4)]
ASKED = [
    *[{"size": s} for s in [(9, 4), (1, 1), (10, 14), (16, 24), (4, 4), (8, 4), 40]],
    *[{"scale_factor": f} for f in (2.0, 3, (2.3, 1.7), (1.0, 0.6), 1.5, (1, 0.5), 1)],
]
OPTIONS = [
    *[{"mode": mode} for mode in ("nearest", "nearest-exact", "area")],
    *[
        {"mode": mode, "align_corners": corners, "antialias": antialias}
        for mode, corners, antialias in itertools.product(("bilinear", "bicubic"), (None, False, True), (False, True))
    ],
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: " ".join(map(str, options.values())))
def test_sizes(options, rng):
    for shape, asked in itertools.product(SIZES, ASKED):
        x = rng.standard_normal((2, 3, *shape))
        for dtype in ("float64", "float32"):
            given = x.astype(dtype)
            theirs = F.interpolate(torch.tensor(given), **asked, **options)
            close(mg.interpolate(mg.tensor(given), **asked, **options), theirs, dtype, f"{shape} {asked}")


@pytest.mark.parametrize("recompute", [False, True])
def test_the_distance_of_pixels_where_a_factor_leaves_a_part_of_one(recompute, rng):
    options = {"scale_factor": 1.7, "mode": "bilinear", "recompute_scale_factor": recompute}
    x = [rng.standard_normal((1, 2, 4, 5))]
    check(lambda x: mg.interpolate(x, **options), lambda x: F.interpolate(x, **options), x, "float64", rng)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(10, 14), (3, 4)])
def test_gradients(mode, size, rng):
    x = [rng.standard_normal((2, 3, 5, 7))]
    for corners in (False, True):
        options = {"size": size, "mode": mode, "align_corners": corners}
        check(lambda x: mg.interpolate(x, **options), lambda x: F.interpolate(x, **options), x, "float64", rng)  # noqa: B023


def torch_upfirdn2d(x, f, up, down, pads, flip, gain):
    """Zeros put in, padded, convolved channel by channel, and every so many kept."""
    n, c, h, w = x.shape
    x = F.pad(x.reshape(n, c, h, 1, w, 1), (0, up[1] - 1, 0, 0, 0, up[0] - 1)).reshape(n, c, h * up[0], w * up[1])
    x = F.pad(x, (*pads[1], *pads[0]))
    f = torch.tensor(f if flip else np.flip(f).copy(), dtype=x.dtype)
    f = torch.outer(f, f) if f.ndim == 1 else f
    y = F.conv2d(x, f[None, None].expand(c, 1, -1, -1), groups=c) * gain
    return y[:, :, :: down[0], :: down[1]]


FILTERS = [
    ([1.0, 3.0, 3.0, 1.0], (2, 2), (1, 1), ((2, 1), (2, 1)), False, 4.0),
    ([1.0, 3.0, 3.0, 1.0], (1, 1), (2, 2), ((1, 1), (1, 1)), False, 1.0),
    ([1.0, 2.0, 4.0], (3, 1), (2, 1), ((-1, 2), (3, -2)), True, 0.5),
    ([[1.0, 2.0], [3.0, 5.0], [7.0, 1.0]], (1, 2), (1, 3), ((1, 1), (0, 2)), False, 1.0),
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("k", range(len(FILTERS)))
def test_filters(k, dtype, rng):
    x = [rng.standard_normal((2, 3, 6, 5))]
    check(lambda x: mg.upfirdn2d(x, *FILTERS[k]), lambda x: torch_upfirdn2d(x, *FILTERS[k]), x, dtype, rng)
