"""Train pix2pix (Isola et al. 2017): a network that makes an image of another one, learned from pairs.

    python examples/pix2pix.py                                        digits of their edges
    python examples/pix2pix.py --data FOLDER --made grey --side 64    colour pictures of grey ones
    python examples/pix2pix.py --data SOURCES --target TARGETS        pairs of pictures of the same name
    python examples/pix2pix.py --data FOLDER --halves left            pairs beside each other in one picture
    python examples/pix2pix.py --adversarial 0                        the same network by the distance alone
    python examples/pix2pix.py --system bicyclegan                    many images of a source (Zhu et al. 2017b)
    python examples/pix2pix.py --system context_encoder               what is missing in the middle (Pathak et al. 2016)
    python examples/pix2pix.py --system ccgan                         and anywhere, by D alone (Denton et al. 2016)

A U-Net with dropout and a discriminator of patches, which sees source and image together; non-saturating loss and 100
times the mean absolute difference. With --scales 3 --feature-matching 10 there are three discriminators, of three sizes
of the images, whose features G matches (Wang et al. 2018).

The last two have the same network without dropout, and discriminators that see images alone. G of the context encoder
minimises 0.999 times the mean squared difference and 0.001 times the adversarial loss. G of a context-conditional GAN,
CCGAN, draws in holes anywhere what D takes for real by least squares, whatever was there; all else stays as it is.

In OUT/samples: sources, what the network makes of them, their targets. At the end it is measured on pairs that were
held out: `psnr` in decibels, `ssim` and `ms_ssim` say how near pixels are, `sharpness` is 1 where neighbours differ as
much as in targets, and less if they are blurred; `looks` is how different images look to the judge that knows them;
lower looks better. Those of holes are beside the numbers of `mean_fill`, which gives them the mean of the rest; the
verdict says where that is nearer.
"""

import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import minigan as mg
from minigan import training
from minigan.data import Samples
from minigan.errors import ShapeError
from minigan.gan.losses import LOSSES
from minigan.gan.translation import MAKINGS, BicycleGAN, Pix2Pix, Restoration, l1, l2
from minigan.training import Settings, positive, sides, translations
from minigan.training.settings import natural

SYSTEMS = {  # what each takes if nothing else is said; `l1` weighs its distance
    "pix2pix": {"loss": "nonsaturating", "l1": 100.0, "adversarial": 1.0},
    "bicyclegan": {"loss": "lsgan", "l1": 10.0, "adversarial": 1.0},
    "context_encoder": {"loss": "nonsaturating", "l1": 0.999, "adversarial": 1e-3},
    "ccgan": {"loss": "lsgan", "l1": 0.0, "adversarial": 1.0},
}
FILLING = {"context_encoder": "hole", "ccgan": "holes"}  # what they fill, as --made names it
Translator = Pix2Pix | BicycleGAN | Restoration


def build(settings: Settings) -> Translator:
    extra = settings.extra
    (source, side, _), (target, *_) = sides.shapes(settings)
    width, norm = extra["width"], extra["norm"]
    if extra["system"] == "ccgan" and sides.made_by(extra) is not MAKINGS["holes"]:
        raise ShapeError("--system ccgan: fills what --made holes cuts out, and nothing else")
    depth = extra["depth"] or mg.models.halvings_within(side)
    if depth < 2:
        raise ShapeError(f"--side {side}: expected a multiple of 4, as G halves images twice or more")
    sizes = {"side": side, "scales": extra["scales"], "width": width, "halvings": extra["halvings"]}
    patches = partial(mg.models.patch_discriminators, **sizes, norm=norm)
    with mg.random.using(mg.random.Stream(settings.seed)):
        if extra["system"] == "pix2pix":
            G = mg.models.UNetTranslator(source, target, depth, width, norm, extra["dropout"])
            players = G, patches(source + target)
        elif extra["system"] in FILLING:
            G = mg.models.UNetTranslator(source, target, depth, width, norm, dropout=0.0)
            players = mg.models.Inpainting(G) if extra["system"] == "ccgan" else G, patches(target)
        else:
            z_dim = extra["z_dim"]
            G = mg.models.UNetTranslator(source + z_dim, target, depth, width, norm, dropout=0.0)
            E = mg.models.image_encoder(target, 2 * z_dim, width=width)
            players = mg.models.WithNoise(G, z_dim), E, patches(target), patches(target)
    for player in players:
        player.to(settings.device)
    games = {"pix2pix": pix2pix, "bicyclegan": bicyclegan, **dict.fromkeys(FILLING, filling)}
    return games[extra["system"]](settings, *players)


def asked(settings: Settings, name: str) -> Any:
    """The option of that name, or what the system takes without it."""
    value = settings.extra[name]
    return SYSTEMS[settings.extra["system"]][name] if value is None else value


def adam(settings: Settings, *players: mg.nn.Module) -> mg.optim.Adam:
    return mg.optim.Adam(mg.nn.parameters_of(*players), settings.extra["lr"], (0.5, 0.999))


def courses(*optimizers: mg.optim.Optimizer) -> list[mg.optim.Course]:
    """Rates that fall in the second half of the run."""
    return [mg.optim.Course(each, partial(mg.optim.late_linear, 0.5)) for each in optimizers]


