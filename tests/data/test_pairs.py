"""Pairs of pictures: by their names in two folders, or beside each other in one picture."""

import numpy as np
import pytest
from PIL import Image

from minigan.data import LabelledDomains, Pair, clouds, digits, halves, on_clouds, paired_folders, shuffled_batches
from minigan.errors import DataError


def write(folder, name, pixels):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def flat(value, size=(9, 9)):
    return np.full((*size, 3), value, np.uint8)


def test_pictures_of_one_name_are_a_pair(tmp_path, capsys):
    days, nights = tmp_path / "days", tmp_path / "nights"
    for k in range(3):
        write(days, f"in/{k}.png", flat(100 + k))
        write(nights, f"in/{k}.bmp", flat(k, (12, 7)))
    write(days, "alone.png", flat(7))
    (days / "in" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    write(nights, "in/broken.png", flat(9))
    found = paired_folders(days, nights, 8, source_size=4, source_channels=1)
    assert isinstance(found, Pair)
    assert found.target.shape == (3, 3, 8, 8)
    assert found.source.shape == (3, 1, 4, 4)
    assert found.target[:, 0, 0, 0].tolist() == [100, 101, 102]
    assert found.source[:, 0, 0, 0].tolist() == [0, 1, 2]
    said = capsys.readouterr().out
    assert "days: 1 of 5 pictures have no fellow of their name: alone" in said
    assert "skipped 1 of 4 files: in/broken.png" in said
    assert len(paired_folders(days, nights, 8, limit=2).target) == 2


def test_what_makes_no_pairs_is_named(tmp_path):
    write(tmp_path / "a", "x.png", flat(1))
    write(tmp_path / "b", "y.png", flat(1))
    with pytest.raises(DataError, match="no picture of one has the name of one in the other; they have x and y, say"):
        paired_folders(tmp_path / "a", tmp_path / "b", 8)
    write(tmp_path / "a", "x.bmp", flat(1))
    with pytest.raises(DataError, match=r"x\.bmp and x\.png have one name"):
        paired_folders(tmp_path / "a", tmp_path / "b", 8)
    with pytest.raises(DataError, match="no such folder"):
        paired_folders(tmp_path / "b", tmp_path / "c", 8)
    with pytest.raises(DataError, match="expected the source to be left or right, got 'top'"):
        halves(tmp_path / "a", 8, source="top")


def test_halves_of_a_picture_are_a_pair(tmp_path):
    for k in range(2):
        write(tmp_path, f"{k}.png", np.concatenate([flat(k, (10, 10)), flat(200 + k, (10, 10))], 1))
    write(tmp_path, "2.png", np.concatenate([flat(2, (40, 20)), flat(202, (40, 20))], 1))  # each is cropped alike
    left = halves(tmp_path, 8)
    assert left.source[:, 0, 4, 3].tolist() == [0, 1, 2]
    assert left.target[:, 0, 4, 4].tolist() == [200, 201, 202]
    right = halves(tmp_path, 8, source="right", limit=2)
    assert right.target.shape == (2, 3, 8, 8)
    assert right.source[:, 0, 4, 4].tolist() == [200, 201]


def test_pairs_are_mirrored_together():
    values = np.arange(8, dtype=np.uint8).reshape(1, 1, 1, 8).repeat(20, 0).repeat(4, 2)
    batches = shuffled_batches(Pair(values, values + 100), 20, flip=True)
    drawn = batches.at(0)
    np.testing.assert_allclose(drawn.source - drawn.target, 100 / 127.5, atol=1e-6)
    assert len({image.tobytes() for image in drawn.target}) == 2


def test_labels_of_a_domain_go_with_its_images():
    images = np.arange(12, dtype=np.uint8).reshape(12, 1, 1, 1).repeat(2, 2).repeat(2, 3)
    values = LabelledDomains(images[:7] + 100, images, np.arange(12))
    batches = shuffled_batches(values, 4, paired=False, seed=3)
    for k in range(5):
        drawn = batches.at(k)
        assert np.rint((drawn.source[:, 0, 0, 0] + 1) * 127.5).tolist() == drawn.labels.tolist()
    assert batches.per_epoch == 3


def test_digits_on_clouds_are_digits_on_coloured_grounds():
    pixels, labels = digits(40)
    blended, same = on_clouds((pixels, labels), seed=1)
    assert (blended.shape, blended.dtype) == ((40, 3, 28, 28), np.uint8)
    assert same is labels
    grounds = clouds(40, 28, 1)
    assert (blended == np.abs(grounds.astype(int) - pixels)).all()
    assert (blended == on_clouds((pixels, labels), seed=1)[0]).all()
    assert (clouds(40, 28, 2) != grounds).any()
    assert (grounds.min((2, 3)) == 0).all()
    assert (grounds.max((2, 3)) == 255).all()
    steps = np.abs(np.diff(grounds.astype(float), axis=3)).mean()
    assert steps < 0.6 * np.abs(grounds - grounds.mean((2, 3), keepdims=True)).mean()  # smooth
