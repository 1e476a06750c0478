"""Every kind of game and every switch, small and in float64: to be played on one process and on several alike."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import translation_systems as translated
from system_parts import BATCH, CLASSES, IMAGES, LABELS, LATENT, PIXELS, SIDE, Z, adam, where

import minigan as mg
from minigan.gan import LatentCode, Regularisers, ScoreGame, Turn, alternate, losses, penalties
from minigan.gan.energy import BEGAN, EBGAN
from minigan.gan.switches import Moves, Sight
from minigan.models.energy import Autoencoder
from minigan.models.fastgan import Features
from minigan.tensor import Tensor

nn = mg.nn


class System(NamedTuple):
    """A game, made anew by each call, and how it draws its data."""

    make: Callable[[], Any]
    labelled: bool = False
    drawing: dict[str, Any] = {}  # noqa: RUF012  flips, crops


def batches(system: System) -> Callable[[int], Any]:
    """The k-th batch, in float64."""
    labels = LABELS if system.labelled else None
    source = mg.data.Batches(IMAGES, BATCH, labels=labels, **system.drawing)

    def at(k: int) -> Any:
        drawn = source.at(k)
        samples = Tensor((drawn[0] if system.labelled else drawn).astype("float64")).to(where.device)
        return (samples, Tensor(drawn[1]).to(where.device)) if system.labelled else samples

    return at


def built(system: System) -> Any:
    """Its game, always with the same weights."""
    with mg.random.using(mg.random.Stream(0)):  # the default stream belongs to all threads
        return system.make()


def play(
    system: System, rounds: int, group: Any = None, *, graphs: bool = True
) -> tuple[Any, dict[str, np.ndarray], dict[str, float]]:
    """(the game, its state, the last losses) after so many rounds, on one process or as one of a group."""
    game = built(system)
    game.graphs = graphs
    if group is not None:
        game.distribute(group)
    drawn = batches(system)
    for _ in range(rounds):
        last = game.play(drawn)
    return game, {k: t.numpy().copy() for k, t in game.state.items()}, {k: t.item() for k, t in last.items()}


def idle(game: Any, state: dict[str, np.ndarray]) -> set[str]:
    """Parameters whose gradient is exactly zero, and what follows them: Adam divides their rounding by itself."""
    found = set()
    for who, optimizer in game.optimizers.items():
        for i, p in enumerate(optimizer.params):
            moment = state.get(f"{who}_optimizer.exp_avg.{i}")
            if moment is not None and np.abs(moment).max() < 1e-12:
                found |= {k for k, t in game.state.items() if t.data is p.data}
                found |= {k for k in state if k.startswith(f"{who}_optimizer.") and k.endswith(f".{i}")}
    return found


def furthest(game: Any, one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> float:
    """The largest difference of two states, beside what is idle."""
    assert one.keys() == other.keys()
    left_out = idle(game, one)
    return max(float(np.abs(one[k].astype("float64") - other[k]).max()) for k in one if k not in left_out)


# --- players --------------------------------------------------------------------------------------------------------


def generator(inputs: int = Z, norm: bool = True) -> Any:
    """Dense, with batch norm or without."""
    return nn.Sequential(
        *(nn.Linear(inputs, 16, bias=False), *([nn.BatchNorm1d(16)] if norm else []), nn.ReLU()),
        *(nn.Linear(16, PIXELS), nn.Tanh(), nn.Unflatten(1, (1, SIDE, SIDE))),
    )


def critic(
    norm: bool = True,
    stddev: bool = False,
    noise: bool = False,
    pack: int = 1,
    spectral: bool = False,
    distances: bool = False,
    sliced: bool = False,
    pixels: bool = False,
) -> Any:
    """Dense, smooth; with batch norm a penalty's gradient runs through that. Or one that scores pixels."""
    if pixels:
        return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.Tanh(), nn.Conv2d(3, 2, 3, padding=1))
    by = nn.spectral_norm if spectral else lambda layer: layer
    layers = [nn.Flatten(), by(nn.Linear(PIXELS * pack, 12, bias=not norm))]
    layers += [nn.BatchNorm1d(12)] if norm else []
    layers += [nn.Tanh()]
    layers += [nn.Dropout(0.3), nn.GaussianNoise(0.1)] if noise else []
    layers += [nn.MinibatchStdDev(4)] if stddev else []
    layers += [nn.MinibatchDiscrimination(12, 5, 3)] if distances else []
    layers += [by(nn.Linear(12 + stddev + 5 * distances, 8, bias=not norm))]
    layers += [nn.BatchNorm1d(8)] if norm else []
    return nn.Sequential(*layers, nn.Softplus(), nn.SlicedLinear(8, 1) if sliced else by(nn.Linear(8, 1)))


