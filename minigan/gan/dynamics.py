"""What changes how samples reach a discriminator: several at once, or earlier fakes among the new ones."""

from .. import processes
from ..backend import Array, xp
from ..errors import ShapeError
from ..kernels.calls import done, made
from ..kernels.portable import channels_last
from ..ops import all_gather, reshape, transpose
from ..processes import Part
from ..random import Stream
from ..recording import no_grad
from ..tensor import Tensor, full


def packed(samples: Tensor, m: int) -> Tensor:
    """(N, C, ...) as (N / m, m C, ...): m samples as one, one behind the other in the channels.

    With M = N / m, samples k, k + M, k + 2M, ... are a pack, as they are a group for `nn.MinibatchStdDev`.
    A discriminator that sees m samples at once sees whether they are all alike (PacGAN, Lin et al. 2018).
    ShapeError if m does not divide N.
    """
    n, c, *rest = samples.shape
    if m < 1 or n % m:
        raise ShapeError(f"packed: a batch of {n} samples does not split into packs of {m}")
    apart = reshape(samples, (m, n // m, c, *rest))
    return reshape(transpose(apart, (1, 0, *range(2, apart.ndim))), (n // m, m * c, *rest))


class Pool:
    """`size` earlier fakes, shown to the discriminator again so that it does not forget them.

    Shrivastava et al. 2017, section 2.3, as CycleGAN (Zhu et al. 2017) has it. Its two tensors belong to the state of a
    game.
    """

    def __init__(self, size: int, like: Tensor) -> None:
        empty = full((size, *like.shape[1:]), 0.0, like.dtype, like.device)
        self.size = size
        self.fakes = Tensor(channels_last(empty.data)) if like.ndim == 4 else empty
        self.count = full((), 0, "int64", like.device)  # of all fakes so far

    def mix(self, fake: Tensor, rng: Stream) -> Tensor:
        """`fake`, of which some are exchanged for earlier ones, one sample after the other.

        While there are fewer than `size`, a sample is remembered, and given as it is. Afterwards a coin is tossed for
        each: it is given as it is, or takes the place of one that is drawn by chance, which is given instead. Several
        processes hold the same pool, of everybody's fakes.
        """
        with no_grad():
            everybodys = all_gather(fake).data
        n = len(everybodys)
        with processes.whole():
            drawn = rng.integers(self.size, n, device=fake.device), rng.uniform(n, device=fake.device)
        mixed = made(_mixed, everybodys, self.fakes.data, self.count.data, *drawn, processes.part())
        done(_remember, everybodys, self.fakes.data, self.count.data, *drawn)
        for t in (self.fakes, self.count):
            t.written("Pool.mix")
        return Tensor(mixed)

    def state_dict(self, prefix: str = "") -> dict[str, Tensor]:
        """The fakes and their count by name, sharing memory with the pool."""
        return {f"{prefix}fakes": self.fakes, f"{prefix}count": self.count}


def _mixed(fake: Array, fakes: Array, count: Array, chosen: Array, coins: Array, part: Part) -> Array:
    places, kept, full = _moves(len(fakes), count, chosen, coins)
    earlier = xp(fake).tril((places[:, None] == places) & kept, -1)
    mixed = part.take(_where(kept & full, _after(fake, fakes[places], earlier), fake))
    return channels_last(mixed) if fake.ndim == 4 else xp(fake).ascontiguousarray(mixed)


def _remember(fake: Array, fakes: Array, count: Array, chosen: Array, coins: Array) -> None:
    places, kept, _ = _moves(len(fakes), count, chosen, coins)
    fakes[...] = _after(fake, fakes, (xp(fake).arange(len(fakes))[:, None] == places) & kept)
    count += len(fake)


def _moves(size: int, count: Array, chosen: Array, coins: Array) -> tuple[Array, Array, Array]:
    """For each sample: its place, whether it is kept there, and whether the pool is full before it."""
    number = count + xp(coins).arange(len(coins))
    full = number >= size
    return xp(coins).where(full, chosen, number), ~full | (coins < 0.5), full


def _after(fake: Array, before: Array, taken: Array) -> Array:
    """What lies at m places: the last of the n fakes that have `taken` each, bool (m, n), or what lay there before."""
    last = xp(fake).where(taken, xp(fake).arange(len(fake)), -1).max(1)
    return _where(last >= 0, fake[last], before)


def _where(each: Array, a: Array, b: Array) -> Array:
    """Samples of a or of b."""
    return xp(a).where(each.reshape(len(a), *[1] * (a.ndim - 1)), a, b)
