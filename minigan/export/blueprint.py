"""A network as a tree of plain values, as JSON can hold it, and the network of such a tree.

Building one makes layers of a list of known ones, and executes nothing. What it may cost is limited before anything is
built, for a tree may be anybody's.
"""

import inspect
import math
import reprlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from .. import nn
from ..errors import CheckpointError, brief
from ..models.biggan import BigGenerator
from ..models.codes import SteeredBlock, StyledDecoder, StyledTranslator
from ..models.conditional import ConditionalNormGenerator, OneHotGenerator
from ..models.fastgan import FastGenerator
from ..models.lapgan import LaplacianGenerator
from ..models.maxout import Maxout
from ..models.msggan import MultiScaleGenerator
from ..models.progan import GrowingGenerator
from ..models.r3gan import LearnedBasis
from ..models.ranges import FromUnit, ToUnit
from ..models.singan import Pyramid
from ..models.stylegan2 import StyleGenerator
from ..models.super_resolution import DenseBlock, Enlarger, SRBlock
from ..models.text import TextGenerator, WordFeatures
from ..models.transgan import TransGenerator
from ..models.translators import Inpainting, ReflectedBlock, UNetTranslator, WithClass, WithNoise
from ..nn import Module
from ..nn.reparametrize import normalised_within

LAYERS_AT_MOST, DEPTH_AT_MOST = 1000, 100  # in one tree, and lists and layers within each other
NORMALISED: dict[str, Any] = {fn.__name__: fn for fn in (nn.spectral_norm, nn.weight_norm, nn.equalized)}
_OF_MODELS = (
    *(Maxout, ToUnit, FromUnit, LearnedBasis, StyleGenerator, BigGenerator, TransGenerator, FastGenerator, Pyramid),
    *(GrowingGenerator, MultiScaleGenerator, LaplacianGenerator, OneHotGenerator, ConditionalNormGenerator),
    *(UNetTranslator, ReflectedBlock, WithClass, WithNoise, Inpainting, Enlarger, SRBlock, DenseBlock),
    *(StyledTranslator, StyledDecoder, SteeredBlock, TextGenerator, WordFeatures),
)
LAYERS: dict[str, type[Module]] = {
    layer.__name__: layer
    for layer in (*vars(nn).values(), *_OF_MODELS)
    if isinstance(layer, type) and issubclass(layer, Module) and layer is not Module
}
"""Every layer that a file may hold: those of `nn`, and a few of models."""


class NotDescribed(CheckpointError):
    """A network with a layer, or a generator with noise, that no file can describe."""


def tree_of(value: Any) -> Any:
    """A module as {"layer": name, argument: value ...}; what its arguments hold likewise.

    NotDescribed names what no file can describe.
    """
    if isinstance(value, dict):
        return {name: tree_of(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [tree_of(part) for part in value]
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
        known = f"a generator file holds {', '.join(LAYERS)} (LAYERS in minigan/export/blueprint.py)"
        raise NotDescribed(f"{known}; this network has a {kind.__name__}")
    args, kwargs = value.made_with
    given = _signature(kind).bind(value, *args, **kwargs).arguments
    given = {name: argument for name, argument in given.items() if name not in ("self", "rng")}
    tree = {name: tree_of(argument) for name, argument in given.items()}
    if made_by is not None:
        tree["normalised"] = made_by
    others = {id(module) for module in _modules_in(given.values())}  # say so themselves
    if within := normalised_within(value, others):
        tree["within"] = within
    return {"layer": kind.__name__, **tree}


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


def built(tree: Any) -> Any:
    """The module, or value, that `tree_of` described; whatever a tree that is none leads to is raised."""
    if isinstance(tree, list):
        return tuple(map(built, tree))
    if not isinstance(tree, dict):
        return tree
    if not isinstance(tree.get("layer"), str):
        return {name: built(part) for name, part in tree.items()}
    arguments = {k: built(v) for k, v in tree.items() if k not in ("layer", "normalised", "within")}
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
    "DenseBlock": lambda channels, growth=32: 27 * (4 * growth + channels) * (channels + 4 * growth + 1),
    "SRBlock": lambda channels: 2 * channels * (9 * channels + 3),
    "ReflectedBlock": lambda channels: 2 * channels * (9 * channels + 1),
    "SteeredBlock": lambda channels, style_dim: 2 * channels * (9 * channels + 2 * style_dim + 3),
    "StyledDecoder": StyledDecoder.held,
    "StyledTranslator": lambda: 0,
    "UNetTranslator": UNetTranslator.held,
    "Inpainting": lambda: 0,
    "WithClass": lambda: 0,
    "WithNoise": lambda: 0,
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
    "TextGenerator": lambda: 0,
    "VirtualBatchNorm2d": lambda num_features: 2 * num_features,
    "WordFeatures": lambda words, features, window=1: features * (words + 1 + features * window),
}
"""How many numbers a layer holds, where that is not about the product of those it is made with."""


def check_size(tree: Any, size: int) -> None:
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
            left -= max(held(tree), 0)
            if not left >= 0:  # nor if it is NaN
                raise CheckpointError(f"{reprlib.repr(tree)} is larger than the weights that came with it")
            if layers > LAYERS_AT_MOST:
                raise CheckpointError(f"its network has more than {LAYERS_AT_MOST} layers")
        for part in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
            visit(part, depth + 1)

    visit(tree, 0)


def held(tree: dict[str, Any]) -> float:
    """How many numbers the layer holds, not counting the layers within it, at most."""
    layer = tree.get("layer")  # may itself be a layer, of that name
    known = HELD.get(layer) if isinstance(layer, str) else None
    if known is not None:
        given = {name: tree[name] for name in inspect.signature(known).parameters if name in tree}
        return known(**{name: max(n, 1) if type(n) in (int, float) else n for name, n in given.items()})
    sizes = {name: value for name, value in tree.items() if name not in GEOMETRY}
    side, groups = sizes.get("kernel_size", 1), tree.get("groups", 1)
    product = math.prod(max(n, 1) for n in _numbers([*sizes.values(), side if type(side) is not list else 1]))
    return product / groups if type(groups) is int and groups > 1 else product


def _window(kernel_size: Any) -> float:
    """How many pixels a window has, of one number or two."""
    return math.prod(max(n, 1) for n in kernel_size) if isinstance(kernel_size, list) else kernel_size**2


def _numbers(value: Any) -> list[float]:
    """The numbers in an argument."""
    if isinstance(value, list):
        return [number for part in value for number in _numbers(part)]
    return [value] if isinstance(value, int | float) else []
