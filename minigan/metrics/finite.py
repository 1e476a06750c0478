"""What every measure asks of its numbers."""

import numpy as np

from ..errors import ShapeError


def check_finite(call: str, *arrays: np.ndarray) -> None:
    """ShapeError if a number of these arrays is NaN or infinite: a measure would be so too, or say nothing."""
    for array in arrays:
        bad = array.size - np.count_nonzero(np.isfinite(array))
        if bad:
            raise ShapeError(f"{call}: expected finite numbers, got {bad} that are not in {array.shape}")


def check_clouds(call: str, *clouds: np.ndarray, least: int = 1) -> None:
    """ShapeError unless each cloud is finite features (N, d), of the same d >= 1 in all, with N >= `least`."""
    widths = {cloud.shape[1:] for cloud in clouds}
    if len(widths) > 1 or any(c.ndim != 2 or not c.shape[1] or len(c) < least for c in clouds):
        expected = " and ".join(["(N, d)", "(M, d)", "(L, d)"][: len(clouds)])
        got = " and ".join(str(cloud.shape) for cloud in clouds)
        raise ShapeError(f"{call}: expected {expected} with at least {least} in each, got {got}")
    check_finite(call, *clouds)


def check_labels(call: str, labels: np.ndarray, count: int | None = None) -> None:
    """ShapeError unless labels are integers >= 0 (N,), N >= 1, and `count` of them if it is given."""
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or not len(labels) or labels.min() < 0:
        raise ShapeError(f"{call}: expected labels, integers >= 0 (N,), got {labels.dtype} {labels.shape}")
    if count is not None and len(labels) != count:
        raise ShapeError(f"{call}: expected a label for each of {count} samples, got {len(labels)}")
