"""Measures on arrays: how good, how varied and how new samples are, and what features are worth."""

from .clusters import majority, purity
from .curves import median_filter, spearman
from .frechet import frechet_distance
from .modes import ModeCoverage, mode_coverage
from .neighbours import nearest, one_nn_accuracy
from .plane import OnCurve, mean_nearest_distance, on_curve
from .strokes import slant, thickness
from .svm import fit_linear_svm, predict_linear_svm
