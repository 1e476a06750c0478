"""How samples reach a discriminator: as its `Sight` says, by what a game remembers for it."""

from collections.abc import Callable
from typing import Any

from ..backend import Array
from ..kernels.calls import made
from ..random import Stream
from ..tensor import Tensor
from .adaptive import Adaptive
from .augmentations import augmented
from .dynamics import Pool, packed
from .losses import Loss
from .switches import Sight


class View:
    """What the discriminator of a game sees of samples.

    `weight` is one of its own, and `example()` gives a fake: what is remembered lives where they do. `step` counts the
    rounds.
    """

    def __init__(self, sight: Sight, loss: Loss, weight: Tensor, step: Tensor, example: Callable[[], Tensor]) -> None:
        self.sight, self.step = sight, step
        self.pool = Pool(sight.replay, example()) if sight.replay else None
        self.adaptive = (
            Adaptive(sight.ada_target, sight.ada_images, loss.undecided, weight)
            if sight.adaptive and loss.undecided is not None
            else None
        )

    def state_dict(self) -> dict[str, Tensor]:
        """What is remembered from turn to turn by name, sharing memory."""
        pool, adaptive = self.pool, self.adaptive
        return ({} if pool is None else pool.state_dict("replay.")) | (
            {} if adaptive is None else adaptive.state_dict("augment.")
        )

    def prepared(self, real: Tensor) -> Tensor:
        """Real samples in the range in which they are compared with fakes."""
        return real if self.sight.prepare is None else self.sight.prepare(real)

    def seen(self, samples: Tensor, rng: Stream) -> Tensor:
        """Samples as they are shown: changed at random, with noise, and in packs."""
        sight = self.sight
        if self.adaptive is not None and sight.varied:
            samples = self.adaptive.varied(samples, sight.changes, rng)
        elif sight.augment:
            samples = augmented(samples, sight.changes, rng)
        if sight.instance_noise:
            noise = Tensor(rng.normal(samples.shape, dtype=samples.dtype, device=samples.device))
            samples = samples + self._noise_level(samples.dtype) * noise
        return samples if sight.pack == 1 else packed(samples, sight.pack)

    def _noise_level(self, dtype: Any) -> Tensor | float:
        sight = self.sight
        if sight.noise_steps is None:
            return sight.instance_noise
        return Tensor(made(_noise_left, self.step.data, sight.noise_steps, sight.instance_noise, dtype))


def _noise_left(step: Array, steps: int, level: float, dtype: Any) -> Array:
    """What is left of a level of noise that ends after so many steps; the step is read where it lives."""
    return (level * (1 - step / steps).clip(0, None)).astype(dtype)
