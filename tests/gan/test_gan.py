"""Losses and penalties against closed forms; the game: who moves, what is drawn, what its state holds."""

from functools import partial

import numpy as np
import pytest
from resumed_game import numbers
from single_turn import take

import minigan as mg
from minigan.gan import Moves, Turn, alternate, losses, penalties
from minigan.tensor import Tensor

SCORES = np.array([[-1.5], [0.25], [3.0]])


def sp(x):
    return np.log1p(np.exp(x))


@pytest.mark.parametrize(
    ("name", "discriminator", "generator"),
    [
        ("minimax", lambda r, f: sp(-r).mean() + sp(f).mean(), lambda f: -sp(f).mean()),
        ("nonsaturating", lambda r, f: sp(-r).mean() + sp(f).mean(), lambda f: sp(-f).mean()),
        ("lsgan", lambda r, f: ((r - 1) ** 2).mean() / 2 + (f**2).mean() / 2, lambda f: ((f - 1) ** 2).mean() / 2),
        ("wasserstein", lambda r, f: f.mean() - r.mean(), lambda f: -f.mean()),
        ("hinge", lambda r, f: np.maximum(1 - r, 0).mean() + np.maximum(1 + f, 0).mean(), lambda f: -f.mean()),
    ],
)
def test_losses_are_the_papers_formulas(name, discriminator, generator):
    loss = losses.LOSSES[name]
    assert getattr(losses, name) is loss
    r, f = SCORES, -2 * SCORES + 0.1
    assert loss.discriminator(Tensor(r), Tensor(f)).item() == pytest.approx(discriminator(r, f), rel=1e-12)
    assert loss.generator(Tensor(f)).item() == pytest.approx(generator(f), rel=1e-12)
    assert loss.generator(Tensor(f), real=Tensor(r)).shape == ()
    mg.testing.gradcheck(loss.discriminator, [Tensor(r), Tensor(f)])
    mg.testing.gradcheck(lambda f: loss.generator(f), Tensor(f))


def test_lengths_are_limited_unit_by_unit(rng):
    w, b = Tensor(rng.standard_normal((4, 3, 2))), Tensor(np.full(4, 9.0))
    w.data[0] *= 0.01
    before = w.numpy()
    mg.gan.limit_lengths([w, b], 1.5)
    lengths = np.linalg.norm(before.reshape(4, -1), axis=1)
    assert (lengths > 1.5).any()
    np.testing.assert_allclose(w.numpy(), before * np.minimum(1, 1.5 / lengths)[:, None, None], rtol=1e-12)
    assert (b.numpy() == 9).all()
    with pytest.raises(mg.errors.ShapeError, match="got 0"):
        mg.gan.limit_lengths([w], 0)


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


# --- penalties ------------------------------------------------------------------------------------------------


def linear_critic(w):
    return lambda x: x.reshape(x.shape[0], -1) @ w


def test_penalty_of_a_linear_critic_in_closed_form(rng):
    w = Tensor(rng.standard_normal((12, 1)))
    real, fake = (Tensor(rng.standard_normal((5, 3, 2, 2))) for _ in range(2))
    norm = np.linalg.norm(w.numpy())
    for fn, value, slope in [
        (penalties.gradient_penalty, (norm - 1) ** 2, 2 * (norm - 1) / norm),
        (penalties.one_sided, max(norm - 1, 0) ** 2, 2 * max(norm - 1, 0) / norm),
        (penalties.wgan_div, norm**6, 6 * norm**4),
        (penalties.dragan, (norm - 1) ** 2, 2 * (norm - 1) / norm),
        (penalties.r1, norm**2, 2.0),
        (penalties.r2, norm**2, 2.0),
        (penalties.r1_r2, 2 * norm**2, 4.0),
        (partial(penalties.r1_r2, eps=0.1), 2 * norm**2 + 0.2, 4.0),
    ]:
        penalty = fn(linear_critic(w), real, fake)
        assert penalty.item() == pytest.approx(value, rel=1e-10)
        np.testing.assert_allclose(mg.grad(penalty, w).numpy(), slope * w.numpy(), rtol=1e-10)


