"""Sources that are made of images on the way."""

import numpy as np
import pytest

import minigan as mg
from minigan.errors import ShapeError
from minigan.gan.translation import MAKINGS, making, source_shape


def made(name, images):
    return making(name)(mg.tensor(images), mg.random.Stream(0)).numpy()


def test_grey_images_have_the_luminance(rng):
    x = rng.uniform(-1, 1, (2, 3, 4, 4)).astype(np.float32)
    np.testing.assert_allclose(made("grey", x)[:, 0], np.tensordot(x, [0.299, 0.587, 0.114], ((1,), (0,))), rtol=1e-5)
    assert (made("grey", x[:, :1]) == x[:, :1]).all()


def test_edges_are_black_lines_on_white():
    x = np.full((1, 1, 8, 8), -1.0, np.float32)
    x[..., 4:] = 1
    lines = made("edges", x)[0, 0]
    assert (lines[:, 3:5] == -1).all()
    assert (lines[:, [0, 1, 2, 5, 6, 7]] == 1).all()


def test_small_images_have_the_mean_and_no_finer_detail(rng):
    x = rng.uniform(-1, 1, (2, 3, 12, 24)).astype(np.float32)
    assert made("small:3", x).shape == (2, 3, 4, 8)
    assert made("small", np.ones((1, 1, 8, 8), np.float32)) == pytest.approx(1)
    board = np.indices((12, 12)).sum(0) % 2 * 2.0 - 1
    assert np.abs(made("small", board[None, None].astype(np.float32))).max() < 0.05
    with pytest.raises(ShapeError, match=r"small: expected sides that 5 divides, got \(2, 3, 12, 24\)"):
        made("small:5", x)


def test_holes_are_half_of_each_side(rng):
    x = rng.uniform(0.1, 1, (20, 2, 8, 8)).astype(np.float32)
    middle = made("hole", x)
    assert (middle[:, :, 2:6, 2:6] == 0).all()
    assert (middle != 0).sum() == 20 * 2 * (64 - 16)
    anywhere = made("holes", x)
    assert anywhere.shape == (20, 3, 8, 8)
    assert set(np.unique(anywhere[:, 2])) == {-1.0, 1.0}
    assert ((anywhere[:, 2:] == 1).sum((1, 2, 3)) == 16).all()
    assert (anywhere[:, :2] == np.where(anywhere[:, 2:] == 1, 0, x)).all()
    assert len({image.tobytes() for image in anywhere[:, 2]}) > 5


def test_segments_are_areas_of_four_levels(rng):
    found = made("segments", rng.uniform(-1, 1, (2, 3, 7, 8)).astype(np.float32))
    assert set(np.unique(np.round(found * 3))) <= {-3, -1, 1, 3}
    assert (found[:, :, :6:2] == found[:, :, 1:6:2]).all()


def test_a_quarter_turn_is_one(rng):
    x = rng.uniform(-1, 1, (2, 3, 4, 6)).astype(np.float32)
    assert (made("turned", x) == np.rot90(x, -1, (2, 3))).all()


def test_the_shape_of_a_source_is_known_and_a_name_is_one():
    shapes = {name: source_shape(make, (3, 8, 8)) for name, make in MAKINGS.items()}
    assert shapes == {
        **dict.fromkeys(("hole", "segments", "turned"), (3, 8, 8)),
        **dict.fromkeys(("grey", "edges"), (1, 8, 8)),
        **{"small": (3, 2, 2), "degraded": (3, 2, 2), "holes": (4, 8, 8)},
    }
    for name in ("", "small:1", "small:x", "grey:2", "blue"):
        with pytest.raises(ShapeError, match="making: expected one of grey, edges, small"):
            making(name)
