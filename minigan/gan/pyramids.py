"""Games whose samples are pyramids: the same image in several sizes, which the discriminator is shown together.

A sample is a row of numbers with all of them in it (`models.pyramid`), so that losses and penalties are those of any
game: the gradient of a penalty is the one with respect to the images of all sizes, and its length that of all of them
together.
"""

from typing import Any

from ..errors import ShapeError
from ..models.lapgan import LaplacianDiscriminator, LaplacianGenerator
from ..models.msggan import MultiScaleGenerator, PyramidDiscriminator
from ..models.pyramid import as_rows, pyramid
from .game import Batch
from .objectives import Critic, Sampler, Sides
from .score import ScoreGame


class PyramidGame(ScoreGame):
    """Base of games of pyramids with images of the discriminator's `sides`: real ones are made of the batch's images.

    Loss, penalty and what else may be switched on are those of a ScoreGame, but for what changes images or keeps or
    packs them: augment, replay, pack and the consistencies of changed images are refused (ShapeError).
    """

    generator: Any
    discriminator: Any

    def __init__(self, *players: Any, **parts: Any) -> None:
        super().__init__(*players, **parts)
        seen, weights = self.sight, self.regularisers
        refused = {
            "augment": seen.augment,
            "replay": seen.replay,
            "pack": seen.pack > 1 and seen.pack,
            "consistency": weights.consistency,
            "fake_consistency": weights.fake_consistency,
        }
        if found := {name: value for name, value in refused.items() if value}:
            raise ShapeError(f"{type(self).__name__}: a sample is an image in several sizes, which excludes {found}")

    def _sides(self, generator: Sampler, critic: Critic, batch: Batch, deceive: bool = True) -> Sides:
        real = as_rows(pyramid(batch.real, self.discriminator.sides))
        return super()._sides(generator, critic, batch._replace(drawn=real), deceive)


class MultiScaleGame(PyramidGame):
    """MSG-GAN (Karnewar and Wang 2020): G shows an image of each size, and D scores all of them at once.

    A gradient penalty is on the length of D's gradient with respect to all of them; the authors average one for each
    size. Samples are the images of full size.
    """

    generator: MultiScaleGenerator
    discriminator: PyramidDiscriminator

    def as_functions(self, batch: Batch) -> tuple[Sampler, Critic]:
        """Noise to pyramids, and pyramids to scores."""
        return lambda z: as_rows(self.generator.images(z)), self.discriminator


class LaplacianGame(PyramidGame):
    """LAPGAN (Denton et al. 2015): each size has a generator and a discriminator of its own, who play by themselves.

    They do so at once, and the loss is the mean of theirs. All but the smallest are conditional: they are told real
    images with no more detail than the size below has, and G adds the detail. In samples that is added to images of its
    own. A loss that compares scores of all samples would compare those of different sizes: ShapeError.
    """

    one_by_one = True
    generator: LaplacianGenerator
    discriminator: LaplacianDiscriminator

    def __init__(self, *players: Any, **parts: Any) -> None:
        super().__init__(*players, **parts)
        if self.loss.couples:
            raise ShapeError(f"LaplacianGame: the {self.loss.name} loss would compare scores of different sizes")
        if self.moves.top_k < 1 or any(turn.name == "one_pass_turn" for turn in self.schedule):
            raise ShapeError("LaplacianGame: a sample has a score for each size: no top_k and no one_pass_turn")

    def as_functions(self, batch: Batch) -> tuple[Sampler, Critic]:
        """Both players, told the coarse detail of the batch's images."""
        lows = self.discriminator.lows(pyramid(self.view.prepared(batch.real), self.discriminator.sides))
        return lambda z: as_rows(self.generator.images(z, lows)), lambda x: self.discriminator(x, lows)
