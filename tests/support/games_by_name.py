"""Games that several tests play: those of the measurements, by name, with batches for them; and one on points."""

import numpy as np

import minigan as mg

SHAPES = {"dcgan64": (3, 64, 64), "sndcgan": (3, 32, 32)}


def game_and_batches(name, size, device="cpu"):
    """(the game, a source of batches of `size` images): dcgan28, wgan_gp28, dcgan64 or sndcgan."""
    mg.random.seed(0)
    shape = SHAPES.get(name, (1, 28, 28))
    if name == "dcgan64":
        G, D = mg.models.dcgan(side=64, channels=3, width=64, z_dim=96)
    elif name == "sndcgan":
        G, D = mg.models.sndcgan(side=32, channels=3, width=64, z_dim=96)
    else:
        G, D = getattr(mg.models, name)(96)
    critic = name == "wgan_gp28"
    game = mg.gan.ScoreGame(
        G.to(device),
        D.to(device),
        loss=mg.gan.losses.wasserstein if critic else mg.gan.losses.nonsaturating,
        penalty=mg.gan.penalties.gradient_penalty if critic else None,
        latent=mg.gan.uniform_latent(96),
        generator_optimizer=mg.optim.Adam(G.parameters(), 1e-4, (0.5, 0.999)),
        discriminator_optimizer=mg.optim.Adam(D.parameters(), 1e-4, (0.5, 0.999)),
        ema=mg.optim.EMA(G, 0.999),
    )
    images = np.random.default_rng(0).integers(0, 256, (size, *shape)).astype("uint8")
    return game, mg.data.Batches(images, size, device=device)


def on_points(G, D, **options):
    """The game of a generator of points, each from three numbers, and a critic, with two optimizers and an average."""
    return mg.gan.ScoreGame(
        G,
        D,
        loss=mg.gan.losses.nonsaturating,
        latent=mg.gan.normal_latent(3),
        generator_optimizer=mg.optim.Adam(G.parameters(), 1e-2),
        discriminator_optimizer=mg.optim.RMSProp(D.parameters(), 1e-2),
        ema=mg.optim.EMA(G, 0.9),
        **options,
    )
