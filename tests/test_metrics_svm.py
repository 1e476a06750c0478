"""The linear SVM: against scikit-learn's, against the condition of its optimum, and on what can be separated."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.metrics import fit_linear_svm, predict_linear_svm


@pytest.fixture
def clouds(rng):
    labels = rng.integers(0, 4, 300)
    return rng.standard_normal((4, 12))[labels] + rng.standard_normal((300, 12)), labels


def gradient(w, x, labels, C):
    ones = np.c_[x, np.ones(len(x))]
    y = np.where(labels[:, None] == np.arange(w.shape[1]), 1, -1)
    return w - 2 * C * ones.T @ (y * np.maximum(1 - y * (ones @ w), 0))


@pytest.mark.parametrize("C", [1e-3, 0.1, 10.0])
def test_weights_are_at_the_minimum(clouds, C):
    w = fit_linear_svm(*clouds, C=C, tolerance=1e-6)
    assert np.abs(gradient(w, *clouds, C)).max() <= 1e-6 * np.linalg.norm(gradient(0 * w, *clouds, C), axis=0).max()


@pytest.mark.parametrize("C", [1e-3, 0.1])
def test_weights_are_those_of_scikit_learn(clouds, C):
    svm = pytest.importorskip("sklearn.svm")
    other = svm.LinearSVC(C=C, tol=1e-8, max_iter=100_000, dual=False).fit(*clouds)
    w = fit_linear_svm(*clouds, C=C, tolerance=1e-6)
    np.testing.assert_allclose(w[:-1].T, other.coef_, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(w[-1], other.intercept_, rtol=1e-3, atol=1e-5)
    assert (predict_linear_svm(w, clouds[0]) == other.predict(clouds[0])).mean() > 0.99


def test_float32_finds_what_float64_does(clouds):
    x, labels = clouds
    single = fit_linear_svm(x.astype("float32"), labels, C=0.1)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, fit_linear_svm(x, labels, C=0.1, tolerance=1e-6), atol=1e-2)


def test_more_features_than_samples_are_separated(rng):
    x, labels = rng.standard_normal((20, 100)), np.arange(20) % 3
    assert (predict_linear_svm(fit_linear_svm(x, labels, C=100), x) == labels).all()


def test_labels_that_do_not_fit_are_refused():
    for labels in (np.zeros(3, int), np.zeros(4)):
        with pytest.raises(ShapeError, match=r"got \(4, 2\)"):
            fit_linear_svm(np.zeros((4, 2)), labels)
