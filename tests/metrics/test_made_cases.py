"""Measures move as they must where it is known what is wrong with the samples: digits made worse in one way each.

Features need no training: how strongly random filters of edges answer in nine parts of an image (Zhao and Meng 2015).
`fresh` digits, which nothing is wrong with, are the floor of every comparison.
"""

import numpy as np
import pytest

from minigan import data, metrics

N = 400
KINDS = ("blur", "noise", "crop", "dropped")


@pytest.fixture(scope="module")
def digits():
    """Images in [-1, 1] and labels: to train on, held out, and fresh."""
    images, labels = data.digits(3 * N, seed=1)
    images = data.scaled(images)
    return [(images[i : i + N], labels[i : i + N]) for i in range(0, 3 * N, N)]


@pytest.fixture(scope="module")
def features():
    filters = np.random.default_rng(0).standard_normal((25, 8)).astype("float32")
    filters -= filters.mean(0)  # an edge answers, an area does not

    def described(images):
        patches = np.lib.stride_tricks.sliding_window_view(images[:, 0].astype("float32"), (5, 5), axis=(1, 2))
        answers = np.maximum(patches.reshape(len(images), 24, 24, 25) @ filters, 0)
        return answers.reshape(len(images), 3, 8, 3, 8, 8).mean((2, 4)).reshape(len(images), -1)

    return described


def blurred(images, times):
    for _ in range(times):
        for axis in (2, 3):
            images = (np.roll(images, 1, axis) + images + np.roll(images, -1, axis)) / 3
    return images


def worse(kind, images, labels, amount):
    """The images with so much of one defect, none for 0."""
    rng = np.random.default_rng(1)
    if kind == "blur":
        return blurred(images, amount)
    if kind == "noise":
        return np.clip(images + 0.4 * amount * rng.standard_normal(images.shape), -1, 1)
    if kind == "crop":
        return np.roll(images, 3 * amount, axis=3)
    return images[np.resize(np.flatnonzero(labels < 10 - 3 * amount), len(images))]  # classes dropped


@pytest.fixture(scope="module")
def real_features(digits, features):
    return features(digits[0][0])


@pytest.fixture(scope="module")
def defective(digits, features):
    """By the kind of defect, the features of fresh digits with none, some and much of it."""
    return {kind: [features(worse(kind, *digits[2], amount)) for amount in range(3)] for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "distance",
    [
        metrics.frechet_distance,
        lambda a, b: metrics.kernel_distance(a, b, subsets=5).value,
        metrics.sliced_wasserstein,
        lambda a, b: 1 - metrics.density_coverage(a, b).coverage,
    ],
    ids=["frechet", "kernel", "sliced", "coverage"],
)
def test_distances_grow_with_every_defect(real_features, defective, kind, distance):
    found = [distance(real_features, fake) for fake in defective[kind]]
    assert found[0] < found[1] < found[2]


@pytest.mark.parametrize("kind", ["blur", "noise"])
def test_what_is_off_the_data_costs_precision(real_features, defective, kind):
    fresh, _, bad = (metrics.precision_recall(real_features, fake) for fake in defective[kind])
    assert fresh.precision > 0.8
    assert bad.precision < 0.5 * fresh.precision


def test_classes_that_are_dropped_cost_recall_not_precision(digits, real_features, defective):
    fresh, _, part = defective["dropped"]  # 0 to 3 alone
    full, some = (metrics.precision_recall(real_features, x) for x in (fresh, part))
    assert some.recall < 0.8 * full.recall
    assert some.precision > 0.9 * full.precision
    curve = metrics.prd_curve(real_features, part, runs=3)
    assert curve.f8 < curve.f_eighth - 0.03
    (_, real_labels), _, (_, labels) = digits
    balance = metrics.class_balance(labels[labels < 4], 10)
    assert balance.modes == 4
    assert balance.kl > np.log(10 / 4) - 0.01
    within = metrics.intra_class_frechet(real_features, real_labels, fresh[labels < 4], labels[labels < 4])
    assert np.isnan(within.each).tolist() == [False] * 4 + [True] * 6


