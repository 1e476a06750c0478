"""What changes how samples reach a discriminator: several at once, or earlier fakes among the new ones."""

from ..backend import Array, xp
from ..errors import ShapeError
from ..kernels.calls import done, made
from ..kernels.portable import channels_last
from ..ops import all_gather, reshape, transpose
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
    """The last `size` fakes, shown to the discriminator again so that it does not forget them.

    Shrivastava et al. 2017, section 2.3. Its two tensors belong to the state of a game.
    """

    def __init__(self, size: int, like: Tensor) -> None:
        empty = full((size, *like.shape[1:]), 0.0, like.dtype, like.device)
        self.size = size
        self.fakes = Tensor(channels_last(empty.data)) if like.ndim == 4 else empty
        self.count = full((), 0, "int64", like.device)  # of all fakes so far

    def mix(self, fake: Tensor, rng: Stream) -> Tensor:
        """`fake` with each sample, by the toss of a coin, exchanged for an earlier one once there are `size` of them.

        All of `fake` is remembered in place of the oldest. ShapeError if that is more than fits. Several processes
        hold the same pool, of everybody's fakes.
        """
        with no_grad():
            everybodys = all_gather(fake)
        n = len(everybodys)
        if n > self.size:
            raise ShapeError(f"Pool: {n} fakes do not fit into a pool of {self.size}")
        own = len(fake)
        chosen, coins = rng.integers(self.size, own, device=fake.device), rng.uniform(own, device=fake.device)
        mixed = made(_mixed, fake.data, self.fakes.data, self.count.data, chosen, coins)
        done(_remember, everybodys.data, self.fakes.data, self.count.data)
        for t in (self.fakes, self.count):
            t.written("Pool.mix")
        return Tensor(mixed)

    def state_dict(self, prefix: str = "") -> dict[str, Tensor]:
        """The fakes and their count by name, sharing memory with the pool."""
        return {f"{prefix}fakes": self.fakes, f"{prefix}count": self.count}


def _mixed(fake: Array, fakes: Array, count: Array, chosen: Array, coins: Array) -> Array:
    exchanged = (coins < 0.5) & (count >= len(fakes))
    mixed = xp(fake).where(exchanged.reshape(len(fake), *[1] * (fake.ndim - 1)), fakes[chosen], fake)
    return channels_last(mixed) if fake.ndim == 4 else mixed


def _remember(fake: Array, fakes: Array, count: Array) -> None:
    """`fake` in place of the oldest."""
    fakes[(count + xp(fake).arange(len(fake))) % len(fakes)] = fake
    count += len(fake)
