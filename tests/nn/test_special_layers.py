"""Layers whose weight is computed, that look at a whole batch or at labels: what they do to networks and games."""

import copy

import numpy as np
import pytest

import minigan as mg
from minigan import nn

LAYERS = [
    (lambda: nn.Linear(5, 3), (4, 5)),
    (lambda: nn.Conv2d(2, 3, 2), (2, 2, 3, 4)),
    (lambda: nn.ConvTranspose2d(2, 3, 2, 2), (2, 2, 3, 2)),
]


def singular_values(layer):
    """Of the weight that the layer computes, as a matrix."""
    with mg.no_grad():
        w = layer.weight.numpy()
    return np.linalg.svd((w.swapaxes(0, 1) if isinstance(layer, nn.ConvTranspose2d) else w).reshape(3, -1))[1]


@pytest.mark.parametrize(("make", "shape"), LAYERS)
def test_spectral_norm_makes_the_largest_singular_value_one(make, shape, rng):
    layer = nn.spectral_norm(make())
    x = mg.tensor(rng.standard_normal(shape).astype("float32"))
    for _ in range(100):
        layer(x)
    assert singular_values(layer)[0] == pytest.approx(1, abs=1e-4)
    assert isinstance(layer, type(make()))
    assert "SpectralNorm" in repr(layer)
    assert sorted(layer.state_dict()) == ["bias", "weight_orig", "weight_u", "weight_v"]
    assert [p.shape for p in layer.parameters()] == [make().bias.shape, make().weight.shape]


@pytest.mark.parametrize("normalize", [nn.spectral_norm, nn.weight_norm])
@pytest.mark.parametrize(("make", "shape"), LAYERS)
def test_computed_weights_to_second_order(make, shape, normalize, rng):
    layer = normalize(make().to(dtype="float64")).eval()  # in training the vectors move between the differences
    params = [mg.tensor(p.numpy()) for p in layer.parameters()]
    x = mg.tensor(rng.standard_normal(shape))
    mg.testing.gradcheck(lambda x, *ps: mg.tanh(nn.functional_call(layer, list(ps), x)), [x, *params], rtol=1e-5)


def test_a_training_forward_iterates_once_and_looking_does_not(rng):
    layer = nn.spectral_norm(nn.Linear(5, 3))
    w, u = layer.weight_orig.numpy(), layer.weight_u.numpy()
    before = layer.weight.numpy()
    repr(layer)
    layer.eval()(mg.ones((2, 5)))
    assert np.array_equal(layer.weight_u.numpy(), u)
    assert np.array_equal(layer.weight.numpy(), before)
    layer.train()(mg.ones((2, 5)))
    v = u @ w / np.linalg.norm(u @ w)
    np.testing.assert_allclose(layer.weight_v.numpy(), v, rtol=1e-5)
    np.testing.assert_allclose(layer.weight_u.numpy(), w @ v / np.linalg.norm(w @ v), rtol=1e-5)
    assert "weight" not in vars(layer)  # nothing keeps the last graph alive