def test_one_sided_penalty_leaves_gentle_slopes_alone():
    w = mg.full((4, 1), 0.25)
    value = penalties.one_sided(linear_critic(w), mg.ones((3, 4)), mg.zeros((3, 4)))
    assert value.item() == 0
    assert not mg.grad(value, w).numpy().any()


def test_penalty_of_a_quadratic_critic_is_per_sample(rng):
    """For C(x) = |x|^2 / 2 the gradient is x: norms are per sample, not over the batch or the channels."""
    real = Tensor(rng.standard_normal((6, 2, 3, 3)))
    penalty = penalties.gradient_penalty(lambda x: mg.sum(x * x, (1, 2, 3)) * 0.5, real, real)
    norms = np.linalg.norm(real.numpy().reshape(6, -1), axis=1)
    assert penalty.item() == pytest.approx(((norms - 1) ** 2).mean(), rel=1e-10)


def test_penalty_draws_one_number_per_sample(rng):
    """At x = real + u (fake - real) with real 0 and fake 1, the gradient of C(x) = |x|^2 / 2 is u itself."""
    real, fake = mg.zeros((1000, 4)), mg.ones((1000, 4))
    u = mg.random.Stream(3).uniform((1000, 1))
    penalty = penalties.gradient_penalty(
        lambda x: mg.sum(x * x, 1) * 0.5, real, fake, rng=mg.random.Stream(3), target=0.0
    )
    assert penalty.item() == pytest.approx(4 * float((u**2).mean()), rel=1e-5)


AT_ZERO = {  # (penalty, options, value for a critic that is 0, its curvature where that is a power of its slope)
    "gradient_penalty": (penalties.gradient_penalty, {}, 1.0, None),
    "one_sided": (penalties.one_sided, {}, 0.0, 0.0),
    "dragan": (penalties.dragan, {}, 1.0, None),
    "cs231n_printed": (penalties.cs231n_printed, {}, 1.0, None),
    "r1": (penalties.r1, {}, 0.0, 2.0),
    "r2": (penalties.r2, {}, 0.0, 2.0),
    "r1_r2": (penalties.r1_r2, {}, 0.0, 4.0),
    "wgan_div": (penalties.wgan_div, {}, 0.0, 0.0),
    **{
        f"{name}, eps 0": (getattr(penalties, name), {"eps": 0.0}, 1.0, 0.0)
        for name in ("gradient_penalty", "dragan", "cs231n_printed")
    },
    "one_sided, eps 0": (penalties.one_sided, {"eps": 0.0}, 0.0, 0.0),
    **{f"wgan_div, p {p}": (penalties.wgan_div, {"p": p}, 0.0, 0.0) for p in (0.5, 1, 1.5, 3, 4, 5)},
    "wgan_div, p 2": (penalties.wgan_div, {"p": 2}, 0.0, 2.0),
    "wgan_div, p 1, eps": (penalties.wgan_div, {"p": 1, "eps": 1e-6}, 1e-3, None),
}


def test_every_penalty_is_tried_where_the_gradient_is_zero():
    assert penalties.PENALTIES.keys() <= AT_ZERO.keys()


@pytest.mark.parametrize("name", AT_ZERO)
def test_penalty_is_differentiable_where_the_gradient_is_zero(name):
    penalty, options, expected, curvature = AT_ZERO[name]
    w = mg.zeros((4, 1))
    value = penalty(linear_critic(w), mg.ones((3, 4)), mg.zeros((3, 4)), **options)
    assert value.item() == pytest.approx(expected, abs=1e-5)
    slope = mg.grad(value, w, create_graph=True)
    assert slope.numpy().tolist() == [[0]] * 4
    second = mg.grad(mg.sum(slope), w).numpy()
    assert np.isfinite(second).all()
    assert curvature is None or second == pytest.approx(np.full((4, 1), curvature))


