"""A generator alone, in one small file: what draws samples, without what it takes to train. Or any network's weights.

Both files are safetensors, whose names are those of a `state_dict`, which PyTorch reads too. A generator's has in its
metadata the network as a tree of layers with their arguments, the noise it is fed with, and a checksum. Loading builds
layers from a list of known ones and executes nothing. What building them and drawing one sample may cost is limited,
for a file may be anybody's.
"""

import copy
import inspect
import json
import math
import os
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from . import nn, random
from .backend import Array
from .errors import CheckpointError, DTypeError, ShapeError, brief, described
from .gan import ConditionalGame, Game, Latent, LatentCode
from .gan.conditional import check_counts, classes_drawn
from .gan.game import STANDING, STANDING_BATCHES
from .gan.latents import NormalLatent, UniformLatent, truncated_latent
from .kernels.installation import versions
from .models.biggan import BigGenerator
from .models.conditional import ConditionalNormGenerator, OneHotGenerator
from .models.fastgan import FastGenerator
from .models.lapgan import LaplacianGenerator
from .models.maxout import Maxout
from .models.msggan import MultiScaleGenerator
from .models.progan import GrowingGenerator
from .models.r3gan import LearnedBasis
from .models.ranges import FromUnit, ToUnit
from .models.singan import Pyramid
from .models.stylegan2 import StyleGenerator
from .models.transgan import TransGenerator
from .nn import Module, evaluating
from .nn.cost import bounded
from .nn.naming import renamed
from .nn.reparametrize import normalised_within
from .recording import no_grad
from .system import disk, stored
from .system.disk import BLANK, is_whole, sealed
from .tensor import Tensor, tensor

CHUNK = 256  # samples made at a time
MOST = 1 << 20  # of classes, of numbers in the noise, and of letters in a description
LAYERS_AT_MOST, DEPTH_AT_MOST = 1000, 100  # in one description, and lists and layers within each other
FORMAT = 1
LATENTS: dict[str, Any] = {"uniform": UniformLatent, "normal": NormalLatent, "code": LatentCode}
NORMALISED: dict[str, Any] = {fn.__name__: fn for fn in (nn.spectral_norm, nn.weight_norm, nn.equalized)}
_OF_MODELS = (
    *(Maxout, ToUnit, FromUnit, LearnedBasis, StyleGenerator, BigGenerator, TransGenerator, FastGenerator, Pyramid),
    *(GrowingGenerator, MultiScaleGenerator, LaplacianGenerator, OneHotGenerator, ConditionalNormGenerator),
)
LAYERS: dict[str, type[Module]] = {
    layer.__name__: layer
    for layer in (*vars(nn).values(), *_OF_MODELS)
    if isinstance(layer, type) and issubclass(layer, Module) and layer is not Module
}
"""Every layer that a file may hold: those of `nn`, and a few of models."""


N = TypeVar("N")


class NotDescribed(CheckpointError):
    """A generator with a layer or noise that no file can describe."""


@dataclass
class Generator:
    """A network that makes samples of noise: G(z), or G(z, y) where `classes` is how many y there are.

    `about` says where it comes from: the run's name, its step, versions. `counts` is how often each class is in the
    data, if that is known: samples then have classes in that proportion.
    """

    network: Module
    latent: Latent
    classes: int | None = None
    about: dict[str, Any] = field(default_factory=dict)
    counts: Sequence[float] | None = None

    def generate(self, z: Tensor, labels: np.ndarray | None = None) -> Tensor:
        """Samples (n, ...) of noise z (n, dim), with running statistics, a few at a time.

        `labels` are integers (n,) below `classes`, by default 0, 1, ... in turn. ShapeError if they do not fit.
        """
        if not isinstance(z, Tensor) or z.ndim < 2:
            raise ShapeError(f"Generator: expected a Tensor of noise (n, dim), got {type(z).__name__} {np.shape(z)}")
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
        return self.generate(self.latent(n, stream), self.labels(n, seed) if labels is None else labels)

    def truncated(self, bound: float) -> "Generator":
        """A copy of this generator whose noise lies in [-bound, bound] (`gan.truncated_latent`).

        Batch norm has the statistics of such samples there, as in BigGAN: those of all would blur them.
        """
        found = replace(self, latent=truncated_latent(self.latent, bound), network=copy.deepcopy(self.network))
        device = next((p.device for p in found.network.parameters()), "cpu")

        def batch(k: int) -> None:
            inputs = [found.latent(STANDING, random.Stream(0, "standing statistics").at(k)).to(device)]
            if self.classes is not None:
                drawn = self.labels(STANDING, k)
                labels = np.arange(STANDING) % self.classes if drawn is None else drawn
                inputs.append(tensor(labels.astype(np.int64)).to(device))
            found.network(*inputs)

        with no_grad(), random.using(random.Stream(0, "settled")):
            nn.take_standing_statistics(found.network.train(), batch, STANDING_BATCHES)
        return found

    def labels(self, n: int, seed: int = 0) -> np.ndarray | None:
        """n classes drawn in the data's proportion, int64 (n,), the same ones for the same seed; None if unknown."""
        return (
            None if self.counts is None else classes_drawn(self.counts, n, random.Stream(seed, "generator's classes"))
        )


