"""What may be switched on in a game of scores: how the discriminator sees samples, and how both players move."""

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import ShapeError
from ..nn.checks import integer, not_negative
from ..tensor import Tensor


@dataclass(frozen=True)
class Sight:
    """What the discriminator sees of samples. Each is a switch, and goes with every loss and penalty:

    - `pack`: so many samples at once, one behind the other in their channels (Lin et al. 2018);
    - `instance_noise`: samples + N(0, this^2), falling linearly to 0 over `noise_steps` rounds if they are given
      (Sonderby et al. 2017);
    - `replay`: half of the fakes that it learns from are drawn from so many earlier ones (Shrivastava et al. 2017);
    - `joint_batches`: real samples and fakes in one batch, which share the statistics of its batch norm;
    - `prepare`: a function of the real samples, where they are to lie in another range than [-1, 1].
    """

    pack: int = 1
    instance_noise: float = 0.0
    noise_steps: int | None = None
    replay: int = 0
    joint_batches: bool = False
    prepare: Callable[[Tensor], Tensor] | None = None

    def __post_init__(self) -> None:
        integer("Sight: pack", self.pack, 1)
        integer("Sight: replay", self.replay, 0)
        not_negative("Sight", instance_noise=self.instance_noise)
        if self.noise_steps is not None:
            integer("Sight: noise_steps", self.noise_steps, 1)


@dataclass(frozen=True)
class Moves:
    """How players move. Each is a switch, and goes with every loss and penalty:

    - `unroll`: the generator's gradient runs through so many imagined steps of the discriminator (Metz et al. 2017);
    - `consensus`: both players also descend consensus / 2 times the squared length of their joint gradient, moving at
      once (Mescheder et al. 2017); that is the turn "simultaneous_turn", and the schedule if none is given;
    - `clip`: D's parameters are limited to [-clip, clip] after each of its steps (Arjovsky et al. 2017);
    - `max_norm`: likewise the lengths of its units' weights (Srivastava et al. 2014).
    """

    unroll: int = 0
    consensus: float = 0.0
    clip: float | None = None
    max_norm: float | None = None

    def __post_init__(self) -> None:
        integer("Moves: unroll", self.unroll, 0)
        not_negative("Moves", consensus=self.consensus)
        if not all(limit is None or limit > 0 for limit in (self.clip, self.max_norm)):
            raise ShapeError(f"Moves: expected clip and max_norm > 0, got {self}")
