"""Clusters of samples: they are where the samples are, none is empty, and the same seed finds the same ones."""

import numpy as np
import pytest

import minigan as mg
from minigan.data import k_means, principal_components
from minigan.data.clusters import CHUNK, SEEN, _nearest
from minigan.metrics import purity


def blobs(n, clusters, shape, seed=0):
    """(uint8 samples that lie around so many centres far apart, the centre of each)."""
    rng = np.random.default_rng(seed)
    centres = rng.integers(40, 215, (clusters, *shape))
    which = rng.integers(0, clusters, n)
    return (centres[which] + rng.integers(-9, 10, (n, *shape))).astype(np.uint8), which


@pytest.mark.parametrize("shape", [(1, 6, 6), (3, 5, 5), (3,)])
def test_clusters_that_are_there_are_found(shape):
    samples, which = blobs(CHUNK + 500, 4, shape)
    given = samples if len(shape) == 3 else samples.astype("float32")
    best = max(purity(k_means(given, 4, seed=seed), which) for seed in range(4))  # a random start may miss one
    assert best == 1
    assert purity(k_means(given, 30), which) == 1


def test_components_are_those_of_an_eigenvalue_solver():
    rng = np.random.default_rng(0)
    scale = 0.7 ** np.arange(30)
    rows = (rng.standard_normal((600, 30)) * scale) @ np.linalg.qr(rng.standard_normal((30, 30)))[0] + 5
    found = principal_components(rows.astype("float32"), 6)
    centred = rows - rows.mean(0)
    variances = np.linalg.eigvalsh(centred.T @ centred)[::-1][:6]
    np.testing.assert_allclose((found.astype(float) ** 2).sum(0), variances, rtol=1e-3)
    assert abs(found.mean(0)).max() < 1e-5
    assert principal_components(rows[:3]).shape == (3, 3)
    assert principal_components(rows[:, :2]).shape == (600, 2)


def test_components_of_many_samples_are_found_from_a_part(rng):
    rows = rng.standard_normal((SEEN + 2000, 12)) * np.r_[9, 5, np.ones(10)]
    found = principal_components(rows, 2)
    assert found.shape == (len(rows), 2)
    assert found.var(0) == pytest.approx([81, 25], rel=0.05)


def test_no_cluster_is_empty_though_samples_are_the_same():
    samples = np.zeros((40, 1, 4, 4), np.uint8)
    samples[:5] = np.arange(1, 6)[:, None, None, None] * 40
    labels = k_means(samples, 12)
    assert (labels.dtype, labels.shape, np.bincount(labels).size) == (np.int64, (40,), 12)
    assert np.bincount(labels).all()
    assert sorted(k_means(samples, 40)) == list(range(40))
    assert k_means(samples[:1], 1).tolist() == [0]


def test_an_empty_cluster_is_given_the_sample_that_is_farthest_from_its_own():
    points, centres = np.float32([[10], [11], [4], [30]]), np.float32([[10], [10], [10], [30]])
    assert _nearest(points, centres).tolist() == [0, 2, 1, 3]


def test_the_seed_decides():
    samples, _ = blobs(300, 9, (1, 5, 5))
    assert np.array_equal(k_means(samples, 5, seed=1), k_means(samples, 5, seed=1))
    assert not np.array_equal(k_means(samples, 5, seed=1), k_means(samples, 5, seed=2))


@pytest.mark.parametrize(
    ("samples", "clusters", "message"),
    [
        (np.zeros((3, 2)), 4, "expected 1 to 3 clusters, .* got 4"),
        (np.zeros((3, 2)), 0, "got 0 and 25"),
        (np.array([[0.0], [np.nan]]), 1, "a sample with a NaN or an infinity"),
        (np.zeros(3), 2, r"expected samples \(N, ...\) .* got float64 \(3,\)"),
        (np.zeros((3, 0)), 2, r"got float64 \(3, 0\)"),
        (np.array([["a"], ["b"]]), 1, "got <U1"),
    ],
)
def test_what_cannot_be_clustered_is_named(samples, clusters, message):
    with pytest.raises(mg.errors.DataError, match=message):
        k_means(samples, clusters)


def test_a_nan_that_no_component_is_found_from_is_seen():
    rows = np.zeros((SEEN + 50, 2), "float32")
    left_out = mg.random.Stream(0, "components seen").permutation(len(rows))[SEEN]
    rows[left_out] = np.nan
    with pytest.raises(mg.errors.DataError, match="NaN"):
        principal_components(rows)