def of_game(game: Game, **about: Any) -> Generator:
    """The game's generator as it is being trained, whose memory it shares; `about` is kept with it."""
    classes, counts = None, None
    if isinstance(game, ConditionalGame):
        classes, counts = game.classes, None if game.counts is None else game.counts.numpy().tolist()
    try:
        network = game.sampling_network()
    except NotImplementedError as error:
        raise NotDescribed(f"{error}: it draws no samples of noise") from error
    if not hasattr(game, "latent"):
        raise NotDescribed(f"{type(game).__name__} has no latent: it draws no samples of noise")
    return Generator(network, game.latent, classes, {"step": game.rounds, **about}, counts)


def save_of_game(path: str | Path, game: Game, **about: Any) -> Path:
    """`save_generator` of the game's generator as it stands, with averaged weights if the game averages them."""
    generator = of_game(game, **about)
    average = game.sampling_average()
    return save_generator(path, generator, None if average is None else average.shadow)


def description(generator: Generator) -> dict[str, Any]:
    """The generator without its weights, as JSON can hold it.

    NotDescribed names a layer that no file describes, or what would be too much for whoever loads the file.
    """
    latent = next((name for name, kind in LATENTS.items() if type(generator.latent) is kind), None)
    if latent is None:
        raise NotDescribed(
            f"this generator's noise is drawn by {brief(generator.latent, 200)}, which no file can describe"
        )
    about = {
        "format": FORMAT,
        "network": _tree(generator.network),
        "latent": {"kind": latent, **{name: _tree(value) for name, value in vars(generator.latent).items()}},
        "classes": _tree(generator.classes),
        "counts": _tree(generator.counts),
        "about": generator.about,
        "versions": versions(),
    }
    try:
        _short(json.dumps(about))
        _check(about, generator.network.num_parameters(buffers=True))
        with bounded(generator.network):
            generator.sample(1)
    except CheckpointError as error:
        raise NotDescribed(str(error)) from error
    return about


def save_generator(path: str | Path, generator: Generator, weights: Mapping[str, Tensor] | None = None) -> Path:
    """Write the generator to `path`, with its own weights or these; CheckpointError if it cannot be written."""
    if not isinstance(generator, Generator):
        raise DTypeError(
            "save_generator: expected a path and a Generator, save_generator(path, Generator(network, latent)), "
            f"got {described(path)} and {described(generator)}"
        )
    path = Path(path)
    arrays = {name: t.data for name, t in (weights or generator.network.state_dict()).items()}
    about = {"sha256": BLANK.decode(), **description(generator)}
    disk.write(path, sealed(stored.content(arrays, {"minigan": json.dumps(about)})))
    return path


def load_generator(path: str | Path, device: str = "cpu") -> Generator:
    """The generator in a file of `save_generator`; CheckpointError naming the file and what is wrong with it."""
    arrays, metadata, content = stored.read(path)
    if "minigan" not in metadata:
        raise CheckpointError(
            f"{path}: these are weights without a network; build the network and load them with `load_weights`"
        )
    try:
        about = disk.parsed(_short(metadata["minigan"]))
        if about["format"] != FORMAT:
            raise CheckpointError(f"written in format {about['format']}, this minigan reads {FORMAT}")
        if not is_whole(content, about["sha256"]):
            raise CheckpointError("its checksum is not the one it was written with")
        generator = from_description(about, arrays)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # whatever a description that somebody made up leads to
        raise CheckpointError(f"{path}: describes no generator ({error!r})") from error
    generator.network.to(device)
    return generator


