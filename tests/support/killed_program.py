"""A training program to be killed: python killed_program.py SYSTEM OUT [--resume]."""

import sys
from functools import partial

import numpy as np

import minigan as mg
from minigan import data, training
from minigan.data import Pair
from minigan.gan import ScoreGame, Sight, alternate, losses, normal_latent, penalties
from minigan.gan.translation import CycleGAN, Pix2Pix
from minigan.training import translations

EPOCHS, BATCH = 4, 16  # of 96 images: 24 rounds, or 12 of two batches


def build(settings):
    """One of the systems whose state is larger than weights."""
    mg.random.seed(settings.seed)
    return TRANSLATORS[settings.name](settings) if settings.name in TRANSLATORS else of_noise(settings)


def of_noise(settings):
    """Batch norm, moments, averages, singular vectors."""
    options = SYSTEMS[settings.name]
    G, D = mg.models.dcgan(16, 5, channels=1, width=2, norm=options.get("norm", "batch"))
    if options.get("spectral"):
        for layer in list(D.modules()):
            if isinstance(layer, mg.nn.Conv2d):
                mg.nn.spectral_norm(layer)
    return ScoreGame(
        G,
        D,
        loss=getattr(losses, options.get("loss", "nonsaturating")),
        penalty=penalties.gradient_penalty if options.get("penalty") else None,
        latent=normal_latent(5),
        generator_optimizer=mg.optim.Adam(G.parameters(), 1e-3, (0.5, 0.9)),
        discriminator_optimizer=mg.optim.RMSProp(D.parameters(), 1e-3),
        schedule=alternate(options.get("d_steps", 1)),
        sight=Sight(replay=options.get("replay", 0)),
        ema=mg.optim.EMA(G, 0.9) if options.get("ema") else None,
        seed=settings.seed,
    )


def pix2pix(settings):
    """Dropout that stays; what it has met."""
    G, D = mg.models.UNetTranslator(1, 1, 3, 2), mg.models.patch_discriminator(2, width=2, halvings=1)
    return Pix2Pix(G, D, generator_optimizer=adam(G), discriminator_optimizer=adam(D), seed=settings.seed)


def cyclegan(settings):
    """Pools of earlier fakes, and rates that fall."""
    translators = [mg.models.resnet_translator(1, 1, width=2, blocks=1) for _ in "ab"]
    critics = [mg.models.patch_discriminator(1, width=2, halvings=1, norm="instance") for _ in "ab"]
    optimizers = {"translators_optimizer": adam(*translators), "discriminators_optimizer": adam(*critics)}
    courses = [mg.optim.Course(each, partial(mg.optim.late_linear, 0.5)) for each in optimizers.values()]
    options = {"pool": 24, "shape": (1, 16, 16), "schedules": courses, "seed": settings.seed}
    return CycleGAN(*translators, *critics, **optimizers, **options)


def adam(*players):
    return mg.optim.Adam(mg.nn.parameters_of(*players), 1e-3)


TRANSLATORS = {"pix2pix": pix2pix, "cyclegan": cyclegan}
SYSTEMS = {
    "dcgan": {},
    "wgan_gp": {"norm": None, "loss": "wasserstein", "penalty": True, "d_steps": 2},
    "spectral_norm": {"norm": None, "loss": "hinge", "spectral": True, "ema": True, "replay": 32},
    **dict.fromkeys(TRANSLATORS),
}


def images(settings, limit):
    """96 images that are quick to make, or as many pairs, which belong together or do not."""
    drawn = np.random.default_rng(0).integers(0, 256, (96, 1, 16, 16)).astype(np.uint8)
    if settings.name in TRANSLATORS:
        return data.Samples(Pair(drawn, 255 - drawn), None, "noise", paired=settings.name == "pix2pix")
    return data.Samples(drawn, None, "noise")


def main(system, out, *, resume=False):
    """Train that system into the folder `out`; the exit status."""
    options = {"epochs": EPOCHS, "batch_size": BATCH, "checkpoint_every": 2, "sample_every": 5}
    if system == "dcgan":
        options |= {"evaluate_every": 3, "evaluate_n": 40}
    settings = training.Settings(name=system, out=out, resume=resume, **options)
    picture = translations.strips if system in TRANSLATORS else training.sample_grid
    return training.run(build, settings, (1, 16, 16), load=images, picture=picture)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3], resume="--resume" in sys.argv))
