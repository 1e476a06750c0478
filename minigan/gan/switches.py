"""What may be switched on in a game of scores: how the discriminator sees samples, and how both players move."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from ..errors import ShapeError
from ..nn.checks import integer, not_negative, number
from ..tensor import Tensor
from . import augmentations
from .losses import Loss
from .path_lengths import PathLengths
from .regularisers import Regularisers


@dataclass(frozen=True)
class Sight:
    """What the discriminator sees of samples. Each is a switch, and goes with every loss and penalty:

    - `pack`: so many samples at once, one behind the other in their channels (Lin et al. 2018);
    - `instance_noise`: samples + N(0, this^2), falling linearly to 0 over `noise_steps` rounds if they are given
      (Sonderby et al. 2017);
    - `replay`: half of its fakes, by chance, are exchanged for one of so many earlier ones (Shrivastava et al. 2017);
    - `joint_batches`: real samples and fakes in one batch, which share the statistics of its batch norm;
    - `augment`: random changes of images, real ones and fakes alike, in both players' turns: names with commas between,
      as in "color,translation,cutout" (Zhao et al. 2020; `gan.augmentations`); or "ada", more of them with a
      probability that moves by `ada_target` and `ada_images`, so that it takes so many real images at least from 0 to 1
      (Karras et al. 2020; `gan.adaptive`); or "ada:" and names, these changes with such a probability. "diffusion" and
      "even_diffusion" are noise, of which there is more with a higher one (Wang et al. 2023; `gan.diffusion`);
    - `pseudo`: fakes take the place of real samples where D learns, with such a probability (Jiang et al. 2021);
    - `prepare`: a function of the real samples, where they are to lie in another range than [-1, 1].
    """

    pack: int = 1
    instance_noise: float = 0.0
    noise_steps: int | None = None
    replay: int = 0
    joint_batches: bool = False
    augment: str = ""
    pseudo: bool = False
    ada_target: float = 0.6
    ada_images: int = 500_000
    prepare: Callable[[Tensor], Tensor] | None = None

    def __post_init__(self) -> None:
        integer("Sight: pack", self.pack, 1)
        integer("Sight: replay", self.replay, 0)
        not_negative("Sight", instance_noise=self.instance_noise)
        if self.noise_steps is not None:
            integer("Sight: noise_steps", self.noise_steps, 1)
        if self.changes == () and self.augment not in ("", "ada"):
            raise ShapeError(f"Sight: augment: expected changes after ada:, got {self.augment!r}")
        number("Sight: ada_target", self.ada_target, above=-1, below=1)
        integer("Sight: ada_images", self.ada_images, 1)

    @property
    def varied(self) -> bool:
        """Are images changed with a probability that moves?"""
        return self.augment.split(":")[0] == "ada"

    @property
    def changes(self) -> tuple[str, ...]:
        """The names of the changes that `augment` asks for; none for "ada" alone, which is a way of its own."""
        text = self.augment.removeprefix("ada").removeprefix(":") if self.varied else self.augment
        return augmentations.names("Sight: augment (ada, ada:changes or changes)", text)

    @property
    def adaptive(self) -> bool:
        """Is there a probability that moves?"""
        return self.varied or self.pseudo


@dataclass(frozen=True)
class Moves:
    """How players move. Each is a switch, and goes with every loss and penalty:

    - `unroll`: the generator's gradient runs through so many imagined steps of the discriminator (Metz et al. 2017);
    - `consensus`: both players also descend consensus / 2 times the squared length of their joint gradient, moving at
      once (Mescheder et al. 2017); that is the turn "simultaneous_turn", and the schedule if none is given;
    - `clip`: D's parameters are limited to [-clip, clip] after each of its steps (Arjovsky et al. 2017);
    - `max_norm`: likewise the lengths of its units' weights (Srivastava et al. 2014);
    - `top_k`: the generator learns from this share of its fakes, those with the best scores; with `top_k_steps` it
      falls from 1, by the same factor in each of so many rounds (Sinha et al. 2020);
    - `latent_optimisation`: in both players' turns noise z is first moved to where D scores what is made of it higher,
      by this times g / (latent_damping + |g|^2), g the slope of the score, and `latent_cost` E |z' - z|^2 is added to
      both losses (LOGAN: Wu et al. 2019; `gan.latent_steps`). Samples are made of z as it is drawn.
    """

    unroll: int = 0
    consensus: float = 0.0
    clip: float | None = None
    max_norm: float | None = None
    top_k: float = 1.0
    top_k_steps: int | None = None
    latent_optimisation: float = 0.0
    latent_damping: float = 0.1
    latent_cost: float = 0.1

    def __post_init__(self) -> None:
        integer("Moves: unroll", self.unroll, 0)
        not_negative("Moves", consensus=self.consensus, latent_optimisation=self.latent_optimisation)
        not_negative("Moves", latent_cost=self.latent_cost)
        number("Moves: latent_damping", self.latent_damping, above=0)
        if not all(limit is None or limit > 0 for limit in (self.clip, self.max_norm)):
            raise ShapeError(f"Moves: expected clip and max_norm > 0, got {self}")
        number("Moves: top_k", self.top_k, above=0, most=1)
        if self.top_k_steps is not None:
            integer("Moves: top_k_steps", self.top_k_steps, 1)


UNSUITED = ("joint_batches", "pack", "replay", "unroll")
"""Switches that a game whose samples have labels or codes leaves as they are: they mix samples that were made for
different ones (packs, old fakes, real samples and fakes in one batch), or call the discriminator on samples alone."""
AT_ONCE = ("simultaneous_turn", "one_pass_turn")  # turns in which both players move, from where both are


def check_together(
    loss: Loss,
    sight: Sight,
    moves: Moves,
    regularisers: Regularisers,
    path_lengths: PathLengths | None,
    turns: Collection[str],
) -> None:
    """ShapeError, which says why, for switches that would not mean together what they mean apart."""
    one_pass, at_once = "one_pass_turn" in turns, any(turn in AT_ONCE for turn in turns)
    replay, near = sight.replay, regularisers.latent_consistency
    refused = (
        (
            moves.consensus and "simultaneous_turn" not in turns,
            f"consensus {moves.consensus} needs a simultaneous_turn, got {[*turns]}",
        ),
        (
            at_once and (moves.unroll or replay),
            "players that move at once see each other as they are: no unroll or replay, "
            f"got {moves.unroll} and {replay}",
        ),
        (
            sight.adaptive and loss.undecided is None,
            "augment ada and pseudo go by how many real samples score above what is neither real nor fake, and the "
            f"{loss.name} loss has none",
        ),
        (
            moves.top_k < 1 and loss.couples,
            f"top_k {moves.top_k} leaves scores out, and the {loss.name} loss is none of each score by itself",
        ),
        (
            sight.joint_batches and (regularisers.compares or moves.latent_optimisation),
            "joint_batches: a score depends on the other side's samples, and without them is another: no consistency, "
            "and no latent_optimisation",
        ),
        (
            regularisers.cutmix and (sight.augment or sight.pack > 1),
            f"cutmix compares an image pixel by pixel: no augment or pack, got {sight.augment!r} and {sight.pack}",
        ),
        (
            regularisers.cutmix and regularisers.cutmix_share and (loss.compares or loss.couples),
            f"cutmix_share {regularisers.cutmix_share}: a pixel of images cut together is real or fake by itself, and "
            f"the {loss.name} loss compares both: cutmix_share 0",
        ),
        (
            near and replay,
            f"latent_consistency {near} needs the noise of each fake, and {replay} earlier ones have lost theirs",
        ),
        (
            regularisers.reconstruction and moves.unroll,
            f"reconstruction {regularisers.reconstruction}: decoders do not move in steps that are only imagined: "
            f"no unroll, got {moves.unroll}",
        ),
        (
            near and one_pass,
            f"latent_consistency {near} adds to the generator's loss beside scores: no one_pass_turn",
        ),
        (
            path_lengths and one_pass,
            f"{path_lengths} adds to the generator's loss beside scores: no one_pass_turn",
        ),
        (
            moves.latent_optimisation and (replay or moves.unroll or {"one_pass_turn", "shared_turn"} & {*turns}),
            "latent_optimisation: D learns through how its own score, as it is, moved its fakes' noise: no replay, "
            f"unroll, one_pass_turn or shared_turn, got {replay}, {moves.unroll} and {[*turns]}",
        ),
    )
    for holds, why in refused:
        if holds:
            raise ShapeError(f"ScoreGame: {why}")


def refuse_unsuited(name: str, sight: Sight, moves: Moves, path_lengths: PathLengths | None) -> None:
    """ShapeError for what the game of that name, whose samples have labels or codes, leaves as it is.

    Path lengths too: they are those of styles that noise alone decides.
    """
    given = {**vars(sight), **vars(moves), "path_lengths": path_lengths}
    usual = {**vars(Sight()), **vars(Moves()), "path_lengths": None}
    if found := {switch: given[switch] for switch in (*UNSUITED, "path_lengths") if given[switch] != usual[switch]}:
        raise ShapeError(f"{name}: each sample has a label or code of its own, which does not go with {found}")