def test_penalties_refuse_numbers_that_make_no_power():
    w = mg.ones((4, 1))
    for penalty in (penalties.gradient_penalty, penalties.one_sided, penalties.dragan, penalties.cs231n_printed):
        with pytest.raises(mg.errors.ShapeError, match=f"{penalty.__name__}: eps: .* >= 0, got -1"):
            penalty(linear_critic(w), mg.ones((3, 4)), mg.zeros((3, 4)), eps=-1)
    for p in (0, -1, np.nan, np.inf):
        with pytest.raises(mg.errors.ShapeError, match=f"wgan_div: p: expected a finite number > 0, got {p}"):
            penalties.wgan_div(linear_critic(w), mg.ones((3, 4)), mg.zeros((3, 4)), p=p)


@pytest.mark.parametrize("name", penalties.PENALTIES)
def test_every_penalty_to_second_order_through_a_convolutional_critic(name, rng):
    w1, w2 = Tensor(rng.standard_normal((3, 1, 3, 3))), Tensor(rng.standard_normal((3, 1)))
    real, fake = (Tensor(rng.standard_normal((2, 1, 5, 5))) for _ in range(2))

    def penalty(w1, w2):
        def critic(x):
            return mg.mean(mg.tanh(mg.conv2d(x, w1, stride=2, padding=1)), (2, 3)) @ w2

        return penalties.PENALTIES[name](critic, real, fake, rng=mg.random.Stream(0))

    mg.testing.gradcheck(penalty, [w1, w2], rtol=1e-5)


@pytest.mark.parametrize("name", penalties.PENALTIES)
def test_samples_are_constants_for_a_penalty(name, rng):
    """For the player who made them too: an unrolled one's gradient comes through the critic alone."""
    players = [Tensor(rng.standard_normal((4, 4))) for _ in range(2)]
    real, fake = (Tensor(rng.standard_normal((3, 4))) @ g for g in players)
    w = Tensor(rng.standard_normal((4, 1)))
    penalty = penalties.PENALTIES[name](lambda x: mg.tanh(x @ w), real, fake)
    mg.grad(penalty, w)
    for g in players:
        with pytest.raises(mg.errors.GraphError):
            mg.grad(penalty, g)


def test_dragan_looks_around_samples_as_far_as_they_are_spread(rng):
    """For C(x) = |x|^2 / 2 the gradient is x = real + std(real) u / 2, u of each element, std of all of them."""
    real = Tensor(rng.standard_normal((6, 2, 3)) * np.array([1.0, 5.0, 9.0]))
    u = mg.random.Stream(4).uniform((6, 2, 3), dtype="float64")
    norms = np.linalg.norm((real.numpy() + 0.5 * real.numpy().std() * u).reshape(6, -1), axis=1)
    value = penalties.dragan(lambda x: mg.sum(x * x, (1, 2)) * 0.5, real, real, rng=mg.random.Stream(4))
    assert value.item() == pytest.approx(((norms - 1) ** 2).mean(), rel=1e-10)


def test_penalty_does_not_reach_the_generator(rng):
    g = Tensor(rng.standard_normal((4, 4)))
    w = Tensor(rng.standard_normal((4, 1)))
    fake = Tensor(rng.standard_normal((3, 4))) @ g
    penalty = penalties.gradient_penalty(lambda x: mg.tanh(x @ w), mg.zeros((3, 4)).astype("float64"), fake)
    with pytest.raises(mg.errors.GraphError):
        mg.grad(penalty, g)
    with pytest.raises(mg.errors.ShapeError, match=r"real samples are \(3, 5\), fakes \(3, 4\)"):
        penalties.gradient_penalty(lambda x: x, mg.zeros((3, 5)), fake)


def test_clip_weights():
    p = mg.tensor([-3.0, 0.001, 2.0])
    y = mg.sum(p * p)
    mg.gan.clip_weights([p], 0.01)
    np.testing.assert_allclose(p.numpy(), [-0.01, 0.001, 0.01])
    with pytest.raises(mg.errors.GraphError, match="clip_weights"):
        mg.grad(y, p)
    with pytest.raises(mg.errors.ShapeError, match="limit > 0"):
        mg.gan.clip_weights([p], 0)


# --- the game -------------------------------------------------------------------------------------------------


