"""The layers with weights of the workloads, by their shapes: what both libraries are asked to time."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from steps.workloads import Layers, Workload

FACES = ("forward", "input gradient", "weight gradient")


@dataclass(frozen=True)
class Layer:
    """One layer of one network: kind is linear, conv or conv_transpose; x is what it is given, y its result."""

    kind: str
    x: tuple[int, ...]
    w: tuple[int, ...]
    y: tuple[int, ...]
    stride: int = 1
    padding: int = 0

    @staticmethod
    def of(described: Mapping[str, Any]) -> "Layer":
        """The layer that `described()` describes, lists and tuples alike."""
        return Layer(**{k: tuple(v) if isinstance(v, list) else v for k, v in described.items()})

    def described(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def flops(self) -> int:
        """Multiplications and additions of any one face."""
        pixels = math.prod(self.x if self.kind == "conv_transpose" else self.y)
        return 2 * pixels * math.prod(self.w[1:])

    @property
    def title(self) -> str:
        sizes = f"{self.x[1]} -> {self.y[1]}, batch {self.x[0]}"
        if self.kind == "linear":
            return f"linear {sizes}"
        kernel = f"{self.w[2]}x{self.w[3]}/{self.stride}"
        return f"{self.kind} {kernel} {sizes}, {self.x[2]}x{self.x[3]} -> {self.y[2]}x{self.y[3]}"


def walk(layers: Layers, shape: tuple[int, ...]) -> Iterator[Layer]:
    """The layers with weights of a network that is given arrays of this shape."""
    for name, *options in layers:
        before = shape
        if name == "linear":
            shape = (shape[0], options[1])
            yield Layer(name, before, (options[1], options[0]), shape)
        elif name in ("conv", "conv_transpose"):
            i, o, size, stride, padding = options
            down = name == "conv"
            sides = [(n + 2 * padding - size) // stride + 1 if down else (n - 1) * stride - 2 * padding + size
                     for n in shape[2:]]  # fmt: skip
            shape = (shape[0], o, *sides)
            yield Layer(name, before, (o, i, size, size) if down else (i, o, size, size), shape, stride, padding)
        elif name == "max_pool":
            shape = (*shape[:2], *(n // options[0] for n in shape[2:]))
        elif name == "flatten":
            shape = (shape[0], math.prod(shape[1:]))
        elif name == "unflatten":
            shape = (shape[0], *options[1])


def distinct(works: list[Workload]) -> dict[Layer, list[str]]:
    """Every layer of these workloads once, those with most arithmetic first, and whose it is."""
    found: dict[Layer, list[str]] = {}
    for work in works:
        networks = [("D", work.discriminator, work.sample), ("G", work.generator, (work.z_dim,))]
        for player, layers, sample in networks:
            for layer in walk(layers, (work.batch, *sample)):
                found.setdefault(layer, []).append(f"{work.name} {player}")
    return dict(sorted(found.items(), key=lambda item: -item[0].flops))
