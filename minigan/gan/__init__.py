"""GANs: objectives, penalties, and the game that players play."""

from . import losses, penalties
from .dynamics import packed
from .game import Batch, Game, Losses, State, Turn
from .penalties import clip_weights
from .score import Latent, ScoreGame, alternate, normal_latent, uniform_latent
