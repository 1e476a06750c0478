"""Measures by class: are all drawn, as often as they should be, each as well as the others?"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..errors import ShapeError
from .finite import check_clouds, check_labels
from .frechet import frechet_distance


class ClassBalance(NamedTuple):
    """How samples are spread over classes."""

    modes: int  # classes that have a sample at least
    kl: float  # nats, of the classes' shares against equal ones: 0 to ln(classes)
    counts: np.ndarray  # samples of each class


class OfClasses(NamedTuple):
    """A measure of each class, NaN where there is none to measure."""

    mean: float  # over the classes that have one
    each: np.ndarray

    @classmethod
    def of(cls, each: np.ndarray) -> "OfClasses":
        """With the mean of those that are not NaN, itself NaN if all are."""
        known = each[~np.isnan(each)]
        return cls(float(known.mean()) if len(known) else float("nan"), each)


class Accuracy(NamedTuple):
    """How often a classifier is right."""

    overall: float  # share of all that were tested
    each: np.ndarray  # of each class of them, NaN for a class without any


def class_balance(labels: np.ndarray, classes: int) -> ClassBalance:
    """How samples with these labels (N,), integers 0 .. classes - 1, are spread: modes reached, KL to equal shares.

    sum p ln(p K) over the shares p of K classes, as VEEGAN (Srivastava et al. 2017) and PacGAN (Lin et al. 2018) have
    it for the 1 000 modes of three stacked digits, 100 r + 10 g + b, of 26 000 samples. The KL is **biased upwards**
    by some (K - 1) / (2 N), 0.019 there; the count of modes downwards: a rare class is missed, and it is upwards
    where the classifier that gave the labels errs. ShapeError if a label is none of these, or there is none.
    """
    check_labels("class_balance", labels)
    if labels.max() >= classes:
        raise ShapeError(f"class_balance: expected labels below {classes}, got {labels.max()}")
    counts = np.bincount(labels, minlength=classes)
    share = counts[counts > 0] / len(labels)
    return ClassBalance(int((counts > 0).sum()), float((share * np.log(share * classes)).sum()), counts)


def intra_class_frechet(
    real: np.ndarray, real_labels: np.ndarray, fake: np.ndarray, fake_labels: np.ndarray
) -> OfClasses:
    """The Frechet distance of features real (N, d) and fake (M, d) within each class of the real labels, and its mean.

    A generator that draws one good image a class is found out, which a distance over all classes may miss (Miyato and
    Koyama 2018, intra FID). A fake's label is that asked for, or a classifier's. **Biased upwards**, more than the
    distance of all: there are fewer samples of each class, so compare equal numbers. A class with fewer than two of
    either is NaN and not in the mean, which is NaN if there is no other. ShapeError if features do not fit, or there is
    not a label for each.
    """
    call = "intra_class_frechet"
    check_clouds(call, real, fake, least=2)
    check_labels(call, real_labels, len(real))
    check_labels(call, fake_labels, len(fake))
    each = np.full(int(real_labels.max()) + 1, np.nan)
    for label in range(len(each)):
        of_real, of_fake = real[real_labels == label], fake[fake_labels == label]
        if min(len(of_real), len(of_fake)) > 1:
            each[label] = frechet_distance(of_real, of_fake)
    return OfClasses.of(each)


def classification_accuracy_score(
    fit: Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]],
    fake: np.ndarray,
    fake_labels: np.ndarray,
    test: np.ndarray,
    test_labels: np.ndarray,
) -> Accuracy:
    """How often a classifier that learnt from generated samples alone is right on real ones, in all and by class.

    `fit(fake, fake_labels)` returns the classifier: samples in, labels (N,) out (Ravuri and Vinyals 2019, CAS). Classes
    that a generator draws badly or not at all are those of low accuracy. **Biased downwards** against the accuracy of
    training on real images if there are fewer samples, or of another number than they are; so fit to as many real ones
    too and give both numbers. It says nothing of samples without labels. ShapeError if there is not a label for each
    sample, or the classifier does not give one.
    """
    call = "classification_accuracy_score"
    check_labels(call, fake_labels, len(fake))
    check_labels(call, test_labels, len(test))
    found = np.asarray(fit(fake, fake_labels)(test))
    if found.shape != test_labels.shape:
        raise ShapeError(f"{call}: expected the classifier's labels {test_labels.shape}, got {found.shape}")
    right = found == test_labels
    tested = np.bincount(test_labels)
    each = np.full(len(tested), np.nan)
    np.divide(np.bincount(test_labels, right), tested, out=each, where=tested > 0)
    return Accuracy(float(right.mean()), each)