def test_a_second_forward_does_not_spoil_the_first_ones_gradient(rng):
    net = nn.Sequential(nn.spectral_norm(nn.Linear(4, 4)), nn.Tanh(), nn.spectral_norm(nn.Linear(4, 1)))
    x = mg.tensor(rng.standard_normal((3, 4)).astype("float32"))
    alone = copy.deepcopy(net)
    expected = mg.grad(mg.sum(alone(x)), alone.parameters())
    y = mg.sum(net(x))
    net(-x)
    for a, b in zip(mg.grad(y, net.parameters()), expected, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_weight_norm_keeps_the_weight_and_gives_it_a_length(rng):
    layer = nn.Conv2d(2, 3, 2)
    before = layer.weight.numpy()
    nn.weight_norm(layer)
    np.testing.assert_allclose(layer.weight.numpy(), before, rtol=1e-5)
    nn.init.constant_(layer.weight_g, 2.0)
    np.testing.assert_allclose((layer.weight.numpy() ** 2).sum((1, 2, 3)), 4, rtol=1e-5)


def test_a_computed_weight_is_not_written_to():
    for layer in (nn.spectral_norm(nn.Linear(3, 2)), nn.weight_norm(nn.Linear(3, 2))):
        with pytest.raises(mg.errors.GraphError, match="cannot write in place into the result of"):
            nn.init.zeros_(layer.weight)
        with pytest.raises(mg.errors.GraphError, match=r"Linear\.weight is computed"):
            layer.weight = nn.Parameter(np.zeros((2, 3)))
        with pytest.raises(AttributeError, match="no attribute 'wieght'"):
            layer.wieght  # noqa: B018
        with pytest.raises(mg.errors.ShapeError, match="has none of its own"):
            nn.spectral_norm(layer)


def test_the_vectors_of_one_forward_are_its_own(rng):
    """An evaluation forward reads the buffers; the training forward after it writes them; then the first's gradient."""
    layer = nn.spectral_norm(nn.Linear(4, 3))
    x = mg.tensor(rng.standard_normal((2, 4)).astype("float32"))
    layer.eval()
    expected = mg.grad(mg.sum(layer(x)), layer.weight_orig).numpy()
    y = mg.sum(layer(x))
    layer.train()(x)
    np.testing.assert_array_equal(mg.grad(y, layer.weight_orig).numpy(), expected)


def test_the_gradient_takes_the_vectors_for_constants(rng):
    """d (W / sigma) with sigma = u^T W v, u and v held (Miyato et al. 2018, equation 12), in training too."""
    layer = nn.spectral_norm(nn.Linear(4, 3).to(dtype="float64"))
    w, x = layer.weight_orig.numpy(), rng.standard_normal((2, 4))
    slope = mg.grad(mg.sum(layer(mg.tensor(x))), layer.weight_orig).numpy()
    u, v = layer.weight_u.numpy(), layer.weight_v.numpy()
    sigma = u @ w @ v
    g = np.ones((2, 3)).T @ x
    np.testing.assert_allclose(slope, g / sigma - (g * w).sum() / sigma**2 * np.outer(u, v), rtol=1e-10)


def test_a_negative_axis_counts_from_the_last():
    for normalize in (nn.spectral_norm, nn.weight_norm):
        first, second = nn.Linear(4, 3), nn.Linear(4, 3)
        second.load_state_dict(first.state_dict())
        mg.random.seed(0)
        normalize(first, dim=1)
        mg.random.seed(0)
        normalize(second, dim=-1)
        for name, t in first.state_dict().items():
            np.testing.assert_array_equal(t.numpy(), second.state_dict()[name].numpy())
        np.testing.assert_array_equal(first(mg.ones((1, 4))).numpy(), second(mg.ones((1, 4))).numpy())


def spectral_game():
    mg.random.seed(3)
    G = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.PReLU(8), nn.weight_norm(nn.Linear(8, 4)))
    D = nn.Sequential(
        *[nn.spectral_norm(nn.Linear(4, 8)), nn.LeakyReLU(0.1), nn.MinibatchStdDev(), nn.spectral_norm(nn.Linear(9, 1))]
    )
    return mg.gan.ScoreGame(
        G,
        D,
        loss=mg.gan.losses.nonsaturating,
        penalty=mg.gan.penalties.gradient_penalty,
        latent=mg.gan.normal_latent(2),
        generator_optimizer=mg.optim.Adam(G.parameters(), 1e-2),
        discriminator_optimizer=mg.optim.Adam(D.parameters(), 1e-2),
        ema=mg.optim.EMA(G, 0.5),
    )


def test_a_game_with_them_moves_everything_and_resumes_exactly():
    def batch(k):
        return mg.tensor(np.random.default_rng(k).standard_normal((8, 4)).astype("float32"))

    game, other = spectral_game(), spectral_game()
    start = {k: v.numpy() for k, v in game.state.items()}
    for _ in range(2):
        game.play(batch)
    still = {k for k, v in game.state.items() if np.array_equal(v.numpy(), start[k]) and not k.endswith(".lr")}
    assert still == {"discriminator.3.weight_u"}  # of one row: it is 1 or -1
    other.load_state({k: v.numpy() for k, v in game.state.items()})
    for _ in range(2):
        ours, theirs = game.play(batch), other.play(batch)
        assert {k: v.item() for k, v in ours.items()} == {k: v.item() for k, v in theirs.items()}
    for k, v in game.state.items():
        assert np.array_equal(v.numpy(), other.state[k].numpy()), k
    assert np.array_equal(game.sample(3).numpy(), other.sample(3).numpy())


