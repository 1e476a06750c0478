"""The bidirectional GAN: who moves by which loss, what its networks are, what it makes of images."""

import numpy as np
import pytest
from replayed_game import replays_exactly
from resumed_game import continues_exactly, numbers

import minigan as mg
from minigan.gan import BiGAN, losses, uniform_latent
from minigan.tensor import Tensor


def game(seed=0, **options):
    mg.random.seed(seed)
    G, E, D = mg.models.bigan28(4, 16)
    return BiGAN(
        *(G, E, D),
        latent=uniform_latent(4),
        inference_optimizer=mg.optim.Adam([*G.parameters(), *E.parameters()], 1e-3),
        discriminator_optimizer=mg.optim.Adam(D.parameters(), 1e-3),
        seed=seed,
        **options,
    )


def images(k, n=8):
    return mg.tensor(np.random.default_rng(k).uniform(-1, 1, (n, 1, 28, 28)).astype("float32"))


def moved(played, before, player):
    weights = [name for name, _ in played.players[player].named_parameters()]
    return [not np.array_equal(before[f"{player}.{w}"], numbers(played)[f"{player}.{w}"]) for w in weights]


def test_everybody_moves_once_the_discriminator_has_an_opinion():
    played = game()
    before = numbers(played)
    shown = played.play(images)
    assert list(shown) == ["d_loss", "g_loss", "d_real", "d_fake"]
    assert shown["d_loss"].item() == pytest.approx(2 * np.log(2))  # it begins undecided: its last layer is zero,
    assert moved(played, before, "discriminator")[-1]
    assert not any(moved(played, before, "generator") + moved(played, before, "encoder"))  # and tells nobody anything
    played.play(images)
    assert all(moved(played, before, "discriminator"))
    assert all(moved(played, before, "generator"))
    assert all(moved(played, before, "encoder"))


def test_players_move_by_gradients_taken_before_any_of_them_has_moved():
    played, other = game(), game()
    for _ in range(3):
        played.play(images)
        other.play(images)
    x = images(3)
    noise = Tensor(other.stream("noise").at(3).uniform((8, 4), -1, 1))
    r, f = other.discriminator(x, other.encoder(x)), other.discriminator(other.generator(noise), noise)
    sp = mg.softplus
    d_loss, g_loss = mg.mean(sp(-r)) + mg.mean(sp(f)), mg.mean(sp(r)) + mg.mean(sp(-f))
    d_grads, g_grads = (
        mg.grad(loss, other.optimizers[name].params)
        for loss, name in ((d_loss, "discriminator"), (g_loss, "inference"))
    )
    other.optimizers["discriminator"].step(d_grads)
    other.optimizers["inference"].step(g_grads)
    shown = played.play(images)
    assert shown["d_loss"].item() == pytest.approx(d_loss.item(), rel=1e-6)
    assert shown["g_loss"].item() == pytest.approx(g_loss.item(), rel=1e-6)
    for key, value in numbers(other).items():
        if key.startswith(("generator.", "encoder.", "discriminator.")):
            np.testing.assert_allclose(value, numbers(played)[key], rtol=1e-5, atol=1e-7, err_msg=key)


def test_exchanged_roles_to_second_order(rng):
    """What G and E minimise: the discriminator's loss of exchanged scores, sp(r) + sp(-f)."""
    r, f = Tensor(rng.standard_normal((3, 1))), Tensor(rng.standard_normal((3, 1)))
    loss = losses.nonsaturating.discriminator(f, r)
    expected = np.logaddexp(0, r.numpy()).mean() + np.logaddexp(0, -f.numpy()).mean()
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    mg.testing.gradcheck(lambda r, f: losses.nonsaturating.discriminator(f, r), [r, f])


def test_the_discriminator_sees_both_halves_of_a_pair(rng):
    D = mg.models.bigan28(4, 16).discriminator
    mg.nn.init.normal_(D.pair[3].weight)
    x, z = images(0), mg.tensor(rng.uniform(-1, 1, (8, 4)).astype("float32"))
    score = D(x, z)
    assert score.shape == (8, 1)
    assert all(np.abs(g.numpy()).sum() > 0 for g in mg.grad(mg.sum(mg.square(score)), [x, z]))


def test_a_saved_game_continues_exactly():
    second = game(seed=1)
    second.seed = 0
    assert "g_loss" in continues_exactly(game(), game(), second, images)


def test_codes_samples_and_reconstructions():
    played = game(loss=losses.hinge)
    for _ in range(3):
        shown = played.play(images)
    assert shown["d_real"].item() < 1.5  # a raw score: hinge has no probabilities
    before = numbers(played)
    codes = played.encode(images(0))
    assert codes.shape == (8, 4)
    assert np.abs(codes.numpy()).max() <= 1
    alone = played.encode(images(0)[:1]).numpy()
    np.testing.assert_allclose(codes.numpy()[:1], alone, atol=1e-5)  # no sample depends on its neighbours
    again = played.reconstruct(images(0))
    assert (again.shape, again.node) == ((8, 1, 28, 28), None)
    assert np.abs(played.sample(3).numpy()).max() <= 1
    assert np.array_equal(played.sample(3).numpy(), played.sample(3).numpy())
    assert all(np.array_equal(v, before[k]) for k, v in numbers(played).items())
    assert played.generator.training
    assert played.encoder.training


def test_losses_that_compare_are_refused():
    with pytest.raises(mg.errors.ShapeError, match="relativistic compares real and fake"):
        game(loss=losses.relativistic)


def test_sizes_and_starting_weights():
    G, E, D = mg.models.bigan28()
    assert [player.num_parameters() for player in (G, E, D)] == [1_902_592, 1_902_592, 1_903_616]
    assert E[2].weight.numpy().std() == pytest.approx(0.02, rel=0.01)
    assert not D.pair[3].weight.numpy().any()


def test_replayed_turns_are_the_turns():
    replays_exactly(game, lambda: images)
