"""The networks of `minigan train` and their noise by name, and which options shape them."""

from collections.abc import Callable
from typing import Any, NamedTuple

from .. import models, nn, ops
from ..errors import ShapeError
from ..gan import (
    ConditionalGame,
    Growth,
    LaplacianGame,
    Latent,
    MultiScaleGame,
    ProgressiveGame,
    ScoreGame,
    normal_latent,
    uniform_latent,
)
from ..models import Players

Extra = dict[str, Any]
LATENTS: dict[str, Callable[..., Latent]] = {"uniform": uniform_latent, "normal": normal_latent}


class Network(NamedTuple):
    """Players by name: how they are made, the noise their document draws, the options that shape them."""

    make: Callable[..., Players]
    z_dim: int
    latent: str
    shaped_by: tuple[str, ...] = ()  # options that `make` takes
    norm: str | None = "batch"  # of D, if it is not told and nothing forbids that
    told: bool = False  # does `make` take how many classes there are, of which players are told in a way of their own?
    game: type[ScoreGame] = ScoreGame
    played_by: tuple[str, ...] = ()  # options that the game takes

    @property
    def takes(self) -> tuple[str, ...]:
        """All options that mean something for these players."""
        return self.shaped_by + self.played_by


SIZES = ("side", "channels", "width")
NETWORKS = {
    "mlp28": Network(models.mlp28, 96, "uniform", ("pack",)),
    "dcgan28": Network(models.dcgan28, 96, "uniform", ("pack", "generator_width")),
    "wgan_gp28": Network(models.wgan_gp28, 96, "uniform", ("norm", "padding", "generator_width")),
    "lab28": Network(models.lab28, 128, "normal", ("output",)),
    "goodfellow28": Network(models.goodfellow28, 100, "uniform"),
    "dcgan": Network(
        models.dcgan,
        100,
        "uniform",
        (*SIZES, "generator_width", "norm", "generator_norm", "activation", "pack", "stddev"),
    ),
    "mlp512": Network(models.mlp512, 100, "normal", SIZES),
    "sndcgan": Network(models.sndcgan, 128, "normal", SIZES),
    "resnet": Network(
        models.resnet, 128, "normal", (*SIZES, "generator_width", "norm", "generator_norm", "attention"), norm=None
    ),
    "biggan": Network(models.biggan, 120, "normal", (*SIZES, "generator_width", "attention"), told=True),
    "unet": Network(models.unet, 120, "normal", (*SIZES, "generator_width", "attention"), told=True),
    "r3gan": Network(models.r3gan, 64, "normal", (*SIZES, "generator_width")),
    "stylegan2": Network(models.stylegan2, 128, "normal", (*SIZES, "generator_width", "noiseless")),
    "transgan": Network(models.transgan, 256, "normal", (*SIZES, "generator_width")),
    "fastgan": Network(models.fastgan, 256, "normal", (*SIZES, "generator_width", "norm")),
    "progan": Network(
        models.progan, 128, "normal", (*SIZES, "generator_width"), game=ProgressiveGame, played_by=("grow", "fade")
    ),
    "msggan": Network(models.msggan, 128, "normal", (*SIZES, "generator_width"), game=MultiScaleGame),
    "lapgan": Network(models.lapgan, 192, "normal", (*SIZES, "generator_width"), game=LaplacianGame),
}
SHAPING = {  # options that need a network which is made for them, even if a preset gives them, and their defaults
    **{"pack": 1, "stddev": False, "generator_norm": "batch", "activation": "leaky_relu", "padding": 0},
    **{"output": "tanh", "generator_width": None, "attention": 0, "noiseless": False, "grow": 0.5, "fade": 0.5},
}
SCALED = [name for name, network in NETWORKS.items() if "side" in network.shaped_by and network.game is ScoreGame]
"""Networks whose D can be made for halved images too, and scores nothing but one image."""
OUTPUTS = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


def sized(extra: Extra) -> bool:
    """Are the networks made for images of any size?"""
    return "side" in NETWORKS[extra["model"]].shaped_by


def untaken(name: str, model: str) -> str:
    """Why an option that shapes some networks does nothing with these, "" if they take it."""
    taken = NETWORKS[model].takes
    if name in taken:
        return ""
    own = ", ".join(map(flag, taken)) or "nothing of the kind"
    return f"is for {shaped(name)}; {model} takes {own}"


def shaped(name: str) -> str:
    """The networks that take an option, with commas between."""
    return ", ".join(model for model, network in NETWORKS.items() if name in network.takes)


def flag(name: str) -> str:
    """How the command line calls an option."""
    return f"--{name.replace('_', '-')}"