def from_description(about: Mapping[str, Any], arrays: Mapping[str, Any]) -> Generator:
    """The generator that `description` describes, with these weights, after it has drawn a sample.

    CheckpointError if they do not fit it, or if building it or the sample would cost more than a file may ask for,
    before it does.
    """
    _check(about, sum(np.size(a) for a in arrays.values()))
    latent = dict(about["latent"])
    kind = LATENTS[latent.pop("kind")]
    with random.using(random.Stream(0, "overwritten")):  # loading leaves the default stream alone
        network = _build(about["network"])
    network.load_state_dict(arrays)
    generator = Generator(network, kind(**latent), about["classes"], dict(about["about"]), about.get("counts"))
    with bounded(network):
        generator.sample(1)
    return generator


def save_weights(network: Any, path: str | Path | None = None) -> Path:
    """Write the weights of `network` to the safetensors file `path`, whole or not at all: `mg.save`.

    `network` is whatever has a state_dict (a module, an optimizer, an average), or such a dict itself. CheckpointError
    if it holds nothing, or nothing that can be written, or the file cannot be.
    """
    path = _checked_path("save", path)
    is_holder = hasattr(network, "state_dict") and not isinstance(network, type)
    state = network.state_dict() if is_holder else network
    if not isinstance(state, Mapping) or not state:
        found = f"{type(network).__name__}, which holds none" if isinstance(state, Mapping) else brief(network)
        raise CheckpointError(f"{path}: expected a network, or arrays by name, to save, got {found}")
    arrays = {name: _array(name, value) for name, value in state.items()}
    disk.write(path, sealed(stored.content(arrays, {"sha256": BLANK.decode()})))
    return path


def load_weights(network: N, path: str | Path | None = None) -> N:
    """`network` itself, with the weights of a safetensors file copied into it: `mg.load`.

    Written by `save_weights`, as a generator, or by PyTorch of the same network, there with
    `safetensors.torch.save_file(network.state_dict(), path)`: its weights may be bfloat16, of a module that was
    wrapped for several devices or compiled, or normalised by torch.nn.utils.parametrizations. `network` is whatever
    has load_state_dict: a module, an optimizer, an average. CheckpointError if the file is none, is damaged, or holds
    other names, kinds or shapes; nothing is copied then.
    """
    path = _checked_path("load", path)
    if isinstance(network, type) or not hasattr(network, "load_state_dict"):
        raise CheckpointError(f"{path}: expected a network to load it into, got {brief(network)}")
    arrays, metadata, content = stored.read(path)
    if "sha256" in metadata and not is_whole(content, metadata["sha256"]):
        raise CheckpointError(f"{path}: its checksum is not the one it was written with")
    holder: Any = network
    try:
        holder.load_state_dict(renamed(arrays, holder.state_dict()))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return network


def _checked_path(call: str, path: Any) -> Path:
    """`path`, which nobody need have given."""
    if not isinstance(path, str | os.PathLike):
        raise CheckpointError(f"{call}: expected the path of a file after the network, got {brief(path)}")
    return Path(path)


def _array(name: Any, value: Any) -> Array:
    """What a tensor or array holds; CheckpointError unless it is numbers that a file can hold."""
    array = value.data if isinstance(value, Tensor) else np.asarray(value)
    if not isinstance(name, str) or array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise CheckpointError(f"save: expected numbers by name, {name!r} is of {array.dtype}")
    return array


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
        found = brief(value)
        raise NotDescribed(f"a generator file holds layers made with numbers and words; this network has a {found}")
    made_by = getattr(value, "made_by", None)  # by spectral_norm, say, of an ordinary layer
    kind = type(value) if made_by is None else type(value).__bases__[1]
    if LAYERS.get(kind.__name__) is not kind:
        known = f"a generator file holds {', '.join(LAYERS)} (LAYERS in minigan/export.py)"
        raise NotDescribed(f"{known}; this network has a {kind.__name__}")
    args, kwargs = value.made_with
    given = _signature(kind).bind(value, *args, **kwargs).arguments
    given = {name: argument for name, argument in given.items() if name not in ("self", "rng")}
    held = {name: _tree(argument) for name, argument in given.items()}
    if made_by is not None:
        held["normalised"] = made_by
    others = {id(module) for module in _modules_in(given.values())}  # say so themselves
    if within := normalised_within(value, others):
        held["within"] = within
    return {"layer": kind.__name__, **held}


