"""Samples after some steps of a diffusion, which D sees in place of samples (Diffusion-GAN: Wang et al. 2023).

x_t = sqrt(a_t) x + sqrt(1 - a_t) sigma e, e ~ N(0, 1), a_t = (1 - b_1) ... (1 - b_t), where b rises evenly over T
steps. Half of the samples stay as they are, t = 0; the others have t from 1 to T. T grows with how sure D is, so that
fakes and real samples overlap as far as it takes. D is not told t, so that any network will do; the paper's is told.
"""

from functools import partial

from ..backend import Array, xp
from ..kernels.calls import made
from ..kernels.portable import channels_last
from ..random import Stream
from ..tensor import Tensor

SIGMA = 0.05  # for samples in [-1, 1]
FIRST, LAST = 1e-4, 2e-2  # b_1 and b_T
SHORTEST, LONGEST = 10, 1000  # T, before D is sure of anything, and at most


def diffusion(x: Tensor, rng: Stream, p: Tensor | None = None, *, evenly: bool = False) -> Tensor:
    """Samples x (N, ...) after t steps each, half of them after none: of x's shape.

    T is LONGEST, or between SHORTEST and that as p, a 0-d tensor, is between 0 and 1. The probability of t is in
    proportion to t, the paper's priority, or with `evenly` that of any other.
    """
    u = rng.uniform((len(x), 2), dtype=x.dtype, device=x.device)
    drawn = rng.normal(x.shape, dtype=x.dtype, device=x.device)
    noise = Tensor(channels_last(drawn) if x.ndim == 4 else drawn)
    shape = (len(x),) + (1,) * (x.ndim - 1)
    reach = 1.0 if p is None else p.data
    kept, added = (Tensor(made(_level, u, reach, evenly, which, shape, x.dtype)) for which in ("kept", "added"))
    return kept * x + added * noise


even_diffusion = partial(diffusion, evenly=True)
"""`diffusion` with each t as likely as any other."""


def _level(u: Array, reach: Array | float, evenly: bool, which: str, shape: tuple[int, ...], dtype: object) -> Array:
    """sqrt(a_t), or sqrt(1 - a_t) sigma, of each sample's t."""
    lib = xp(u)
    length = SHORTEST + lib.rint(lib.asarray(reach, dtype="float64") * (LONGEST - SHORTEST))
    steps = lib.arange(LONGEST, dtype="float64") / (length - 1)
    rates = FIRST + (LAST - FIRST) * lib.minimum(steps, 1)
    left = lib.exp(lib.cumsum(lib.log1p(-rates)))[_steps(u.astype("float64"), length, evenly) - 1]
    left = lib.where(u[:, 0] < 0.5, 1.0, left)
    return (lib.sqrt(left) if which == "kept" else SIGMA * lib.sqrt(1 - left)).astype(dtype).reshape(shape)


def _steps(u: Array, length: Array, evenly: bool) -> Array:
    """t of each sample that has steps, from 1 to the length."""
    lib = xp(u)
    if evenly:
        t = lib.floor(u[:, 1] * length) + 1
    else:  # the least t with t (t + 1) >= u T (T + 1)
        t = lib.ceil((lib.sqrt(1 + 4 * u[:, 1] * length * (length + 1)) - 1) / 2)
    return lib.clip(t, 1, length).astype("int64")
