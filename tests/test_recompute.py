"""Blocks that are computed again for their gradient: it is the one of the same function without a block."""

import gc
import tracemalloc

import numpy as np
import pytest

import minigan as mg
from minigan import nn
from minigan.errors import DTypeError, GraphError
from minigan.testing import gradcheck


@pytest.fixture
def numbers(rng):
    return lambda *shape: mg.tensor(rng.standard_normal(shape))


def same(xs, ys, within=1e-12):
    for x, y in zip(xs, ys, strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=within, atol=within)


def equal(xs, ys):
    return all(np.array_equal(x.numpy(), y.numpy()) for x, y in zip(xs, ys, strict=True))


def curved(w):
    return lambda x: mg.tanh(x @ w) * mg.exp(-mg.square(x).sum(axis=1, keepdims=True))


def test_gradients_of_every_order_for_arguments_and_for_what_is_read_beside_them(numbers):
    def derivatives(wrap):
        x, w = (mg.tensor(a) for a in start)
        fn = wrap(curved(w))
        y = fn(fn(x) + x)
        found = []
        for _ in range(3):
            y, at_w = mg.grad(y.sum(), [x, w], create_graph=True)
            found += [y, at_w]
            y = y * x + mg.square(y)
        return found

    start = numbers(5, 4), numbers(4, 4)
    same(derivatives(mg.checkpoint), derivatives(lambda fn: fn), 1e-10)


def test_to_second_order_by_finite_differences(numbers):
    gradcheck(mg.checkpoint(lambda x, w: mg.sigmoid(x @ w)), [numbers(3, 2), numbers(2, 2)], order=2)


def critic(activation=nn.LeakyReLU, norm=None, draws=True):
    mg.random.seed(3)
    blocks = [nn.Conv2d(2, 8, 3, 1, 1)]
    for _ in range(3):
        layers = [nn.Conv2d(8, 8, 3, 1, 1), *([norm()] if norm else []), activation()]
        blocks.append(nn.Sequential(*layers, *([nn.Dropout(0.3)] if draws else [])))
    return nn.Sequential(*blocks, nn.Sequential(nn.Flatten(), nn.Linear(8 * 36, 1)))


def penalized(D):
    """The gradients of a critic's loss with a gradient penalty, for three passes."""
    mg.random.seed(7)
    real, fake, between = (mg.tensor(mg.random.default().normal((4, 2, 6, 6))) for _ in range(3))
    slope = mg.grad(D(between).sum(), between, create_graph=True)
    penalty = mg.square(mg.sqrt(mg.square(slope).sum(axis=(1, 2, 3))) - 1).mean()
    loss = D(fake).mean() - D(real).mean() + 10 * penalty
    return [loss, *mg.grad(loss, D.parameters()), mg.tensor(mg.random.default().uniform(4))]


def in_blocks(network):
    for block in network:
        nn.checkpointed(block)
    return network


def test_a_gradient_penalty_to_the_bit_where_the_critic_is_piecewise_linear():
    assert equal(penalized(in_blocks(critic())), penalized(critic()))


@pytest.mark.parametrize("activation", [nn.Softplus, nn.Tanh])
@pytest.mark.parametrize("norm", [None, lambda: nn.GroupNorm(2, 8)])
def test_a_gradient_penalty_up_to_rounding_elsewhere(activation, norm):
    plain = penalized(critic(activation, norm))
    for mine, expected in zip(penalized(in_blocks(critic(activation, norm))), plain, strict=True):
        largest = np.abs(expected.numpy()).max()
        np.testing.assert_allclose(mine.numpy(), expected.numpy(), rtol=0, atol=2e-6 * largest + 1e-7)


def test_running_statistics_move_once(numbers):
    plain, again = (critic(norm=lambda: nn.BatchNorm2d(8), draws=False) for _ in range(2))
    in_blocks(again)
    x = numbers(4, 2, 6, 6).astype("float32")
    found = [mg.grad(mg.square(D(x) + D(-x)).mean(), D.parameters()) for D in (plain, again)]
    assert equal(*found)
    assert equal(plain.state_dict().values(), again.state_dict().values())


def test_singular_vectors_are_those_of_each_pass(numbers):
    """The second pass moves them before the gradient of the first is taken."""
    plain, again = (critic(draws=False) for _ in range(2))
    for D in (plain, again):
        mg.random.seed(5)
        for module in list(D.modules()):
            if isinstance(module, nn.Conv2d):
                nn.spectral_norm(module)
    in_blocks(again)
    x = numbers(4, 2, 6, 6)
    same(
        *(
            mg.grad((D(x) - D(-x)).mean(), D.parameters())
            for D in (plain.to(dtype="float64"), again.to(dtype="float64"))
        )
    )
    assert equal(plain.state_dict().values(), again.state_dict().values())