def toy(seed=0, **options):
    """A game on 2-D points."""
    mg.random.seed(seed)
    G = mg.nn.Sequential(mg.nn.Linear(2, 8), mg.nn.BatchNorm1d(8), mg.nn.ReLU(), mg.nn.Linear(8, 2))
    D = mg.nn.Sequential(mg.nn.Linear(2, 8), mg.nn.LeakyReLU(0.2), mg.nn.Dropout(0.1), mg.nn.Linear(8, 1))
    settings = {
        "loss": losses.nonsaturating,
        "latent": mg.gan.uniform_latent(2),
        "generator_optimizer": mg.optim.Adam(G.parameters(), 1e-3),
        "discriminator_optimizer": mg.optim.RMSProp(D.parameters(), 1e-3),
        "seed": seed,
    }
    return mg.gan.ScoreGame(G, D, **{**settings, **options})


def points(k):
    return Tensor(np.random.default_rng(k).standard_normal((16, 2)).astype("float32"))


def test_each_turn_moves_its_own_player():
    game = toy(schedule=[Turn("discriminator_turn")])
    before = numbers(game)
    game.play(points)
    changed = {k for k, v in numbers(game).items() if not np.array_equal(v, before[k])}
    assert {k for k in changed if k.startswith("discriminator.")} == {
        *["discriminator.0.weight", "discriminator.0.bias", "discriminator.3.weight", "discriminator.3.bias"]
    }
    statistics = {"running_mean", "running_var", "num_batches_tracked"}  # which sampling moves
    assert {k for k in changed if k.startswith("generator")} == {f"generator.1.{name}" for name in statistics}

    game = toy()
    before = numbers(game)
    take(game, "generator_turn", points(0))
    changed = {k for k, v in numbers(game).items() if not np.array_equal(v, before[k])}
    assert not any(k.startswith("discriminator") for k in changed)
    assert "generator.0.weight" in changed


def test_a_step_reports_losses_and_scores():
    results = toy().play(points)
    assert list(results) == ["d_loss", "d_real", "d_fake", "g_loss"]
    assert all(v.shape == () and v.node is None for v in results.values())
    assert 0 < results["d_real"].item() < 1
    raw = toy(loss=losses.wasserstein, penalty=penalties.gradient_penalty).play(points)
    assert list(raw) == ["d_loss", "d_real", "d_fake", "penalty", "g_loss"]
    assert raw["d_loss"].item() == pytest.approx(
        raw["d_fake"].item() - raw["d_real"].item() + 10 * raw["penalty"].item(), rel=1e-4
    )


def test_clip_is_applied_after_each_discriminator_step():
    game = toy(loss=losses.wasserstein, moves=Moves(clip=0.01))
    game.play(points)
    assert max(np.abs(p.numpy()).max() for p in game.discriminator.parameters()) <= np.float32(0.01)


def test_both_limits_hold_after_each_discriminator_step():
    game = toy(moves=Moves(clip=0.3, max_norm=0.35))
    for p in game.discriminator.parameters():
        p.copy_(p * 10)
    game.play(points)
    for p in game.discriminator.parameters():
        assert np.abs(p.numpy()).max() <= np.float32(0.3)
        assert p.ndim < 2 or np.linalg.norm(p.numpy(), axis=1).max() <= 0.35001


def test_schedules_draw_fresh_or_reused_batches_and_noise():
    asked, drawn = [], []

    def batch_at(k):
        asked.append(k)
        return points(k)

    game = toy(schedule=alternate(d_steps=3, g_steps=2))
    latent = game.latent
    game.latent = lambda n, rng: drawn.append(rng.step) or latent(n, rng)
    game.play(batch_at)
    game.play(batch_at)
    assert asked == [0, 1, 2, 3, 4, 5]
    assert drawn == list(range(10))

    asked.clear()
    drawn.clear()
    again = Turn("discriminator_turn", fresh_batch=False, fresh_noise=False)
    game = toy(schedule=[Turn("discriminator_turn"), again, Turn("generator_turn", False, False)])
    game.latent = lambda n, rng: drawn.append(rng.step) or latent(n, rng)
    game.play(batch_at)
    game.play(batch_at)
    assert asked == [0, 1]
    assert drawn == [0, 0, 0, 3, 3, 3]

    drawn.clear()
    game = toy(schedule=[*alternate(d_steps=2)[:2], Turn("generator_turn", False, False)])
    game.latent = lambda n, rng: drawn.append(rng.step) or latent(n, rng)
    game.play(batch_at)
    game.play(batch_at)
    assert drawn == [0, 1, 1, 3, 4, 4]  # the noise of the turn before


