"""Penalties against closed forms, where a gradient is zero, and to second order; limits to weights."""

from functools import partial

import numpy as np
import pytest

import minigan as mg
from minigan.gan import penalties
from minigan.tensor import Tensor


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
    "approximated_r1": (penalties.approximated_r1, {}, 0.0, None),
    "approximated_r2": (penalties.approximated_r2, {}, 0.0, None),
    "approximated_r1_r2": (penalties.approximated_r1_r2, {}, 0.0, None),
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


APPROXIMATED = {"approximated_r1": penalties.r1, "approximated_r2": penalties.r2, "approximated_r1_r2": penalties.r1_r2}


def bent(rng):
    """A critic that is smooth, of several scores a sample, and samples of which there are as many as draws."""
    w1, w2 = (Tensor(rng.standard_normal(shape)) for shape in ((12, 5), (5, 2)))
    real, fake = (Tensor(np.repeat(rng.standard_normal((1, 3, 2, 2)), 20_000, 0)) for _ in range(2))
    return (lambda x: mg.tanh(x.reshape(len(x), 12) @ w1 * 0.3) @ w2), real, fake


@pytest.mark.parametrize("name", APPROXIMATED)
def test_approximated_penalties_tend_to_the_exact_ones(name, rng):
    critic, real, fake = bent(rng)
    approximated, exact = penalties.PENALTIES[name], APPROXIMATED[name](critic, real[:1], fake[:1]).item()
    found = approximated(critic, real, fake, rng=mg.random.Stream(0), sigma=1e-4).item()
    # (e . g)^2 has the deviation sqrt(2) |g|^2, a fiftieth of the mean of 20 000 draws at five deviations
    assert found == pytest.approx(exact, rel=0.05)
    assert approximated(critic, real, fake, rng=mg.random.Stream(0)).item() == pytest.approx(found, rel=1e-2)
    assert approximated(critic, real, fake, rng=mg.random.Stream(0), sigma=3.0).item() < 0.8 * exact  # tanh is bounded
    count = 2 if name == "approximated_r1_r2" else 1
    more = approximated(critic, real, fake, rng=mg.random.Stream(0), sigma=1e-4, eps=0.5).item()
    assert more - found == pytest.approx(0.5 * count, rel=1e-9)


def test_the_approximated_penalties_slope_tends_to_that_of_the_exact_one(rng):
    w, x = Tensor(rng.standard_normal((12, 1))), Tensor(np.zeros((100_000, 12)))
    slopes = [
        mg.grad(penalty(lambda x: mg.tanh(x @ w), x, x, rng=mg.random.Stream(0)), w).numpy()
        for penalty in (penalties.approximated_r1, penalties.r1)
    ]
    np.testing.assert_allclose(slopes[0], slopes[1], atol=0.03 * np.abs(slopes[1]).max())


@pytest.mark.parametrize("name", APPROXIMATED)
def test_approximated_penalties_are_the_formula_of_their_draws(name, rng):
    w = rng.standard_normal((12, 2))
    real, fake = (rng.standard_normal((5, 3, 2, 2)) for _ in range(2))

    def scores(x):
        return np.tanh(x.reshape(5, 12) @ w)

    draws, expected = mg.random.Stream(2), 0.0
    for letter, x in (("1", real), ("2", fake)):
        if letter in name.replace("approximated_", ""):
            e = draws.normal((5, 3, 2, 2), dtype="float64")
            expected += ((scores(x + 0.2 * e) - scores(x)).mean(1) ** 2).mean() / 0.2**2
    critic = [lambda x: mg.tanh(x.reshape(5, 12) @ Tensor(w)), Tensor(real), Tensor(fake)]
    value = penalties.PENALTIES[name](*critic, rng=mg.random.Stream(2), sigma=0.2)
    assert value.item() == pytest.approx(expected, rel=1e-10)
    for wrong in (0, -1, np.nan):
        with pytest.raises(mg.errors.ShapeError, match=f"approximated_r[12]: sigma: expected .* > 0, got {wrong}"):
            penalties.PENALTIES[name](*critic, sigma=wrong)


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
