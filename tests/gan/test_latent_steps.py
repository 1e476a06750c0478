"""Noise that is moved to where the critic scores it higher: the step, and what both players learn through it."""

import numpy as np
import pytest
from parity import torch
from single_turn import take
from systems import game as small_game
from watched_game import game

import minigan as mg
from minigan.errors import ShapeError
from minigan.gan import Moves, Sight, Turn, alternate, latent_steps, losses, penalties
from minigan.random import Stream
from minigan.tensor import Tensor

REAL = Tensor(np.random.default_rng(0).uniform(-1, 1, (6, 1, 8, 8)))
LOGAN = Moves(latent_optimisation=0.9, latent_damping=0.2, latent_cost=0.3)


def bowl(z):
    """A score of each row, smooth."""
    return mg.sum(mg.tanh(z * z * 0.5) + z, 1, keepdims=True)


def test_the_step_is_the_slope_times_alpha_over_beta_and_its_squared_length():
    z = np.random.default_rng(1).normal(size=(5, 3))
    found, cost = latent_steps.moved(Tensor(z), bowl, mg.gan.normal_latent(3), 0.9, 0.1)
    slope = z * (1 - np.tanh(z * z / 2) ** 2) + 1
    step = 0.9 * slope / (0.1 + (slope**2).sum(1, keepdims=True))
    np.testing.assert_allclose(found.numpy(), z + step, rtol=1e-12)
    assert cost.item() == pytest.approx((step**2).sum(1).mean(), rel=1e-12)
    assert (bowl(found).numpy() > bowl(Tensor(z)).numpy()).all()


def test_uniform_noise_stays_in_its_range_and_the_cost_is_of_the_whole_step():
    latent = mg.gan.uniform_latent(3, -0.5, 0.25, dtype="float64")
    z = latent(6, Stream(0))
    found, cost = latent_steps.moved(z, bowl, latent, 3.0, 0.1)
    free, same = latent_steps.moved(z, bowl, mg.gan.normal_latent(3), 3.0, 0.1)
    np.testing.assert_array_equal(found.numpy(), np.clip(free.numpy(), -0.5, 0.25))
    assert (free.numpy() > 0.25).any()
    assert cost.item() == same.item()


def test_derivatives_of_what_the_step_leads_to_to_second_order(rng):
    w, v = Tensor(rng.normal(size=(3, 4))), Tensor(rng.normal(size=(4, 1)))
    z = Tensor(rng.normal(size=(2, 3)))

    def value(w, v):
        def score(z):
            return mg.tanh(z @ w) @ v

        found, cost = latent_steps.moved(z, score, mg.gan.normal_latent(3), 0.9, 0.1)
        return mg.mean(mg.square(score(found))) + cost

    mg.testing.gradcheck(value, [w, v], rtol=1e-5)


def in_torch(played, z, real):
    """(weights of both players, G, D, z') as a PyTorch program writes them, with the step's graph."""
    weights = {
        name: torch.tensor(t.numpy(), requires_grad=True) for name, t in played.state.items() if "weight" in name
    }
    weights |= {name: torch.tensor(t.numpy(), requires_grad=True) for name, t in played.state.items() if "bias" in name}

    def G(z):
        return torch.tanh(z @ weights["generator.0.weight"].T + weights["generator.0.bias"])

    def D(x):
        return torch.tanh(x) @ weights["discriminator.linear.weight"].T + weights["discriminator.linear.bias"]

    z = torch.tensor(z, requires_grad=True)
    (slope,) = torch.autograd.grad(D(G(z)).sum(), z, create_graph=True)
    step = 0.9 * slope / (0.2 + (slope**2).sum(1, keepdim=True))
    return weights, G, D, z + step, (step**2).sum(1).mean()