def test_blocks_within_blocks():
    outer = nn.Sequential(*(nn.Sequential(block) for block in in_blocks(critic())))
    assert equal(penalized(in_blocks(outer)), penalized(critic()))


def test_other_parameters_for_a_call(numbers):
    """Those that a step of an optimizer has made, through which gradients flow: the unrolled game's."""

    def through_a_step(D):
        x = numbers_of(4, 2, 6, 6)
        optimizer = mg.optim.Adam(D.parameters(), 1e-2)
        first = mg.grad(mg.square(D(x)).mean(), D.parameters(), create_graph=True)
        moved, _ = optimizer.functional_step(D.parameters(), first)
        return mg.grad(nn.functional_call(D, moved, x).mean(), D.parameters())

    def numbers_of(*shape):
        return mg.tensor(np.random.default_rng(0).standard_normal(shape).astype("float32"))

    plain, again = through_a_step(critic(draws=False)), through_a_step(in_blocks(critic(draws=False)))
    for mine, expected in zip(again, plain, strict=True):
        np.testing.assert_allclose(mine.numpy(), expected.numpy(), rtol=1e-4, atol=1e-7)


def test_a_gradient_that_is_taken_with_other_parameters_is_refused(numbers):
    D = in_blocks(critic(draws=False))
    x = numbers(4, 2, 6, 6).astype("float32")
    score = D(x).mean()
    others = [p * 2 for p in D.parameters()]

    class Within(nn.Module):
        def forward(self):
            return mg.grad(score, x)

    within = Within()
    within.D = D
    with pytest.raises(GraphError, match="within a functional_call that the function itself was not within"):
        nn.functional_call(within, others)


def test_what_is_read_beside_the_arguments_and_is_made_of_each_other(numbers):
    """Nothing flows twice: from s to t outside of the block, and from both into it."""
    s = numbers(3)

    def derivative(wrap):
        t = mg.sin(s)
        return mg.grad(wrap(lambda x: x * t + mg.square(s) * t)(s * 2).sum(), s)

    same([derivative(mg.checkpoint)], [derivative(lambda fn: fn)])


def test_several_results(numbers):
    x = numbers(3, 4)

    def derivatives(wrap):
        fn = wrap(lambda x: (mg.exp(x), mg.sum(x * x, 1), x[:, :0]))
        a, b, empty = fn(x)
        assert (a.shape, b.shape, empty.shape) == ((3, 4), (3,), (3, 0))
        first = mg.grad((a.sum(axis=1) * b).sum() + empty.sum(), x, create_graph=True)
        return [first, mg.grad(mg.square(first).sum(), x)]

    same(derivatives(mg.checkpoint), derivatives(lambda fn: fn))


def test_results_that_nothing_is_computed_for(numbers):
    x, labels = numbers(3), mg.tensor([1, 2])
    assert mg.checkpoint(lambda x: x)(x) is x
    assert mg.checkpoint(lambda t: t + 1)(labels).numpy().tolist() == [2, 3]
    assert mg.checkpoint(lambda x: ())(x) == ()
    y = mg.checkpoint(lambda x: mg.sign(x) * 2)(x)  # depends on x, with derivative zero
    assert mg.grad(y.sum(), x).numpy().tolist() == [0, 0, 0]
    assert mg.grad(mg.grad((y * x).sum(), x, create_graph=True).sum() + x.sum(), x).numpy().tolist() == [1, 1, 1]


def test_nothing_is_recorded_where_nothing_is_to_be(numbers):
    calls = []
    fn = mg.checkpoint(lambda x: calls.append(1) or mg.exp(x))
    with mg.no_grad():
        assert fn(numbers(3)).node is None
    y = fn(x := numbers(3))
    assert len(calls) == 2
    mg.grad(y.sum(), x)
    assert len(calls) == 3


def test_it_is_told_what_is_given_back_that_is_no_tensor(numbers):
    for result in (None, [1], np.ones(2), (numbers(2), 3)):
        with pytest.raises(DTypeError, match="checkpoint: expected a Tensor, or a tuple of Tensors of one type, got"):
            mg.checkpoint(lambda x, result=result: result)(numbers(2))


def test_what_was_changed_in_between_is_named(numbers):
    layer = nn.Linear(4, 4)
    layer.rename("critic")
    x = numbers(2, 4).astype("float32")
    y = nn.checkpointed(layer)(x)
    mg.optim.SGD(layer.parameters(), 0.1).minimize(mg.square(layer(x)).sum())
    with pytest.raises(GraphError, match=r"gradient of checkpoint: critic\.(weight|bias) was changed in place by SGD"):
        mg.grad(y.sum(), x)


