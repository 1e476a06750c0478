"""Measures by class against counts by hand."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.metrics import (
    class_balance,
    classification_accuracy_score,
    frechet_distance,
    intra_class_frechet,
    intra_class_ms_ssim,
    nearest,
)


def test_modes_of_three_stacked_digits(rng):
    digits = rng.integers(0, 10, (26_000, 3))
    balance = class_balance(digits @ [100, 10, 1], 1000)
    assert balance.modes == 1000
    assert balance.kl == pytest.approx(999 / 52_000, rel=0.2)  # the bias that the docstring states
    assert balance.counts.sum() == 26_000
    few = class_balance(np.repeat([3, 999], [30, 10]), 1000)
    assert few.modes == 2
    assert few.kl == pytest.approx(0.75 * np.log(750) + 0.25 * np.log(250))
    assert class_balance(np.arange(10), 10).kl == pytest.approx(0)


@pytest.mark.parametrize("labels", [[], [0, 10], [-1], [0.5], [[1]]])
def test_labels_that_are_none_are_refused(labels):
    with pytest.raises(ShapeError, match="class_balance: expected"):
        class_balance(np.array(labels), 10)


def test_distances_within_classes_see_what_one_over_all_does_not(rng):
    labels = np.arange(400) % 2
    real = rng.standard_normal((400, 2)) + 6 * labels[:, None]
    swapped = intra_class_frechet(real, labels, real, 1 - labels)
    assert frechet_distance(real, real) < 1e-9
    assert swapped.mean == pytest.approx(72, rel=0.1)
    assert swapped.each[0] == pytest.approx(swapped.each[1], rel=0.01)
    alone = intra_class_frechet(real, labels, real[labels == 1], labels[labels == 1])
    assert np.isnan(alone.each).tolist() == [True, False]
    assert alone.mean == pytest.approx(0, abs=1e-9)
    assert np.isnan(intra_class_frechet(real, labels, real, labels + 2).mean)


def test_accuracy_of_what_learnt_from_samples(rng):
    labels = np.arange(90) % 3
    points = 10.0 * labels[:, None] + rng.standard_normal((90, 2))
    fit = lambda x, names: lambda test: names[nearest(test, x)]
    assert classification_accuracy_score(fit, points[:60], labels[:60], points[60:], labels[60:]).overall == 1
    kept = labels[:60] != 1  # a class that the generator never draws
    found = classification_accuracy_score(fit, points[:60][kept], labels[:60][kept], points[60:], labels[60:])
    assert found.each.tolist() == [1, 0, 1]
    assert found.overall == pytest.approx(2 / 3)


def test_a_label_for_each_sample_is_asked_for():
    x, images, two, three = np.zeros((3, 2)), np.zeros((3, 1, 12, 12)), np.arange(2), np.arange(3)
    fit = lambda x, names: lambda test: names[:1]
    for call in (
        lambda: intra_class_frechet(x, two, x, three),
        lambda: intra_class_frechet(x, three, x, two),
        lambda: classification_accuracy_score(fit, x, two, x, three),
        lambda: classification_accuracy_score(fit, x, three, x, three),
        lambda: intra_class_ms_ssim(images, two),
        lambda: intra_class_ms_ssim(images, three, pairs=0),
    ):
        with pytest.raises(ShapeError, match="expected"):
            call()