def game(
    loss: Any, *, seen: dict[str, Any] | None = None, moves: dict[str, Any] | None = None, average: bool = False,
    optimizer: Any = adam, how: dict[str, Any] | None = None, g_norm: bool = True, **parts: Any,
) -> ScoreGame:  # fmt: skip
    """A game of scores; `how` are the critic's options, `parts` the game's."""
    sight = Sight(**(seen or {}))
    G = generator(norm=g_norm).to(where.device, "float64")
    D = critic(pack=sight.pack, **(how or {})).to(where.device, "float64")
    return ScoreGame(
        G,
        D,
        loss=loss,
        latent=LATENT,
        sight=sight,
        moves=Moves(**(moves or {})),
        generator_optimizer=optimizer(G),
        discriminator_optimizer=optimizer(D),
        ema=mg.optim.EMA(G, 0.9) if average else None,
        **parts,
    )


class Styled(mg.models.StyleGenerator):
    """A generator of styles, whose smallest images have 8 pixels, without their border."""

    def synthesis(self, styles: Any) -> Tensor:
        return super().synthesis(styles)[:, :, 1:-1, 1:-1]


def of_styles(**parts: Any) -> ScoreGame:
    """With style mixing."""
    G = Styled(8, Z, 4, 1, 2, depth=1, mixing=0.5).to(where.device, "float64")
    D = critic(norm=False).to(where.device, "float64")
    return ScoreGame(
        *(G, D), loss=losses.nonsaturating, latent=LATENT, ema=mg.optim.EMA(G, 0.9),
        generator_optimizer=adam(G), discriminator_optimizer=adam(D), **parts,
    )  # fmt: skip


class Told(nn.Module):
    """A generator or a critic that is told the class with its input; a critic that reads the class with its scores."""

    def __init__(self, net: Any, *, read: Any = None, told: bool = True) -> None:
        self.net, self.read, self.told = net, read, told

    def forward(self, x: Tensor, labels: Any = None) -> Any:
        flat = x.reshape(len(x), -1)
        told = mg.concatenate([flat, mg.models.one_hot(labels, CLASSES, str(x.dtype))], 1) if self.told else flat
        found = self.net(told)
        return found if self.read is None else (found[:, :1], self.read(found))


def conditional(loss: Any = losses.hinge, **parts: Any) -> Any:
    """Both players are told the class."""
    layers = [nn.Linear(PIXELS + CLASSES, 12, bias=False), nn.BatchNorm1d(12), nn.Tanh(), nn.Linear(12, 1)]
    G, D = (p.to(where.device, "float64") for p in (Told(generator(Z + CLASSES)), Told(nn.Sequential(*layers))))
    return mg.gan.ConditionalGame(
        *(G, D), loss=loss, latent=LATENT, classes=CLASSES,
        generator_optimizer=adam(G), discriminator_optimizer=adam(D), **parts,
    )  # fmt: skip


def auxiliary() -> Any:
    """The critic reads the class."""
    net = nn.Sequential(nn.Linear(PIXELS, 12, bias=False), nn.BatchNorm1d(12), nn.Tanh())
    D = Told(net, read=nn.Linear(12, CLASSES), told=False).to(where.device, "float64")
    G = Told(generator(Z + CLASSES)).to(where.device, "float64")
    return mg.gan.AuxiliaryGame(
        *(G, D), loss=losses.hinge, latent=LATENT, classes=CLASSES,
        generator_optimizer=adam(G), discriminator_optimizer=adam(D),
    )  # fmt: skip


class Code(LatentCode):
    """In float64."""

    def __call__(self, n: int, rng: Any) -> Tensor:
        return super().__call__(n, rng).astype("float64")


def infogan() -> Any:
    """With a category and two codes."""
    code = Code(noise=3, categories=3, continuous=2)
    G = generator(code.dim).to(where.device, "float64")
    net = nn.Sequential(nn.Linear(PIXELS, 12, bias=False), nn.BatchNorm1d(12), nn.Tanh())
    D = Told(net, read=nn.Linear(12, code.read), told=False).to(where.device, "float64")
    parts = {"generator_optimizer": adam(G), "discriminator_optimizer": adam(D)}
    return mg.gan.InfoGame(G, D, loss=losses.nonsaturating, code=code, **parts)


