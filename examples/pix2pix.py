"""Train pix2pix (Isola et al. 2017): a network that makes an image of another one, learned from pairs.

    python examples/pix2pix.py                                        digits of their edges
    python examples/pix2pix.py --data FOLDER --made grey --side 64    colour pictures of grey ones
    python examples/pix2pix.py --data SOURCES --target TARGETS        pairs of pictures of the same name
    python examples/pix2pix.py --data FOLDER --halves left            pairs beside each other in one picture
    python examples/pix2pix.py --adversarial 0                        the same network by the distance alone
    python examples/pix2pix.py --system bicyclegan                    many images of a source (Zhu et al. 2017b)

A U-Net with dropout and a discriminator of patches, which sees source and image together; non-saturating loss and 100
times the mean absolute difference. With --scales 3 --feature-matching 10 there are three discriminators, of three sizes
of the images, whose features G matches (Wang et al. 2018). In OUT/samples: sources, what the network makes of them,
their targets. At the end it is measured on pairs that were held out: `psnr` in decibels and `ssim` say how near pixels
are, `looks` how different images look to the judge that knows them; lower looks better. Those of holes are beside the
numbers of `mean_fill`, which gives them the mean of the rest; the verdict says where that is nearer.
"""

import sys
from collections.abc import Sequence
from functools import partial

import minigan as mg
from minigan import training
from minigan.data import Samples
from minigan.errors import ShapeError
from minigan.gan.losses import LOSSES
from minigan.gan.translation import BicycleGAN, Pix2Pix
from minigan.training import Settings, positive, sides, translations
from minigan.training.settings import natural


def build(settings: Settings) -> Pix2Pix | BicycleGAN:
    extra = settings.extra
    (source, side, _), (target, *_) = sides.shapes(settings)
    width, norm = extra["width"], extra["norm"]
    depth = extra["depth"] or mg.models.halvings_within(side)
    if depth < 2:
        raise ShapeError(f"--side {side}: expected a multiple of 4, as G halves images twice or more")
    sizes = {"side": side, "scales": extra["scales"], "width": width, "halvings": extra["halvings"]}
    patches = partial(mg.models.patch_discriminators, **sizes, norm=norm)
    with mg.random.using(mg.random.Stream(settings.seed)):
        if extra["system"] == "pix2pix":
            G = mg.models.UNetTranslator(source, target, depth, width, norm, extra["dropout"])
            players = G, patches(source + target)
        else:
            z_dim = extra["z_dim"]
            G = mg.models.UNetTranslator(source + z_dim, target, depth, width, norm, dropout=0.0)
            E = mg.models.image_encoder(target, 2 * z_dim, width=width)
            players = mg.models.WithNoise(G, z_dim), E, patches(target), patches(target)
    for player in players:
        player.to(settings.device)
    return (pix2pix if extra["system"] == "pix2pix" else bicyclegan)(settings, *players)


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
        loss=LOSSES[extra["loss"] or "nonsaturating"],
        l1_weight=100.0 if extra["l1"] is None else extra["l1"],
        adversarial=extra["adversarial"],
        feature_matching=extra["feature_matching"],
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
        loss=LOSSES[extra["loss"] or "lsgan"],
        l1_weight=10.0 if extra["l1"] is None else extra["l1"],
        adversarial=2 * extra["adversarial"],
        make=sides.made_by(extra),
        schedules=courses(*optimizers),
        seed=settings.seed,
    )


def measure(game: Pix2Pix | BicycleGAN, samples: Samples, settings: Settings) -> dict[str, float]:
    return translations.measured(game, settings)


def options() -> training.Options:
    p = training.parser("pix2pix", __doc__, epochs=2, batch_size=16)
    sides.add_options(p, made="edges")
    p.add_argument("--system", choices=["pix2pix", "bicyclegan"], default="pix2pix", help="(default: pix2pix)")
    p.add_argument("--z-dim", type=positive, default=8, help="numbers in a code of bicyclegan (default: 8)")
    shown = "how often G halves an image (default: until 2 or 3 pixels are left; the paper: 1)"
    p.add_argument("--depth", type=positive, metavar="N", help=shown)
    p.add_argument("--width", type=positive, default=32, help="maps next to the image (default: 32; the paper: 64)")
    shown = "how often D does; a score sees 16, 34, 70 pixels with 1, 2, 3 (default: 2; the paper: 3)"
    p.add_argument("--halvings", type=natural, default=2, metavar="N", help=shown)
    p.add_argument("--scales", type=positive, default=1, metavar="N", help=sides.SCALES)
    p.add_argument("--norm", choices=["batch", "instance"], default="batch", help="(default: batch)")
    p.add_argument("--dropout", type=float, default=0.5, help="of three layers of G, in samples too (default: 0.5)")
    p.add_argument("--loss", choices=sorted(LOSSES), help="(default: nonsaturating, of bicyclegan lsgan)")
    p.add_argument("--l1", type=float, metavar="WEIGHT", help="of the distance (default: 100, of bicyclegan 10)")
    shown = "of D's scores in G's loss; 0 trains G by the distance alone (default: 1)"
    p.add_argument("--adversarial", type=float, default=1.0, metavar="WEIGHT", help=shown)
    shown = "of how far D's features of images are from those of targets; pix2pixHD: 10 (default: 0)"
    p.add_argument("--feature-matching", type=float, default=0.0, metavar="WEIGHT", help=shown)
    shown = "learning rate, which falls to 0 in the second half of the run (default: 0.0002)"
    p.add_argument("--lr", type=float, default=2e-4, help=shown)
    p.idle_without("--system bicyclegan", lambda o: o.system == "bicyclegan", "--z-dim")
    p.idle_without("--system pix2pix", lambda o: o.system == "pix2pix", "--dropout", "--feature-matching")
    p.idle_without("--adversarial above 0", lambda o: o.adversarial, "--feature-matching", "--scales")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    return translations.main(build, options(), sides.load_pairs, measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
