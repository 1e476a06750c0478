"""How alike two pictures are: PSNR, SSIM, MS-SSIM, and the variety of samples by it."""

import numpy as np

from ..errors import ShapeError
from ..random import Stream
from .classes import OfClasses
from .finite import check_finite, check_labels

WINDOW = 11  # pixels a side, of Wang et al. 2004
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, from the finest (Wang et al. 2003)


def psnr(a: np.ndarray, b: np.ndarray, span: float | None = None) -> np.ndarray:
    """(N,) the peak signal-to-noise ratio of pairs of images a and b (N, C, H, W), in decibels; inf if they are equal.

    10 log10(span^2 / mean (a - b)^2), the mean over all values of a pair: 20 and more look alike, blurred ones too.
    `span` as in `ms_ssim`. ShapeError if the images are not of one shape, not finite, or span <= 0.
    """
    if a.ndim != 4 or a.shape != b.shape or not a.size:
        raise ShapeError(f"psnr: expected two sets of images (N, C, H, W), got {a.shape} and {b.shape}")
    a, b, span = _prepared("psnr", a, b, span)
    apart = np.square(a - b).mean((1, 2, 3))
    check_finite("psnr", apart)
    with np.errstate(divide="ignore"):
        return 10 * np.log10(span**2 / apart)


def sharpness(a: np.ndarray, b: np.ndarray) -> float:
    """How much pixels of images a differ from their neighbours, of how much those of images b (N, C, H, W) do.

    The sum of |x - x'| over x of a and the pixels x' below and to the right, divided by that of b: 1 if a is as sharp,
    less if it is blurred, more if it is noisy; inf if b is flat. ShapeError if the images are not of one shape or not
    finite.
    """
    if a.ndim != 4 or a.shape != b.shape or not a.size:
        raise ShapeError(f"sharpness: expected two sets of images (N, C, H, W), got {a.shape} and {b.shape}")
    a, b, _ = _prepared("sharpness", a, b, None)
    ours, theirs = found = np.array([sum(np.abs(np.diff(x, axis=axis)).sum() for axis in (2, 3)) for x in (a, b)])
    check_finite("sharpness", found)
    return float(ours / theirs) if theirs else float("inf")


def ssim(a: np.ndarray, b: np.ndarray, span: float | None = None, window: int = WINDOW) -> np.ndarray:
    """(N,) the structural similarity of pairs of images a and b (N, C, H, W), 1 if equal (Wang et al. 2004).

    The mean, over places where the window fits and over channels, of luminance times contrast and structure, as
    `ms_ssim` has them at one scale. ShapeError as there.
    """
    _check_pairs("ssim", a, b, window)
    a, b, span = _prepared("ssim", a, b, span)
    luminance, structure = _compare(a, b, span, window)
    found = (luminance * structure).mean((1, 2, 3))
    check_finite("ssim", found)
    return found


def ms_ssim(a: np.ndarray, b: np.ndarray, span: float | None = None, window: int = WINDOW) -> np.ndarray:
    """(N,) the multi-scale structural similarity of pairs of images a and b (N, C, H, W), in [0, 1]: 1 if equal.

    Means, variances and covariances under a Gaussian window of `window` pixels and deviation 1.5; contrast and
    structure (2 s_ab + c2) / (s_a^2 + s_b^2 + c2) at every scale, luminance (2 m_a m_b + c1) / (m_a^2 + m_b^2 + c1) at
    the coarsest, each to the power of its weight, what is below 0 set to 0; averaged over channels. c = (0.01 span)^2
    and (0.03 span)^2 for values in a range of width `span`: 255 for bytes, 2 for [-1, 1], which are the default.

    A scale halves the one before by means of 2x2 pixels (an odd last row or column is left out). **There are as many
    scales as the window fits**, five at most, and their weights are scaled to the sum of all: 2 for 28x28 and 32x32, 3
    for 64x64, 4 for 96x96, 5 from 176x176 as in the paper (Wang, Simoncelli and Bovik 2003). So compare images of one
    size. ShapeError if the images are not of one shape, smaller than the window, not finite, or span <= 0.
    """
    _check_pairs("ms_ssim", a, b, window)
    a, b, span = _prepared("ms_ssim", a, b, span)
    scales = scales_of(a.shape[2:], window)
    weights = np.array(WEIGHTS[:scales]) * (sum(WEIGHTS) / sum(WEIGHTS[:scales]))
    similarity = np.ones(a.shape[:2])
    for scale, weight in enumerate(weights):
        luminance, structure = _compare(a, b, span, window)
        here = (structure if scale < scales - 1 else structure * luminance).mean((2, 3))
        check_finite("ms_ssim", here)
        similarity *= np.maximum(here, 0) ** weight
        a, b = _half(a), _half(b)
    return similarity.mean(1)


