"""How sure a measure is: a standard error, an interval for any measure of samples."""

from collections.abc import Callable
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from ..errors import ShapeError
from ..random import Stream


class Estimate(NamedTuple):
    """A number that was estimated from samples."""

    value: float
    error: float  # its standard error


class Interval(NamedTuple):
    """What a number lies in with a stated confidence; two arrays for a measure of several numbers."""

    low: Any
    high: Any


def bootstrap(
    measure: Callable[..., Any],
    *samples: np.ndarray,
    rounds: int = 40,
    share: float = 0.5,
    level: float = 0.95,
    rng: Stream | None = None,
) -> Interval:
    """The interval in which `measure(*samples)` lies with confidence `level`, as far as chance in the samples goes.

    Each round draws `share` of each array's rows without replacement and measures them. The measure's own standard
    error is the deviation of these rounds times sqrt(share / (1 - share)) (the delete-d jackknife of Shao and Wu 1989;
    subsampling, Politis and Romano 1994), and the interval is normal about the measure of all rows. Rows are not drawn
    twice, as in Efron's bootstrap: copies would look like a memorised sample to nearest neighbours, and widen the bias
    of a Frechet distance. The interval says nothing of a bias: the measure's docstring does. A smaller share is faster,
    and right for measures whose variance falls as 1 / N; near zero a Frechet or kernel distance has one that falls
    faster, and an interval about twice too wide.

    A measure gives a number, or several: then low and high are arrays. For rows of arrays that belong together let it
    take indices: `bootstrap(lambda i: score(x[i], labels[i]), np.arange(len(x)))`. Without `rng` the same draws are
    made each time. ShapeError if there are no samples, a round would draw none or all of one, or rounds < 2.
    """
    if not samples or rounds < 2 or not 0 < share < 1 or not 0 < level < 1:
        raise ShapeError(
            f"bootstrap: expected samples, rounds >= 2, 0 < share < 1 and 0 < level < 1, "
            f"got {len(samples)}, {rounds}, {share} and {level}"
        )
    drawn = [round(share * len(each)) for each in samples]
    if any(not 0 < some < len(each) for some, each in zip(drawn, samples, strict=True)):
        raise ShapeError(f"bootstrap: expected more samples, got {[len(s) for s in samples]} for a share of {share}")
    rng = rng or Stream(0, "bootstrap")
    found = [
        np.asarray(measure(*(s[rng.permutation(len(s))[:some]] for s, some in zip(samples, drawn, strict=True))), float)
        for _ in range(rounds)
    ]
    error = np.std(found, axis=0, ddof=1) * np.sqrt(share / (1 - share))
    half = NormalDist().inv_cdf((1 + level) / 2) * error
    value = np.asarray(measure(*samples), float)
    ends = value - half, value + half
    return Interval(*ends) if value.ndim else Interval(*map(float, ends))
