"""No measure makes a number of what is none, of nothing, or of what does not fit."""

import contextlib
import inspect
import re

import numpy as np
import pytest

from minigan import metrics
from minigan.errors import ShapeError

RNG = np.random.default_rng(0)
CALLS = {  # arrays that each measure takes, and what else
    "density_coverage": ([RNG.random((9, 3)), RNG.random((8, 3))], ()),
    "frechet_distance": ([RNG.random((6, 3)), RNG.random((5, 3))], ()),
    "inception_score": ([RNG.dirichlet(np.ones(3), 9)], (3,)),
    "kernel_distance": ([RNG.random((6, 3)), RNG.random((5, 3))], ()),
    "mean_nearest_distance": ([RNG.random((6, 3)), RNG.random((5, 3))], ()),
    "median_filter": ([RNG.random(9)], (3,)),
    "memorisation": ([RNG.random((6, 3)), RNG.random((5, 3)), RNG.random((4, 3))], ()),
    "mode_coverage": ([RNG.random((6, 2)), RNG.random((5, 2))], (0.1,)),
    "ms_ssim": ([RNG.random((2, 1, 12, 12)), RNG.random((2, 1, 12, 12))], ()),
    "nearest": ([RNG.random((6, 2)), RNG.random((5, 2))], ()),
    "on_curve": ([RNG.random((6, 2))], (np.sin, 0.0, 1.0)),
    "parzen_log_likelihood": ([RNG.random((6, 2)), RNG.random((5, 2))], (0.1,)),
    "parzen_sigma": ([RNG.random((6, 2)), RNG.random((5, 2))], ()),
    "prd_curve": ([RNG.random((6, 2)), RNG.random((5, 2))], (2, 5, 1)),
    "precision_recall": ([RNG.random((9, 3)), RNG.random((8, 3))], ()),
    "sharpness": ([RNG.random((2, 1, 12, 12)), RNG.random((2, 1, 12, 12))], ()),
    "psnr": ([RNG.random((2, 1, 12, 12)), RNG.random((2, 1, 12, 12))], ()),
    "radial_power": ([RNG.random((2, 1, 5, 5))], ()),
    "slant": ([RNG.random((2, 1, 5, 5))], ()),
    "sliced_wasserstein": ([RNG.random((6, 2)), RNG.random((6, 2))], ()),
    "spearman": ([RNG.random(9), RNG.random(9)], ()),
    "ssim": ([RNG.random((2, 1, 12, 12)), RNG.random((2, 1, 12, 12))], ()),
    "support_size": ([RNG.random((6, 2))], (0.1,)),
    "thickness": ([RNG.random((2, 1, 5, 5))], ()),
    "two_sample_test": ([RNG.random((6, 2)), RNG.random((5, 2))], ()),
    "wasserstein": ([RNG.random((6, 2)), RNG.random((6, 2))], ()),
}
OF_CLASSES = {  # integers, what labels go with, and a nearest one
    *("class_balance", "classification_accuracy_score", "intra_class_frechet", "intra_class_ms_ssim"),
    *("majority", "purity", "one_nn_accuracy"),
}
OF_MEASURES = {"bootstrap"}
OF_NOTHING = {"slant", "thickness", "nearest"}  # one number for each sample, so none for none


def test_every_measure_is_tried():
    assert CALLS.keys() | OF_CLASSES | OF_MEASURES == {
        name for name, _ in inspect.getmembers(metrics, inspect.isfunction)
    }


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", CALLS)
def test_a_number_that_is_none_is_refused(name, bad):
    arrays, options = CALLS[name]
    getattr(metrics, name)(*arrays, *options)
    for k in range(len(arrays)):
        given = [a.copy() for a in arrays]
        given[k].reshape(-1)[1] = bad
        told = f"{name}: expected finite numbers, got 1 that are not in {re.escape(str(given[k].shape))}"
        with pytest.raises(ShapeError, match=told):
            getattr(metrics, name)(*given, *options)


@pytest.mark.parametrize(("dtype", "large"), [("float64", 1e200), ("float32", 1e30)])
@pytest.mark.parametrize("name", sorted(CALLS.keys() - {"inception_score", "mode_coverage"}))
def test_what_overflows_is_refused_or_measured_all_the_same(name, dtype, large):
    arrays, options = CALLS[name]
    with np.errstate(all="ignore"), contextlib.suppress(ShapeError):
        found = getattr(metrics, name)(*((large * a).astype(dtype) for a in arrays), *options)
        assert all(np.isfinite(part).all() for part in (found if isinstance(found, tuple) else (found,)))


@pytest.mark.parametrize("name", sorted(CALLS.keys() - OF_NOTHING))
def test_nothing_is_not_measured(name):
    arrays, options = CALLS[name]
    for k in range(len(arrays)):
        given = [a[:0] if i == k else a for i, a in enumerate(arrays)]
        with pytest.raises(ShapeError, match=f"{name}: expected"):
            getattr(metrics, name)(*given, *options)


@pytest.mark.parametrize("name", [name for name, (arrays, _) in CALLS.items() if len(arrays) == 2])
def test_samples_of_other_shapes_are_not_compared(name):
    (a, b), options = CALLS[name]
    with pytest.raises(ShapeError, match=f"{name}: expected"):
        getattr(metrics, name)(a, np.stack([b, b], -1), *options)
