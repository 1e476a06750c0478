"""Projection: what the generator made is found again, what it cannot make is told apart."""

import fakecupy
import numpy as np
import pytest
from small_generators import conditional, plain, styled, styled_conditional

from minigan import judge, latent
from minigan.errors import ShapeError
from minigan.gan import uniform_latent
from minigan.latent import Points, Search, Space
from minigan.latent.projection import rate
from minigan.random import Stream


@pytest.mark.parametrize("latent_of", [uniform_latent, None])
def test_a_sample_is_found_again(latent_of):
    space = Space(plain(latent_of) if latent_of else plain())
    drawn = space.draw(2, seed=7)  # not among the samples that a search starts from
    images = space.pictures(drawn)
    steps = []
    found = latent.project(space, images, search=Search(steps=250, prior=0), told=lambda: steps.append(0))
    assert len(steps) == 250 == Search(steps=250).rounds(2)
    nearest = np.square(space.pictures(space.draw(1024))[:, None] - images).reshape(1024, 2, -1).mean(2).min(0)
    assert (found.pixels < 0.05 * nearest).all()
    np.testing.assert_allclose(found.images, images, atol=0.1)
    np.testing.assert_allclose(found.images, space.pictures(found.points), atol=1e-5)
    np.testing.assert_allclose(found.pixels, np.square(found.images - images).mean((1, 2, 3)), rtol=1e-4)
    assert np.isnan(found.features).all()
    np.testing.assert_allclose(found.anomaly, 0.9 * np.abs(found.images - images).sum((1, 2, 3)), rtol=1e-4)
    if latent_of:
        assert np.abs(found.points.values).max() <= 1 + 1e-5


@pytest.mark.parametrize("kind", ["w", "w+"])
def test_styles_are_found(kind):
    space = Space(styled(), kind)
    images = space.pictures(space.draw(1, seed=7))
    found = latent.project(space, images, search=Search(steps=120, starts=2, noise=0.01, prior=0))
    nearest = np.square(space.pictures(space.draw(1024)) - images).mean((1, 2, 3)).min()
    assert found.pixels[0] < 0.3 * nearest
    assert found.points.kind == kind
    assert found.points.values.shape[1:] == space.centre.shape


def test_a_judge_is_asked_and_what_the_generator_cannot_draw_is_an_anomaly():
    space, reader = Space(conditional()), judge.load("digits")
    search = Search(steps=20, starts=2)
    other = np.sign(Stream(0).normal((1, 1, 28, 28)))
    images = np.concatenate([space.pictures(space.draw(1, seed=7)), other])
    found = latent.project(space, images, reader, search)
    assert found.features[1] > 3 * found.features[0] > 0
    assert found.anomaly[1] > 3 * found.anomaly[0]
    np.testing.assert_allclose(found.features, judge.looks(reader, found.images, images), rtol=1e-4)
    asked = latent.project(space, images, reader, search, labels=np.array([3, 8]))
    assert asked.points.labels.tolist() == [3, 8]
    assert np.array_equal(latent.project(space, images, reader, search).images, found.images)  # again


def test_a_prior_keeps_points_near_the_middle():
    space = Space(plain())
    images = np.sign(Stream(0).normal((2, 1, 16, 16)))
    lengths = [
        np.square(latent.project(space, images, search=Search(steps=60, starts=1, prior=p)).points.values).mean()
        for p in (0, 1)
    ]
    assert lengths[1] < 0.5 * lengths[0]


def test_images_are_searched_a_few_at_a_time(monkeypatch):
    space, search = Space(plain()), Search(steps=3, starts=2)
    images = space.pictures(space.draw(5, seed=7))
    whole = latent.project(space, images, search=search).points.values
    monkeypatch.setattr("minigan.latent.projection.TOGETHER", 4)
    np.testing.assert_allclose(latent.project(space, images, search=search).points.values, whole, atol=1e-5)
    assert search.rounds(5) == 9


def test_the_rate_rises_and_falls():
    assert [rate(done) for done in (0, 0.025, 0.05, 0.5, 0.75)] == pytest.approx([0, 0.5, 1, 1, 1])
    assert rate(0.875) == pytest.approx(0.5)
    assert rate(0.999) < 1e-3


def test_what_cannot_be_searched_is_told():
    space = Space(plain())
    for images in (np.zeros((1, 1, 8, 8), "f4"), np.zeros((1, 1, 16, 16), "u1"), np.zeros((0, 1, 16, 16), "f4")):
        with pytest.raises(ShapeError, match=r"project: expected images \(n, 1, 16, 16\), got"):
            latent.project(space, images)
    for wrong in ({"steps": 0}, {"starts": 0}, {"lr": -1}, {"prior": float("nan")}):
        with pytest.raises(ShapeError, match="Search"):
            Search(**wrong)
    assert len(Points("z", np.ones((3, 4)))[1:]) == 2


@pytest.mark.slow
def test_a_search_is_the_same_on_both_devices(monkeypatch):
    fakecupy.install(monkeypatch)
    results = {}
    for device in ("cpu", "cuda"):
        generator = styled_conditional()
        generator.network.to(device)
        space = Space(generator, "w+")
        assert space.device == device
        images = space.pictures(space.draw(2, seed=7))
        found = latent.project(space, images, search=Search(steps=5, starts=1, noise=0.05))
        results[device] = (found.points.values, found.pixels)
    for on_cpu, on_cuda in zip(results["cpu"], results["cuda"], strict=True):
        np.testing.assert_allclose(on_cuda, on_cpu, rtol=1e-2, atol=1e-3)
