"""What every measure asks of its numbers."""

import numpy as np

from ..errors import ShapeError


def check_finite(call: str, *arrays: np.ndarray) -> None:
    """ShapeError if a number of these arrays is NaN or infinite: a measure would be so too, or say nothing."""
    for array in arrays:
        bad = array.size - np.count_nonzero(np.isfinite(array))
        if bad:
            raise ShapeError(f"{call}: expected finite numbers, got {bad} that are not in {array.shape}")
