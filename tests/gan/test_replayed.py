"""Turns that are replayed on a CPU are the turns: every loss, penalty, layer and optimizer, to the bit."""

import numpy as np
import pytest
from cuda_games import batches, dcgan, wgan_gp
from replayed_game import replays_exactly
from systems import SYSTEMS, play

import minigan as mg
from minigan import nn, optim
from minigan.gan import Moves, Regularisers, losses, penalties
from minigan.tensor import Tensor

GAUSSIAN = np.random.default_rng(0).standard_normal((64, 2)).astype("float32")


def plane_game(
    layers=list,
    loss=losses.nonsaturating,
    g_optimizer=optim.Adam,
    d_optimizer=optim.Adam,
    ema=False,
    g_layers=list,
    **options,
):
    mg.random.seed(0)
    G = nn.Sequential(nn.Linear(2, 12), nn.ReLU(), *g_layers(), nn.Linear(12, 2))
    D = nn.Sequential(nn.Linear(2, 12), nn.LeakyReLU(0.2), *layers(), nn.Linear(12, 1))
    return mg.gan.ScoreGame(
        *(G, D),
        loss=loss,
        latent=mg.gan.normal_latent(2),
        generator_optimizer=g_optimizer(G.parameters(), 1e-3),
        discriminator_optimizer=d_optimizer(D.parameters(), 1e-3),
        ema=optim.EMA(G, 0.9) if ema else None,
        **options,
    )


def plane():
    return mg.data.Batches(GAUSSIAN, 16)


@pytest.mark.parametrize("loss", losses.LOSSES.values(), ids=losses.LOSSES)
def test_every_loss(loss):
    replays_exactly(lambda: plane_game(loss=loss), plane)


@pytest.mark.parametrize("penalty", penalties.PENALTIES.values(), ids=penalties.PENALTIES)
def test_every_penalty(penalty):
    replays_exactly(lambda: plane_game(penalty=penalty, loss=losses.wasserstein), plane)


OPTIMIZERS = {
    "SGD": optim.SGD,
    "momentum": lambda params, lr: optim.SGD(params, lr, 0.9, nesterov=True, weight_decay=0.01),
    "RMSProp": optim.RMSProp,
    "centered": lambda params, lr: optim.RMSProp(params, lr, momentum=0.5, centered=True),
    "Adam": lambda params, lr: optim.Adam(params, lr, weight_decay=0.01),
    "AdamW": optim.AdamW,
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_every_optimizer_and_an_average(optimizer):
    replays_exactly(lambda: plane_game(g_optimizer=optimizer, d_optimizer=optimizer, ema=True), plane)


LAYERS = {
    "BatchNorm1d": lambda: [nn.BatchNorm1d(12)],
    "plain BatchNorm1d": lambda: [nn.BatchNorm1d(12, affine=False)],
    "LayerNorm": lambda: [nn.LayerNorm(12)],
    "GroupNorm": lambda: [nn.GroupNorm(3, 12)],
    "Dropout": lambda: [nn.Dropout(0.3), nn.Dropout(0.5, always=True)],
    "GaussianNoise": lambda: [nn.GaussianNoise(0.1)],
    "spectral_norm": lambda: [nn.spectral_norm(nn.Linear(12, 12))],
    "weight_norm": lambda: [nn.weight_norm(nn.Linear(12, 12))],
    "MinibatchStdDev": lambda: [nn.Unflatten(1, (12, 1, 1)), nn.MinibatchStdDev(4), nn.Flatten(), nn.Linear(13, 12)],
    "ELU, Sigmoid, Tanh, Softplus": lambda: [nn.ELU(), nn.Sigmoid(), nn.Tanh(), nn.Softplus()],
}


@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_every_layer_that_draws_or_keeps_something(layers):
    replays_exactly(lambda: plane_game(layers), plane)


@pytest.mark.parametrize("layers", [LAYERS["Dropout"], LAYERS["BatchNorm1d"], LAYERS["spectral_norm"]])
def test_a_generator_that_draws_the_same_for_noise_that_is_near_or_has_moved(layers):
    how = {"regularisers": Regularisers(latent_consistency=5.0), "moves": Moves(latent_optimisation=0.9)}
    replays_exactly(lambda: plane_game(g_layers=layers, **how), plane)


@pytest.mark.parametrize("name", ["ICR and latent optimisation of styles", "LeCam", "cutmix, orthogonal weights"])
def test_what_is_drawn_twice_or_begins_late(name):
    (_, played, _), (game, replayed, _) = (play(SYSTEMS[name], 12, graphs=graphs) for graphs in (False, True))
    assert all(turn.graph is not None for turn in game._turns[1].values())
    assert all(np.array_equal(played[key], replayed[key]) for key in played)


def test_noisy_labels_a_schedule_and_several_critic_turns():
    def make():
        game = plane_game(loss=losses.noisy_labels(losses.nonsaturating, 0.9, 0.1), schedule=mg.gan.alternate(3, 2))
        game.schedules = [optim.Schedule(game.optimizers["generator"], optim.linear(1, 0, 8))]
        return game

    replays_exactly(make, plane)


@pytest.mark.parametrize("make", [dcgan, wgan_gp])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_images(make, dtype):
    def seeded():
        mg.random.seed(0)
        return make("cpu", dtype)

    source = batches("cpu") if dtype == "float32" else lambda k: Tensor(np.asarray(batches("cpu").at(k), dtype))
    replays_exactly(seeded, lambda: source)


def test_images_that_are_mirrored_and_moved():
    images = np.random.default_rng(0).integers(0, 256, (40, 1, 28, 28)).astype("uint8")

    def seeded():
        mg.random.seed(0)
        return dcgan("cpu", "float32")

    replays_exactly(seeded, lambda: mg.data.Batches(images, 8, flip=True, crop=2))
