"""What a judge finds different: distances of its stages, with gradients."""

import numpy as np
import pytest

import minigan as mg
from minigan import data, judge
from minigan.errors import DataError
from minigan.judge import perceptual
from minigan.judge.perceptual import EPS


@pytest.fixture(scope="module")
def reader():
    return judge.load("digits")


def test_it_is_the_mean_over_stages_and_pixels_of_unit_vectors_apart(reader):
    a, b = data.digits(4)[0], data.digits(4, seed=1)[0]
    expected = np.zeros(4)
    x = mg.tensor(np.concatenate([data.scaled(a), data.scaled(b)]))
    for layer in reader.classifier.body[:6]:
        x = layer(x)
        if isinstance(layer, mg.nn.MaxPool2d):
            maps = x.numpy().astype(float)
            unit = maps / np.sqrt(np.square(maps).sum(1, keepdims=True) + EPS)
            expected += np.square(unit[:4] - unit[4:]).sum(1).mean((1, 2)) / 2
    found = judge.looks(reader, a, b)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert (found > 0.05).all()
    assert judge.looks(reader, a, a).tolist() == [0] * 4


def test_it_has_gradients_and_no_memory_of_training(reader):
    x = mg.tensor(data.scaled(data.digits(2)[0]))
    f = perceptual(reader)
    target = f(mg.tensor(data.scaled(data.digits(2, seed=1)[0])))
    g = mg.grad(mg.sum(mg.square(f(x) - target)), x).numpy()
    step = 1e-2 * g / np.linalg.norm(g)
    sides = [mg.sum(mg.square(f(mg.tensor(x.numpy() + s * step)) - target)).item() for s in (-1, 1)]
    assert (sides[1] - sides[0]) / 2e-2 == pytest.approx(np.linalg.norm(g), rel=0.05)


def test_larger_and_colour_images_are_seen_as_the_judge_reads_them(reader):
    a, b = (data.scaled(data.digits(2, seed=k)[0]) for k in (0, 1))
    wide = [np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)), constant_values=-1).repeat(3, 1) for x in (a, b)]
    np.testing.assert_allclose(judge.looks(reader, *wide), judge.looks(reader, a, b), rtol=1e-4)
    with pytest.raises(DataError, match=r"digits reads images \(N, 1, 28, 28\), got \(2, 1, 9, 9\)"):
        perceptual(reader)(mg.zeros((2, 1, 9, 9)))
