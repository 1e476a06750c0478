"""Measures against public implementations on the same features: prdc, scikit-learn, SciPy and pytorch-msssim.

KID, the Frechet distance and the inception score are held to the formulas of torch-fidelity (which brings torchvision,
and so is not installed here), written with scikit-learn's kernel, SciPy's root of a matrix and SciPy's entropy.
"""

import numpy as np
import pytest
from parity import one_thread, torch  # noqa: F401  a fixture

from minigan import data, metrics
from minigan.random import Stream

reason = "pip install 'minigan[parity]'"
scipy = pytest.importorskip("scipy", reason=reason)
sklearn = pytest.importorskip("sklearn", reason=reason)
linalg, ndimage, optimize, spatial, stats = (
    pytest.importorskip(f"scipy.{part}") for part in ("linalg", "ndimage", "optimize", "spatial", "stats")
)
neighbors, pairwise = (pytest.importorskip(f"sklearn.{part}") for part in ("neighbors", "metrics.pairwise"))

close = lambda value: pytest.approx(value, rel=1e-6, abs=1e-6)


@pytest.fixture(params=["float64", "float32"])
def clouds(rng, request):
    """Features that overlap in part, 300 and 250 of 8."""
    real, fake = rng.standard_normal((300, 8)), 0.7 * rng.standard_normal((250, 8)) + 0.4
    return real.astype(request.param), fake.astype(request.param)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_precision_recall_density_coverage_are_those_of_prdc(clouds, k):
    theirs = pytest.importorskip("prdc", reason=reason).compute_prdc(*clouds, nearest_k=k)
    ours = (*metrics.precision_recall(*clouds, k=k), *metrics.density_coverage(*clouds, k=k))
    assert ours == close([theirs[name] for name in ("precision", "recall", "density", "coverage")])


def test_kernel_distance_is_the_formula_with_scikit_learns_kernel(clouds):
    a, b = (cloud.astype(np.float64) for cloud in clouds)  # the same numbers: float32 is held to 1e-5 below
    rng, found = Stream(3, "subsets"), []
    for _ in range(7):
        x, y = (cloud[rng.permutation(len(cloud))[:50]] for cloud in (a, b))
        xx, yy, xy = (pairwise.polynomial_kernel(*pair, 3, None, 1) for pair in ((x, x), (y, y), (x, y)))
        within = sum((k.sum() - np.trace(k)) / (50 * 49) for k in (xx, yy))
        found.append(within - 2 * xy.mean())
    ours = metrics.kernel_distance(a, b, subsets=7, size=50, rng=Stream(3, "subsets"))
    assert ours.value == close(np.mean(found))
    assert ours.error == close(np.std(found, ddof=1) * (1 / 7 + 50 / 200) ** 0.5)
    narrow = metrics.kernel_distance(*clouds, subsets=7, size=50, rng=Stream(3, "subsets"))
    assert narrow == pytest.approx(ours, rel=1e-5)


def test_frechet_distance_is_the_formula_with_scipys_root(clouds):
    a, b = (cloud.astype(np.float64) for cloud in clouds)
    ca, cb = np.cov(a.T), np.cov(b.T)
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca + cb) - 2 * np.trace(linalg.sqrtm(ca @ cb)).real
    assert metrics.frechet_distance(*clouds) == close(expected)


def test_inception_score_is_the_formula_with_scipys_entropy(rng):
    p = rng.dirichlet(np.full(7, 0.2), 600)
    parts = np.split(p, 6)
    theirs = [np.exp(stats.entropy(part, part.mean(0, keepdims=True), axis=1).mean()) for part in parts]
    value, error = metrics.inception_score(p, splits=6)
    assert value == close(np.mean(theirs))
    assert error * 5**0.5 == close(np.std(theirs))  # papers print the deviation of the parts


def test_the_nearest_neighbour_test_is_scikit_learns_leave_one_out(clouds):
    a, b = (cloud[:250] for cloud in clouds)
    both, labels = np.concatenate([a, b]), np.repeat([0, 1], 250)
    at = neighbors.NearestNeighbors(n_neighbors=1).fit(both).kneighbors(return_distance=False)[:, 0]
    assert metrics.two_sample_test(a, b).accuracy == close((labels[at] == labels).mean())


def test_the_linear_test_is_scikit_learns_discriminant(clouds):
    fisher = pytest.importorskip("sklearn.discriminant_analysis").LinearDiscriminantAnalysis(solver="lsqr")
    a, b = (cloud[:250].astype(np.float64) for cloud in clouds)
    accuracy, p = metrics.two_sample_test(a, b, "linear", rng=Stream(5, "halves"))
    rng, labels = Stream(5, "halves"), np.repeat([0, 1], 125)
    a, b = (cloud[rng.permutation(250)] for cloud in (a, b))
    fisher.fit(np.concatenate([a[:125], b[:125]]), labels)
    theirs = fisher.score(np.concatenate([a[125:], b[125:]]), labels)
    assert accuracy == close(theirs)
    assert p == close(stats.norm.sf((theirs - 0.5) * 2 * 250**0.5))


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(("side", "window"), [(48, 3), (176, 11)])
def test_ms_ssim_is_that_of_pytorch_msssim(rng, side, window):
    theirs = pytest.importorskip("pytorch_msssim", reason=reason)
    assert metrics.similarity.scales_of((side, side), window) == 5
    a = ndimage.gaussian_filter(rng.uniform(-1, 1, (2, 3, side, side)), (0, 0, 2, 2)) * 4
    b = a + rng.normal(0, 0.2, a.shape)
    expected = theirs.ms_ssim(
        *map(torch.tensor, (a, b)),
        data_range=2,
        size_average=False,
        win_size=window,
    )
    assert metrics.ms_ssim(a, b, window=window) == close(expected.numpy())


