"""Ways to call a network: with other parameters, in evaluation mode, on more samples than fit at once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from .. import backend
from ..errors import DataError, DTypeError, ShapeError, brief
from ..kernels import kernels
from ..recording import no_grad
from ..system.once import entered
from ..tensor import Tensor, mapped
from .module import Module, parts_of, tensors_in


def functional_call(module: Module, params: Mapping[str, Tensor] | Sequence[Tensor], *args: Any) -> Any:
    """module(*args) computed with other parameters than its own, gradients flowing to those.

    `params` maps names of parameters and buffers to Tensors (the rest keep their own), or lists one for each of
    module.parameters().
    """
    own = dict(module.named_tensors())
    if not isinstance(params, Mapping):
        names = [name for name, _ in module.named_parameters()]
        if len(params) != len(names):
            raise ShapeError(f"functional_call: the module has {len(names)} parameters, got {len(params)}")
        params = dict(zip(names, params, strict=True))
    for name, value in params.items():
        if not isinstance(value, Tensor):
            raise DTypeError(f"functional_call: expected a Tensor for {name}, got {brief(value)}")
        if name not in own or own[name].shape != value.shape:
            expected = f"shape {own[name].shape}" if name in own else f"one of {', '.join(own)}"
            raise ShapeError(f"functional_call: {name} of shape {value.shape}; expected {expected}")
    replacements = {id(own[name]): value for name, value in params.items()}
    with entered(lambda: _replaced(module, replacements)):
        return module(*args)


M = TypeVar("M", bound=Module)


def checkpointed(module: M) -> M:
    """`module` itself, whose inner results are computed again for a gradient from now on: see `minigan.checkpoint`.

    It takes less memory and more time. To be said of parts of a network, such as each of its blocks: of the whole it
    saves nothing. Weights, names and what it computes stay as they are. `module.recomputed = False` undoes it.
    """
    module.recomputed = True
    return module


@contextmanager
def evaluating(*modules: Module) -> Iterator[None]:
    """Within the block these modules are in evaluation mode and nothing is recorded; afterwards they are as before."""
    before = [(module, module.training) for network in modules for module in network.modules()]
    try:
        for module in modules:
            module.eval()
        with no_grad():
            yield
    finally:
        for module, training in before:
            module.training = training


CHUNK = 1000  # samples that a network is applied to in one go


def in_chunks(network: Callable[[Tensor], Tensor], images: np.ndarray, device: str = "cpu") -> np.ndarray:
    """network(images), CHUNK at a time and without a graph: uint8 images, or float ones in [-1, 1], (N, ...).

    DataError if there are no images.
    """
    if len(images) == 0:
        raise DataError(f"in_chunks: expected at least one image, got {images.shape}")
    results = []
    with no_grad():
        for start in range(0, len(images), CHUNK):
            chunk = backend.to_device(images[start : start + CHUNK], device)
            chunk = kernels(chunk).scaled(chunk) if chunk.dtype == np.uint8 else chunk.astype(np.float32, copy=False)
            results.append(network(Tensor(chunk)).numpy())
    return np.concatenate(results)


@contextmanager
def _replaced(module: Module, replacements: dict[int, Tensor]) -> Iterator[None]:
    """Within the block, `module` holds, wherever it held a parameter with one of these ids, its replacement."""
    places = [
        (m, name, value)
        for m in module.modules()
        for name, value in parts_of(m)
        if id(value) in replacements
        or (isinstance(value, list | tuple | dict) and any(id(t) in replacements for _, t in tensors_in(value)))
    ]
    try:
        for m, name, value in places:
            vars(m)[name] = mapped(value, lambda part: replacements.get(id(part), part))
        yield
    finally:
        for m, name, value in places:
            vars(m)[name] = value