def intra_class_ms_ssim(
    images: np.ndarray, labels: np.ndarray, pairs: int = 100, rng: Stream | None = None
) -> OfClasses:
    """The mean MS-SSIM of random pairs of two images (N, C, H, W) of each class, and its mean over classes.

    High where the images of a class look the same: compare with real ones (Odena, Olah and Shlens 2017: 100 pairs of
    128x128 images a class; 0.25 is the highest mean of a class of ImageNet). It is **no measure of quality**: noise is
    varied too; nor of variety where the background is most of an image, as of digits. The mean of pairs has no bias
    for the mean of all. A class of fewer than two images is NaN and not in the mean. Without `rng` the same pairs are
    drawn each time. ShapeError as for `ms_ssim`, and if there is not a label for each image or pairs < 1.
    """
    check_labels("intra_class_ms_ssim", labels, len(images))
    if pairs < 1:
        raise ShapeError(f"intra_class_ms_ssim: expected pairs >= 1, got {pairs}")
    rng = rng or Stream(0, "intra_class_ms_ssim")
    each = np.full(int(labels.max()) + 1, np.nan)
    for label in range(len(each)):
        members = np.flatnonzero(labels == label)
        if len(members) > 1:
            first = rng.integers(len(members), pairs)
            other = (first + 1 + rng.integers(len(members) - 1, pairs)) % len(members)  # never the same image
            each[label] = ms_ssim(images[members[first]], images[members[other]]).mean()
    return OfClasses.of(each)


def scales_of(size: tuple[int, ...], window: int = WINDOW) -> int:
    """How many scales an image of that height and width has: 1 to 5."""
    side, scales = min(size) // 2, 1
    while side >= window and scales < len(WEIGHTS):
        side, scales = side // 2, scales + 1
    return scales


def _check_pairs(name: str, a: np.ndarray, b: np.ndarray, window: int) -> None:
    """ShapeError unless these are pairs of images that the window fits."""
    if a.ndim != 4 or a.shape != b.shape or not a.size or min(a.shape[2:]) < window or window < 1:
        raise ShapeError(
            f"{name}: expected two sets of images (N, C, H, W) of at least {window}x{window}, "
            f"got {a.shape} and {b.shape}"
        )


def _prepared(name: str, a: np.ndarray, b: np.ndarray, span: float | None) -> tuple[np.ndarray, np.ndarray, float]:
    """Both in float64, and the width of the range of their values; ShapeError if it is none, or they are not finite."""
    check_finite(name, a, b)
    if span is None:
        span = 255.0 if a.dtype.kind in "iu" else 2.0
    if not span > 0:
        raise ShapeError(f"{name}: expected a range of values wider than 0, got {span}")
    return a.astype(np.float64), b.astype(np.float64), span


def _compare(a: np.ndarray, b: np.ndarray, span: float, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Luminance, and contrast times structure, at each place where the window fits."""
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    down, right = (_window_rows(side, window) for side in a.shape[2:])
    blurred = lambda x: down @ x @ right.T
    mean_a, mean_b = blurred(a), blurred(b)
    var_a, var_b = blurred(a * a) - mean_a**2, blurred(b * b) - mean_b**2
    both = blurred(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return luminance, (2 * both + c2) / (var_a + var_b + c2)


def _window_rows(side: int, window: int) -> np.ndarray:
    """(side - window + 1, side): the weights of the pixels under the Gaussian at each of its places on a line."""
    weight = np.exp(-((np.arange(window) - (window - 1) / 2) ** 2) / (2 * 1.5**2))
    rows = np.zeros((side - window + 1, side))
    for place in range(len(rows)):
        rows[place, place : place + window] = weight / weight.sum()
    return rows


def _half(x: np.ndarray) -> np.ndarray:
    n, c, height, width = x.shape
    even = x[:, :, : height // 2 * 2, : width // 2 * 2]
    return even.reshape(n, c, height // 2, 2, width // 2, 2).mean((3, 5))