def _modules_in(values: Iterable[Any]) -> Iterator[Module]:
    """All modules in the arguments of a layer."""
    for value in values:
        if isinstance(value, Module):
            yield from value.modules()
        elif isinstance(value, list | tuple | dict):
            yield from _modules_in(value.values() if isinstance(value, dict) else value)


def _signature(kind: type[Module]) -> inspect.Signature:
    """How a layer is initialised; of the class, Python 3.11.2 would tell what its __new__ takes."""
    return inspect.signature(kind.__init__)


def _build(tree: Any) -> Any:
    """What `_tree` described."""
    if isinstance(tree, list):
        return tuple(map(_build, tree))
    if not isinstance(tree, dict):
        return tree
    if not isinstance(tree.get("layer"), str):
        return {name: _build(part) for name, part in tree.items()}
    arguments = {k: _build(v) for k, v in tree.items() if k not in ("layer", "normalised", "within")}
    kind = LAYERS[tree["layer"]]
    variadic = [p.name for p in _signature(kind).parameters.values() if p.kind is p.VAR_POSITIONAL]
    positional = [part for name in variadic for part in arguments.pop(name, ())]
    layer = kind(*positional, **arguments)
    if "normalised" in tree:
        name, options = tree["normalised"]
        NORMALISED[name](layer, **options)
    parts = list(layer.modules()) if "within" in tree else []
    for k, (name, options) in tree.get("within", {}).items():
        NORMALISED[name](parts[int(k)], **options)
    return layer


# --- limits -----------------------------------------------------------------------------------------------------

GEOMETRY = {"stride", "padding", "output_padding", "dilation", "groups", "output_size", "unflattened_size", "dim"}
"""Arguments that no layer holds numbers for."""
HELD: dict[str, Callable[..., float]] = {
    "BigGenerator": BigGenerator.held,
    "Blur": lambda filter=(): len(_numbers(filter)),
    "StyleGenerator": StyleGenerator.held,
    "TransGenerator": TransGenerator.held,
    "FastGenerator": FastGenerator.held,
    "Pyramid": Pyramid.held,
    **{kind.__name__: kind.held for kind in (GrowingGenerator, LaplacianGenerator, MultiScaleGenerator)},
    "Upsample": lambda: 0,
    "Conv1d": lambda in_channels, out_channels, kernel_size, groups=1: (
        in_channels * out_channels * kernel_size / groups
    ),
    "ConvTranspose1d": lambda in_channels, out_channels, kernel_size, groups=1: (
        in_channels * out_channels * kernel_size / groups
    ),
    "ConditionalBatchNorm2d": lambda num_features, num_classes=None, style_dim=None: (
        2 * num_features * (num_classes or style_dim + 1)
    ),
    "ConditionalGroupNorm": lambda num_channels, num_classes=None, style_dim=None: (
        2 * num_channels * (num_classes or style_dim + 1)
    ),
    "ConditionalNormGenerator": lambda z_dim, classes, width: width * (98 * z_dim + 12 * classes + 32 * width + 16),
    "GroupedResidualBlock": lambda channels, expansion=2, group_width=16: (
        expansion * channels * (2 * channels + 9 * group_width + 2)
    ),
    "LearnedBasis": lambda z_dim, channels, side: channels * (z_dim + side * side),
    "MinibatchDiscrimination": lambda in_features, out_features=100, kernel_dims=5: (
        in_features * out_features * kernel_dims
    ),
    "ModulatedConv2d": lambda in_channels, out_channels, kernel_size, style_dim: (
        in_channels * (out_channels * _window(kernel_size) + style_dim + 1)
    ),
    "MultiheadAttention": lambda embed_dim: 4 * embed_dim * (embed_dim + 1),
    "ResidualBlock": lambda in_channels, out_channels, hidden_channels=None, num_classes=None, style_dim=None: (
        (in_channels + out_channels)
        * (9 * (hidden_channels or max(in_channels, out_channels)) + 4 * (num_classes or (style_dim or 0) + 1))
        + in_channels * out_channels
        + 2 * (hidden_channels or 1) * (num_classes or (style_dim or 0) + 1)
    ),
    "SelfAttention2d": lambda channels: 3 * channels * (channels + 1),
    "SkipLayerExcitation": lambda low_channels, high_channels: high_channels * (16 * low_channels + high_channels),
    "SqueezeExcitation": lambda channels, reduction=16: 2 * channels * (channels / reduction + 1),
    "VirtualBatchNorm2d": lambda num_features: 2 * num_features,
}
"""How many numbers a layer holds, where that is not about the product of those it is made with."""


