"""A training program to be killed: python killed_program.py SYSTEM OUT [--resume]."""

import sys

import numpy as np

import minigan as mg
from minigan import data, training
from minigan.gan import ScoreGame, Sight, alternate, losses, normal_latent, penalties

EPOCHS, BATCH = 4, 16  # of 96 images: 24 rounds, or 12 of two batches


def build(settings):
    """One of the systems whose state is larger than weights: batch norm, moments, averages, singular vectors."""
    mg.random.seed(settings.seed)
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


SYSTEMS = {
    "dcgan": {},
    "wgan_gp": {"norm": None, "loss": "wasserstein", "penalty": True, "d_steps": 2},
    "spectral_norm": {"norm": None, "loss": "hinge", "spectral": True, "ema": True, "replay": 32},
}


def images(settings, limit):
    """96 images that are quick to make."""
    return data.Samples(np.random.default_rng(0).integers(0, 256, (96, 1, 16, 16)).astype(np.uint8), None, "noise")


def main(system, out, *, resume=False):
    """Train that system into the folder `out`; the exit status."""
    options = {"epochs": EPOCHS, "batch_size": BATCH, "checkpoint_every": 2, "sample_every": 5}
    if system == "dcgan":
        options |= {"evaluate_every": 3, "evaluate_n": 40}
    settings = training.Settings(name=system, out=out, resume=resume, **options)
    return training.run(build, settings, (1, 16, 16), load=images)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3], resume="--resume" in sys.argv))
