"""A linear support vector machine, to ask what features are worth."""

import numpy as np

from ..errors import ShapeError


def fit_linear_svm(
    features: np.ndarray, labels: np.ndarray, *, C: float = 1.0, tolerance: float = 1e-3, max_newton: int = 30
) -> np.ndarray:
    """Weights (d + 1, classes) of a linear L2-SVM for each of the classes 0 .. against the rest; last row: biases.

    The minimum of |w|^2 / 2 + C sum max(0, 1 - y (w x + b))^2, b counted in w as scikit-learn's LinearSVC does, y = 1
    for the class and -1 for the others. Newton's method with conjugate gradients on all classes at once, until the
    gradient is `tolerance` of what it was at zero: the objective is smooth, and piecewise quadratic. Classes that no
    label names are never predicted. ShapeError if features (N, d) and int64 labels (N,) do not fit.
    """
    if features.ndim != 2 or labels.shape != (len(features),) or len(features) == 0 or labels.dtype.kind != "i":
        raise ShapeError(
            f"fit_linear_svm: expected features (N, d) and integers (N,), got {features.shape} and {labels.shape}"
        )
    x = _with_ones(features)
    y = np.where(labels[:, None] == np.arange(labels.max() + 1), 1, -1).astype(x.dtype)
    w = np.zeros((x.shape[1], y.shape[1]), x.dtype)

    def objective(w: np.ndarray) -> np.ndarray:
        slack = np.maximum(1 - y * (x @ w), 0)
        return 0.5 * (w * w).sum(0) + C * (slack * slack).sum(0)

    first, value = 0.0, objective(w)
    for _ in range(max_newton):
        slack = np.maximum(1 - y * (x @ w), 0)
        gradient = w - 2 * C * (x.T @ (y * slack))
        size = np.linalg.norm(gradient, axis=0)
        first = first or size.max()
        if size.max() <= tolerance * first:
            break
        step = _conjugate_gradients(x, slack > 0, C, -gradient)
        length = np.ones(w.shape[1], x.dtype)
        for _ in range(20):  # halve where the quadratic model reached too far
            tried = objective(w + length * step)
            worse = tried > value + 1e-6 * abs(value)
            if not worse.any():
                break
            length = np.where(worse, length / 2, length)
        w, value = w + length * step, tried
    return w


def predict_linear_svm(weights: np.ndarray, features: np.ndarray) -> np.ndarray:
    """The class of each row of features (N, d): int64 (N,)."""
    return (_with_ones(features) @ weights).argmax(1)


def _with_ones(features: np.ndarray) -> np.ndarray:
    floats = features if features.dtype.kind == "f" else features.astype(np.float32)
    return np.concatenate([floats, np.ones((len(floats), 1), floats.dtype)], 1)


def _conjugate_gradients(x: np.ndarray, active: np.ndarray, C: float, right: np.ndarray) -> np.ndarray:
    """Solutions of (1 + 2 C x^T diag(active_k) x) s_k = right_k for all classes k, to a tenth of the residual."""
    s, r = np.zeros_like(right), right.copy()
    p, rr = r.copy(), (r * r).sum(0)
    enough = 0.01 * rr
    for _ in range(100):
        q = p + 2 * C * (x.T @ (active * (x @ p)))
        alpha = np.where(rr > enough, rr / np.maximum((p * q).sum(0), 1e-30), 0).astype(x.dtype)
        s, r = s + alpha * p, r - alpha * q
        new = (r * r).sum(0)
        if (new <= enough).all():
            break
        p, rr = r + new / np.maximum(rr, 1e-30) * p, new
    return s
