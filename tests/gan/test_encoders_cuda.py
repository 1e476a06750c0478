"""The games with an encoder or a classifier on the stand-in for CuPy: the same numbers, played or replayed."""

import fakecupy
import numpy as np
import pytest

import minigan as mg
from minigan.tensor import Tensor


@pytest.fixture
def cupy(monkeypatch):
    return fakecupy.install(monkeypatch)


def vae(device, dtype):
    encoder, decoder = (player.to(device, dtype) for player in mg.models.vae28(3, 8))
    optimizer = mg.optim.Adam([*encoder.parameters(), *decoder.parameters()], 1e-3)
    return mg.gan.VAE(encoder, decoder, z_dim=3, optimizer=optimizer)


def bigan(device, dtype):
    G, E, D = (player.to(device, dtype) for player in mg.models.bigan28(3, 8))
    return mg.gan.BiGAN(
        *(G, E, D),
        latent=mg.gan.uniform_latent(3, dtype=dtype),
        inference_optimizer=mg.optim.Adam([*G.parameters(), *E.parameters()], 1e-3),
        discriminator_optimizer=mg.optim.Adam(D.parameters(), 1e-3),
    )


def semi(device, dtype):
    G, C = (player.to(device, dtype) for player in mg.models.semi28(3, (8, 6)))
    known = mg.tensor(np.random.default_rng(9).uniform(-1, 1, (10, 1, 28, 28)).astype(dtype), device=device)
    mg.models.scale_to_data(C, known)
    return mg.gan.SemiSupervised(
        *(G, C, known, mg.tensor(np.arange(10), device=device)),
        latent=mg.gan.uniform_latent(3, 0.0, 1.0, dtype=dtype),
        generator_optimizer=mg.optim.Adam(G.parameters(), 1e-3),
        classifier_optimizer=mg.optim.Adam(C.parameters(), 1e-3),
        ema=mg.optim.EMA(C, 0.9),
    )


def rounds(make, device, dtype, count, graphs=False):
    """Losses and state after so many rounds, and how many graphs the last of them launched."""
    mg.random.seed(0)
    game = make(device, dtype)
    game.graphs = graphs
    images = np.random.default_rng(0).integers(0, 256, (40, 1, 28, 28)).astype("uint8")
    batches = mg.data.Batches(images, 8, device=device)
    source = batches if dtype == "float32" else lambda k: Tensor(batches.at(k)).astype(dtype)
    results = [{k: v.item() for k, v in game.play(source).items()} for _ in range(count)]
    return results, {k: t.numpy() for k, t in game.state.items()}, game


@pytest.mark.parametrize("make", [vae, bigan, semi])
def test_a_round_is_the_same_on_both_devices(make, cupy):
    on_cpu, cpu_state, _ = rounds(make, "cpu", "float64", 2)
    on_cuda, cuda_state, _ = rounds(make, "cuda", "float64", 2)
    for ours, theirs in zip(on_cuda, on_cpu, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-9)
    for key, value in cpu_state.items():
        np.testing.assert_allclose(cuda_state[key], value, rtol=1e-6, atol=1e-9, err_msg=key)


@pytest.mark.parametrize("make", [vae, bigan, semi])
def test_replayed_rounds_are_played_ones(make, cupy):
    played, played_state, _ = rounds(make, "cuda", "float32", 7)
    replayed, replayed_state, game = rounds(make, "cuda", "float32", 7, graphs=True)
    assert all(turn.graph is not None for turn in game._turns[1].values())
    assert replayed == played
    for key, value in played_state.items():
        assert np.array_equal(replayed_state[key], value), key
    assert game.sample(2).device == "cuda"
