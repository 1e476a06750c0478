"""GANs: objectives, penalties, and the game that players play."""

from . import losses, penalties
from .game import Batch, Game, Latent, ScoreGame, Turn, alternate, normal_latent, uniform_latent
from .penalties import clip_weights
