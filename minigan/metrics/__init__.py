"""Measures on arrays: how good, how varied and how new samples are."""

from .frechet import frechet_distance
from .strokes import slant, thickness
