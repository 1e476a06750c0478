"""What the space holds that a generator draws from: an image's place in it, ways, directions, how even it is."""

from ..gan.latents import lerp, slerp
from .directions import Directions, between_classes, factorised, principal
from .path_length import PathLength, path_length
from .projection import Projection, Search, project
from .space import KINDS, Points, Space, read_points
