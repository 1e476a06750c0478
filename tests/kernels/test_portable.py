"""The kernels that run as they are on each device."""

import numpy as np

from minigan.kernels import portable


def test_the_variance_of_a_constant_channel_is_not_negative():
    """1 / (1 / sqrt(eps))^2 - eps is a rounding, of either sign."""
    for eps in (1e-3, 1e-5, 1e-7, 3e-6):
        scale = np.full((1, 3, 1, 1), 1 / np.sqrt(np.float32(eps)), "float32")
        scale *= np.array([1 - 1e-6, 1, 1 + 1e-6], "float32").reshape(scale.shape)
        mean, var, batches = np.zeros(3, "float32"), np.zeros(3, "float32"), np.array(4)
        portable.track(mean, var, batches, np.zeros_like(scale), scale, 64, 0.1, eps)
        assert (var >= 0).all()
        assert batches == 5