def test_turns_with_the_same_noise_draw_other_numbers_themselves():
    drawn = []

    def penalty(critic, real, fake, *, rng):
        drawn.append(rng.uniform(2).tolist())
        return mg.mean(critic(real)) * 0

    again = Turn("discriminator_turn", fresh_batch=False, fresh_noise=False)
    game = toy(schedule=[Turn("discriminator_turn"), again, Turn("generator_turn", False)], penalty=penalty)
    game.play(points)
    game.play(points)
    assert len({tuple(numbers) for numbers in drawn}) == 4


def test_the_state_is_everything_and_a_copy_of_it_continues_exactly():
    game = toy(ema=None)
    for _ in range(3):
        game.play(points)
    saved = numbers(game)
    expected = [game.play(points)["g_loss"].item() for _ in range(3)]
    other = toy(seed=0)
    other.load_state(saved)
    assert [other.play(points)["g_loss"].item() for _ in range(3)] == expected
    for k, v in numbers(game).items():
        assert np.array_equal(v, numbers(other)[k]), k


def test_state_follows_the_players():
    game = toy()
    game.generator.to(dtype="float64")
    assert game.state["generator.0.weight"].dtype == np.float64
    other = toy(seed=1)
    other.load_state(toy().state)  # tensors are taken as arrays are
    assert np.array_equal(other.generator[0].weight.numpy(), toy().generator[0].weight.numpy())


def test_schedules_set_the_rate_before_each_round():
    game = toy()
    game.schedules = [mg.optim.Schedule(game.optimizers["generator"], mg.optim.step_decay(2, 0.5))]
    rates = []
    for _ in range(4):
        game.play(points)
        rates.append(game.optimizers["generator"].lr)
    assert rates == pytest.approx([1e-3, 1e-3, 5e-4, 5e-4])


def test_state_names():
    game = toy()
    keys = set(game.state)
    assert {"step", "generator.0.weight", "generator.1.running_mean", "discriminator.3.bias"} <= keys
    assert {"generator_optimizer.exp_avg.0", "generator_optimizer.t", "discriminator_optimizer.lr"} <= keys
    mg.random.seed(0)
    averaged = mg.gan.ScoreGame(
        game.generator,
        game.discriminator,
        loss=losses.hinge,
        latent=game.latent,
        generator_optimizer=mg.optim.Adam(game.generator.parameters()),
        discriminator_optimizer=mg.optim.Adam(game.discriminator.parameters()),
        ema=mg.optim.EMA(game.generator),
    )
    assert "ema.0.weight" in averaged.state


def test_another_games_state_is_refused_and_nothing_is_copied():
    game = toy()
    before = numbers(game)
    saved = {**before, "step": np.array(9)}
    del saved["generator.0.weight"]
    with pytest.raises(mg.errors.CheckpointError, match=r"load_state of ScoreGame: generator\.0\.weight is missing$"):
        game.load_state(saved)
    for key, value in (("step", 9.5), ("discriminator.3.bias", ["x"]), ("generator_optimizer.t", "9")):
        wrong = {**{k: v + 1 for k, v in before.items()}, key: np.full(before[key].shape, value)}
        with pytest.raises(mg.errors.CheckpointError, match=f"load_state of ScoreGame: {key} is of"):
            game.load_state(wrong)
    assert all(np.array_equal(before[k], v) for k, v in numbers(game).items())
    assert game.rounds == 0


