"""Batches: which samples, in which order, how they are scaled, mirrored and cropped."""

import numpy as np
import pytest

import minigan as mg
from minigan import data


def test_an_epoch_is_a_permutation_decided_by_seed_and_number():
    pictures = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1)
    batches = data.Batches(pictures, 3, seed=1)
    assert batches.per_epoch == 3

    def values(b, k):
        return np.rint((b.at(k).ravel() + 1) * 127.5).astype(int).tolist()

    epochs = [[v for i in range(3) for v in values(batches, 3 * e + i)] for e in range(3)]
    assert all(len(set(epoch)) == 9 for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert values(data.Batches(pictures, 3, seed=1), 7) == values(batches, 7)
    assert [values(data.Batches(pictures, 3, seed=2), k) for k in range(3)] != [values(batches, k) for k in range(3)]


def test_batches_are_scaled_and_channels_last():
    pictures = np.zeros((4, 3, 5, 5), np.uint8)
    pictures[:, 0] = 255
    batch = data.Batches(pictures, 4).at(0)
    assert batch.dtype == np.float32
    assert batch.shape == (4, 3, 5, 5)
    assert batch[:, 0].min() == pytest.approx(1)
    assert batch[:, 1].max() == pytest.approx(-1)
    assert batch.transpose(0, 2, 3, 1).flags.c_contiguous


def test_batches_refuse():
    pictures = np.zeros((4, 1, 2, 2), np.uint8)
    for size in (0, 5):
        with pytest.raises(mg.errors.DataError, match=f"from 1 to the 4 samples, got {size}"):
            data.Batches(pictures, size)
    with pytest.raises(mg.errors.DataError, match="expected uint8 images"):
        data.Batches(pictures.astype("float32"), 2)
    for labels in (np.zeros(3, "int64"), np.zeros(4, "int32")):
        with pytest.raises(mg.errors.DataError, match=r"one int64 label for each of 4 samples"):
            data.Batches(pictures, 2, labels=labels)


def test_labels_go_with_their_samples():
    values = np.arange(10, dtype=np.int64)
    images = data.Batches(values.astype(np.uint8).reshape(10, 1, 1, 1), 3, labels=values, seed=1)
    points = data.Batches(np.stack([values, -values], 1).astype(np.float32), 3, labels=values, seed=1)
    for k in (0, 2, 5, 1):
        labels = images.labels_at(k)
        assert np.rint((images.at(k).ravel() + 1) * 127.5).astype(int).tolist() == labels.tolist()
        np.testing.assert_array_equal(points.at(k), np.stack([labels, -labels], 1))
        np.testing.assert_array_equal(points.labels_at(k), labels)
    assert data.Batches(images.at(0).astype(np.uint8), 2).labels_at(0) is None
