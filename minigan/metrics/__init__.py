"""Measures on arrays: how good, how varied and how new samples are, and what features are worth."""

from .curves import median_filter, spearman
from .frechet import frechet_distance
from .neighbours import nearest, one_nn_accuracy
from .strokes import slant, thickness
from .svm import fit_linear_svm, predict_linear_svm
