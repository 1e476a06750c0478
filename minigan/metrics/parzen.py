"""The log-likelihood of data under a Parzen window of samples: the number of the first GAN paper."""

from collections.abc import Iterator

import numpy as np

from ..errors import ShapeError
from .distances import squared_distances
from .estimates import Estimate
from .finite import check_clouds


def parzen_log_likelihood(samples: np.ndarray, test: np.ndarray, sigma: float) -> Estimate:
    """The mean log density, in nats, of points `test` (M, d) under Gaussians of deviation sigma about `samples` (N, d).

    log (1/N) sum_i N(x; s_i, sigma^2), computed in float64; the error is over the test points. The protocol of
    Goodfellow et al. 2014 (after Breuleux et al. 2011): 10 000 samples, images as points of [0, 1]^784, sigma of
    `parzen_sigma` on validation images. It is **biased downwards**, by more the more dimensions there are: 10 000
    Gaussians are too few for 784, and centres of k-means score above real images (Theis et al. 2016). It ranks no
    models; it is there to compare with old tables. ShapeError if points do not fit, are none, are not finite, or
    sigma <= 0.
    """
    if not 0 < sigma < np.inf:
        raise ShapeError(f"parzen_log_likelihood: expected a sigma > 0, got {sigma}")
    check_clouds("parzen_log_likelihood", samples, test)
    logs = np.concatenate(list(_log_densities(samples, test, np.array([sigma]))), axis=1)[0]
    error = logs.std(ddof=1) / np.sqrt(len(logs)) if len(logs) > 1 else np.nan
    return Estimate(float(logs.mean()), float(error))


def parzen_sigma(samples: np.ndarray, validation: np.ndarray, sigmas: np.ndarray | None = None) -> float:
    """That of `sigmas` under which points `validation` (M, d) are likeliest about `samples` (N, d).

    By default there are ten from 0.1 to 1, evenly spaced in their logarithm (Goodfellow et al. 2014).
    **Bias**: found on validation data, it favours them by a little, so measure on others. Where it is the first or
    last, a wider search finds a better one. ShapeError as for `parzen_log_likelihood`, and if there is no sigma.
    """
    sigmas = np.logspace(-1, 0, 10) if sigmas is None else np.asarray(sigmas, np.float64)
    if sigmas.ndim != 1 or not len(sigmas) or not (np.isfinite(sigmas) & (sigmas > 0)).all():
        raise ShapeError(f"parzen_sigma: expected sigmas (S,) > 0, got {sigmas}")
    check_clouds("parzen_sigma", samples, validation)
    likely = sum(block.sum(1) for block in _log_densities(samples, validation, sigmas))
    return float(sigmas[np.argmax(likely)])


def _log_densities(samples: np.ndarray, points: np.ndarray, sigmas: np.ndarray) -> Iterator[np.ndarray]:
    """(sigmas, rows) log densities, one block of points after another."""
    constants = np.log(len(samples)) + samples.shape[1] / 2 * np.log(2 * np.pi * sigmas**2)
    for _, squares in squared_distances(points.astype(np.float64), samples):
        least = squares.min(1, keepdims=True)
        squares -= least  # the nearest's term is exp(0): nothing underflows as a whole
        each = [np.log(np.exp(squares / (-2 * s**2)).sum(1)) - least[:, 0] / (2 * s**2) for s in sigmas]
        yield np.stack(each) - constants[:, None]
