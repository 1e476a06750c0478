"""The DCGAN of Radford et al. for images of any size, and the network without convolutions that WGAN trains."""

import itertools
from collections.abc import Callable
from functools import partial

from .. import nn
from ..errors import ShapeError
from ..random import Stream
from .players import Players, initialise


def dcgan(
    side: int = 64,
    z_dim: int = 100,
    *,
    channels: int = 3,
    width: int = 64,
    generator_width: int | None = None,
    norm: str | None = "batch",
    generator_norm: str | None = "batch",
    activation: str = "leaky_relu",
    pack: int = 1,
    stddev: bool = False,
    outputs: int = 1,
    rng: Stream | None = None,
) -> Players:
    """The DCGAN of Radford et al. 2016 for images of side x side pixels, a multiple of 16 (paper: 64, width 128).

    G: z to (side/16)^2 x 8 width, then 4x4 transposed convolutions of stride 2 through 4, 2 and 1 width, batch norm and
    ReLU between, tanh; `generator_width`, if given, is its own. D: 4x4 convolutions of stride 2 through width, 2, 4 and
    8 width, leaky ReLU 0.2, then one over what is left; `norm` is "batch", as in the paper (not after the first), or
    None or "layer", as a gradient penalty wants it. N(0, 0.02^2) weights, N(1, 0.02^2) scales. At the defaults G has
    3 576 704 parameters, D 2 765 568. Noise is U(-1, 1).

    A player with normalisation has no biases, as its norms have their own. One without has biases, zero at first, and
    starts with the larger weights of He et al. 2015, for nothing else keeps what passes through it from fading: a D
    with N(0, 0.02^2) weights is nearly linear, pushes all samples the same way, and its G draws one image for every
    noise; without biases it would also score a grey image, all zeros, with 0 whatever its weights.

    To see what the paper's tricks are worth: `generator_norm` is "batch", "layer" or None, D's `activation`
    "leaky_relu", "prelu" or "relu". D sees `pack` images at once (Lin et al. 2018), and with `stddev` how much the
    samples of its batch differ (Karras et al. 2018); it gives `outputs` scores of each image. ShapeError if a side or
    name does not fit.
    """
    names = (norm, generator_norm, activation)
    if side < 16 or side % 16:
        raise ShapeError(f"dcgan: expected a side divisible by 16, got {side}")
    if not {norm, generator_norm} <= set(_NORMS) or activation not in _ACTIVATIONS:
        raise ShapeError(
            f"dcgan: expected norms among {', '.join(map(str, _NORMS))} "
            f"and an activation among {', '.join(_ACTIVATIONS)}, got {', '.join(map(repr, names))}"
        )
    rest = side // 16
    maps, drawn = ([8 * w, 4 * w, 2 * w, w] for w in (width, width if generator_width is None else generator_width))
    lift, shift = generator_norm is None, norm is None  # biases
    up: list[nn.Module] = [
        nn.Unflatten(1, (z_dim, 1, 1)),
        nn.ConvTranspose2d(z_dim, drawn[0], rest, bias=lift, rng=rng),
    ]
    for i, o in zip(drawn, [*drawn[1:], channels], strict=True):
        up += [*_NORMS[generator_norm](i), nn.ReLU(), nn.ConvTranspose2d(i, o, 4, 2, 1, bias=lift, rng=rng)]
    down: list[nn.Module] = [
        nn.Conv2d(pack * channels, width, 4, 2, 1, bias=shift, rng=rng),
        _ACTIVATIONS[activation](),
    ]
    for i, o in itertools.pairwise(maps[::-1]):
        down += [nn.Conv2d(i, o, 4, 2, 1, bias=shift, rng=rng), *_NORMS[norm](o), _ACTIVATIONS[activation]()]
    down += [nn.MinibatchStdDev()] if stddev else []
    players = Players(
        nn.Sequential(*up, nn.Tanh()),
        nn.Sequential(*down, nn.Conv2d(maps[0] + stddev, outputs, rest, bias=shift, rng=rng), nn.Flatten()),
    )
    for layer in [module for player in players for module in player.modules()]:
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.02, rng=rng)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d) and layer.weight is not None:
            nn.init.normal_(layer.weight, 1.0, 0.02, rng=rng)
    for player in [player for player, bare in zip(players, (lift, shift), strict=True) if bare]:
        for layer in player.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(layer.weight, 0.0, (2 / _meeting(layer)) ** 0.5, rng=rng)
    return players


def _meeting(layer: nn.Conv2d | nn.ConvTranspose2d) -> int:
    """How many weights meet in a pixel of what the layer makes.

    Of a transposed 4x4 kernel that moves by 2, four for each input; of the one that spreads the noise out, one.
    """
    if isinstance(layer, nn.Conv2d):
        return layer.weight.size // len(layer.weight)
    return len(layer.weight) * (4 if layer.options["stride"] == 2 else 1)


_NORMS: dict[str | None, Callable[[int], list[nn.Module]]] = {
    "batch": lambda channels: [nn.BatchNorm2d(channels)],
    "layer": lambda channels: [nn.GroupNorm(1, channels)],  # over all of a sample; the scale is per channel
    None: lambda channels: [],
}
_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "prelu": nn.PReLU,
    "relu": nn.ReLU,
}


def mlp512(
    side: int = 64,
    z_dim: int = 100,
    *,
    channels: int = 3,
    width: int = 64,
    outputs: int = 1,
    rng: Stream | None = None,
) -> Players:
    """The generator without convolutions of WGAN's experiments, four layers of 512 ReLU units, and dcgan's critic.

    Arjovsky et al. 2017, section 4.3: it needs no batch norm to be trained by a Wasserstein critic. Noise is N(0, 1).
    Hidden layers start with the weights of He et al. 2015: with smaller ones little of the noise is left behind four
    layers, samples lie on a curve, and two of them are all that is learnt.
    The critic gives `outputs` scores of each image.
    """
    hidden = [nn.Linear(n, 512, rng=rng) for n in (z_dim, 512, 512, 512)]
    generator = nn.Sequential(
        *(module for layer in hidden for module in (layer, nn.ReLU())),
        nn.Linear(512, channels * side * side, rng=rng),
        nn.Tanh(),
        nn.Unflatten(1, (channels, side, side)),
    )
    initialise(*hidden, weights=partial(nn.init.kaiming_normal_, rng=rng))
    critic = dcgan(side, z_dim, channels=channels, width=width, outputs=outputs, rng=rng).discriminator
    return Players(generator, critic)