def test_copies_of_the_training_set_are_found(digits):
    train, held_out, fresh = (images.reshape(N, -1) for images, _ in digits)
    copies = train + 0.05 * np.random.default_rng(1).standard_normal(train.shape)
    honest, caught = metrics.memorisation(fresh, train, held_out), metrics.memorisation(copies, train, held_out)
    assert abs(honest.z) < 3
    assert abs(honest.nearer - 0.5) < 0.07
    assert caught.z < -15
    assert caught.nearer > 0.95
    assert metrics.frechet_distance(train[:, 300:330], copies[:, 300:330]) < 1  # which sees nothing wrong with them


def test_blur_looks_like_copies_and_noise_hides_them(digits):
    (train, labels), (held_out, _), (fresh, _) = digits
    flat = lambda images: images.reshape(N, -1)
    blurred_ones, noisy_copies = worse("blur", fresh, labels, 1), worse("noise", train, labels, 2)
    assert metrics.memorisation(flat(blurred_ones), flat(train), flat(held_out)).z < -3
    assert metrics.memorisation(flat(noisy_copies), flat(train), flat(held_out)).z > 3


def test_copies_of_one_region_are_found_about_its_centre(digits):
    train, held_out, fresh = (images for images, _ in digits)
    train, held_out, mixed = (x.reshape(N, -1) for x in (train, held_out, fresh.copy()))
    mixed[: N // 5] = train[: N // 5]
    clusters = data.k_means(train, 5)
    centres = np.stack([train[clusters == c].mean(0) for c in range(5)])
    assert metrics.memorisation(mixed, train, held_out, centres).z < -1
    assert metrics.memorisation(mixed, train, held_out).nearer > 0.55


def test_a_generator_of_few_images_fails_the_birthday_test(digits):
    (train, _), _, (fresh, _) = digits
    train, fresh = train.reshape(N, -1), fresh.reshape(N, -1)
    near = 0.9 * np.sqrt(metrics.distances.kth_squares(train, train, own=True).min())
    few = fresh[np.random.default_rng(0).integers(0, 150, N)]
    found = metrics.support_size(few, near)
    assert 110 < found.size < 200
    assert found.least < 150
    assert metrics.support_size(fresh, near).size > 10_000


def test_what_looks_the_same_is_similar(digits):
    (images, labels), *_ = digits
    real = metrics.intra_class_ms_ssim(images, labels, pairs=30)
    collapsed = images.copy()
    for label in range(10):
        collapsed[labels == label] = images[labels == label][0]
    assert metrics.intra_class_ms_ssim(collapsed, labels, pairs=30).mean == pytest.approx(1)
    assert real.mean < 0.7
    noise = worse("noise", images, labels, 2)
    assert metrics.intra_class_ms_ssim(noise, labels, pairs=30).mean < real.mean
    assert (metrics.ms_ssim(images[:20], images[:20]) == 1).all()
    assert (metrics.ms_ssim(images[:20], blurred(images[:20], 1)) > metrics.ms_ssim(images[:20], noise[:20])).all()


def test_blur_takes_high_frequencies_and_noise_adds_them(digits):
    (images, labels), *_ = digits
    power = {kind: metrics.radial_power(worse(kind, images, labels, 1)).mean(0) for kind in ("blur", "noise")}
    real = metrics.radial_power(images).mean(0)
    assert (power["blur"][8:] < 0.5 * real[8:]).all()
    assert (power["noise"][10:] > 1.3 * real[10:]).all()
    assert power["blur"][0] == pytest.approx(real[0])


@pytest.mark.parametrize("classifier", ["nearest", "linear"])
def test_a_classifier_tells_blurred_digits_from_others(real_features, defective, classifier):
    same, _, other = (metrics.two_sample_test(real_features, fake, classifier) for fake in defective["blur"])
    assert abs(same.accuracy - 0.5) < 0.08
    assert same.p > 0.01
    assert other.accuracy > 0.8
    assert other.p < 1e-6
