"""The families of losses: f-divergences at their optimum, relativistic scores, and what every loss must satisfy."""

import numpy as np
import pytest

import minigan as mg
from minigan.gan import losses, penalties
from minigan.tensor import Tensor

# Two distributions on four points, as samples: each point as often as its probability says.
P, Q = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.4, 0.3, 0.1, 0.2])
FROM_P, FROM_Q = (np.repeat(np.arange(4), np.round(10 * d).astype(int)) for d in (P, Q))
U = P / Q

DIVERGENCES = {  # (f, the score at which T is f'(u))
    "kl": (lambda u: u * np.log(u), lambda u: 1 + np.log(u)),
    "reverse_kl": (lambda u: -np.log(u), np.log),
    "jensen_shannon": (lambda u: u * np.log(u) - (u + 1) * np.log((1 + u) / 2), np.log),
    "pearson": (lambda u: (u - 1) ** 2, lambda u: 2 * (u - 1)),
    "neyman": (lambda u: (1 - u) ** 2 / u, lambda u: 2 * np.log(u)),
    "hellinger": (lambda u: (np.sqrt(u) - 1) ** 2, lambda u: 0.5 * np.log(u)),
    "jeffrey": (lambda u: (u - 1) * np.log(u), np.log),
    "alpha_divergence(0.5)": (lambda u: (u**0.5 - 1 - 0.5 * (u - 1)) / (0.5 * -0.5), np.log),
    "alpha_divergence(3)": (lambda u: (u**3 - 1 - 3 * (u - 1)) / (3 * 2), np.log),
}


def loss_named(name):
    return losses.alpha_divergence(float(name[17:-1])) if name.startswith("alpha") else losses.LOSSES[name]


@pytest.mark.parametrize("name", DIVERGENCES)
def test_the_best_critic_of_an_f_gan_measures_the_divergence(name):
    f, best = DIVERGENCES[name]
    loss = loss_named(name)
    v = Tensor(best(U))
    value = loss.discriminator(v[FROM_P], v[FROM_Q])
    assert value.item() == pytest.approx(-(Q * f(U)).sum(), rel=1e-12)
    np.testing.assert_allclose(mg.grad(value, v).numpy(), 0, atol=1e-12)  # where no other critic does better
    for other in (v + 0.1, v - 0.1, v * 1.1):
        assert loss.discriminator(other[FROM_P], other[FROM_Q]).item() > value.item()


def test_total_variation_is_reached_by_saturated_scores():
    v = Tensor(50.0 * np.sign(U - 1))
    value = losses.total_variation.discriminator(v[FROM_P], v[FROM_Q])
    assert value.item() == pytest.approx(-np.abs(P - Q).sum() / 2, rel=1e-12)


@pytest.mark.parametrize("name", [*DIVERGENCES, "total_variation"])
def test_the_generator_of_an_f_gan_minimises_what_its_critic_measures(name):
    loss = loss_named(name)
    r, f = Tensor(np.array([0.3, -0.2])), Tensor(np.array([0.1, 0.4]))
    critic = mg.grad(loss.discriminator(r, f), f).numpy()
    np.testing.assert_allclose(mg.grad(loss.generator(f), f).numpy(), -critic, rtol=1e-12)


def sp(x):
    return np.logaddexp(0, x)


def softmax_terms(r, f):
    return np.log(np.exp(np.concatenate([r, f])).sum())


def contrasted(r, f):
    """Yu et al. 2021: each sample told from all of the other batch, share by share."""
    of_real = [np.exp(one) / (np.exp(one) + np.exp(f).sum()) for one in r]
    of_fake = [np.exp(-one) / (np.exp(-one) + np.exp(-r).sum()) for one in f]
    return -np.log(of_real).mean() - np.log(of_fake).mean()


