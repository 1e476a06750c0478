"""The spaces that a generator makes samples of: its noise z, or the styles w and w+ of a StyleGenerator."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .. import backend, random
from ..backend import Array
from ..data.arrays import read_arrays
from ..errors import DataError, ShapeError
from ..export import CHUNK, Generator
from ..gan.latents import NormalLatent, UniformLatent, lerp, slerp
from ..kernels.calls import made
from ..models.conditional import OneHotGenerator
from ..models.stylegan2 import StyleGenerator
from ..nn import Module
from ..nn.checks import number
from ..random import Shape, Stream
from ..recording import no_grad
from ..system import disk
from ..system.terminal import shown
from ..tensor import Tensor, full

KINDS = ("z", "w", "w+")  # noise; one style for all layers of an image; a style for each layer
DRAWN = 4096  # points that tell where the middle of a space is, and how far from it points lie


@dataclass(frozen=True)
class Points:
    """Points of a space: values (n, dim), or (n, layers, dim) in w+, and the classes (n,) of a conditional generator.

    `kind` is one of KINDS.
    """

    kind: str
    values: np.ndarray
    labels: np.ndarray | None = None

    def save(self, path: Path) -> None:
        """Write them as an .npz file, the values under their kind; CheckpointError if it cannot be written."""
        content = io.BytesIO()
        held: dict[str, Any] = {self.kind: self.values, **({} if self.labels is None else {"labels": self.labels})}
        np.savez(content, **held)
        disk.write(path, content.getvalue())

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, chosen: Any) -> "Points":
        """The points of these numbers: a slice, or integers in an array."""
        return Points(self.kind, self.values[chosen], None if self.labels is None else self.labels[chosen])


def joined(parts: Sequence[Points]) -> Points:
    """All points in one, in their order; all are of one kind."""
    labels = [part.labels for part in parts if part.labels is not None]
    return Points(
        parts[0].kind, np.concatenate([part.values for part in parts]), np.concatenate(labels) if labels else None
    )


def read_points(path: str | Path) -> Points:
    """The points in a file of `Points.save`, or noise in an .npy file; DataError naming the file and its defect."""
    where = shown(path)
    held = read_arrays(path, ("points", KINDS), *((kind, (kind,)) for kind in KINDS), ("labels", ("labels",)))
    values, *by_kind, labels = held
    assert values is not None
    kind = next((kind for kind, array in zip(KINDS, by_kind, strict=True) if array is not None), "z")
    if values.dtype.kind != "f" or values.ndim != (3 if kind == "w+" else 2) or not np.isfinite(values).all():
        raise DataError(f"{where}: expected finite floats, points of {kind}, got {values.dtype} {values.shape}")
    if labels is not None and (labels.dtype.kind not in "iu" or labels.shape != values.shape[:1]):
        raise DataError(
            f"{where}: expected a label for each of {len(values)} points, got {labels.dtype} {labels.shape}"
        )
    return Points(kind, values.astype(np.float32), None if labels is None else labels.astype(np.int64))


class Space:
    """A space whose points a generator makes samples of, with gradients to the points.

    `kind` is one of KINDS; by default w for a StyleGenerator, which is where images change most evenly, and z for any
    other. The generator is put into evaluation mode, and what it draws itself, as the noise of StyleGAN's layers, is
    the same for every point: two images differ by nothing but their points. ShapeError if it has no styles, or is told
    texts.
    """

    def __init__(self, generator: Generator, kind: str | None = None) -> None:
        if generator.texts is not None:
            raise ShapeError("this generator is told texts: `minigan sample --text` draws of it, and it has no space")
        self.generator = generator
        self.styles = _styled(generator.network)
        self.kind = kind or ("z" if self.styles is None else "w")
        if self.kind not in KINDS:
            raise ShapeError(f"Space: expected one of {', '.join(KINDS)}, got {kind!r}")
        if self.kind != "z" and self.styles is None:
            raise ShapeError(
                f"{kind} is a space of styles, and this generator has none: its network is a "
                f"{type(generator.network).__name__}, not a StyleGenerator"
            )
        generator.network.eval()
        self.device = next((p.device for p in generator.network.parameters()), "cpu")
        self._step = full((), 0, "int64", self.device)  # of all that the generator draws, where a graph can read it

    @property
    def layers(self) -> int:
        """How many styles a point has, in w and w+; 1 for noise."""
        return 1 if self.styles is None or self.kind == "z" else self.styles.layers

    def draw(self, n: int, seed: int = 0, labels: np.ndarray | None = None) -> Points:
        """n points at random: of the samples that `Generator.sample` draws for the same seed."""
        z = self.generator.latent(n, Stream(seed, "generator")).numpy()
        return self.of_noise(z, self.labels(n, seed) if labels is None else labels)

    def labels(self, n: int, seed: int = 0) -> np.ndarray | None:
        """n classes in the data's proportion if that is known, else in turn; None of a generator without classes."""
        return self.generator.any_labels(n, seed)

    def of_noise(self, z: np.ndarray, labels: np.ndarray | None = None) -> Points:
        """The points that belong to noise (n, z_dim); a style belongs to a noise and the class."""
        if self.kind == "z":
            return Points("z", z, labels)
        w = self._in_chunks(self.mapped, z, labels)
        return Points("w", w, labels) if self.kind == "w" else self.widened(Points("w", w, labels))

    def mapped(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """The styles (n, dim) of noise, on the generator's device; ShapeError if it has none."""
        if self.styles is None:
            raise ShapeError("Space: this generator has no styles")
        network = self.generator.network
        if isinstance(network, OneHotGenerator) and labels is not None:
            z = network.told(z, labels)
        return self.styles.mapping(z)

    def widened(self, points: Points) -> Points:
        """The same points in w+; ShapeError for noise."""
        if points.kind == "w+":
            return points
        if points.kind == "z" or self.styles is None:
            raise ShapeError("Space: noise has no styles; of_noise makes them")
        return Points("w+", points.values[:, None].repeat(self.styles.layers, 1), points.labels)

    def checked(self, points: Points) -> Points:
        """These points, of whichever space, in this one; ShapeError if they are not of this generator."""
        if points.kind == "z" and self.kind != "z":
            points = self.of_noise(points.values, points.labels)
        elif points.kind == "w" and self.kind == "w+":
            points = self.widened(points)
        if points.kind != self.kind or points.values.shape[1:] != self.centre.shape:
            raise ShapeError(
                f"expected points of {self.kind}, each of shape {self.centre.shape}, "
                f"got points of {points.kind}, each of shape {points.values.shape[1:]}"
            )
        if (points.labels is None) != (self.generator.classes is None):
            raise ShapeError(
                "these points have classes, this generator has none"
                if self.generator.classes is None
                else f"this generator is told one of {self.generator.classes} classes, and these points have none"
            )
        return points

    @cached_property
    def _measured(self) -> tuple[np.ndarray, float]:
        values = self.draw(DRAWN, 1 << 20).values.astype(np.float64)
        centre = values.mean(0)
        return centre.astype(np.float32), float(np.sqrt(np.square(values - centre).mean()))

    @property
    def centre(self) -> np.ndarray:
        """The mean of all points, (dim,) or (layers, dim): in w the mean style, which truncation goes to."""
        return self._measured[0]

    @property
    def deviation(self) -> float:
        """The standard deviation of a coordinate, all taken together."""
        return self._measured[1]

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Between which numbers the coordinates lie; None if nothing bounds them."""
        latent = self.generator.latent
        return (latent.low, latent.high) if self.kind == "z" and isinstance(latent, UniformLatent) else None

    def between(self, a: np.ndarray, b: np.ndarray, t: np.ndarray, circle: bool | None = None) -> np.ndarray:
        """(len(t), n, ...): the way from points a (n, ...) to b; by default a great circle for N(0, 1), else a line."""
        return (slerp if self.is_circle(circle) else lerp)(a, b, t).astype(a.dtype)

    def is_circle(self, asked: bool | None = None) -> bool:
        """Is a way a great circle, as `asked`? By default between points of N(0, 1)."""
        return self.kind == "z" and isinstance(self.generator.latent, NormalLatent) if asked is None else asked

    def truncated(self, points: Points, psi: float) -> Points:
        """centre + psi (points - centre): the nearer psi is to 0, the more usual and alike samples are.

        Karras et al. 2019, section 3, have it for styles. ShapeError for noise: what lies half way to its middle is
        hardly ever drawn in training.
        """
        if self.kind == "z":
            raise ShapeError("truncation moves styles to their mean, and this generator has none: its points are noise")
        psi = number("truncation", psi)
        moved = self.centre + np.float32(psi) * (points.values - self.centre)
        return Points(points.kind, moved, points.labels)

    def images(self, points: Tensor, labels: Tensor | None = None) -> Tensor:
        """Samples of points on the generator's device, (n, dim) or in w+ (n, layers, dim), with gradients to them."""
        with random.using(_SameForAll(0, "generated", self._step)):
            if self.kind == "z":
                return self.generator.network(points, *(() if labels is None else (labels,)))
            assert self.styles is not None
            if self.kind == "w":
                return self.styles.synthesis([points] * self.styles.layers)
            return self.styles.synthesis([points[:, k] for k in range(self.styles.layers)])

    def pictures(self, points: Points) -> np.ndarray:
        """Samples (n, ...) of points of any space of this generator, a few at a time."""
        space = self if points.kind == self.kind else Space(self.generator, points.kind)
        return space._in_chunks(space.images, points.values, points.labels)

    def _in_chunks(self, network: Any, values: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        parts = []
        with no_grad():
            for k in range(0, len(values), CHUNK):
                of_part = None if labels is None else self.on_device(labels[k : k + CHUNK])
                parts.append(network(self.on_device(values[k : k + CHUNK]), of_part).numpy())
        return np.concatenate(parts)

    def on_device(self, array: np.ndarray) -> Tensor:
        """The array where the generator is."""
        return Tensor(backend.to_device(np.ascontiguousarray(array), self.device))


def layers_of(text: str, count: int) -> list[int]:
    """The layers that "2..5", "4" or "1,3" names, of `count`; ShapeError for anything else."""
    try:
        found: list[int] = []
        for part in text.split(","):
            first, _, last = part.partition("..")
            found += range(int(first), int(last or first) + 1)
    except ValueError:
        found = []
    if not found or not set(found) <= set(range(count)):
        raise ShapeError(f"expected layers from 0 to {count - 1} as in 0..2 or 1,3, got {text!r}")
    return sorted(set(found))


def checked_labels(labels: Sequence[int] | None, n: int, classes: int | None) -> np.ndarray | None:
    """The labels, repeated until there are n; ShapeError if the generator of so many classes knows one of them not."""
    if labels is None:
        return None
    if classes is None:
        raise ShapeError("this generator takes no labels")
    if not labels or min(labels) < 0 or max(labels) >= classes:
        raise ShapeError(f"labels go from 0 to {classes - 1}, got {', '.join(map(str, labels))}")
    return np.resize(np.array(labels, np.int64), n)


def _styled(network: Module) -> StyleGenerator | None:
    """The StyleGenerator that the network is, or tells its class."""
    inner = network.network if isinstance(network, OneHotGenerator) else network
    return inner if isinstance(inner, StyleGenerator) else None


class _SameForAll(Stream):
    """Draws one row, and gives it to every sample of a batch."""

    def normal(self, shape: Shape = (), *args: Any, **options: Any) -> Array:
        return _repeated(super().normal, shape, *args, **options)

    def uniform(self, shape: Shape = (), *args: Any, **options: Any) -> Array:
        return _repeated(super().uniform, shape, *args, **options)


def _repeated(draw: Any, shape: Shape, *args: Any, **options: Any) -> Array:
    n, *rest = backend.as_shape("Space", shape)
    return made(_stacked, draw((1, *rest), *args, **options), n)


def _stacked(row: Array, n: int) -> Array:
    return row.repeat(n, 0)
