"""What is refused, and what is not: one picture in colour as a batch of narrow grey ones, and no digits at all."""

import numpy as np
import pytest

import minigan as mg
from minigan import data


def test_one_picture_in_colour_is_refused_and_as_a_batch_of_one_taken():
    picture = np.arange(16 * 20 * 3, dtype=np.uint16).reshape(16, 20, 3).astype(np.uint8)
    with pytest.raises(mg.errors.DataError, match=r"\(16, 20, 3\) looks like one picture"):
        data.from_array(picture)
    images, labels = data.from_array(picture[None])
    assert labels is None
    assert np.array_equal(images[0], picture.transpose(2, 0, 1))


def test_narrow_images_that_can_be_no_picture_are_images():
    assert data.from_array(np.zeros((5, 3, 3), np.uint8))[0].shape == (5, 1, 3, 3)
    assert data.from_array(np.zeros((5, 16, 4), np.uint8))[0].shape == (5, 1, 16, 4)


@pytest.mark.parametrize("n", [0, -1])
def test_no_digits_are_refused(n):
    with pytest.raises(mg.errors.DataError, match=f"digits: expected 1 or more of them, got {n}"):
        data.digits(n)
