"""Pictures that a notebook shows, and bars there."""

import io
import sys
import types

import numpy as np
import pytest
from PIL import Image

import minigan as mg
from minigan import viz
from minigan.system import terminal


def pixels(shown):
    return np.asarray(Image.open(io.BytesIO(shown._repr_png_())))


def test_images_are_shown_as_they_are_written():
    images = np.random.default_rng(0).uniform(-1, 1, (6, 3, 4, 5)).astype(np.float32)
    expected = viz.grid(viz.to_uint8(images), 2).repeat(2, 0).repeat(2, 1)
    for given in (images, mg.tensor(images), viz.to_uint8(images)):
        np.testing.assert_array_equal(pixels(viz.show(given, columns=2)), expected)


def test_one_image_and_its_scale():
    shown = viz.show(np.zeros((1, 4, 5), np.uint8), scale=3)
    assert pixels(shown).shape == (3 * 8, 3 * 9)
    assert repr(shown) == "a picture of 9 x 8 pixels, which a notebook shows"
    with pytest.raises(mg.errors.ShapeError, match="expected images"):
        viz.show(np.zeros((4, 5), np.uint8))
    with pytest.raises(mg.errors.DTypeError, match="expected floats"):
        viz.show(np.zeros((1, 4, 5), np.int64))


@pytest.fixture
def shell(monkeypatch):
    """What IPython says of itself."""
    shell = types.SimpleNamespace()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    return shell


def bar(monkeypatch):
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    assert list(terminal.progress(range(3), desc="steps")) == [0, 1, 2]
    return written.getvalue()


def test_a_bar_is_shown_in_a_notebook(shell, monkeypatch):
    assert bar(monkeypatch) == ""  # IPython in a terminal that is none
    shell.kernel = "a kernel"
    assert "steps: 100%" in bar(monkeypatch)


def test_no_bar_where_nobody_looks(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert bar(monkeypatch) == ""
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: None))
    assert not terminal.in_notebook()
