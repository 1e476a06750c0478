"""The inception score, with any classifier: are samples clear, and of many classes?"""

import numpy as np

from ..errors import ShapeError
from .estimates import Estimate
from .finite import check_finite


def inception_score(probabilities: np.ndarray, splits: int = 10) -> Estimate:
    """exp E KL(p(y|x) || p(y)) of a classifier's probabilities (N, K) for samples, 1 to K: the mean over splits.

    K for samples that are sure and evenly of all classes; 1 if all get the same probabilities (Salimans et al. 2016).
    The samples are cut in order into `splits` parts; the error is the deviation of the parts over sqrt(splits), NaN
    for one part; papers print the deviation itself. It is **biased downwards**: p(y) is the mean of the same samples,
    which costs some (K - 1) / (2 N) of its logarithm for N in a part (Chong and Forsyth 2020). It never sees the data:
    one sample of each class, repeated, has the best score. ShapeError unless there are N >= splits >= 1 rows, finite,
    >= 0, whose sums are 1 within 1e-3.
    """
    if probabilities.ndim != 2 or not probabilities.shape[1] or not 1 <= splits <= len(probabilities):
        raise ShapeError(
            f"inception_score: expected probabilities (N, K) for N >= splits >= 1, "
            f"got {probabilities.shape} and {splits}"
        )
    check_finite("inception_score", probabilities)
    p = probabilities.astype(np.float64)
    if p.min() < 0 or abs(p.sum(1) - 1).max() > 1e-3:
        raise ShapeError(
            f"inception_score: expected rows of probabilities, got values from {p.min():g} and sums from "
            f"{p.sum(1).min():g} to {p.sum(1).max():g}"
        )
    scores = [_score(part) for part in np.array_split(p, splits)]
    error = np.std(scores, ddof=1) / np.sqrt(splits) if splits > 1 else np.nan
    return Estimate(float(np.mean(scores)), float(error))


def _score(p: np.ndarray) -> float:
    inside = p > 0  # 0 log 0 = 0
    logs = np.log(p, out=np.zeros_like(p), where=inside)
    marginal = p.mean(0)
    ratio = logs - np.log(marginal, out=np.zeros_like(marginal), where=marginal > 0)
    return float(np.exp((p * ratio).sum(1).mean()))
