"""Every game of translators, small and in float64."""

from typing import Any

from system_parts import CLASSES, PIXELS, SIDE, Z, adam, where

import minigan as mg
from minigan.gan import translation

nn, models = mg.nn, mg.models


def small_translator(inputs: int, outputs: int, norm: bool = True) -> Any:
    """Images of images, with batch norm or none and dropout that stays."""
    layers = [
        nn.Conv2d(inputs, 4, 3, padding=1, bias=not norm),
        *([nn.BatchNorm2d(4)] if norm else []),
        nn.Tanh(),
        nn.Dropout(0.2, always=True),
    ]
    return nn.Sequential(*layers, nn.Conv2d(4, outputs, 3, padding=1), nn.Tanh()).to(where.device, "float64")


def patches(inputs: int, norm: bool = True) -> Any:
    """Scores of patches."""
    normed = [nn.BatchNorm2d(4)] if norm else []
    layers = [nn.Conv2d(inputs, 4, 3, bias=not norm), *normed, nn.Tanh(), nn.Conv2d(4, 1, 3)]
    return nn.Sequential(*layers).to(where.device, "float64")


def turned(game: Any) -> Any:
    """The game, whose sources are targets by a quarter turn."""
    game.make = translation.MAKINGS["turned"]
    return game


def pix2pix(norm: bool = True, **parts: Any) -> Any:
    """Holes are filled, where they are is told."""
    G, D = small_translator(2, 1, norm), patches(3, norm)
    parts = {"make": translation.MAKINGS["holes"], "ema": mg.optim.EMA(G, 0.9), **parts}
    return translation.Pix2Pix(G, D, generator_optimizer=adam(G), discriminator_optimizer=adam(D), **parts)


def cyclegan(norm: bool = True, g_norm: bool = True, **parts: Any) -> Any:
    """There and back."""
    G, F = (small_translator(1, 1, g_norm) for _ in range(2))
    D, S = (patches(1, norm) for _ in range(2))
    parts = {"shape": (1, SIDE, SIDE), **parts}
    optimizers = {"translators_optimizer": adam(G, F), "discriminators_optimizer": adam(D, S)}
    return turned(translation.CycleGAN(G, F, D, S, **optimizers, **parts))


def cycada() -> Any:
    """There and back, by a linear classifier."""
    G, F, D, S = small_translator(1, 1), small_translator(1, 1), patches(1), patches(1)
    T = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, CLASSES)).to(where.device, "float64")
    optimizers = {"translators_optimizer": adam(G, F, T), "discriminators_optimizer": adam(D, S)}
    return turned(translation.CyCADA(G, F, D, S, classifier=T, **optimizers, shape=(1, SIDE, SIDE)))


def restoration(**parts: Any) -> Any:
    """Edges become images, by features of both and a critic that compares."""
    G, D = small_translator(1, 1), patches(1)
    seen = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Flatten()).to(where.device, "float64")
    parts = {"make": translation.MAKINGS["edges"], "features": seen, "perceptual": 1.0, "adversarial": 1.0, **parts}
    return translation.Restoration(G, D, generator_optimizer=adam(G), discriminator_optimizer=adam(D), **parts)


def bicyclegan() -> Any:
    """Edges become images, with codes; E has no norm."""
    G = models.WithNoise(small_translator(1 + 2, 1), 2)
    E = models.image_encoder(1, 4, width=4, halvings=1).to(where.device, "float64")
    D, other = patches(1), patches(1)
    optimizers = {"generator_optimizer": adam(G), "encoder_optimizer": adam(E)}
    return translation.BicycleGAN(
        *(G, E, D, other), z_dim=2, make=translation.MAKINGS["edges"], discriminators_optimizer=adam(D, other),
        **optimizers,
    )  # fmt: skip


def cut() -> Any:
    """Nine places of the image and of what its first layers see."""
    G, D = small_translator(1, 1), patches(1)
    heads = models.PatchHeads([0, 3], [1, 4], 6, 9).to(where.device, "float64")
    optimizers = {"translator_optimizer": adam(G, heads), "discriminator_optimizer": adam(D)}
    return turned(translation.CUT(G, heads, D, **optimizers))


def unit() -> Any:
    """Encoders and decoders."""
    G, F = (nn.Sequential(nn.Sequential(*each[:3]), each[3:]) for each in (small_translator(1, 1) for _ in "ab"))
    return two_way(translation.UNIT, G, F)


def munit() -> Any:
    """Styles of two numbers, laid beside the content."""
    painters = [models.WithNoise(small_translator(4 + 2, 1), 2) for _ in "ab"]
    G, F = (
        models.StyledTranslator(nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Tanh()), each, 2) for each in painters
    )
    readers = [models.image_encoder(1, 2, width=4, halvings=1, norm=None) for _ in "ab"]
    return two_way(translation.MUNIT, *(each.to(where.device, "float64") for each in (G, F, *readers)))


def two_way(kind: Any, *translators: Any) -> Any:
    """That game of these translators and two discriminators."""
    critics = patches(1), patches(1)
    optimizers = {"translators_optimizer": adam(*translators), "discriminators_optimizer": adam(*critics)}
    return turned(kind(*translators, *critics, shape=(1, SIDE, SIDE), **optimizers))


def cogan() -> Any:
    """Generators share their first layer, discriminators their last."""
    first = nn.Sequential(nn.Linear(Z, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU())
    last = nn.Linear(12, 1)
    generators = [
        nn.Sequential(first, nn.Linear(16, PIXELS), nn.Tanh(), nn.Unflatten(1, (1, SIDE, SIDE))) for _ in "ab"
    ]
    critics = [nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, 12), nn.Tanh(), last) for _ in "ab"]
    players = [player.to(where.device, "float64") for player in (*generators, *critics)]
    optimizers = {"generators_optimizer": adam(*players[:2]), "discriminators_optimizer": adam(*players[2:])}
    game = turned(translation.CoGAN(*players, z_dim=Z, **optimizers))
    game.latent = mg.gan.uniform_latent(Z, dtype="float64")
    return game


def stargan() -> Any:
    """Two turns of D for one of G."""
    G = models.WithClass(small_translator(1 + CLASSES, 1), CLASSES)
    body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh())
    told = nn.Sequential(nn.Flatten(), nn.Linear(4 * (SIDE - 2) ** 2, CLASSES))
    D = models.labels.TwoHeads(body, nn.Conv2d(4, 1, 3), told).to(where.device, "float64")
    optimizers = {"generator_optimizer": adam(G), "discriminator_optimizer": adam(D)}
    return translation.StarGAN(G, D, classes=CLASSES, d_steps=2, **optimizers)


def pixelda() -> Any:
    """A linear classifier of images and of their quarter turns."""
    G, D = models.WithNoise(small_translator(1 + 2, 1), 2), patches(1)
    T = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, CLASSES)).to(where.device, "float64")
    optimizers = {"translator_optimizer": adam(G, T), "discriminator_optimizer": adam(D)}
    return turned(translation.PixelDA(G, D, T, **optimizers))
