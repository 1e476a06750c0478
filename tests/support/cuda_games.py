"""Two small games that the CUDA tests play, on any device, and how they play them."""

import numpy as np
from fakecuda import counts

import minigan as mg
from minigan.tensor import mapped


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
        moves=mg.gan.Moves(clip=0.5),
    )


def batches(device, count=40, batch=8):
    images = np.random.default_rng(0).integers(0, 256, (count, 1, 28, 28)).astype("uint8")
    return mg.data.Batches(images, batch, device=device)


def losses_without_waiting(game, source, *, graphs, rounds=7):
    """The losses of some rounds on the stand-in for CuPy, of which none waits for the device."""
    game.graphs = graphs
    losses = []
    for _ in range(rounds):
        counts.clear()
        losses.append(game.play(source))
        assert counts.syncs == 0
    assert counts.graphs == (2 if graphs else 0)
    return [{name: value.item() for name, value in each.items()} for each in losses]


def losses_on_both(make, batch, rounds=6):
    """(losses on the CPU, losses on the stand-in for CuPy, the game there) of what make(device) plays with batch(k)."""
    results = []
    for device in ("cpu", "cuda"):
        game = make(device)
        found = [game.play(lambda k, on=device: mapped(batch(k), lambda t: t.to(on))) for _ in range(rounds)]
        results.append([{name: value.item() for name, value in each.items()} for each in found])
    return *results, game
