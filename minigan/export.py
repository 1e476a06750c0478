"""A generator alone, in one small file: what draws samples, without what it takes to train.

The file is safetensors: the weights under the names of a `state_dict`, which PyTorch reads too, and in its metadata the
network as a tree of layers with their arguments, the noise it is fed with, and a checksum. Loading builds layers from
a list of known ones and executes nothing.
"""

import inspect
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from . import nn, random
from .backend import to_numpy
from .errors import CheckpointError, ShapeError
from .gan import ConditionalGame, Game, Latent, LatentCode
from .gan.latents import NormalLatent, UniformLatent
from .models.conditional import ConditionalNormGenerator, OneHotGenerator
from .models.digits import Maxout
from .models.ranges import FromUnit, ToUnit
from .nn import Module, evaluating
from .system import disk
from .system.disk import BLANK, is_whole, sealed
from .system.machine import versions
from .tensor import Tensor, tensor

CHUNK = 256  # samples made at a time
MOST = 1 << 20  # of classes, and of numbers in the noise
FORMAT = 1
LATENTS: dict[str, Any] = {"uniform": UniformLatent, "normal": NormalLatent, "code": LatentCode}
NORMALISED: dict[str, Any] = {"spectral_norm": nn.spectral_norm, "weight_norm": nn.weight_norm}
LAYERS: dict[str, type[Module]] = {
    layer.__name__: layer
    for layer in (*vars(nn).values(), Maxout, ToUnit, FromUnit, OneHotGenerator, ConditionalNormGenerator)
    if isinstance(layer, type) and issubclass(layer, Module) and layer is not Module
}
"""Every layer that a file may hold: those of `nn`, and a few of models."""


N = TypeVar("N")


class NotDescribed(CheckpointError):
    """A generator with a layer or noise that no file can describe."""


@dataclass
class Generator:
    """A network that makes samples of noise: G(z), or G(z, y) where `classes` is how many y there are.

    `about` says where it comes from: the run's name, its step, versions.
    """

    network: Module
    latent: Latent
    classes: int | None = None
    about: dict[str, Any] = field(default_factory=dict)

    def generate(self, z: Tensor, labels: np.ndarray | None = None) -> Tensor:
        """Samples (n, ...) of noise z (n, dim), with running statistics, a few at a time.

        `labels` are integers (n,) below `classes`, by default 0, 1, ... in turn. ShapeError if they do not fit.
        """
        n = len(z)
        asked: list[Tensor] = []
        if self.classes is not None:
            labels = np.arange(n) % self.classes if labels is None else np.asarray(labels)
            if labels.shape != (n,) or labels.dtype.kind not in "iu" or labels.min(initial=0) < 0:
                raise ShapeError(f"Generator: expected {n} labels, integers from 0, got {labels.dtype} {labels.shape}")
            if labels.max(initial=0) >= self.classes:
                raise ShapeError(f"Generator: labels go from 0 to {self.classes - 1}, got {labels.max()}")
            asked = [tensor(labels.astype(np.int64))]
        elif labels is not None:
            raise ShapeError("Generator: this network takes no labels")
        device = next((p.device for p in self.network.parameters()), "cpu")
        with evaluating(self.network), random.using(random.Stream(0, "generated")):
            parts = [
                self.network(*(x[k : k + CHUNK].to(device) for x in (z, *asked))).numpy()
                for k in range(0, max(n, 1), CHUNK)
            ]
        return tensor(np.concatenate(parts))

    def sample(self, n: int, *, seed: int = 0, labels: np.ndarray | None = None) -> Tensor:
        """n samples, the same ones for the same seed; the first ones are those of any n, up to rounding."""
        stream = random.Stream(seed, "generator")
        return self.generate(self.latent(n, stream), labels)


def of_game(game: Game, **about: Any) -> Generator:
    """The game's generator as it is being trained, whose memory it shares; `about` is kept with it."""
    classes = game.classes if isinstance(game, ConditionalGame) else None
    try:
        network = game.sampling_network()
    except NotImplementedError as error:
        raise NotDescribed(f"{error}: it draws no samples of noise") from error
    if not hasattr(game, "latent"):
        raise NotDescribed(f"{type(game).__name__} has no latent: it draws no samples of noise")
    return Generator(network, game.latent, classes, {"step": game.rounds, **about})