@pytest.mark.parametrize("shape", [(8, 3, 2, 2), (8, 5), (4, 6), (2, 3)])
def test_minibatch_standard_deviation(shape, rng):
    x = rng.standard_normal(shape)
    y = nn.MinibatchStdDev(4)(mg.tensor(x)).numpy()
    assert y.shape == (shape[0], shape[1] + 1, *shape[2:])
    assert np.array_equal(y[:, :-1], x)
    groups = max(shape[0] // 4, 1)
    for k in range(shape[0]):
        group = x[k % groups :: groups]
        np.testing.assert_allclose(y[k, -1], np.sqrt(group.var(0) + 1e-8).mean(), rtol=1e-12)
    assert not nn.MinibatchStdDev()(mg.ones((4, 3))).numpy()[:, -1].max() > 1.1e-4  # nothing differs


def test_batch_layers_to_second_order(rng):
    x = mg.tensor(rng.standard_normal((4, 3, 2, 2)))
    mg.testing.gradcheck(nn.MinibatchStdDev(2), [x])
    mg.testing.gradcheck(nn.MinibatchStdDev(2), [mg.tensor(rng.standard_normal((4, 3)))])


def test_conditional_batch_norm(rng):
    layer = nn.ConditionalBatchNorm2d(3, 5)
    assert {k: v.shape for k, v in layer.state_dict().items() if k.endswith("weight")} == {
        "gain.weight": (5, 3),
        "bias.weight": (5, 3),
    }
    assert layer.num_parameters() == 2 * 5 * 3
    x = mg.tensor((rng.standard_normal((4, 3, 2, 5)) * 3 + 1).astype("float32"))
    labels = mg.tensor([4, 0, 0, 2])
    plain = nn.BatchNorm2d(3, affine=False)
    expected = plain(x).numpy()
    np.testing.assert_array_equal(layer(x, labels).numpy(), expected)
    gain, bias = rng.standard_normal((2, 5, 3)).astype("float32")
    layer.load_state_dict({**layer.state_dict(), "gain.weight": gain, "bias.weight": bias})
    of_each = [t[labels.numpy()][:, :, None, None] for t in (gain, bias)]
    np.testing.assert_allclose(layer(x, labels).numpy(), expected * of_each[0] + of_each[1], rtol=1e-5, atol=1e-6)
    layer.eval()
    y = layer(x[:1], labels[:1]).numpy()
    np.testing.assert_allclose(layer(x, labels).numpy()[:1], y, rtol=1e-5)  # no neighbours, running statistics
    layer = layer.train().to(dtype="float64")
    x, params = mg.tensor(x.numpy().astype("float64")), [mg.tensor(p.numpy()) for p in layer.parameters()]
    mg.testing.gradcheck(
        lambda x, *ps: mg.tanh(nn.functional_call(layer, list(ps), x, labels)), [x, *params], rtol=1e-5
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.PReLU(3)(mg.ones((2, 4))), r"expected 3 channels on axis 1, got \(2, 4\)"),
        (lambda: nn.MinibatchStdDev(4)(mg.ones((6, 3))), r"batch of shape \(6, 3\) does not split into groups of 4"),
        (lambda: nn.MinibatchStdDev(0), "group_size: expected an integer >= 1, got 0"),
        (lambda: nn.spectral_norm(nn.ReLU()), "none of its own"),
        (lambda: nn.spectral_norm(nn.Linear), "none of its own"),
        (lambda: nn.spectral_norm(nn.Linear(3, 2), 0), "n_power_iterations: expected an integer >= 1, got 0"),
        (lambda: nn.spectral_norm(nn.Linear(3, 2), eps=-1e-9), "spectral_norm: eps: expected a finite number >= 0"),
        (lambda: nn.spectral_norm(nn.Linear(3, 2), dim=2), r"spectral_norm: a weight of shape \(2, 3\) has no axis 2"),
        (lambda: nn.weight_norm(nn.Linear(3, 2), dim=-3), r"weight_norm: a weight of shape \(2, 3\) has no axis -3"),
        (lambda: nn.weight_norm(nn.Linear(3, 2), dim=0.5), "weight_norm: dim: expected an integer, got 0.5"),
        (lambda: nn.GaussianNoise(-0.1), "GaussianNoise: std: expected a finite number >= 0, got -0.1"),
        (lambda: nn.GaussianNoise(float("nan")), "GaussianNoise: std"),
        (lambda: nn.MinibatchStdDev(2.5), "MinibatchStdDev: group_size"),
        (
            lambda: nn.ConditionalBatchNorm2d(3, 0),
            "ConditionalBatchNorm2d: num_classes: expected an integer >= 1, got 0",
        ),
        (
            lambda: nn.ConditionalBatchNorm2d(3, 5)(mg.ones((2, 3, 2, 2)), mg.tensor([1, 5])),
            "expected indices from 0 to 4, got 1 to 5",
        ),
        (lambda: nn.spectral_norm(nn.BatchNorm1d(3)), r"at least 2 axes, BatchNorm1d.* has \(3,\)"),
        (lambda: nn.weight_norm(nn.Flatten()), "weight_norm: expected a layer"),
        (
            lambda: nn.ConditionalBatchNorm2d(3, 5)(mg.ones((2, 3, 2, 2)), mg.tensor([1])),
            r"one integer label for each sample of \(2, 3, 2, 2\), got int64 \(1,\)",
        ),
    ],
)
def test_wrong_calls_are_named(call, message):
    with pytest.raises(mg.errors.ShapeError, match=message):
        call()
