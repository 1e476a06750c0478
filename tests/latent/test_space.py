"""Spaces of generators: the same samples by noise and by styles, points in files, what does not fit."""

import numpy as np
import pytest
from small_generators import conditional, plain, styled, styled_conditional

import minigan as mg
from minigan import latent
from minigan.errors import DataError, ShapeError
from minigan.gan import slerp, uniform_latent
from minigan.latent import Points, Space

CLOSE = {"rtol": 1e-4, "atol": 1e-4}


@pytest.mark.parametrize("make", [plain, styled, conditional, styled_conditional])
def test_points_of_every_space_make_the_same_samples(make):
    generator = make()
    z = Space(generator, "z")
    drawn = z.draw(5, seed=3)
    expected = z.pictures(drawn)
    assert expected.shape[0] == 5
    if z.styles is None:
        np.testing.assert_allclose(expected, generator.sample(5, seed=3).numpy(), **CLOSE)
        return
    for kind in ("w", "w+"):
        space = Space(generator, kind)
        np.testing.assert_allclose(space.pictures(space.draw(5, seed=3)), expected, **CLOSE)
        np.testing.assert_allclose(space.pictures(drawn), expected, **CLOSE)  # of another space
        assert np.array_equal(space.checked(drawn).values, space.draw(5, seed=3).values)


def test_styles_are_the_space_where_there_are_styles():
    assert (Space(plain()).kind, Space(styled()).kind) == ("z", "w")
    assert (Space(plain()).layers, Space(styled()).layers) == (1, styled().network.layers)


def test_two_images_differ_by_their_points_alone():
    space = Space(styled())
    point = space.draw(1).values
    images = space.pictures(Points("w", point.repeat(3, 0)))
    assert np.array_equal(images[0], images[1])
    assert np.array_equal(images[0], images[2])
    own = space.generator.generate(space.generator.latent(1, mg.random.Stream(0, "generator"))).numpy()
    np.testing.assert_allclose(own[0], images[0], **CLOSE)  # that of the first sample is everybody's


def test_classes_are_drawn_as_in_the_data():
    space = Space(styled_conditional())
    labels = space.draw(400).labels
    assert np.bincount(labels).tolist() == pytest.approx([100, 100, 200], abs=40)
    assert Space(conditional()).draw(12).labels.tolist() == [*range(10), 0, 1]
    assert Space(plain()).draw(3).labels is None


def test_the_middle_and_the_spread_are_those_of_the_noise():
    space = Space(plain(uniform_latent))
    np.testing.assert_allclose(space.centre, 0, atol=0.05)
    assert space.deviation == pytest.approx(3**-0.5, rel=0.02)
    assert space.bounds == (-1, 1)
    assert Space(plain()).bounds is None
    space = Space(styled())
    np.testing.assert_allclose(space.centre, styled().network.mean_style().numpy()[0], atol=0.05)


def test_truncation_goes_to_the_mean_style():
    space = Space(styled())
    drawn = space.draw(4)
    mean = mg.tensor(space.centre[None])
    z = mg.tensor(Space(space.generator, "z").draw(4).values)
    with mg.random.using(mg.random.Stream(0, "generated")):
        expected = space.generator.network.truncated(z[:1], 0.6, mean).numpy()
    np.testing.assert_allclose(space.pictures(space.truncated(drawn, 0.6))[:1], expected, **CLOSE)
    np.testing.assert_allclose(space.truncated(drawn, 1).values, drawn.values, **CLOSE)
    np.testing.assert_allclose(space.truncated(drawn, 0).values, space.centre[None].repeat(4, 0), rtol=1e-6)
    with pytest.raises(ShapeError, match="this generator has none"):
        Space(plain()).truncated(Space(plain()).draw(1), 0.5)
    with pytest.raises(ShapeError, match="truncation: expected a finite number"):
        space.truncated(drawn, float("nan"))