def pix2pix(settings: Settings, G: mg.nn.Module, D: mg.nn.Module) -> Pix2Pix:
    extra, optimizers = settings.extra, [adam(settings, player) for player in (G, D)]
    return Pix2Pix(
        *(G, D),
        generator_optimizer=optimizers[0],
        discriminator_optimizer=optimizers[1],
        loss=LOSSES[asked(settings, "loss")],
        l1_weight=asked(settings, "l1"),
        adversarial=extra["adversarial"],
        feature_matching=extra["feature_matching"],
        total_variation=extra["total_variation"],
        make=sides.made_by(extra),
        schedules=courses(*optimizers),
        seed=settings.seed,
    )


def bicyclegan(settings: Settings, G: mg.nn.Module, E: mg.nn.Module, *critics: mg.nn.Module) -> BicycleGAN:
    extra, optimizers = settings.extra, [adam(settings, G), adam(settings, E), adam(settings, *critics)]
    return BicycleGAN(
        *(G, E, *critics),
        z_dim=extra["z_dim"],
        generator_optimizer=optimizers[0],
        encoder_optimizer=optimizers[1],
        discriminators_optimizer=optimizers[2],
        loss=LOSSES[asked(settings, "loss")],
        l1_weight=asked(settings, "l1"),
        adversarial=2 * extra["adversarial"],
        make=sides.made_by(extra),
        schedules=courses(*optimizers),
        seed=settings.seed,
    )


def filling(settings: Settings, G: mg.nn.Module, D: mg.nn.Module) -> Restoration:
    """The game of a context encoder and of CCGAN: D scores images by themselves."""
    optimizers = [adam(settings, player) for player in (G, D)]
    return Restoration(
        *(G, D),
        generator_optimizer=optimizers[0],
        discriminator_optimizer=optimizers[1],
        loss=LOSSES[asked(settings, "loss")],
        pixel=asked(settings, "l1"),
        distance=l2 if settings.extra["system"] == "context_encoder" else l1,
        adversarial=settings.extra["adversarial"],
        total_variation=settings.extra["total_variation"],
        make=sides.made_by(settings.extra),
        schedules=courses(*optimizers),
        seed=settings.seed,
    )


def measure(game: Translator, samples: Samples, settings: Settings) -> dict[str, float]:
    return translations.measured(game, settings)


def options() -> training.Options:
    p = training.parser("pix2pix", __doc__, epochs=2, batch_size=16)
    p.add_argument("--system", choices=list(SYSTEMS), default="pix2pix", help="(default: pix2pix)")
    sides.add_options(p, made="edges", made_of=FILLING)
    p.add_argument("--z-dim", type=positive, default=8, help="numbers in a code of bicyclegan (default: 8)")
    shown = "how often G halves an image (default: until 2 or 3 pixels are left; the paper: 1)"
    p.add_argument("--depth", type=positive, metavar="N", help=shown)
    p.add_argument("--width", type=positive, default=32, help="maps next to the image (default: 32; the paper: 64)")
    shown = "how often D does; a score sees 16, 34, 70 pixels with 1, 2, 3 (default: 2; the paper: 3)"
    p.add_argument("--halvings", type=natural, default=2, metavar="N", help=shown)
    p.add_argument("--scales", type=positive, default=1, metavar="N", help=sides.SCALES)
    p.add_argument("--norm", choices=["batch", "instance"], default="batch", help="(default: batch)")
    p.add_argument("--dropout", type=float, default=0.5, help="of three layers of G, in samples too (default: 0.5)")
    p.add_argument("--loss", choices=sorted(LOSSES), help="(default: nonsaturating, of bicyclegan and ccgan lsgan)")
    shown = "of the distance (default: 100, of bicyclegan 10, of ccgan 0; of squares for context_encoder: 0.999)"
    p.add_argument("--l1", type=float, metavar="WEIGHT", help=shown)
    shown = "of D's scores in G's loss; 0 trains G by the distance alone (default: 1, of context_encoder 0.001)"
    p.add_argument("--adversarial", type=float, default=1.0, metavar="WEIGHT", help=shown)
    shown = "of how far D's features of images are from those of targets; pix2pixHD: 10 (default: 0)"
    p.add_argument("--feature-matching", type=float, default=0.0, metavar="WEIGHT", help=shown)
    sides.add_total_variation(p)
    shown = "learning rate, which falls to 0 in the second half of the run (default: 0.0002)"
    p.add_argument("--lr", type=float, default=2e-4, help=shown)
    p.follows("--adversarial", lambda o: SYSTEMS[o.system]["adversarial"])
    p.idle_without("--system bicyclegan", lambda o: o.system == "bicyclegan", "--z-dim")
    p.idle_without("--system pix2pix", lambda o: o.system == "pix2pix", "--dropout", "--feature-matching")
    p.idle("--total-variation", lambda o: "is not for --system bicyclegan" if o.system == "bicyclegan" else "")
    p.idle_without("--adversarial above 0", lambda o: o.adversarial, "--feature-matching", "--scales")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    return translations.main(build, options(), sides.load_pairs, measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