def bigan() -> Any:
    """With batch norm in all three players."""
    G = generator().to(where.device, "float64")
    E = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, 12, bias=False), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, Z))

    class Pairs(nn.Module):
        def __init__(self) -> None:
            self.net = nn.Sequential(
                nn.Linear(PIXELS + Z, 12, bias=False), nn.BatchNorm1d(12), nn.Tanh(), nn.Linear(12, 1)
            )

        def forward(self, x: Tensor, z: Tensor) -> Tensor:
            return self.net(mg.concatenate([x.reshape(len(x), -1), z], 1))

    E, D = E.to(where.device, "float64"), Pairs().to(where.device, "float64")
    optimizers = {"inference_optimizer": adam(G, E), "discriminator_optimizer": adam(D)}
    return mg.gan.BiGAN(G, E, D, latent=LATENT, **optimizers)


def vae() -> Any:
    encoder = nn.Sequential(
        nn.Flatten(), nn.Linear(PIXELS, 12, bias=False), nn.BatchNorm1d(12), nn.Tanh(), nn.Linear(12, 2 * Z)
    )
    decoder = nn.Sequential(nn.Linear(Z, 12), nn.Tanh(), nn.Linear(12, PIXELS), nn.Unflatten(1, (1, SIDE, SIDE)))
    encoder, decoder = (p.to(where.device, "float64") for p in (encoder, decoder))
    return mg.gan.VAE(encoder, decoder, z_dim=Z, optimizer=adam(encoder, decoder))


def energy(kind: Any, **options: Any) -> Any:
    """An autoencoder as critic."""
    G = generator().to(where.device, "float64")
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, 6), nn.Tanh())
    decoder = nn.Sequential(nn.Linear(6, PIXELS), nn.Tanh(), nn.Unflatten(1, (1, SIDE, SIDE)))
    D = Autoencoder(encoder, decoder, mg.models.energy.mean_absolute).to(where.device, "float64")
    parts = {"generator_optimizer": adam(G), "discriminator_optimizer": adam(D)}
    return kind(G, D, latent=LATENT, **parts, **options)


