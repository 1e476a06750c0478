"""Two small games that the CUDA tests play, on any device."""

import numpy as np

import minigan as mg


def dcgan(device, dtype):
    G, D = (player.to(device, dtype) for player in mg.models.dcgan28(8))
    return mg.gan.ScoreGame(
        G,
        D,
        loss=mg.gan.losses.nonsaturating,
        latent=mg.gan.uniform_latent(8, dtype=dtype),
        generator_optimizer=mg.optim.Adam(G.parameters(), 1e-3, (0.5, 0.999)),
        discriminator_optimizer=mg.optim.RMSProp(D.parameters(), 1e-4),
        ema=mg.optim.EMA(G, 0.9),
    )


def wgan_gp(device, dtype):
    G, D = (player.to(device, dtype) for player in mg.models.wgan_gp28(8))
    return mg.gan.ScoreGame(
        G,
        D,
        loss=mg.gan.losses.wasserstein,
        penalty=mg.gan.penalties.gradient_penalty,
        latent=mg.gan.normal_latent(8, dtype=dtype),
        generator_optimizer=mg.optim.Adam(G.parameters(), 1e-4, (0.0, 0.9)),
        discriminator_optimizer=mg.optim.SGD(D.parameters(), 1e-3, momentum=0.9),
        clip=0.5,
    )


def batches(device, count=40, batch=8):
    images = np.random.default_rng(0).integers(0, 256, (count, 1, 28, 28)).astype("uint8")
    return mg.data.Batches(images, batch, device=device)