PAIRS = {  # (D, G) of scores r and f
    "minimax": (lambda r, f: sp(-r).mean() + sp(f).mean(), lambda r, f: -sp(f).mean()),
    "nonsaturating": (lambda r, f: sp(-r).mean() + sp(f).mean(), lambda r, f: sp(-f).mean()),
    "lsgan": (lambda r, f: ((r - 1) ** 2).mean() / 2 + (f**2).mean() / 2, lambda r, f: ((f - 1) ** 2).mean() / 2),
    "wasserstein": (lambda r, f: f.mean() - r.mean(), lambda r, f: -f.mean()),
    "lab_printed": (lambda r, f: r.mean() - f.mean(), lambda r, f: f.mean()),
    "hinge": (
        lambda r, f: np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean(),
        lambda r, f: -f.mean(),
    ),
    "relativistic": (lambda r, f: sp(f - r).mean(), lambda r, f: sp(r - f).mean()),
    "relativistic_average": (
        lambda r, f: (sp(f.mean() - r).mean() + sp(f - r.mean()).mean()) / 2,
        lambda r, f: (sp(r.mean() - f).mean() + sp(r - f.mean()).mean()) / 2,
    ),
    "relativistic_average_lsgan": (
        lambda r, f: ((r - f.mean() - 1) ** 2).mean() + ((f - r.mean() + 1) ** 2).mean(),
        lambda r, f: ((f - r.mean() - 1) ** 2).mean() + ((r - f.mean() + 1) ** 2).mean(),
    ),
    "relativistic_average_hinge": (
        lambda r, f: np.maximum(0, 1 - (r - f.mean())).mean() + np.maximum(0, 1 + f - r.mean()).mean(),
        lambda r, f: np.maximum(0, 1 - (f - r.mean())).mean() + np.maximum(0, 1 + r - f.mean()).mean(),
    ),
    "softmax": (
        lambda r, f: softmax_terms(r, f) - r.mean(),
        lambda r, f: softmax_terms(r, f) - (r.mean() + f.mean()) / 2,
    ),
    "dual_contrastive": (
        contrasted,
        lambda r, f: -contrasted(r, f),
    ),
    "lsgan_signed": (
        lambda r, f: ((r - 1) ** 2).mean() / 2 + ((f + 1) ** 2).mean() / 2,
        lambda r, f: (f**2).mean() / 2,
    ),
    "boundary": (lambda r, f: sp(-r).mean() + sp(f).mean(), lambda r, f: (f**2).mean() / 2),
    "likelihood": (lambda r, f: sp(-r).mean() + sp(f).mean(), lambda r, f: -np.exp(f).mean()),
}


def test_every_loss_is_held_against_its_formula():
    by_the_limit = {"total_variation"}  # in a test of its own above
    assert set(losses.LOSSES) == set(PAIRS) | by_the_limit | {name for name in DIVERGENCES if "alpha" not in name}


@pytest.mark.parametrize("name", PAIRS)
def test_losses_are_the_papers_formulas(name, rng):
    r, f = rng.standard_normal(5), rng.standard_normal(5)
    loss, (discriminator, generator) = losses.LOSSES[name], PAIRS[name]
    column = [Tensor(a.reshape(-1, 1)) for a in (r, f)]
    assert loss.discriminator(*column).item() == pytest.approx(discriminator(r, f), rel=1e-12)
    assert loss.generator(column[1], column[0]).item() == pytest.approx(generator(r, f), rel=1e-12)


def test_value_at_the_optimum_is_minus_ln_4():
    zeros = mg.zeros((4, 1))  # D = 1/2 everywhere
    assert losses.minimax.discriminator(zeros, zeros).item() == pytest.approx(np.log(4))


EXPONENTIAL = {"likelihood", "kl", "reverse_kl", "neyman", "hellinger", "jeffrey"}  # as their formulas have it


@pytest.mark.parametrize("name", [name for name in losses.LOSSES if name not in EXPONENTIAL])
def test_losses_are_finite_on_extreme_scores(name):
    scores = mg.tensor([[-1e4], [1e4]])
    for value in (losses.LOSSES[name].discriminator(scores, scores), losses.LOSSES[name].generator(scores, scores)):
        assert np.isfinite(value.item())
        assert np.isfinite(mg.grad(value, scores).numpy()).all()


