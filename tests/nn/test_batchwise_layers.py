"""Minibatch discrimination and virtual batch norm: who depends on whom."""

import numpy as np
import pytest

import minigan as mg
from minigan import nn
from minigan.processes import Threads, using


def test_a_collapse_is_seen(rng):
    layer = nn.MinibatchDiscrimination(6, 4, 3, rng=mg.random.Stream(1))
    assert layer.T.numpy().std() == pytest.approx(6**-0.5, rel=0.2)
    x = rng.standard_normal((8, 6)).astype("float32")
    y = layer(mg.tensor(x)).numpy()
    assert np.array_equal(y[:, :6], x)
    alike = layer(mg.tensor(np.repeat(x[:1], 8, 0))).numpy()
    np.testing.assert_allclose(alike[:, 6:], 7, rtol=1e-6)
    assert (y[:, 6:] < 7).all()
    alone = layer(mg.tensor(x[:1])).numpy()
    np.testing.assert_allclose(alone[:, 6:], 0, atol=1e-6)


def test_it_is_the_sum_over_the_others(rng):
    layer = nn.MinibatchDiscrimination(3, 2, 4).to(dtype="float64")
    x = rng.standard_normal((5, 3))
    m = np.einsum("nf,fbc->nbc", x, layer.T.numpy())
    for i, row in enumerate(layer(mg.tensor(x)).numpy()):
        expected = sum(np.exp(-np.abs(m[i] - m[j]).sum(1)) for j in range(5) if j != i)
        np.testing.assert_allclose(row[3:], expected, rtol=1e-12)


def test_the_others_are_those_of_all_processes(rng):
    x = rng.standard_normal((8, 4))
    with mg.random.using(mg.random.Stream(0)):
        layer = nn.MinibatchDiscrimination(4, 3, 2).to(dtype="float64")

    def both(x):
        y = layer(x)
        return y.numpy(), mg.grad(mg.sum(mg.sin(y)), x).numpy()

    value, slope = both(mg.tensor(x))

    def of_rank(group):
        with using(group):
            return both(mg.tensor(x[group.rank :: 4]))

    for rank, (mine, its_slope) in enumerate(Threads(4).run(of_rank)):
        np.testing.assert_allclose(mine, value[rank::4], rtol=1e-12)
        np.testing.assert_allclose(its_slope, slope[rank::4], rtol=1e-10)


def virtual(rng):
    net = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.VirtualBatchNorm2d(4, 6), nn.LeakyReLU(0.2), nn.Flatten())
    reference = rng.standard_normal((6, 2, 5, 5))
    return nn.VirtualBatch(net, reference.shape).to(dtype="float64").fix(reference)


def test_a_sample_depends_on_the_reference_and_not_on_its_batch(rng):
    network = virtual(rng)
    x = rng.standard_normal((4, 2, 5, 5))
    together = network(mg.tensor(x)).numpy()
    assert together.shape == (4, 100)
    for k in range(4):
        np.testing.assert_allclose(network(mg.tensor(x[k : k + 1])).numpy()[0], together[k], rtol=1e-10)
    np.testing.assert_allclose(network.eval()(mg.tensor(x)).numpy(), together)
    network.fix(network.reference.numpy() + 1)
    assert np.abs(network(mg.tensor(x)).numpy() - together).max() > 1e-3


def test_statistics_are_those_of_the_reference_and_the_sample(rng):
    layer = nn.VirtualBatchNorm2d(3, 4, eps=0).to(dtype="float64")
    x = rng.standard_normal((7, 3, 5, 2)) * 3 + 1
    y = layer(mg.tensor(x)).numpy()
    for k in range(7):
        seen = x[:4] if k < 4 else np.concatenate([x[:4], x[k : k + 1]])
        mean, std = seen.mean((0, 2, 3))[:, None, None], seen.std((0, 2, 3))[:, None, None]
        np.testing.assert_allclose(y[k], (x[k] - mean) / std, rtol=1e-10)


def test_the_reference_is_kept_with_the_weights(rng):
    network, other = virtual(rng), virtual(rng)
    other.load_state_dict(network.state_dict())
    x = mg.tensor(rng.standard_normal((2, 2, 5, 5)))
    np.testing.assert_array_equal(other(x).numpy(), network(x).numpy())
    assert "reference" in network.state_dict()
    assert all(p is not network.reference for p in network.parameters())
    drawn = nn.VirtualBatch(nn.Flatten(), (200, 50), rng=mg.random.Stream(0)).reference.numpy()
    assert (drawn.mean(), drawn.std()) == (pytest.approx(0, abs=0.05), pytest.approx(1, abs=0.05))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.MinibatchDiscrimination(0), "MinibatchDiscrimination: in_features: expected an integer >= 1"),
        (lambda: nn.MinibatchDiscrimination(4, 0), "MinibatchDiscrimination: out_features"),
        (lambda: nn.MinibatchDiscrimination(4)(mg.ones((2, 5))), r"expected \(N, 4\), got \(2, 5\)"),
        (lambda: nn.VirtualBatchNorm2d(3, 0), "VirtualBatchNorm2d: reference: expected an integer >= 1, got 0"),
        (lambda: nn.VirtualBatchNorm2d(3, 4)(mg.ones((2, 3, 2, 2))), r"4 images of reference and others.*\(2, 3, 2"),
        (lambda: nn.VirtualBatch(mg.tanh, (2, 3)), "VirtualBatch: expected a network"),
        (lambda: nn.VirtualBatch(nn.ReLU(), 4), r"shape of a batch \(R, \.\.\.\), got 4"),
        (lambda: nn.VirtualBatch(nn.ReLU(), (2, 3))(mg.ones((5, 4))), r"expected samples .*, got \(5, 4\)"),
        (lambda: nn.VirtualBatch(nn.ReLU(), (2, 3)).fix(mg.ones((3, 3))), r"samples \(2, 3\), got \(3, 3\)"),
    ],
)
def test_wrong_calls_are_named(call, message):
    with pytest.raises(mg.errors.ShapeError, match=message):
        call()
