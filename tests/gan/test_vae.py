"""The variational autoencoder: its two terms in closed form and against PyTorch, its game, its script."""

import numpy as np
import pytest
from replayed_game import replays_exactly
from resumed_game import continues_exactly, numbers

import minigan as mg
from minigan.gan import VAE
from minigan.gan.vae import kl_divergence, reconstruction
from minigan.tensor import Tensor


def game(seed=0):
    mg.random.seed(seed)
    encoder, decoder = mg.models.vae28(3, 16)
    optimizer = mg.optim.Adam([*encoder.parameters(), *decoder.parameters()], 1e-2)
    return VAE(encoder, decoder, z_dim=3, optimizer=optimizer, seed=seed)


def images(k, n=8):
    return mg.tensor(np.random.default_rng(k).uniform(-1, 1, (n, 1, 28, 28)).astype("float32"))


def test_terms_are_their_definitions(rng):
    logits, pixels = rng.standard_normal((4, 1, 3, 3)), rng.uniform(size=(4, 1, 3, 3))
    p = 1 / (1 + np.exp(-logits))
    expected = -(pixels * np.log(p) + (1 - pixels) * np.log(1 - p)).sum((1, 2, 3))
    np.testing.assert_allclose(reconstruction(Tensor(logits), Tensor(pixels)).numpy(), expected, rtol=1e-12)
    mean, log_var = rng.standard_normal((4, 5)), rng.standard_normal((4, 5))
    expected = ((np.exp(log_var) + mean**2 - 1 - log_var) / 2).sum(1)
    np.testing.assert_allclose(kl_divergence(Tensor(mean), Tensor(log_var)).numpy(), expected, rtol=1e-12)
    assert not kl_divergence(mg.zeros((2, 5)), mg.zeros((2, 5))).numpy().any()  # the prior itself
    mg.testing.gradcheck(reconstruction, [Tensor(logits), Tensor(pixels)])
    mg.testing.gradcheck(kl_divergence, [Tensor(mean), Tensor(log_var)])


def test_terms_are_pytorchs(rng):
    torch = pytest.importorskip("torch")
    logits, pixels = rng.standard_normal((4, 6)), rng.uniform(size=(4, 6))
    mean, log_var = rng.standard_normal((4, 5)), rng.standard_normal((4, 5))
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.tensor(logits), torch.tensor(pixels), reduction="none"
    )
    found = reconstruction(Tensor(logits), Tensor(pixels)).numpy()
    np.testing.assert_allclose(found, cross_entropy.sum(1).numpy(), rtol=1e-12)
    normal = torch.distributions.Normal(torch.tensor(mean), torch.exp(torch.tensor(log_var) / 2))
    divergence = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).sum(1)
    np.testing.assert_allclose(kl_divergence(Tensor(mean), Tensor(log_var)).numpy(), divergence.numpy(), rtol=1e-12)


def test_the_divergence_is_the_mean_of_the_log_ratio():
    """KL(q || p) = E_q ln q - ln p, over a million draws of q."""
    mean, log_var = 0.7, -0.4
    z = mg.random.Stream(0).normal(1_000_000, mean, np.exp(log_var / 2), "float64")
    ratio = -(((z - mean) ** 2) * np.exp(-log_var) + log_var) / 2 + z**2 / 2
    found = kl_divergence(mg.full((1, 1), mean), mg.full((1, 1), log_var)).item()
    assert found == pytest.approx(ratio.mean(), abs=3e-3)


def test_the_gradient_reaches_the_encoder_through_the_draw(rng):
    """Of the reconstruction alone, with respect to mean and variance: the reparametrisation at work."""
    w, n, pixels = rng.standard_normal((6, 3)), rng.standard_normal((4, 3)), rng.uniform(size=(4, 6))

    def loss(mean, log_var):
        z = mean + mg.exp(0.5 * log_var) * Tensor(n)
        return mg.mean(reconstruction(z @ Tensor(w).T, Tensor(pixels)))

    mean, log_var = Tensor(rng.standard_normal((4, 3))), Tensor(rng.standard_normal((4, 3)))
    mg.testing.gradcheck(loss, [mean, log_var])
    assert all(np.abs(g.numpy()).min() > 0 for g in mg.grad(loss(mean, log_var), [mean, log_var]))


def test_both_players_move_and_the_bound_rises():
    played = game()
    before = numbers(played)
    first = played.play(images)
    assert list(first) == ["elbo", "reconstruction", "kl"]
    assert all(value.shape == () and value.node is None for value in first.values())
    total = first["reconstruction"].item() + first["kl"].item()
    assert first["elbo"].item() == pytest.approx(-total, rel=1e-6)
    after = numbers(played)
    for key in before:
        if key.startswith(("encoder.", "decoder.")):
            assert not np.array_equal(before[key], after[key]), key
    for _ in range(30):
        last = played.play(lambda k: images(0))
    assert last["elbo"].item() > first["elbo"].item() + 5
    assert first["kl"].item() >= 0


def test_a_saved_game_continues_exactly():
    second = game(seed=1)
    second.seed = 0
    assert "elbo" in continues_exactly(game(), game(), second, images)


def test_samples_and_reconstructions_are_images_and_fixed():
    played = game()
    drawn = played.sample(5).numpy()
    assert drawn.shape == (5, 1, 28, 28)
    assert np.abs(drawn).max() <= 1
    assert np.array_equal(drawn, played.sample(5).numpy())
    again = played.reconstruct(images(0))
    assert np.array_equal(again.numpy(), played.reconstruct(images(0)).numpy())  # no noise in it
    assert again.node is None
    assert played.encoder.training


def test_what_does_not_fit_is_named():
    with pytest.raises(mg.errors.ShapeError, match=r"logits are \(2, 3\), pixels \(2, 4\)"):
        reconstruction(mg.zeros((2, 3)), mg.zeros((2, 4)))
    with pytest.raises(mg.errors.ShapeError, match=r"got \(2, 3\) and \(2, 4\)"):
        kl_divergence(mg.zeros((2, 3)), mg.zeros((2, 4)))
    wrong = game()
    wrong.z_dim = 4
    with pytest.raises(mg.errors.ShapeError, match=r"\(N, 2 x 4\), got \(8, 6\)"):
        wrong.play(images)


def test_sizes_of_the_network():
    assert [player.num_parameters() for player in mg.models.vae28()] == [412_540, 403_284]


def test_replayed_turns_are_the_turns():
    replays_exactly(game, lambda: images)