def test_facts_of_losses():
    """Of which scores are logits; which fall for ever as scores grow, although the two sides overlap."""
    logistic = {"minimax", "nonsaturating", "likelihood", "boundary", "lab_printed"}
    assert {name for name, loss in losses.LOSSES.items() if loss.logistic} == logistic
    r, f = Tensor(np.array([1.0, 0.5, -1.0])), Tensor(np.array([1.0, -0.5, -1.0]))
    for name, loss in losses.LOSSES.items():
        ends = [loss.discriminator(by * r, by * f).item() for by in (-300.0, 300.0)]
        assert loss.unbounded == (min(ends) < -50), name
    assert not losses.noisy_labels(losses.lab_printed, 0.9).unbounded  # a cross entropy


@pytest.mark.parametrize("name", losses.LOSSES)
def test_every_loss_to_second_order(name, rng):
    loss = losses.LOSSES[name]
    r, f = (Tensor(rng.standard_normal((3, 1))) for _ in range(2))
    mg.testing.gradcheck(loss.discriminator, [r, f])
    generator = loss.generator if loss.compares else lambda f, r: loss.generator(f) + 0.0 * mg.sum(r)
    mg.testing.gradcheck(generator, [f, r])
    assert getattr(losses, name) is loss


def test_alpha_divergence_refuses_its_limits():
    for alpha in (0, 1, np.nan, np.inf):
        with pytest.raises(mg.errors.ShapeError, match=f"got {alpha}"):
            losses.alpha_divergence(alpha)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_every_loss_moves_two_players(name):
    mg.random.seed(0)
    G, D = mg.nn.Sequential(mg.nn.Linear(2, 4), mg.nn.Tanh(), mg.nn.Linear(4, 2)), mg.nn.Linear(2, 1)
    game = mg.gan.ScoreGame(
        *(G, D),
        loss=losses.LOSSES[name],
        latent=mg.gan.normal_latent(2),
        generator_optimizer=mg.optim.SGD(G.parameters(), 0.1),
        discriminator_optimizer=mg.optim.SGD(D.parameters(), 0.1),
    )
    before = {key: t.numpy() for key, t in game.state.items()}
    shown = game.play(lambda k: mg.ones((6, 2)))
    assert all(np.isfinite(value.item()) for value in shown.values())
    for player in ("generator.0.weight", "discriminator.weight"):
        assert not np.array_equal(game.state[player].numpy(), before[player])


NETWORKS = {  # players, noise, the shape of a sample
    "points": (mg.models.quadratic, 2, (2,)),
    "images": (lambda: mg.models.dcgan(16, 4, channels=1, width=2, norm=None), 4, (1, 16, 16)),
    "images, batch norm": (lambda: mg.models.dcgan(16, 4, channels=1, width=2), 4, (1, 16, 16)),
    "images, layer norm": (lambda: mg.models.dcgan(16, 4, channels=1, width=2, norm="layer"), 4, (1, 16, 16)),
    "mlp512": (lambda: mg.models.mlp512(16, 4, channels=1, width=2), 4, (1, 16, 16)),
    "mlp28": (lambda: mg.models.mlp28(4), 4, (1, 28, 28)),
    "lab28": (lambda: mg.models.lab28(4), 4, (1, 28, 28)),
}


def score_game(network, loss, penalty):
    mg.random.seed(0)
    make, z_dim, shape = NETWORKS[network]
    G, D = make()
    game = mg.gan.ScoreGame(
        *(G, D),
        loss=losses.LOSSES[loss],
        penalty=penalties.PENALTIES.get(penalty),
        penalty_weight=0.1,
        latent=mg.gan.uniform_latent(z_dim),
        generator_optimizer=mg.optim.Adam(G.parameters(), 1e-4),
        discriminator_optimizer=mg.optim.Adam(D.parameters(), 1e-4),
    )
    return game, Tensor(mg.random.Stream(1).uniform((4, *shape), -1, 1))