def _short(text: str) -> str:
    """The same; CheckpointError if a description has no need to be that long."""
    if len(text) > MOST:
        raise CheckpointError(f"describes its generator in more than {MOST} letters")
    return text


def _check(about: Mapping[str, Any], size: int) -> None:
    """CheckpointError if what `description` says is too much for weights of `size` numbers, or nothing to build."""
    noise = {name: value for name, value in about["latent"].items() if name != "kind"}
    classes = 1 if about["classes"] is None else about["classes"]
    if not all(_is_of_noise(*item) for item in noise.items()) or not _is_count(classes) or not classes:
        raise CheckpointError(f"describes no generator: noise {noise} and {classes} classes make no sense")
    if (counts := about.get("counts")) is not None:
        check_counts("Generator", counts, about["classes"])
    _check_size(about["network"], size)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < MOST


def _is_of_noise(name: str, value: Any) -> bool:
    """Is this a value that the field of a latent may have?"""
    if name == "dtype":
        return value in ("float32", "float64", "f4", "f8")
    return type(value) in (int, float) and math.isfinite(value) if name in ("low", "high") else _is_count(value)


def _check_size(tree: Any, size: int) -> None:
    """CheckpointError if what `tree` describes holds far more numbers than the `size` that came with it.

    Likewise if it has too many layers, one within the other or in all, or makes one with a number that is none.
    """
    left, layers = 16.0 * max(size, 1 << 14), 0

    def visit(tree: Any, depth: int) -> None:
        nonlocal left, layers
        if depth > DEPTH_AT_MOST:
            raise CheckpointError(f"its network is a recursion deeper than {DEPTH_AT_MOST}")
        if isinstance(tree, dict):
            layers += 1
            left -= max(_held(tree), 0)
            if not left >= 0:  # nor if it is NaN
                raise CheckpointError(f"{reprlib.repr(tree)} is larger than the weights that came with it")
            if layers > LAYERS_AT_MOST:
                raise CheckpointError(f"its network has more than {LAYERS_AT_MOST} layers")
        for part in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
            visit(part, depth + 1)

    visit(tree, 0)


def _held(tree: dict[str, Any]) -> float:
    """How many numbers the layer holds, not counting the layers within it, at most."""
    layer = tree.get("layer")  # may itself be a layer, of that name
    known = HELD.get(layer) if isinstance(layer, str) else None
    if known is not None:
        given = {name: tree[name] for name in inspect.signature(known).parameters if name in tree}
        return known(**{name: max(n, 1) if type(n) in (int, float) else n for name, n in given.items()})
    held = {name: value for name, value in tree.items() if name not in GEOMETRY}
    side, groups = held.get("kernel_size", 1), tree.get("groups", 1)
    product = math.prod(max(n, 1) for n in _numbers([*held.values(), side if type(side) is not list else 1]))
    return product / groups if type(groups) is int and groups > 1 else product


def _window(kernel_size: Any) -> float:
    """How many pixels a window has, of one number or two."""
    return math.prod(max(n, 1) for n in kernel_size) if isinstance(kernel_size, list) else kernel_size**2


def _numbers(value: Any) -> list[float]:
    """The numbers in an argument."""
    if isinstance(value, list):
        return [number for part in value for number in _numbers(part)]
    return [value] if isinstance(value, int | float) else []
