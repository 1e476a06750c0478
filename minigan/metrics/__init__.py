"""Measures on arrays: how good, how varied and how new samples are."""

from .classes import (
    Accuracy,
    ClassBalance,
    OfClasses,
    class_balance,
    classification_accuracy_score,
    intra_class_frechet,
)
from .clusters import majority, purity
from .copies import Memorisation, SupportSize, memorisation, support_size
from .curves import median_filter, spearman
from .descriptions import DIGIT_CAPTIONS, DigitWords
from .estimates import Estimate, Interval, bootstrap
from .frechet import frechet_distance
from .kernel import kernel_distance
from .manifolds import DensityCoverage, PrecisionRecall, density_coverage, precision_recall
from .modes import ModeCoverage, mode_coverage
from .neighbours import nearest, one_nn_accuracy
from .parzen import parzen_log_likelihood, parzen_sigma
from .plane import OnCurve, mean_nearest_distance, on_curve
from .prd import PRDCurve, prd_curve
from .score import inception_score
from .similarity import intra_class_ms_ssim, ms_ssim, psnr, sharpness, ssim
from .spectrum import radial_power
from .strokes import slant, thickness
from .transport import sliced_wasserstein, wasserstein
from .two_samples import TwoSampleTest, two_sample_test
