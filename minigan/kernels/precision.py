"""How float32 products are computed on CUDA: in float32, or with operands rounded to TF32 for the tensor cores."""

from ..backend import array_module
from ..errors import DeviceError

PRECISIONS = ("fp32", "tf32")

_chosen = "fp32"


def set_precision(name: str) -> None:
    """Choose how float32 matrix products and convolutions are computed on CUDA devices, from now on.

    "fp32", the default, keeps all 24 bits of each operand. "tf32" rounds operands to 11 bits, keeps float32's range
    and sums, and is several times faster on GPUs from Ampere (2020) on; elsewhere it changes nothing. Graphs
    captured before keep what they were captured with. DeviceError if the name is unknown.
    """
    global _chosen
    if name not in PRECISIONS:
        raise DeviceError(f"set_precision: expected one of {', '.join(PRECISIONS)}, got {name!r}")
    _chosen = name


def get_precision() -> str:
    """How float32 products are computed on CUDA: "fp32" or "tf32"."""
    return _chosen


def tf32() -> bool:
    """True if operands may be rounded to TF32, and the GPU has tensor cores for it."""
    return _chosen == "tf32" and int(array_module("cuda").cuda.Device().compute_capability) >= 80
