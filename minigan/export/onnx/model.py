"""A generator as an ONNX model: what it takes, what it tells, and that it computes what the network does."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ... import random
from ...errors import DTypeError, ShapeError, brief, described
from ...gan.latents import SourceImages
from ...models.codes import StyledTranslator
from ...models.translators import WithNoise
from ...random import Stream
from ...system import disk
from ..blueprint import NotDescribed
from ..generator import Generator
from . import draws, elements, images, reductions, shapes  # noqa: F401  they fill the table
from .file import content, library, metadata
from .graph import FLOAT32, INT64, Operand, Undetermined
from .passes import RANDOM, Pass, evaluated
from .table import translated

TOLERANCE = 1e-3  # of the largest value that the network gives, or of 1
Inputs = dict[str, np.ndarray]
Size = tuple[int, int, int]  # how many samples, and of images height and width


def save_onnx(path: str | Path, generator: Generator, *, noise: bool = True) -> Path:
    """Write the generator to `path` as an ONNX model, which other programs run without minigan; the path.

    Its inputs are `z` (N, dim), or `image` (N, C, H, W) of a translator or an encoder; beside it `labels` (N,) or
    `tokens` (N, length), int64, of a network that is told some, and the code `z` or `style` of a translator that takes
    one. Its output is `images`, `codes` if it makes vectors of images, or `samples`. The batch may have any size; so
    may images, where the network takes those of any size. Weights go by their names in `state_dict`; the metadata say
    from what noise z is drawn, how many classes there are and in what range images lie.

    Noise that the network itself draws when it makes samples, as StyleGAN2 does between layers and pix2pix by dropout,
    is drawn by the model too, with other values; with `noise=False` it is left out: normal noise is 0, and dropout
    keeps all. Before anything is written the model is checked, and run by onnxruntime without that noise: it gives what
    the network gives, of another batch than it was made with.

    An encoder is a Generator whose latent is `gan.latents.SourceImages`, as a translator is.

    NotDescribed names a layer and its op that has no counterpart in ONNX; MissingExtra says how to install onnx.
    """
    if not isinstance(generator, Generator):
        raise DTypeError(
            f"save_onnx: expected a path and a Generator, got {described(path)} and {described(generator)}"
        )
    for name in ("onnx", "onnxruntime"):
        library(name)
    if any(t.device != "cpu" for _, t in generator.network.named_tensors()):
        generator = replace(generator, network=copy.deepcopy(generator.network).to("cpu"))
    kinds = {t.dtype for _, t in generator.network.named_tensors() if t.dtype.kind == "f"}
    if kinds - {FLOAT32}:
        raise NotDescribed(f"a model in ONNX has weights of float32, these are {', '.join(map(str, kinds))}")
    disk.write(Path(path), _model(generator, noise))
    return Path(path)


class _Trace(NamedTuple):
    """A pass without noise, its inputs, and what it gave."""

    found: Pass
    inputs: Inputs
    result: np.ndarray


def _model(generator: Generator, noise: bool) -> bytes:
    """The model in the widest sense that can be had: of images of any size, else of those it was trained on."""
    source = generator.source
    n, height, width = first = (2, 0, 0) if source is None else (2, source.height, source.width)
    traces = [_trace(generator, first, 0), _trace(generator, (n + 1, height, width), 1)]
    if source is not None:
        try:
            wider = [_trace(generator, size, 2) for size in ((n, 2 * height, width), (n, height, 2 * width))]
            return _checked(generator, traces + wider, noise, _another_size(generator, source))
        except (ShapeError, Undetermined, _Differs):
            pass  # then only images of this size
    return _checked(generator, traces, noise, (5, height, width))


def _another_size(generator: Generator, source: SourceImages) -> Size:
    """One image of a size that no trace has: an odd one, if the network takes such."""
    height, width = source.height, source.width
    for size in ((1, height + 1, width + 3), (1, height + height // 2, width + width // 2)):
        try:
            _trace(generator, size, 3)
        except ShapeError:
            continue
        return size
    return 1, 2 * height, 2 * width


def _trace(generator: Generator, size: Size, seed: int) -> _Trace:
    """The network applied to so many inputs, drawn by that seed."""
    inputs = _inputs(generator, size, seed)
    if any(array.dtype not in (FLOAT32, INT64) for array in inputs.values()):
        raise NotDescribed(f"a model in ONNX takes float32, this generator's noise is {brief(generator.latent)}")
    with random.using(Stream(seed, "noise")):
        found, result = evaluated(generator.network, inputs)
    return _Trace(found, inputs, result)


def _inputs(generator: Generator, size: Size, seed: int) -> Inputs:
    """What the network is given, by name in the order of its arguments."""
    n, height, width = size
    stream = Stream(seed, "ONNX")
    if (source := generator.source) is None:
        found = {"z": generator.latent(n, stream).numpy()}
    else:
        found = {"image": stream.uniform((n, source.channels, height, width), -1.0, 1.0)}
    if generator.texts is not None:
        found["tokens"] = generator.texts.drawn(n, stream).astype(INT64)
    elif generator.classes is not None:
        found["labels"] = stream.integers(generator.classes, (n,))
    elif isinstance(generator.network, WithNoise):
        found["z"] = stream.normal((n, generator.network.z_dim))
    elif isinstance(generator.network, StyledTranslator):
        found["style"] = stream.normal((n, generator.network.style_dim))
    return found


def _checked(generator: Generator, traces: list[_Trace], noise: bool, size: Size) -> bytes:
    """The model of these traces, after it has been compared with the network for inputs of that size."""
    made = _content(generator, traces, noise)
    draws_some = any(call.function in RANDOM for call in traces[0].found.calls)
    _compare(generator, _content(generator, traces, False) if noise and draws_some else made, size)
    return made


def _content(generator: Generator, traces: list[_Trace], noise: bool) -> bytes:
    inputs = [
        Operand(name, tuple(trace.inputs[name].shape for trace in traces), array.dtype)
        for name, array in traces[0].inputs.items()
    ]
    graph, result = translated([trace.found for trace in traces], inputs, noise)
    weights = {name: t.data for name, t in generator.network.named_tensors()}
    out = "images" if result.ndim == 4 else "samples" if generator.source is None else "codes"
    return content(graph, inputs, result, weights, out, metadata(generator))


def _compare(generator: Generator, quiet: bytes, size: Size) -> None:
    """_Differs unless onnxruntime computes of the model, which has no noise, what the network does."""
    _, inputs, expected = _trace(generator, size, 4)
    runtime = library("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # what does not run is said below
    try:
        (given,) = runtime.InferenceSession(quiet, options, providers=["CPUExecutionProvider"]).run(None, inputs)
    except Exception as error:  # whatever onnxruntime raises of a model
        raise _Differs(f"onnxruntime does not run the model ({brief(error, 200)})") from error
    close = TOLERANCE * max(1.0, float(np.abs(expected).max(initial=0)))
    if given.shape != expected.shape or not np.allclose(given, expected, rtol=0, atol=close):
        far = "" if given.shape != expected.shape else f", {np.abs(given - expected).max():.2g} apart"
        raise _Differs(f"the model gives {given.shape} where the network gives {expected.shape}{far}")


class _Differs(NotDescribed):
    """A model that does not give what the network gives."""
