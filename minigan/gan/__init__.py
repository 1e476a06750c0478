"""GANs: objectives, penalties, and the game that players play."""

from . import losses, penalties, translation
from .adaptation import ADDA, DANN
from .bigan import BiGAN
from .conditional import AuxiliaryGame, ConditionalGame
from .dynamics import packed
from .energy import BEGAN, EBGAN, margin_loss, pulling_away
from .footprint import MemoryNeed, memory_needed
from .game import Batch, Drawn, Game, Losses, Source, State, Turn
from .infogan import InfoGame, LatentCode
from .latents import Latent, lerp, normal_latent, slerp, truncated_latent, uniform_latent
from .orthogonality import orthogonal
from .path_lengths import PathLengths
from .penalties import clip_weights, limit_lengths
from .progressive import Growth, ProgressiveGame
from .pyramids import LaplacianGame, MultiScaleGame
from .regularisers import Regularisers
from .score import ScoreGame, alternate
from .semi import SemiSupervised, salimans28
from .singan import SinGAN
from .switches import Moves, Sight
from .text import TextGame
from .vae import VAE