def plays_two_rounds(network, loss, penalty):
    game, real = score_game(network, loss, penalty)
    for _ in range(2):
        shown = game.play(lambda k: real)
        assert all(np.isfinite(value.item()) for value in shown.values())
    assert ("penalty" in shown) == (penalty is not None)
    assert all(np.isfinite(t.numpy()).all() for t in game.state.values())


@pytest.mark.parametrize("penalty", [None, *penalties.PENALTIES])
@pytest.mark.parametrize("loss", losses.LOSSES)
def test_every_loss_with_every_penalty(loss, penalty):
    plays_two_rounds("points", loss, penalty)


@pytest.mark.slow
@pytest.mark.parametrize("network", [name for name in NETWORKS if name != "points"])
@pytest.mark.parametrize("penalty", [None, *penalties.PENALTIES])
@pytest.mark.parametrize("loss", losses.LOSSES)
def test_every_loss_with_every_penalty_on_every_network(loss, penalty, network):
    plays_two_rounds(network, loss, penalty)


# --- samples and scores that are no Tensors -----------------------------------------------------------------------

OTHERS = [(None, "None"), ("words", "'words'"), ([mg.ones(2)], "a list; mg.stack"), (mg.nn.ReLU(), "a ReLU")]


@pytest.mark.parametrize("name", [*losses.LOSSES, "noisy"])
def test_scores_are_arrays_and_lists_too_and_anything_else_is_named(name):
    loss = losses.noisy_labels(losses.minimax) if name == "noisy" else losses.LOSSES[name]
    r, f = np.array([[0.5], [2.0]], "float32"), np.array([[-1.0], [0.25]], "float32")
    expected = loss.discriminator(mg.tensor(r), mg.tensor(f)).item(), loss.generator(mg.tensor(f), mg.tensor(r)).item()
    for real, fake in ((r, f), (r.tolist(), f.tolist())):
        assert (loss.discriminator(real, fake).item(), loss.generator(fake, real).item()) == expected
    for other, told in OTHERS:
        with pytest.raises(mg.errors.DTypeError, match=f"^{loss.name}: expected a Tensor, .* got {told}"):
            loss.discriminator(r, other)


@pytest.mark.parametrize("name", penalties.PENALTIES)
def test_samples_are_arrays_and_lists_too_and_anything_else_is_named(name):
    penalty, critic = penalties.PENALTIES[name], mg.nn.Sequential(mg.nn.Linear(2, 3), mg.nn.Tanh(), mg.nn.Linear(3, 1))
    r, f = np.array([[0.5, 1.0], [2.0, 0.0]], "float32"), np.array([[-1.0, 3.0], [0.25, 1.0]], "float32")
    given = ((mg.tensor(r), mg.tensor(f)), (r, f), (r.tolist(), f.tolist()))
    first, *rest = (penalty(critic, real, fake, rng=mg.random.Stream(0)).item() for real, fake in given)
    assert rest == [first, first]
    for other, told in OTHERS:
        with pytest.raises(mg.errors.DTypeError, match=f"^{name}: expected a Tensor, .* got {told}"):
            penalty(critic, r, other)
    with pytest.raises(
        mg.errors.DTypeError, match=f"^{name}: expected critic, real and fake samples, got a Tensor as "
    ):
        penalty(mg.tensor(r), critic, f)


@pytest.mark.parametrize("limit", [mg.gan.clip_weights, mg.gan.limit_lengths])
def test_weights_are_limited_in_a_list(limit):
    with pytest.raises(mg.errors.DTypeError, match=rf"{limit.__name__}: .* got a Linear; give its \.parameters"):
        limit(mg.nn.Linear(2, 2), 0.1)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_players_of_opposites_are_known_as_such(name):
    loss, rng = losses.LOSSES[name], np.random.default_rng(3)
    real, fake = (Tensor(2 * rng.standard_normal(12)) for _ in range(2))
    d, g = (mg.grad(f, fake).numpy() for f in (loss.discriminator(real, fake), loss.generator(fake, real)))
    assert loss.zero_sum == np.allclose(d, -g)