def test_samples_are_fixed_and_leave_the_game_alone():
    game = toy(ema=None)
    game.play(points)
    before = numbers(game)
    first, second = game.sample(5).numpy(), game.sample(5).numpy()
    assert np.array_equal(first, second)
    assert game.generator.training
    assert all(np.array_equal(v, before[k]) for k, v in numbers(game).items())
    assert not np.array_equal(first, game.sample(5, at=1).numpy())


def test_samples_of_a_generator_that_draws_are_fixed_too():
    game = toy()
    game.generator = game.players["generator"] = mg.nn.Sequential(mg.nn.Linear(2, 8), mg.nn.Dropout(0.5, always=True))
    mg.random.seed(5)
    expected = mg.random.default().uniform(3)
    mg.random.seed(5)
    first, second = game.sample(5).numpy(), game.sample(5).numpy()
    assert np.array_equal(first, second)
    assert (first == 0).any()
    assert np.array_equal(mg.random.default().uniform(3), expected)


def test_samples_come_from_the_average_if_there_is_one():
    mg.random.seed(0)
    game = toy()
    ema = mg.optim.EMA(game.generator, 0.0)
    game.ema = ema
    ema.update()
    plain = game.sample(4).numpy()
    for t in ema.parameters().values():
        t.copy_(mg.zeros_like(t))
    assert np.array_equal(game.sample(4).numpy(), np.zeros((4, 2)))
    game.ema = None
    assert np.array_equal(game.sample(4).numpy(), plain)


def test_wrong_games_are_refused():
    with pytest.raises(mg.errors.ShapeError, match=r"cannot train on an empty batch \(0, 2\)"):
        toy().play(lambda k: mg.zeros((0, 2)))
    with pytest.raises(mg.errors.ShapeError, match="nobodys_turn"):
        toy(schedule=[Turn("nobodys_turn")])
    with pytest.raises(mg.errors.ShapeError, match="begins with a fresh batch"):
        toy(schedule=[Turn("generator_turn", fresh_batch=False)])
    with pytest.raises(mg.errors.ShapeError, match="at least one turn"):
        alternate(0, 1)


# --- a whole step of the documents' networks -----------------------------------------------------------------------


def test_a_step_is_float32_throughout():
    seen = set()
    G, D = mg.models.wgan_gp28()
    game = mg.gan.ScoreGame(
        G,
        D,
        loss=losses.wasserstein,
        penalty=penalties.gradient_penalty,
        latent=mg.gan.normal_latent(96),
        generator_optimizer=mg.optim.Adam(G.parameters()),
        discriminator_optimizer=mg.optim.RMSProp(D.parameters()),
        moves=Moves(clip=0.1),
        ema=mg.optim.EMA(G),
    )
    images = np.random.default_rng(0).integers(0, 256, (8, 1, 28, 28)).astype("uint8")
    batches = mg.data.Batches(images, 8)
    with mg.observe(lambda op, args, out, order: seen.add((op.name, str(out.dtype)))):
        game.play(lambda k: Tensor(batches.at(k)))
    assert {dtype for _, dtype in seen} <= {"float32", "int64", "bool", "uint8"}
    assert {k for k, t in game.state.items() if t.dtype == np.float64} == {
        *["generator_optimizer.lr", "discriminator_optimizer.lr"]
    }


def test_every_image_of_a_step_is_channels_last():
    G, D = mg.models.dcgan28()
    game = mg.gan.ScoreGame(
        G,
        D,
        loss=losses.nonsaturating,
        latent=mg.gan.uniform_latent(96),
        generator_optimizer=mg.optim.Adam(G.parameters()),
        discriminator_optimizer=mg.optim.Adam(D.parameters()),
    )
    batches = mg.data.Batches(np.zeros((4, 1, 28, 28), "uint8"), 4)
    stray = []

    def look(op, args, out, order):
        if out.ndim == 4 and op.name != "broadcast_to" and not out.data.transpose(0, 2, 3, 1).flags.c_contiguous:
            stray.append((op.name, order, out.shape))

    with mg.observe(look):
        game.play(lambda k: Tensor(batches.at(k)))
    assert stray == []