def test_a_bias_that_was_changed_is_noticed_too(numbers):
    """No rule of an op reads it, but doing it again does."""
    bias = nn.Parameter(np.ones(3))
    x = numbers(2, 3)
    y = mg.checkpoint(lambda x: mg.relu(x + bias))(x)
    bias.copy_(np.zeros(3))
    with pytest.raises(GraphError, match="was changed in place by copy_"):
        mg.grad(y.sum(), x)


def test_functions_that_are_not_the_same_twice_are_refused(numbers):
    count, x = nn.Parameter(np.zeros(3)), numbers(3)

    def counting(x):
        count.copy_(count.numpy() + 1)
        return mg.exp(x)

    y = mg.checkpoint(counting)(x)
    with pytest.raises(GraphError, match=r"changes a Tensor in place \(copy_\)"):
        mg.grad(y.sum(), x)

    times = iter((1, 2))
    y = mg.checkpoint(
        lambda x: sum(x * mg.tensor(mg.random.default().normal(3, dtype="float64")) for _ in range(next(times)))
    )(x)
    with pytest.raises(GraphError, match="draws numbers that it did not draw before"):
        mg.grad(y.sum(), x)

    weights = iter((p := nn.Parameter(np.ones(3)), nn.Parameter(np.ones(3))))
    y = mg.checkpoint(lambda x: x * next(weights))(x)
    with pytest.raises(GraphError, match="reads other Tensors than it did before"):
        mg.grad(y.sum(), p)


class Residual(nn.Module):
    def __init__(self, channels):
        self.first, self.second = (nn.Conv2d(channels, channels, 3, 1, 1) for _ in range(2))

    def forward(self, x):
        return x + self.second(mg.leaky_relu(self.first(mg.leaky_relu(x, 0.2)), 0.2)) * 0.3


def peak(network, step, x):
    """(bytes above what is there before, gradients) of a step."""
    gc.collect()
    mg.empty_cache()  # memory that is kept for later was counted when it was taken
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        found = step(network, x)
        return tracemalloc.get_traced_memory()[1] - before, found
    finally:
        tracemalloc.stop()


def loss_alone(D, x):
    return mg.grad(mg.square(D(x)).mean(), D.parameters())


def with_penalty(D, x):
    slope = mg.grad(D(x).sum(), x, create_graph=True)
    return mg.grad(mg.square(slope).sum() - D(x).mean(), D.parameters())


@pytest.mark.parametrize("step", [loss_alone, with_penalty])
def test_a_deep_network_takes_half_of_the_memory_and_gives_the_same_bits(step, rng):
    mg.random.seed(0)
    blocks = [nn.Sequential(*(Residual(4) for _ in range(4))) for _ in range(6)]
    D = nn.Sequential(nn.Conv2d(1, 4, 3, 1, 1), *blocks, nn.Flatten(), nn.Linear(4 * 32 * 32, 1))
    x = mg.tensor(rng.standard_normal((8, 1, 32, 32)).astype("float32"))
    plain, expected = peak(D, step, x)
    for block in blocks:
        nn.checkpointed(block)
    less, found = peak(D, step, x)
    assert equal(found, expected)
    assert less < plain / 2, f"{less / plain:.2f} of {plain / 1e6:.0f} MB"


def test_captured_as_played(rng):
    def losses(wrap):
        mg.random.seed(0)
        G = nn.Sequential(nn.Linear(2, 16), wrap(nn.Sequential(nn.LeakyReLU(0.2), nn.Linear(16, 2))))
        D = nn.Sequential(wrap(nn.Sequential(nn.Linear(2, 16), nn.Dropout(0.2), nn.LeakyReLU(0.2))), nn.Linear(16, 1))
        game = mg.gan.ScoreGame(
            G,
            D,
            loss=mg.gan.losses.wasserstein,
            penalty=mg.gan.penalties.gradient_penalty,
            latent=mg.gan.normal_latent(2),
            generator_optimizer=mg.optim.Adam(G.parameters(), 1e-2),
            discriminator_optimizer=mg.optim.Adam(D.parameters(), 1e-2),
        )
        batches = lambda index: points
        return [game.play(batches)["d_loss"].item() for _ in range(8)], game.state

    points = rng.standard_normal((64, 2)).astype("float32")
    (plain, weights), (again, others) = losses(lambda layer: layer), losses(nn.checkpointed)
    assert again == plain
    assert equal(weights.values(), others.values())


def test_who_looks_at_a_tape_sees_what_is_done_again(numbers):
    seen = []
    x = numbers(3)
    with mg.observe(lambda op, args, result, order: seen.append((op.name, order))):
        mg.grad(mg.checkpoint(mg.tanh)(x).sum(), x)
    assert seen.count(("tanh", 0)) == 2
