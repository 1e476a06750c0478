"""What each measure of samples takes, and how it is biased: two clouds of one distribution, many samples and a tenth.

Nothing tells the clouds apart, so a measure that is not biased is the same for both numbers of samples.
"""

import argparse
import time

import numpy as np

from minigan import metrics

CLASSES = 10
COLUMNS = "{:<30}{:>9}{:>12}{:>14}"


def calls(rng, count, width):
    """By name, a call of each measure that gives a number, on `count` samples of `width` features."""
    of_real, of_fake, of_train = rng.integers(0, CLASSES, (3, count))
    real, fake, train = (
        rng.standard_normal((count, width)).astype(np.float32) + np.float32(0.2) * labels[:, None]
        for labels in (of_real, of_fake, of_train)
    )
    images = rng.uniform(-1, 1, (count, 1, 28, 28)).astype(np.float32)
    pixels = images.reshape(count, -1)
    probabilities = rng.dirichlet(np.full(CLASSES, 0.1), count)
    return {
        "frechet_distance": lambda: metrics.frechet_distance(real, fake),
        "frechet_distance: interval": lambda: np.ptp(metrics.bootstrap(metrics.frechet_distance, real, fake)),
        "kernel_distance": lambda: metrics.kernel_distance(real, fake).value,
        "precision_recall: recall": lambda: metrics.precision_recall(real, fake).recall,
        "precision_recall: interval": lambda: np.ptp(metrics.bootstrap(_recall, real, fake, share=0.2)),
        "density_coverage: coverage": lambda: metrics.density_coverage(real, fake).coverage,
        "prd_curve: F8": lambda: metrics.prd_curve(real, fake).f8,
        "two_sample_test: nearest": lambda: metrics.two_sample_test(real, fake).accuracy,
        "two_sample_test: linear": lambda: metrics.two_sample_test(real, fake, "linear").accuracy,
        "sliced_wasserstein": lambda: metrics.sliced_wasserstein(real, fake),
        "memorisation: nearer": lambda: metrics.memorisation(fake, train, real).nearer,
        "support_size: least": lambda: metrics.support_size(fake, width**0.5 / 8).least,
        "intra_class_frechet": lambda: metrics.intra_class_frechet(real, of_real, fake, of_fake).mean,
        "inception_score": lambda: metrics.inception_score(probabilities).value,
        "class_balance: KL": lambda: metrics.class_balance(of_fake, CLASSES).kl,
        "intra_class_ms_ssim": lambda: metrics.intra_class_ms_ssim(images, of_fake).mean,
        "radial_power": lambda: metrics.radial_power(images).mean(),
        "parzen_log_likelihood": lambda: metrics.parzen_log_likelihood(pixels, pixels[::-1] * 0.9, 0.3).value,
        "parzen_sigma": lambda: metrics.parzen_sigma(pixels, pixels[: count // 10] * 0.9),
    }


def _recall(real, fake):
    return metrics.precision_recall(real, fake).recall


def main(args=None):
    p = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    p.add_argument("--count", type=int, default=10_000, help="samples in each cloud (default: 10000)")
    p.add_argument("--width", type=int, default=64, help="features of a sample (default: 64)")
    settings = p.parse_args(args)
    many, few = (calls(np.random.default_rng(0), n, settings.width) for n in (settings.count, settings.count // 10))
    print(COLUMNS.format("", "seconds", f"{settings.count}", f"{settings.count // 10}"))
    for name, measure in many.items():
        start = time.perf_counter()
        value = measure()
        print(COLUMNS.format(name, f"{time.perf_counter() - start:.2f}", f"{value:.4g}", f"{few[name]():.4g}"))


if __name__ == "__main__":
    main()
