"""Stacked images: whose they are, what their labels say, and that a batch depends on its number alone."""

import fakecupy
import numpy as np
import pytest

import minigan as mg
from minigan import data
from minigan.data.stacked import together


@pytest.fixture(scope="module")
def grey():
    """Images of which each is of one brightness, its number, and labels that are its last digit."""
    images = np.arange(40, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 4, 6), np.uint8)
    return images, np.arange(40) % 10


def test_a_stack_is_made_of_whole_images_and_its_label_of_theirs(grey):
    images, labels = data.stacked(*grey, 500, seed=3)
    assert (images.shape, images.dtype) == ((500, 3, 4, 6), np.uint8)
    assert (images == images[:, :, :1, :1]).all()
    assert np.array_equal(labels, (images[:, :, 0, 0] % 10).astype(int) @ [100, 10, 1])
    assert len(np.unique(labels)) > 300
    again, _ = data.stacked(*grey, 500, seed=3)
    assert np.array_equal(images, again)
    assert not np.array_equal(images, data.stacked(*grey, 500, seed=4)[0])


def test_numbers_of_several_digits():
    assert together(np.array([[1, 2, 3], [0, 0, 7]])).tolist() == [123, 7]
    assert together(np.array([[4, 2]])).tolist() == [42]


def test_batches_are_drawn_anew_and_their_number_decides_them(grey):
    source = data.Stacks(grey[0], 64, seed=1)
    drawn = source.at(5)
    assert (drawn.shape, drawn.dtype) == ((64, 3, 4, 6), np.float32)
    assert drawn.transpose(0, 2, 3, 1).flags.c_contiguous
    assert (drawn == drawn[:, :, :1, :1]).all()
    numbers = np.rint((drawn[:, :, 0, 0] + 1) * 127.5)
    assert set(numbers.ravel()) <= set(range(40))
    assert (numbers[:, 0] != numbers[:, 1]).any()
    assert np.array_equal(drawn, data.Stacks(grey[0], 64, seed=1).at(5))
    assert not np.array_equal(drawn, source.at(6))
    assert data.Stacks(grey[0], 2, channels=6).at(0).shape == (2, 6, 4, 6)


def test_on_a_gpu_a_captured_draw_makes_the_same_batches(grey, monkeypatch):
    fakecupy.install(monkeypatch)
    here, there = data.Stacks(grey[0], 5, seed=2), data.Stacks(grey[0], 5, seed=2, device="cuda")
    step = mg.tensor(0, device="cuda").data
    draw = mg.capture(lambda: mg.Tensor(there.at(step)))
    for k in range(5):
        step[...] = k
        for found in (there.at(k).get(), draw().numpy()):
            np.testing.assert_allclose(found, here.at(k), rtol=1e-6)


def test_what_cannot_be_stacked_is_named(grey):
    images, labels = grey
    with pytest.raises(mg.errors.DataError, match=r"grey uint8 images .* \(40, 3, 4, 6\)"):
        data.Stacks(images.repeat(3, 1), 4)
    with pytest.raises(mg.errors.DataError, match=r"grey uint8 images .* float32"):
        data.stacked(images.astype("float32"), labels)
    with pytest.raises(mg.errors.DataError, match=r"a label 0\.\.9 for each of 40"):
        data.stacked(images, labels + 1)
    with pytest.raises(mg.errors.DataError, match=r"a label 0\.\.9 for each of 40"):
        data.stacked(images, labels[:3])
    with pytest.raises(mg.errors.DataError, match=r"a label 0\.\.9 for each of 40 images, got float64"):
        data.stacked(images, labels / 2)
    for size in (0, 2.5):
        with pytest.raises(mg.errors.DataError, match=f"batch size from 1, got {size}"):
            data.Stacks(images, size)
