"""Adaptive augmentation: how often images are changed follows from how sure the discriminator is of real ones.

A discriminator that learns its images by heart scores nearly all of them as real: r = E sign(D(x)) rises towards 1.
While r is above its target images are changed more often, below it less often (Karras et al. 2020). Or fakes are put
among the real ones so often (Jiang et al. 2021).
"""

from .. import ops, processes
from ..random import Stream
from ..recording import no_grad
from ..tensor import Tensor, full
from .augmentations import augmented, varied

EVERY = 4  # turns of the discriminator, after which p moves


class Adaptive:
    """A probability p, which begins at 0 and moves from 0 to 1 in `images` real ones at the fastest.

    `target` is for r, `undecided` the score between real and fake. Its tensors belong to the state of a game.
    """

    def __init__(self, target: float, images: int, undecided: float, like: Tensor) -> None:
        self.target, self.images, self.undecided = target, images, undecided
        self.p, self.signs, self.count = (full((), 0.0, like.dtype, like.device) for _ in range(3))

    def varied(self, x: Tensor, which: tuple[str, ...], rng: Stream) -> Tensor:
        """Images (N, C, H, W) after changes of these names, each with probability p, or after all of Karras et al."""
        return augmented(x, which, rng, self.p) if which else varied(x, self.p, rng)

    def deceiving(self, real: Tensor, fake: Tensor, rng: Stream) -> Tensor:
        """Real samples, each exchanged with probability p for the fake in its place."""
        u = Tensor(rng.uniform((len(real),) + (1,) * (real.ndim - 1), dtype=self.p.dtype, device=real.device))
        return ops.where(ops.less(u, self.p.detach()), fake, real)

    def learn(self, real_scores: Tensor, samples: int) -> Tensor:
        """p after it has moved by the scores of so many real samples, which it does in every fourth call.

        There are fewer scores than samples if D sees these in packs.
        """
        with no_grad():
            signs = self.signs + ops.batch_mean(ops.sign(real_scores - self.undecided))
            count = self.count + 1
            due = ops.equal(count, EVERY)
            step = EVERY * samples * processes.group().size / self.images
            p = ops.clip(self.p + step * ops.sign(signs / EVERY - self.target), 0.0, 1.0)
            p = ops.where(due, p, self.p)
            self.p.copy_(p, by="Adaptive.learn")
            self.signs.copy_(ops.where(due, 0.0, signs), by="Adaptive.learn")
            self.count.copy_(ops.where(due, 0.0, count), by="Adaptive.learn")
            return p

    def state_dict(self, prefix: str = "") -> dict[str, Tensor]:
        """The probability, and what it moves by next, by name, sharing memory."""
        return {f"{prefix}p": self.p, f"{prefix}signs": self.signs, f"{prefix}count": self.count}
