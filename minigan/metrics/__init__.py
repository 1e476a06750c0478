"""Measures on arrays: how good, how varied and how new samples are."""

from .clusters import majority, purity
from .curves import median_filter, spearman
from .frechet import frechet_distance
from .modes import ModeCoverage, mode_coverage
from .neighbours import nearest, one_nn_accuracy
from .plane import OnCurve, mean_nearest_distance, on_curve
from .strokes import slant, thickness
from .transport import sliced_wasserstein, wasserstein