def save_of_game(path: str | Path, game: Game, **about: Any) -> Path:
    """`save_generator` of the game's generator as it stands, with averaged weights if the game averages them."""
    generator = of_game(game, **about)
    average = game.sampling_average()
    return save_generator(path, generator, None if average is None else average.state_dict())


def description(generator: Generator) -> dict[str, Any]:
    """The generator without its weights, as JSON can hold it; NotDescribed names a layer that no file describes."""
    latent = next((name for name, kind in LATENTS.items() if type(generator.latent) is kind), None)
    if latent is None:
        raise NotDescribed(f"this generator's noise is drawn by {generator.latent!r}, which no file can describe")
    return {
        "format": FORMAT,
        "network": _tree(generator.network),
        "latent": {"kind": latent, **{name: _tree(value) for name, value in vars(generator.latent).items()}},
        "classes": _tree(generator.classes),
        "about": generator.about,
        "versions": versions(),
    }


def save_generator(path: str | Path, generator: Generator, weights: Mapping[str, Tensor] | None = None) -> Path:
    """Write the generator to `path`, with its own weights or these; CheckpointError if it cannot be written."""
    from safetensors.numpy import save as to_bytes

    path = Path(path)
    arrays = {
        name: np.array(to_numpy(t.data), order="C") for name, t in (weights or generator.network.state_dict()).items()
    }
    about = {"sha256": BLANK.decode(), **description(generator)}
    disk.write(path, sealed(to_bytes(arrays, {"minigan": json.dumps(about)})))
    return path


def load_generator(path: str | Path, device: str = "cpu") -> Generator:
    """The generator in a file of `save_generator`; CheckpointError naming the file and what is wrong with it."""
    arrays, metadata = read_weights(path)
    if "minigan" not in metadata:
        raise CheckpointError(
            f"{path}: these are weights without a network; build the network and load them with `load_weights`"
        )
    try:
        about = json.loads(metadata["minigan"])
        if about["format"] != FORMAT:
            raise CheckpointError(f"written in format {about['format']}, this minigan reads {FORMAT}")
        if not is_whole(Path(path).read_bytes(), about["sha256"]):
            raise CheckpointError("its checksum is not the one it was written with")
        generator = from_description(about, arrays)
        generator.sample(1)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except Exception as error:  # whatever a description that somebody made up leads to
        raise CheckpointError(f"{path}: describes no generator ({error!r})") from error
    generator.network.to(device)
    return generator


def from_description(about: Mapping[str, Any], arrays: Mapping[str, Any]) -> Generator:
    """The generator that `description` describes, with these weights. CheckpointError if they do not fit it."""
    latent, classes = dict(about["latent"]), about["classes"]
    sampler = LATENTS[latent.pop("kind")](**latent)
    counts = [v for v in (*latent.values(), classes) if isinstance(v, int)]
    if not (classes is None or type(classes) is int) or not all(0 <= count < MOST for count in counts) or classes == 0:
        raise CheckpointError(f"noise {latent} and {classes} classes make no sense")
    network = _build(about["network"], sum(np.size(a) for a in arrays.values()))
    network.load_state_dict(arrays)
    return Generator(network, sampler, classes, dict(about["about"]))


def save_weights(network: Any, path: str | Path) -> Path:
    """Write the weights of `network` to the safetensors file `path`, whole or not at all: `mg.save`.

    `network` is whatever has a state_dict (a module, an optimizer, an average), or such a dict itself. CheckpointError
    if it holds nothing, or nothing that can be written, or the file cannot be.
    """
    from safetensors.numpy import save as to_bytes

    _check_path("save", path)
    state = network.state_dict() if hasattr(network, "state_dict") else network
    if not isinstance(state, Mapping) or not state:
        found = f"{type(network).__name__}, which holds none" if isinstance(state, Mapping) else f"{network!r:.80}"
        raise CheckpointError(f"{path}: expected a network, or arrays by name, to save, got {found}")
    arrays = {name: _native(name, value) for name, value in state.items()}
    disk.write(Path(path), sealed(to_bytes(arrays, {"sha256": BLANK.decode()})))
    return Path(path)


