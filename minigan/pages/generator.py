"""The page of a generator: one file that draws its samples in the browser, with the run's own weights."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ShapeError, brief
from ..export import Generator
from ..export.js import Bytes, Program, rounded, source
from ..gan import LatentCode
from ..gan.latents import NormalLatent, UniformLatent
from ..latent.directions import factorised
from ..latent.space import Space
from ..models.stylegan2 import StyleGenerator
from ..nn import Module
from ..random import Stream
from ..system import templates
from ..system.templates import embedded, filled, text_of
from ..tensor import Tensor
from ..training.report.page import source_of as shared
from ..training.report.tables import number

SCRIPTS = ("pieces.js", "generator.js")
SLIDERS = 6  # directions at most
FLOAT16_AT_MOST = 1_125_000  # weights: in 2 bytes each, and in base 64, 3 MB
COMPARED = 64  # samples of which it is told what rounding the weights changes
CHECKED = 400  # numbers at most, of one image, that the page compares its own with
NOISES: dict[type, str] = {NormalLatent: "normal", UniformLatent: "uniform", LatentCode: "code"}
Numbers = dict[str, np.ndarray]


@dataclass(frozen=True)
class Drawing:
    """What draws: `synthesis` makes an image of a point of the space, `mapping` a point of noise where they differ."""

    space: Space
    mapping: Program | None
    synthesis: Program

    @classmethod
    def of(cls, generator: Generator) -> "Drawing":
        """The generator's, styles its points if it has some. NotDescribed names an op that no page computes."""
        space = Space(generator)
        drawn = partial(_noise, generator)
        if space.styles is None:
            return cls(space, None, Program.of(generator.network, drawn))
        dim = len(space.centre)
        styled = Program.of(_Synthesis(space.styles), lambda rng: {"w": rng.normal((1, dim))})
        return cls(space, Program.of(_Mapping(space), drawn), styled)

    def images(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Images of noise, and of labels if it is told some, without the noise that the network draws itself."""
        return self.synthesis.run(inputs if self.mapping is None else {"w": self.mapping.run(inputs)})

    def described(self, bytes_: Bytes) -> dict[str, Any]:
        """Its programs as JSON can hold them."""
        held = {"mapping": self.mapping, "synthesis": self.synthesis}
        return {name: program.described(bytes_) for name, program in held.items() if program is not None}


class _Mapping(Module):
    """What makes styles of noise."""

    def __init__(self, space: Space) -> None:
        self.network = space.generator.network
        self.mapped = space.mapped

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Styles (n, dim)."""
        return self.mapped(z, labels)


class _Synthesis(Module):
    """What makes images of styles, one for all layers."""

    def __init__(self, styles: StyleGenerator) -> None:
        self.styles = styles

    def forward(self, w: Tensor) -> Tensor:
        """Images (n, channels, height, width)."""
        return self.styles.synthesis([w] * self.styles.layers)


def write(path: str | Path, generator: Generator, title: str, weights: str | None = None) -> dict[str, Any]:
    """Write the page to `path`; its size in bytes, and by how much rounding the weights changes samples.

    `weights` is how they are kept: float16, int8 or float32 (`export.js.rounded`); by default float16, or int8 where
    they would take more than 3 MB. What the network draws itself, as the noise between StyleGAN2's layers, is left out.
    ShapeError for what makes no images, or of noise that no page draws; NotDescribed names an op that no page computes.
    """
    size = generator.network.num_parameters(buffers=True)
    held = content(generator, weights or ("float16" if size <= FLOAT16_AT_MOST else "int8"))
    templates.write(Path(path), page(held, title))
    return {"bytes": Path(path).stat().st_size, "weights": held["weights"], "error": held["error"]}


def content(generator: Generator, weights: str) -> dict[str, Any]:
    """All that the page's script needs, as JSON can hold it."""
    _check(generator)
    exact = replace(generator, network=copy.deepcopy(generator.network).to("cpu"))
    kept = replace(generator, network=copy.deepcopy(exact.network))
    drawing, rounding = Drawing.of(exact), Drawing.of(kept)
    for program in (rounding.mapping, rounding.synthesis):
        for t in program.weights().values() if program is not None else ():
            if t.dtype.kind == "f":
                t.data[...] = rounded(t.numpy(), weights)
    inputs = _noise(generator, Stream(0, "compared"), COMPARED)
    images = rounding.images(inputs)
    bytes_, space = Bytes(weights), rounding.space
    return {
        "programs": rounding.described(bytes_),
        "bytes": bytes_.text,
        "noise": _described(generator.latent),
        "space": _space(space),
        "sliders": sliders(space),
        "classes": generator.classes,
        "image": images.shape[1:],
        "weights": weights,
        "parameters": generator.network.num_parameters(),
        "about": generator.about,
        "error": _apart(images, drawing.images(inputs)),
        "check": _expected(inputs, images),
    }


def sliders(space: Space) -> list[dict[str, Any]]:
    """What moves a point most: the codes of an InfoGAN, else SeFa's directions; none if no layer is known to take it.

    Each is a vector by which a slider at 1 moves, a deviation long.
    """
    latent = space.generator.latent
    if isinstance(latent, LatentCode):
        axes = np.eye(latent.dim)[latent.noise + latent.categories :]
        return [{"name": f"code {k + 1}", "vector": axis.tolist(), "reach": 2} for k, axis in enumerate(axes[:SLIDERS])]
    try:
        found = factorised(space, SLIDERS)
    except ShapeError:
        return []
    moves = zip(found.vectors * found.deviations[:, None], found.shares, strict=True)
    return [
        {"name": f"direction {k + 1}", "vector": _digits(vector), "reach": 4, "share": round(float(share), 4)}
        for k, (vector, share) in enumerate(moves)
    ]


def page(held: dict[str, Any], title: str) -> str:
    """The page as HTML, of its `content`."""
    _, height, width = held["image"]
    parts = {
        "title": escape(title),
        "image": f"{width} &times; {height}",
        "parameters": number(held["parameters"]),
        "rounding": _rounding(held),
        "style": shared("page.css") + text_of(__package__, "generator.css"),
        "runner": source(),
        "worker": text_of(__package__, "worker.js"),
        "script": shared("elements.js") + "".join(text_of(__package__, name) for name in SCRIPTS),
        "data": embedded(held),
    }
    return filled(text_of(__package__, "generator.html"), parts)


def _rounding(held: dict[str, Any]) -> str:
    """How weights are kept, and what that changes."""
    if held["weights"] == "float32":
        return "float32, as they were trained"
    mean, most = (f"{100 * held['error'][name] / 2:.2g} %" for name in ("mean", "most"))
    return f"{held['weights']}, which changes a pixel by {mean} of its range on average, at most {most}"


def _check(generator: Generator) -> None:
    """ShapeError unless it makes grey or coloured images of noise that a page draws."""
    if generator.source is not None:
        raise ShapeError("a page draws samples of noise, and this generator makes images of images")
    if type(generator.latent) not in NOISES:
        raise ShapeError(f"no page draws the noise of this generator, {brief(generator.latent, 200)}")
    Space(generator)
    shape = generator.sample(1).shape[1:]
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise ShapeError(f"a page draws images (1 or 3, height, width), and samples of this generator are {shape}")


def _noise(generator: Generator, rng: Stream, n: int = 1) -> Numbers:
    """What a network of noise is given, by name in the order of its arguments."""
    z = {"z": generator.latent(n, rng).numpy()}
    return z if generator.classes is None else z | {"labels": np.arange(n) % generator.classes}


def _space(space: Space) -> dict[str, Any]:
    if space.kind == "z":
        return {"kind": "z", "circle": space.is_circle()}
    return {"kind": "w", "circle": False, "centre": _digits(space.centre)}


def _expected(inputs: Numbers, images: np.ndarray) -> dict[str, Any]:
    """One of the samples: what is given, and every so many-th number of the image that the network makes of it."""
    image = images[0].ravel()
    every = -(-image.size // CHECKED)
    given = [array[0].ravel().tolist() for array in inputs.values()]
    return {"given": given, "every": every, "numbers": _digits(image[::every])}


def _apart(images: np.ndarray, exact: np.ndarray) -> dict[str, float]:
    apart = np.abs(images - exact)
    return {"most": float(f"{apart.max():.3g}"), "mean": float(f"{apart.mean():.3g}")}


def _digits(array: np.ndarray) -> list[float]:
    """Eight digits, as many as a float32 has."""
    return [float(f"{value:.8g}") for value in array.tolist()]


def _described(latent: Any) -> dict[str, Any]:
    """From what noise is drawn."""
    fields = {name: value for name, value in vars(latent).items() if name != "dtype"}
    return {"kind": NOISES[type(latent)], **fields, "dim": latent.dim}
