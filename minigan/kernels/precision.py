"""How float32 products are computed on CUDA: in float32, or with operands rounded for the tensor cores."""

from typing import Any

import numpy as np

from ..backend import FLOAT32, array_module
from ..errors import DeviceError

PRECISIONS = ("fp32", "tf32", "bf16")

_chosen = "fp32"


def set_precision(name: str) -> None:
    """Choose how float32 matrix products and convolutions are computed on CUDA devices, from now on.

    "fp32", the default, keeps all 24 bits of each operand. "tf32" rounds operands to 11 bits and is several times
    faster. "bf16" rounds them to bfloat16, 8 bits, and is faster still. Both keep float32's range, sums and results:
    parameters, activations, losses, norms and optimizers stay float32, and float64 is never rounded. Both need a GPU
    from Ampere (2020) on; elsewhere they change nothing. Graphs captured before keep what they were captured with.
    DeviceError if the name is unknown.
    """
    global _chosen
    if name not in PRECISIONS:
        raise DeviceError(f"set_precision: expected one of {', '.join(PRECISIONS)}, got {name!r}")
    _chosen = name


def get_precision() -> str:
    """How float32 products are computed on CUDA: "fp32", "tf32" or "bf16"."""
    return _chosen


def tf32() -> bool:
    """True if cuBLAS may round operands to TF32."""
    return _chosen == "tf32" and _has_tensor_cores()


def bf16(dtype: Any) -> bool:
    """True if operands of this type are rounded to bfloat16 before cuBLAS reads them."""
    return _chosen == "bf16" and np.dtype(dtype) == FLOAT32 and _has_tensor_cores()


def of_own_products(dtype: Any) -> str:
    """Which of PRECISIONS operands of this type have in kernels of our own."""
    rounded = _chosen != "fp32" and np.dtype(dtype) == FLOAT32 and _has_tensor_cores()
    return _chosen if rounded else "fp32"


def capability() -> str:
    """The compute capability of the current GPU: "90" for 9.0."""
    return str(array_module("cuda").cuda.Device().compute_capability)


def _has_tensor_cores() -> bool:
    """True if the GPU can multiply what is rounded to TF32 or bfloat16."""
    return int(capability()) >= 80
