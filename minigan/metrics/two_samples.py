"""Can a classifier tell two clouds of features apart?"""

import math
from typing import NamedTuple

import numpy as np

from ..errors import ShapeError
from ..random import Stream
from .distances import squared_distances
from .finite import check_clouds


class TwoSampleTest(NamedTuple):
    """How well a classifier tells two clouds apart."""

    accuracy: float  # in [0, 1]: about 0.5 if they are of one distribution
    p: float  # the probability of such an accuracy if they are


def two_sample_test(
    a: np.ndarray, b: np.ndarray, classifier: str = "nearest", rng: Stream | None = None
) -> TwoSampleTest:
    """The accuracy of a classifier that tells features a (N, d) from b (M, d), with its p-value.

    `nearest` names each point after the nearest of all others (leave one out; Schilling 1986, Lopez-Paz and Oquab
    2017, Xu et al. 2018). Copies of the other cloud bring the accuracy **below** 0.5, so p counts both sides. It
    is normal, with the exact mean and variance over all ways to deal the labels onto the same neighbours (Henze 1988).
    `linear` fits Fisher's discriminant to a half of each cloud and is tested on the other half; p is one-sided, from
    the normal limit of the binomial. It sees differences of means alone.

    As many points of each are taken, at random from the larger cloud and for the halves; without `rng` the same ones
    each time. **Bias**: the accuracy is a lower bound of what a better classifier would reach, and with more samples
    any difference becomes significant: compare accuracies rather than p. ShapeError if the features do not fit, are
    not finite, a cloud has fewer than four, or the classifier is another.
    """
    check_clouds("two_sample_test", a, b, least=4)
    if classifier not in _CLASSIFIERS:
        raise ShapeError(f"two_sample_test: expected a classifier of {', '.join(_CLASSIFIERS)}, got {classifier!r}")
    rng = rng or Stream(0, "two_sample_test")
    n = min(len(a), len(b))
    a, b = a[rng.permutation(len(a))[:n]], b[rng.permutation(len(b))[:n]]
    return _CLASSIFIERS[classifier](a, b)


def _nearest(a: np.ndarray, b: np.ndarray) -> TwoSampleTest:
    n = len(a)
    both, labels = np.concatenate([a, b]), np.arange(2 * n) < n
    neighbour = np.concatenate([squares.argmin(1) for _, squares in squared_distances(both, both, own=True)])
    accuracy = float((labels[neighbour] == labels).mean())
    mean, deviation = _dealt(neighbour, n)
    return TwoSampleTest(accuracy, math.erfc(abs(accuracy - mean) / deviation / math.sqrt(2)))


def _dealt(neighbour: np.ndarray, n: int) -> tuple[float, float]:
    """Mean and deviation of the accuracy if n labels of each kind are dealt onto 2 n points at random.

    The accuracy is a mean of indicators "i is of its neighbour's kind". The product of two has the probability that
    two, three or two pairs of distinct points are of one kind: it depends on the points that the two have in common.
    """
    points = 2 * n
    two = (n - 1) / (points - 1)
    three = two * (n - 2) / (points - 2)
    pairs = two * ((n - 2) * (n - 3) + n * (n - 1)) / ((points - 2) * (points - 3))
    mutual = int((neighbour[neighbour] == np.arange(points)).sum())  # i and j are each other's neighbour
    chosen = np.bincount(neighbour, minlength=points)
    chained = 2 * (points - mutual) + int((chosen * (chosen - 1)).sum())  # i's is j, j's is another; or both are k's
    apart = points * (points - 1) - mutual - chained
    square = ((points + mutual) * two + chained * three + apart * pairs) / points**2
    return two, math.sqrt(square - two**2)


def _linear(a: np.ndarray, b: np.ndarray) -> TwoSampleTest:
    half = len(a) // 2
    (fit_a, test_a), (fit_b, test_b) = [np.split(x.astype(np.float64), [half]) for x in (a, b)]
    mean_a, mean_b = fit_a.mean(0), fit_b.mean(0)
    within = sum((x - m).T @ (x - m) for x, m in ((fit_a, mean_a), (fit_b, mean_b))) / (2 * half)
    direction = np.linalg.lstsq(within, mean_b - mean_a)[0]
    middle = (mean_a + mean_b) @ direction / 2
    right = np.concatenate([test_a @ direction <= middle, test_b @ direction > middle])
    accuracy = float(right.mean())
    z = (2 * accuracy - 1) * math.sqrt(len(right))
    return TwoSampleTest(accuracy, math.erfc(z / math.sqrt(2)) / 2)


_CLASSIFIERS = {"nearest": _nearest, "linear": _linear}