class Decoded(nn.Module):
    """A critic with a map of scores that reads maps, from which it is to give back the image."""

    def __init__(self, norm: bool = True) -> None:
        normed = [nn.BatchNorm2d(3)] if norm else []
        self.large = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1, bias=not norm), *normed, nn.Tanh())
        self.small = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(3, 4, 1), nn.Tanh())
        self.score = nn.Conv2d(4, 1, 2)
        self.whole, self.part = nn.Conv2d(4, 1, 1), nn.Conv2d(3, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Any:
        large = self.large(x)
        small = self.small(large)
        return self.score(small), Features(large, small)


def decoding(
    weight: float = 1.0, loss: Any = losses.hinge, *, norm: bool = True, optimizer: str = "adam", lr: float = 1e-3,
    **parts: Any,
) -> Any:  # fmt: skip
    """D gives back real images."""
    with mg.random.using(mg.random.Stream(0)):
        G, D = (p.to(where.device, "float64") for p in (generator(norm=norm), Decoded(norm)))
    made = {"adam": lambda p: adam(p, lr=lr), "sgd": lambda p: mg.optim.SGD(p.parameters(), 1.0)}[optimizer]
    return ScoreGame(
        *(G, D), loss=loss, latent=LATENT, generator_optimizer=made(G), discriminator_optimizer=made(D),
        regularisers=Regularisers(reconstruction=weight), **parts,
    )  # fmt: skip


def semi_supervised() -> Any:
    known = np.arange(12)
    G = generator().to(where.device, "float64")
    features = nn.Sequential(nn.Flatten(), nn.GaussianNoise(0.3), nn.Linear(PIXELS, 12), nn.ReLU())
    C = nn.Sequential(features, nn.Linear(12, CLASSES)).to(where.device, "float64")
    return mg.gan.SemiSupervised(
        *(G, C, *(Tensor(a).to(where.device) for a in (IMAGES[known] / 127.5 - 1, known % CLASSES))),
        latent=LATENT, generator_optimizer=adam(G), classifier_optimizer=adam(C), ema=mg.optim.EMA(C, 0.9),
    )  # fmt: skip


# --- the table ------------------------------------------------------------------------------------------------------

L, P = losses, penalties
RMS = partial(lambda player, **options: mg.optim.RMSProp(player.parameters(), **options), lr=1e-3)
FREE = {"norm": False}
ADA = {"augment": "ada", "ada_target": -0.9, "ada_images": 4 * BATCH}  # p moves by 1 after four turns of D
ICR = Regularisers(consistency=10.0, fake_consistency=10.0, latent_consistency=5.0, consistency_by="translation,flip")

CUT = Regularisers(cutmix=1.0, cutmix_steps=4, orthogonal=0.01)
COMPARED = Regularisers(cutmix=1.0, cutmix_share=0.0)

SYSTEMS: dict[str, System] = {
    name: System(*(row if isinstance(row, tuple) else (row,)))
    for name, row in {
        "batch norm, EMA": lambda: game(L.nonsaturating, average=True),
        "flips and crops": (lambda: game(L.nonsaturating), False, {"flip": True, "crop": 1}),
        "joint batches": lambda: game(L.nonsaturating, seen={"joint_batches": True}),
        "gradient penalty, two critic turns": lambda: game(
            L.wasserstein, how=FREE, penalty=P.gradient_penalty, schedule=alternate(2)
        ),
        "gradient penalty through batch norm": lambda: game(L.wasserstein, penalty=P.gradient_penalty),
        "one-sided penalty": lambda: game(L.wasserstein, how=FREE, penalty=P.one_sided),
        "WGAN-div": lambda: game(L.wasserstein, how=FREE, penalty=P.wgan_div, penalty_weight=2.0),
        "lazy R1": lambda: game(L.nonsaturating, how=FREE, penalty=P.r1, penalty_every=3),
        "R1 and R2, relativistic average, batch norm": lambda: game(L.relativistic_average, penalty=P.r1_r2),
        "relativistic": lambda: game(L.relativistic),
        "relativistic average LSGAN": lambda: game(L.relativistic_average_lsgan),
        "relativistic average hinge": lambda: game(L.relativistic_average_hinge),
        "softmax": lambda: game(L.softmax),
        "dual contrastive, approximated R1 and R2": lambda: game(L.dual_contrastive, penalty=P.approximated_r1_r2),
        "f-GAN": lambda: game(L.pearson),
        "DRAGAN": lambda: game(L.minimax, penalty=P.dragan),
        "the printed penalty of CS231n": lambda: game(L.wasserstein, penalty=P.cs231n_printed),
        "minibatch deviation, penalty": lambda: game(
            L.wasserstein, how=FREE | {"stddev": True}, penalty=P.gradient_penalty
        ),
        "minibatch deviation, joint batches": lambda: game(L.hinge, how={"stddev": True}, seen={"joint_batches": True}),
        "minibatch discrimination, penalty": lambda: game(
            L.wasserstein, how=FREE | {"distances": True}, penalty=P.gradient_penalty
        ),
        "dropout and noise": lambda: game(L.hinge, how={"noise": True}, seen={"instance_noise": 0.2, "noise_steps": 9}),
        "noisy labels": lambda: game(L.noisy_labels(L.nonsaturating, 0.9, 0.1)),
        "random margins": lambda: game(L.random_margins(L.hinge)),
        "packs, minibatch deviation": lambda: game(L.nonsaturating, how={"stddev": True}, seen={"pack": 2}),
        "packs, penalty, noise": lambda: game(
            L.wasserstein,
            how=FREE | {"noise": True},
            seen={"pack": 2, "instance_noise": 0.1},
            penalty=P.gradient_penalty,
        ),
        "spectral norm": lambda: game(L.hinge, how=FREE | {"spectral": True}, average=True),
        "unrolled": lambda: game(L.minimax, moves={"unroll": 2}),
        "unrolled, penalty": lambda: game(L.wasserstein, moves={"unroll": 1}, penalty=P.gradient_penalty),
        "consensus": lambda: game(L.nonsaturating, moves={"consensus": 0.1}),
        "consensus, R1": lambda: game(L.nonsaturating, moves={"consensus": 0.1}, penalty=P.r1),
        "one pass": lambda: game(L.relativistic_average, how=FREE, schedule=[Turn("one_pass_turn")]),
        "shared fakes": lambda: game(L.nonsaturating, schedule=[Turn("shared_turn")]),
        "replay": lambda: game(L.lsgan, seen={"replay": 64}),
        "augmented": lambda: game(L.nonsaturating, seen={"augment": "color,translation,cutout,flip"}),
        "augmented, packs, replay, noise": lambda: game(
            L.wasserstein,
            how=FREE,
            seen={"augment": "cutout", "pack": 2, "replay": 64, "instance_noise": 0.1},
            penalty=P.gradient_penalty,
        ),
        "ada": lambda: game(L.hinge, seen=ADA),
        "ada of diffusion": lambda: game(L.hinge, seen={**ADA, "augment": "ada:color,diffusion"}),
        "ada, one pass": lambda: game(L.lsgan, how=FREE, seen=ADA, schedule=[Turn("one_pass_turn")]),
        "ada of some changes": lambda: game(L.hinge, seen={**ADA, "augment": "ada:translation,color"}),
        "pseudo": lambda: game(L.hinge, seen={**ADA, "augment": "", "pseudo": True}),
        "pseudo and ada, top-k, labels": (
            lambda: conditional(L.hinge, sight=Sight(pseudo=True, **ADA), moves=Moves(top_k=0.5)),
            True,
        ),
        "LeCam": lambda: game(L.hinge, regularisers=Regularisers(lecam=0.3, lecam_after=3)),
        "LeCam, unrolled": lambda: game(
            L.minimax, moves={"unroll": 1}, regularisers=Regularisers(lecam=0.3, lecam_after=3)
        ),
        "ICR": lambda: game(L.hinge, regularisers=ICR),
        "ICR, shared fakes, ada": lambda: game(
            L.nonsaturating, seen=ADA, regularisers=ICR, schedule=[Turn("shared_turn")]
        ),
        "ICR, conditional": (
            lambda: conditional(L.nonsaturating, regularisers=ICR, sight=Sight(augment="color")),
            True,
        ),
        "direction": lambda: game(L.nonsaturating, how={"sliced": True}),
        "latent optimisation": lambda: game(L.hinge, moves={"latent_optimisation": 0.9}),
        "cutmix, orthogonal weights": lambda: game(L.hinge, how={"pixels": True}, regularisers=CUT),
        "scores of pixels, penalty, replay": lambda: game(
            L.relativistic, how={"pixels": True}, seen={"replay": 64}, penalty=P.gradient_penalty, regularisers=COMPARED
        ),
        "orthogonal weights, one pass": lambda: game(
            L.nonsaturating, how=FREE, regularisers=Regularisers(orthogonal=0.01), schedule=[Turn("one_pass_turn")]
        ),
        "top-k": lambda: game(L.hinge, moves={"top_k": 0.5, "top_k_steps": 4}),
        "top-k of pairs, one pass": lambda: game(
            L.relativistic, how=FREE, moves={"top_k": 0.25}, schedule=[Turn("one_pass_turn")]
        ),
        "top-k, unrolled, packs": lambda: game(L.minimax, seen={"pack": 2}, moves={"top_k": 0.5, "unroll": 1}),
        "path lengths": lambda: of_styles(penalty=P.r1, penalty_every=3, path_lengths=mg.gan.PathLengths(every=2)),
        "ICR and latent optimisation of styles": lambda: of_styles(
            regularisers=ICR, moves=Moves(latent_optimisation=0.9)
        ),
        "clipped weights, RMSProp": lambda: game(L.wasserstein, moves={"clip": 0.05}, optimizer=RMS),
        "reconstruction": decoding,
        "reconstruction, ada, one batch": lambda: decoding(
            0.5, sight=Sight(joint_batches=True, **ADA), penalty=P.gradient_penalty
        ),
        "conditional": (conditional, True),
        "conditional, penalty": (lambda: conditional(L.wasserstein, penalty=P.gradient_penalty), True),
        "auxiliary classifier": (auxiliary, True),
        "InfoGAN": infogan,
        "BiGAN": bigan,
        "VAE": vae,
        "pix2pix": translated.pix2pix,
        "BicycleGAN": translated.bicyclegan,
        "CycleGAN": lambda: translated.cyclegan(pool=64),
        "CycleGAN, penalty": lambda: translated.cyclegan(False, loss=L.wasserstein, penalty=P.gradient_penalty, pool=0),
        "CUT": translated.cut,
        "UNIT": translated.unit,
        "MUNIT": translated.munit,
        "CoGAN": translated.cogan,
        "StarGAN": (translated.stargan, True),
        "PixelDA": (translated.pixelda, True),
        "CyCADA": (translated.cycada, True),
        "restoration": lambda: translated.restoration(loss=L.relativistic_average),
        "EBGAN": lambda: energy(EBGAN, margin=0.5),
        "BEGAN": lambda: energy(BEGAN, gamma=1.0, proportion=1.0),
        "semi-supervised": semi_supervised,
    }.items()
}
