"""Features that another tool made: Inception's, CLIP's, of whatever network somebody trusts more than ours."""

from pathlib import Path

import numpy as np

from ..data.arrays import read_arrays
from ..errors import CheckpointError, DataError
from ..system import stored

NAMES = ("features", "feats", "activations", "acts", "arr_0")  # of the array in an .npz or a safetensors file


def read_features(path: str | Path) -> np.ndarray:
    """float32 or float64 (N, F), N >= 2, from an .npy, .npz or .safetensors file: a row for each sample.

    In the latter two the array has one of NAMES. More axes than two are one row each, (N, 2048, 1, 1) becomes
    (N, 2048). DataError that names the file if it holds anything else, or numbers that are not
    finite; means and covariances, which some tools store in place of features, are not enough for most measures.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        try:
            held, _, _ = stored.read(path)
        except CheckpointError as error:
            raise DataError(str(error)) from error
        name = next((name for name in NAMES if name in held), None)
        if name is None:
            raise DataError(
                f"{path}: expected features under the name {' or '.join(NAMES)}, it holds {', '.join(held)}"
            )
        features: np.ndarray | None = held[name]
    else:
        features = read_arrays(path, ("features", NAMES))[0]
    assert features is not None
    if features.ndim < 2 or features.dtype.kind != "f" or len(features) < 2 or not features.size:
        raise DataError(f"{path}: expected floats (N, F), N >= 2, got {features.dtype} {features.shape}")
    wide = features.astype("float64" if features.dtype.itemsize > 4 else "float32").reshape(len(features), -1)
    if bad := len(wide) - int(np.isfinite(wide).all(1).sum()):
        raise DataError(f"{path}: {bad} of {len(wide)} rows of features hold a NaN or an infinity")
    return wide
