"""Path length: of linear generators it has a closed form."""

import numpy as np
import pytest
from small_generators import conditional, styled

import minigan as mg
from minigan import export, judge, latent
from minigan.errors import ShapeError
from minigan.gan import normal_latent, uniform_latent
from minigan.judge import perceptual
from minigan.latent import Space
from minigan.latent.path_length import trimmed


def linear(A, latent_of=uniform_latent):
    """G(z) = A z."""
    network = mg.nn.Sequential(mg.nn.Linear(A.shape[1], len(A), bias=False))
    network[0].weight.copy_(A)
    return Space(export.Generator(network, latent_of(A.shape[1], dtype="float64")))


@pytest.fixture
def A(rng):
    return rng.normal(size=(7, 4)).astype("f4")


def test_of_a_linear_generator_and_linear_features_it_is_what_a_step_changes(A, rng):
    """|B A (b - a)|^2 of each way; of U(-1, 1) its mean is 2 / 3 |B A|^2, the sum over all elements."""
    B = rng.normal(size=(7, 3)).astype("f4")
    space = linear(A)
    found = latent.path_length(space, lambda x: x @ mg.tensor(B), 4000, epsilon=1e-2)
    ends = [space.draw(4000, k).values for k in (0, 1)]
    expected = np.square((ends[1] - ends[0]) @ A.T @ B).sum(1)
    np.testing.assert_allclose(found.distances, expected, rtol=2e-2, atol=1e-3)
    error = expected.std() / 4000**0.5
    assert found.distances.mean() == pytest.approx(2 / 3 * np.square(B.T @ A).sum(), abs=4 * error)
    assert found.mean < found.distances.mean()  # without the longest, of a law that is skewed
    assert found.error == pytest.approx(error, rel=0.1)


def test_on_a_circle_it_is_how_fast_angle_and_length_change():
    """Of an isometry it is w^2 L(t)^2 + (|b| - |a|)^2, w the angle and L(t) the length on the way."""
    A = np.linalg.qr(np.random.default_rng(1).normal(size=(7, 4)))[0].astype("f4")
    space = linear(A, normal_latent)
    for way in ("end", "full"):
        found = latent.path_length(space, lambda x: x, 300, epsilon=1e-2, way=way, seed=2)
        a, b = (space.draw(300, 4 + k).values.astype(float) for k in (0, 1))
        la, lb = (np.linalg.norm(v, axis=1) for v in (a, b))
        w = np.arccos((a * b).sum(1) / la / lb)
        t = mg.random.Stream(2, "path length").uniform(300, dtype="float64") if way == "full" else np.zeros(300)
        expected = w**2 * ((1 - t) * la + t * lb) ** 2 + (lb - la) ** 2
        np.testing.assert_allclose(found.distances, expected, rtol=0.05, atol=1e-3)


def test_a_small_step_is_measured_as_a_larger_one():
    space, features = Space(styled()), lambda x: mg.reshape(x, (len(x), -1))
    small, large = (latent.path_length(space, features, 200, epsilon=e) for e in (1e-4, 1e-3))
    np.testing.assert_allclose(small.distances, large.distances, rtol=0.1, atol=0.02 * large.mean)


def test_both_ends_have_one_class():
    space = Space(conditional())
    seen = []

    def features(x):
        seen.append(x)
        return mg.reshape(x, (len(x), -1))

    found = latent.path_length(space, features, 300, epsilon=1e-3, labels=np.full(300, 4))
    told = []
    again = latent.path_length(space, features, 300, epsilon=1e-3, labels=np.full(300, 4), told=told.append)
    assert np.array_equal(found.distances, again.distances)
    assert told == [128, 256, 300]
    assert found.mean < 1e4  # a change of class in so short a step would be a million
    assert not np.array_equal(latent.path_length(space, features, 300, epsilon=1e-3).distances, found.distances)


def test_a_judge_sees_it():
    found = latent.path_length(Space(conditional()), perceptual(judge.load("digits")), 20)
    assert np.isfinite(found.distances).all()
    assert found.mean > 0


def test_the_least_and_the_largest_hundredth_are_left_out():
    assert trimmed(np.arange(201.0)).tolist() == list(range(2, 199))
    assert trimmed(np.ones(5)).tolist() == [1] * 5


def test_what_is_no_way_is_told():
    space = Space(conditional())
    for wrong in ({"way": "half"}, {"n": 0}, {"epsilon": 0}):
        with pytest.raises(ShapeError, match="path_length"):
            latent.path_length(space, lambda x: x, **wrong)