def test_ways_are_circles_between_normal_noise_and_lines_else():
    a, b, t = *np.random.default_rng(0).normal(size=(2, 3, 4)).astype("f4"), np.array([0.0, 0.3, 1.0])
    assert np.array_equal(Space(plain()).between(a, b, t), slerp(a, b, t).astype("f4"))
    for space in (Space(plain(uniform_latent)), Space(styled())):
        np.testing.assert_allclose(space.between(a, b, t)[1], 0.7 * a + 0.3 * b, rtol=1e-5)
    np.testing.assert_allclose(Space(plain()).between(a, b, t, circle=False)[1], 0.7 * a + 0.3 * b, rtol=1e-5)


@pytest.mark.parametrize("make", [plain, styled, styled_conditional])
def test_points_are_kept_in_a_file(make, tmp_path):
    generator = make()
    for kind in latent.KINDS if Space(generator).styles else ("z",):
        points = Space(generator, kind).draw(3)
        points.save(tmp_path / "p.npz")
        again = latent.read_points(tmp_path / "p.npz")
        assert again.kind == kind
        assert np.array_equal(again.values, points.values)
        assert (again.labels is None) == (points.labels is None)
        assert points.labels is None or np.array_equal(again.labels, points.labels)
    np.save(tmp_path / "z.npy", np.ones((2, 4)))
    assert latent.read_points(tmp_path / "z.npy").kind == "z"


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"x": np.ones((2, 3))}, "expected points under the name z or w or w., it holds x"),
        ({"w": np.ones((2, 3, 4))}, r"points of w, got float64 \(2, 3, 4\)"),
        ({"w+": np.ones((2, 3))}, r"points of w\+, got float64 \(2, 3\)"),
        ({"z": np.full((2, 3), np.nan)}, "expected finite floats"),
        ({"z": np.ones((2, 3), int)}, "got int64"),
        ({"z": np.ones((2, 3)), "labels": np.ones(3, int)}, "expected a label for each of 2 points"),
    ],
)
def test_a_file_that_holds_no_points_is_named(arrays, told, tmp_path):
    np.savez(tmp_path / "p.npz", **arrays)
    with pytest.raises(DataError, match=rf"p\.npz: .*{told}"):
        latent.read_points(tmp_path / "p.npz")


def test_what_does_not_fit_is_told():
    with pytest.raises(ShapeError, match=r"w\+ is a space of styles, and this generator has none"):
        Space(plain(), "w+")
    with pytest.raises(ShapeError, match="expected one of z, w, w"):
        Space(plain(), "v")
    space = Space(plain())
    for points, told in (
        (Points("z", np.ones((2, 5), "f4")), r"each of shape \(4,\), got points of z, each of shape \(5,\)"),
        (Points("w", np.ones((2, 4), "f4")), "expected points of z, .* got points of w"),
        (Points("z", np.ones((2, 4), "f4"), np.zeros(2, int)), "this generator has none"),
    ):
        with pytest.raises(ShapeError, match=told):
            space.checked(points)
    with pytest.raises(ShapeError, match="told one of 10 classes, and these points have none"):
        Space(conditional()).checked(Points("z", np.ones((2, 5), "f4")))
    for asked, told in (([10], "from 0 to 9, got 10"), ([-1], "got -1"), ([], "got ")):
        with pytest.raises(ShapeError, match=told):
            latent.space.checked_labels(asked, 3, 10)
    with pytest.raises(ShapeError, match="takes no labels"):
        latent.space.checked_labels([1], 3, None)
    assert latent.space.checked_labels([1, 2], 3, 10).tolist() == [1, 2, 1]


def test_layers_are_told_in_words():
    assert latent.space.layers_of("1..3", 5) == [1, 2, 3]
    assert latent.space.layers_of("4,0..1", 5) == [0, 1, 4]
    for text in ("3..1", "x", "0..5", "", "-1"):
        with pytest.raises(ShapeError, match="expected layers from 0 to 4"):
            latent.space.layers_of(text, 5)