def test_ms_ssim_of_one_scale_is_ssim(rng):
    theirs = pytest.importorskip("pytorch_msssim", reason=reason)
    a = rng.integers(0, 256, (5, 1, 16, 18), np.uint8)
    b = (a * 0.8 + rng.integers(0, 50, a.shape)).astype(np.uint8)
    assert metrics.similarity.scales_of((16, 18)) == 1
    expected = theirs.ssim(*(torch.tensor(x / 1.0) for x in (a, b)), data_range=255, size_average=False)
    exponent = sum(metrics.similarity.WEIGHTS)  # 1.0001, as the paper prints them
    assert metrics.ms_ssim(a, b) == close(expected.numpy() ** exponent)


def test_parzen_windows_are_scikit_learns_kernel_density(rng):
    samples, test = rng.uniform(0, 1, (200, 30)), rng.uniform(0, 1, (90, 30))
    # leaf_size: in a tree of many leaves scikit-learn adds and subtracts terms far above their sum, and loses it
    fitted = {s: neighbors.KernelDensity(bandwidth=s, leaf_size=200).fit(samples) for s in np.logspace(-1, 0, 10)}
    logs = fitted[0.1].score_samples(test)
    assert metrics.parzen_log_likelihood(samples, test, 0.1) == close((logs.mean(), stats.sem(logs)))
    assert metrics.parzen_sigma(samples, test) == max(fitted, key=lambda s: fitted[s].score(test))


def test_memorisation_is_scipys_mann_whitney(rng):
    fake, train, held_out = (rng.integers(0, 4, (n, 3)).astype(np.float64) for n in (80, 50, 60))  # with many ties
    here, there = (spatial.distance.cdist(x, train).min(1) for x in (fake, held_out))
    theirs = stats.mannwhitneyu(here, there, alternative="less", use_continuity=False, method="asymptotic")
    ours = metrics.memorisation(fake, train, held_out)
    assert ours.nearer == close(1 - theirs.statistic / (80 * 60))
    assert stats.norm.cdf(ours.z) == close(theirs.pvalue)
    assert (ours.samples, ours.held_out) == close((np.median(here), np.median(there)))


def test_copies_of_regions_are_the_mean_of_mann_whitneys(rng):
    fake, train, held_out = (rng.standard_normal((n, 3)) for n in (80, 50, 60))
    centres = train[:4]
    cells = [spatial.distance.cdist(x, centres).argmin(1) for x in (fake, held_out)]
    here, there = (spatial.distance.cdist(x, train).min(1) for x in (fake, held_out))
    each, weights = [], []
    for c in range(4):
        a, b = here[cells[0] == c], there[cells[1] == c]
        u = stats.mannwhitneyu(a, b).statistic
        each.append((u - len(a) * len(b) / 2) / (len(a) * len(b) * (len(a) + len(b) + 1) / 12) ** 0.5)
        weights.append(len(b))
    assert metrics.memorisation(fake, train, held_out, centres).z == close(np.average(each, weights=weights))


def test_alike_pairs_are_those_of_scipys_distances(rng):
    x = rng.uniform(0, 1, (200, 3))
    close_ones = int((spatial.distance.pdist(x) < 0.1).sum())
    assert metrics.support_size(x, 0.1)[::2] == (200 * 199 / 2 / close_ones, close_ones)


def test_clusters_are_scikit_learns_from_the_same_seeds(rng):
    x = rng.standard_normal((400, 3)) + 3 * rng.integers(0, 2, (400, 3))
    seeds = x[Stream(4, "clusters").permutation(400)[:6]]
    fit = pytest.importorskip("sklearn.cluster").KMeans(6, init=seeds, n_init=1, tol=0).fit(x)
    assert np.array_equal(data.k_means(x, 6, seed=4, rounds=300), fit.labels_)


def test_class_measures_are_those_of_scipy_and_scikit_learn(rng):
    labels = rng.integers(0, 9, 500)
    assert metrics.class_balance(labels, 10).kl == close(
        stats.entropy(np.bincount(labels, minlength=10), np.full(10, 0.1))
    )
    x, test, truth = rng.standard_normal((500, 4)) + labels[:, None], rng.standard_normal((100, 4)), labels[:100]
    test += truth[:, None]
    fit = lambda samples, names: neighbors.KNeighborsClassifier(3).fit(samples, names).predict
    theirs = pytest.importorskip("sklearn.metrics")
    ours = metrics.classification_accuracy_score(fit, x, labels, test, truth)
    predicted = fit(x, labels)(test)
    assert ours.overall == close(theirs.accuracy_score(truth, predicted))
    assert ours.each == close(theirs.recall_score(truth, predicted, average=None))


@pytest.mark.parametrize("size", [(16, 16), (15, 15), (12, 12)])
def test_radial_power_is_scipys_mean_over_labels(rng, size):
    images = rng.standard_normal((3, 2, *size))
    spectrum = np.fft.fftshift((abs(np.fft.fft2(images)) ** 2).mean(1), axes=(1, 2)) / np.prod(size)
    y, x = np.mgrid[: size[0], : size[1]] - np.array(size)[:, None, None] // 2
    ring = np.rint(np.hypot(y, x)).astype(int)
    theirs = [ndimage.mean(s, ring, np.arange(size[0] // 2 + 1)) for s in spectrum]
    assert metrics.radial_power(images) == close(np.array(theirs))


def test_wasserstein_is_scipys_assignment(rng):
    a, b = rng.standard_normal((2, 60, 4))
    cost = spatial.distance.cdist(a, b)
    assert metrics.wasserstein(a, b) == close(cost[optimize.linear_sum_assignment(cost)].mean())
