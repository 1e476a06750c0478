"""Measures on arrays: how good, how varied and how new samples are."""

from .clusters import majority, purity
from .neighbours import nearest, one_nn_accuracy