def load_weights(network: N, path: str | Path) -> N:
    """`network` itself, with the weights of a safetensors file copied into it: `mg.load`.

    Written by `save_weights`, as a generator, or by PyTorch of the same network, there with
    `safetensors.torch.save_file(network.state_dict(), path)`. `network` is whatever has load_state_dict: a module, an
    optimizer, an average. CheckpointError if the file is none, is damaged, or holds other names, kinds or shapes;
    nothing is copied then.
    """
    _check_path("load", path)
    if not hasattr(network, "load_state_dict"):
        raise CheckpointError(f"{path}: expected a network to load it into, got {network!r:.80}")
    arrays, metadata = read_weights(path)
    if "sha256" in metadata and not is_whole(Path(path).read_bytes(), metadata["sha256"]):
        raise CheckpointError(f"{path}: its checksum is not the one it was written with")
    try:
        network.load_state_dict(arrays)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return network


def read_weights(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """(arrays, metadata) of a safetensors file; CheckpointError naming it, and what it is instead if that is known."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    try:
        with path.open("rb") as start:
            first = start.read(2)
        if first in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
            raise CheckpointError(
                f"{path}: a pickle, and loading one can run whatever its author put into it. Where it comes from, "
                "write its state_dict with safetensors.torch.save_file, and give that file"
            )
        with safe_open(path, framework="numpy") as held:
            return {name: held.get_tensor(name) for name in held.keys()}, held.metadata() or {}  # noqa: SIM118  it is no dict
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read as safetensors ({error})") from error


def _check_path(call: str, path: Any) -> None:
    if not isinstance(path, str | os.PathLike):
        raise CheckpointError(f"{call}: expected the path of a file after the network, got {path!r:.80}")


def _native(name: Any, value: Any) -> np.ndarray:
    """A tensor or array as a file can hold it: numbers, in C order, in this machine's byte order."""
    array = to_numpy(value.data) if isinstance(value, Tensor) else np.asarray(value)
    if not isinstance(name, str) or array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise CheckpointError(f"save: expected numbers by name, {name!r} is of {array.dtype}")
    return np.array(array, array.dtype.newbyteorder("="), order="C")


def _tree(value: Any) -> Any:
    """A module as {"layer": name, argument: value ...}; what its arguments hold likewise."""
    if isinstance(value, dict):
        return {name: _tree(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_tree(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if not isinstance(value, Module):
        raise NotDescribed(f"a generator file holds layers made with numbers and words; this network has a {value!r}")
    made_by = getattr(value, "made_by", None)  # by spectral_norm, say, of an ordinary layer
    kind = type(value) if made_by is None else type(value).__bases__[1]
    if LAYERS.get(kind.__name__) is not kind:
        known = f"a generator file holds {', '.join(LAYERS)} (LAYERS in minigan/export.py)"
        raise NotDescribed(f"{known}; this network has a {kind.__name__}")
    args, kwargs = value.made_with
    given = inspect.signature(kind).bind(*args, **kwargs).arguments
    held = {name: _tree(argument) for name, argument in given.items() if name != "rng"}
    return {"layer": kind.__name__, **held, **({} if made_by is None else {"normalised": made_by})}


def _build(tree: Any, size: int) -> Any:
    """What `_tree` described, for weights of `size` numbers in all.

    A layer's numbers multiply to not much more than the weights it has, a kernel's side counted twice: one that asks
    for far more than the file holds is refused before it takes the memory.
    """
    if isinstance(tree, list):
        return tuple(_build(value, size) for value in tree)
    if not isinstance(tree, dict):
        return tree
    if not isinstance(tree.get("layer"), str):
        return {name: _build(part, size) for name, part in tree.items()}
    arguments = {k: _build(v, size) for k, v in tree.items() if k not in ("layer", "normalised")}
    numbers = [n for name, value in arguments.items() for n in _numbers(value) * (1 + (name == "kernel_size"))]
    if math.prod(max(n, 1) for n in numbers) > 64 * max(size, 1 << 12):
        raise CheckpointError(f"{tree['layer']} of {arguments} is larger than the weights that came with it")
    kind = LAYERS[tree["layer"]]
    variadic = [p.name for p in inspect.signature(kind).parameters.values() if p.kind is p.VAR_POSITIONAL]
    positional = [part for name in variadic for part in arguments.pop(name, ())]
    layer = kind(*positional, **arguments)
    if "normalised" in tree:
        name, options = tree["normalised"]
        NORMALISED[name](layer, **options)
    return layer


def _numbers(value: Any) -> list[float]:
    """The numbers in an argument."""
    if isinstance(value, tuple):
        return [number for part in value for number in _numbers(part)]
    return [value] if isinstance(value, int | float) else []