def players(extra: Extra, classes: int = 0) -> Players:
    """The two networks, with what is changed in any network; told so many classes, if there are some."""
    network = NETWORKS[extra["model"]]
    for name, default in SHAPING.items():
        if extra[name] != default and (why := untaken(name, extra["model"])):
            raise ShapeError(f"{flag(name)} {why}")
    options = {name: extra[name] for name in network.shaped_by}
    if options.get("generator_width", 0) is None:
        del options["generator_width"]  # the network's own
    if "norm" in options and options["norm"] == "auto":  # both are per sample, batch norm is not
        options["norm"] = None if extra["penalty"] or extra["one_pass"] else network.norm
    if "output" in options:
        options["output"] = OUTPUTS[options["output"]]
    G, D = _made(extra, classes, options)
    if extra["scales"] > 1:
        elsewhere = {"attention": 0} if "attention" in options else {}  # which is for one size of maps
        sides = [extra["side"] >> k for k in range(1, extra["scales"])]
        others = [_made(extra, classes, options | elsewhere | {"side": side}).discriminator for side in sides]
        D = models.MultiScaleDiscriminator([D, *others])
    dense = nn.Linear, nn.Conv2d, nn.ConvTranspose2d
    bounded = (D, extra["spectral_norm"], (*dense, nn.Embedding)), (G, extra["generator_spectral_norm"], dense)
    for player, asked, kinds in bounded:
        for layer in list(player.modules()) if asked else ():
            if isinstance(layer, kinds):
                nn.spectral_norm(layer)
    return Players(G, D)


def _made(extra: Extra, classes: int, options: dict[str, Any]) -> Players:
    """The network's players, told the classes."""
    network = NETWORKS[extra["model"]]
    if network.told:
        G, D = network.make(z_dim=z_dim(extra), classes=classes, **options)
    else:
        G, D = network.make(z_dim=z_dim(extra) + classes, outputs=max(classes, 1), **options)
    if extra["dropout"] and isinstance(G, nn.Sequential):
        layers = [
            (layer, nn.Dropout(extra["dropout"], always=True)) if isinstance(layer, nn.ReLU) else (layer,)
            for layer in G
        ]
        G = nn.Sequential(*(layer for group in layers for layer in group))
    if extra["minibatch_discrimination"]:
        D = comparing(D, extra["model"], extra["minibatch_discrimination"])
    if extra["san"]:
        D = sliced(D, extra["model"])
    return models.of_classes(Players(G, D), classes) if classes and not network.told else Players(G, D)


def comparing(D: nn.Module, model: str, numbers: int) -> nn.Module:
    """D whose last layer, dense or a convolution of all that is left, also sees how close a sample is to the others.

    What it makes of the rest stays. ShapeError if D does not end so.
    """
    layers, last = _scoring("--minibatch-discrimination", D, model)
    outputs, features = last.weight.shape[0], last.weight.size // last.weight.shape[0]
    found = nn.Linear(features + numbers, outputs, bias=last.bias is not None)
    known = last.weight.detach().reshape(outputs, features)
    found.weight.copy_(ops.concatenate([known, found.weight.detach()[:, features:]], 1))
    if found.bias is not None and last.bias is not None:
        found.bias.copy_(last.bias.detach())
    return nn.Sequential(*layers, nn.MinibatchDiscrimination(features, numbers), found)


def sliced(D: nn.Module, model: str) -> nn.Module:
    """D whose last layer, dense or a convolution of all that is left, is a direction among features from now on.

    ShapeError if it does not end so.
    """
    layers, last = _scoring("--san", D, model)
    outputs, features = last.weight.shape[0], last.weight.size // last.weight.shape[0]
    found = nn.SlicedLinear(features, outputs, bias=last.bias is not None)
    found.weight.copy_(last.weight.detach().reshape(outputs, features))
    if found.bias is not None and last.bias is not None:
        found.bias.copy_(last.bias.detach())
    found.rescale()
    return nn.Sequential(*layers, found)


def _scoring(option: str, D: nn.Module, model: str) -> tuple[list[nn.Module], nn.Linear | nn.Conv2d]:
    """(layers that make features (N, F) of images, the last one, which makes scores of them) of D."""
    layers = list(D) if isinstance(D, nn.Sequential) else []
    if len(layers) > 1 and isinstance(layers[-1], nn.Flatten) and isinstance(layers[-2], nn.Conv2d):
        layers[-2:] = [nn.Flatten(), layers[-2]]
    if not layers or not isinstance(last := layers.pop(), nn.Linear | nn.Conv2d):
        raise ShapeError(f"{option}: the last layer of {model}'s D is neither dense nor a convolution to scores")
    return layers, last


def z_dim(extra: Extra) -> int:
    """How many numbers the noise has."""
    return extra["z_dim"] or NETWORKS[extra["model"]].z_dim


def kind_of_game(extra: Extra, classes: int = 0) -> tuple[type[ScoreGame], dict[str, Any]]:
    """What these players play, and what it is given beside what every game of scores is.

    ShapeError for classes if the players are told none.
    """
    kind = NETWORKS[extra["model"]].game
    if classes:
        if kind is not ScoreGame:
            raise ShapeError(f"--model {extra['model']} is told no classes: no --labels and no --clusters")
        return ConditionalGame, {"classes": classes, "counts": [1] * classes}  # a run counts them
    return kind, {"growth": Growth(extra["grow"], extra["fade"])} if kind is ProgressiveGame else {}