@pytest.mark.parametrize("turn", ["discriminator_turn", "generator_turn", "simultaneous_turn"])
def test_both_players_learn_through_the_step_as_in_pytorch(turn):
    played = game([Turn("simultaneous_turn")] if turn == "simultaneous_turn" else None, losses.hinge, moves=LOGAN)
    z = played.latent(6, Stream(0))
    played.noise = lambda batch: z
    weights, G, D, moved, cost = in_torch(played, z.numpy(), REAL)
    real, fake = D(torch.tensor(REAL.numpy()).reshape(6, 64)), D(G(moved))
    of_critic = torch.relu(1 - real).mean() + torch.relu(1 + fake).mean() + 0.3 * cost
    of_generator = -fake.mean() + 0.3 * cost
    shown = take(played, turn, REAL)
    for player, loss, name in (("discriminator", of_critic, "d_loss"), ("generator", of_generator, "g_loss")):
        own = {key: t for key, t in weights.items() if key.startswith(player)}
        slopes = torch.autograd.grad(loss, own.values(), retain_graph=True)
        if name in shown:
            assert shown[name].item() == pytest.approx(loss.item(), rel=1e-12)
        for (key, t), slope in zip(own.items(), slopes, strict=True):
            expected = t.detach().numpy() - (slope.numpy() if name in shown else 0)
            np.testing.assert_allclose(played.state[key].numpy(), expected, rtol=1e-9, atol=1e-12)
    if "d_loss" in shown:
        assert shown["latent_move"].item() == pytest.approx(cost.item())


def test_energies_are_made_lower():
    found = []
    for loss in (losses.wasserstein, losses.lab_printed):
        played = game(loss=loss, moves=LOGAN)
        if loss.lower:
            for p in played.discriminator.parameters():
                p.copy_(-p.numpy())
        take(played, "generator_turn", REAL)
        found.append(played.state["generator.0.weight"].numpy())
    np.testing.assert_allclose(*found, rtol=1e-12)


def test_samples_are_made_of_noise_as_it_is_drawn():
    np.testing.assert_array_equal(game().sample(4).numpy(), game(moves=LOGAN).sample(4).numpy())


@pytest.mark.parametrize("schedule", [alternate(2), [Turn("simultaneous_turn")]])
def test_it_goes_with_packs_penalties_and_changes(schedule):
    played = small_game(
        losses.relativistic,
        how={"norm": False},
        penalty=penalties.r1_r2,
        moves={"latent_optimisation": 0.9},
        seen={"pack": 2, "augment": "color", "instance_noise": 0.1},
        schedule=schedule,
    )
    shown = played.play(lambda k: Tensor(np.random.default_rng(k).uniform(-1, 1, (8, 1, *played.sample(1).shape[2:]))))
    assert all(np.isfinite(value.item()) for value in shown.values())
    assert shown["latent_move"].item() > 0


@pytest.mark.parametrize(
    ("sight", "moves", "turn"),
    [
        (Sight(replay=8), {}, "discriminator_turn"),
        (Sight(), {"unroll": 1}, "discriminator_turn"),
        (Sight(), {}, "one_pass_turn"),
        (Sight(), {}, "shared_turn"),
    ],
)
def test_where_the_step_would_be_another_critics_it_is_refused(sight, moves, turn):
    with pytest.raises(ShapeError, match="latent_optimisation: D learns through how its own score"):
        game([Turn(turn)], sight=sight, moves=Moves(latent_optimisation=0.9, **moves))


def test_a_score_that_depends_on_the_other_side_moves_no_noise():
    with pytest.raises(ShapeError, match=r"joint_batches: .* and no latent_optimisation"):
        game(sight=Sight(joint_batches=True), moves=LOGAN)


def test_numbers_out_of_range_are_refused():
    for name, value in (("latent_optimisation", -1), ("latent_damping", 0), ("latent_cost", np.nan)):
        with pytest.raises(ShapeError, match=f"Moves: {name}: expected"):
            Moves(**{name: value})
    code = mg.gan.LatentCode(noise=2, categories=2, continuous=1)
    G = mg.nn.Linear(5, 1)
    parts = dict.fromkeys(("generator_optimizer", "discriminator_optimizer"), mg.optim.SGD(G.parameters(), 0.1))
    with pytest.raises(ShapeError, match=r"holds another code: no latent_optimisation, got 0\.9"):
        mg.gan.InfoGame(G, G, loss=losses.hinge, code=code, moves=LOGAN, **parts)
