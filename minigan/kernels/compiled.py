"""Kernels on NumPy arrays in C (c/*.c), float32: the same functions as cpu.py.

What is of another layout, type or size than the C kernels read goes NumPy's way, by the function of cpu.py.
"""

from .cpu import (  # noqa: F401  as NumPy does them
    arithmetic,
    channel_dot,
    channels_last,
    empty_image,
    gather_images,
    inv_std,
    leaky_relu,
    leaky_relu_grad,
    normalize,
    normalize_grad,
    pool_max,
    pool_put,
    pool_spread,
    pool_sum,
    pool_take,
    pool_winner,
    scale_shift,
    scaled,
    sigmoid,
    softplus,
    sum,
    track,
    update,
    where,
    zero_image,
)
from .compiled_conv import conv, conv_input, conv_weight  # noqa: F401  offered as kernels of this device
from .compiled_linear import linear, linear_weight, matmul  # noqa: F401  likewise
