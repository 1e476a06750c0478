"""Images in arrays: every layout and type that says which it is, and files of NumPy's, which are never unpickled."""

import pickle
import zipfile

import numpy as np
import pytest

import minigan as mg
from minigan import data


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (5, 3, 6, 7)).astype(np.uint8)


def test_layouts(images):
    for given in (images, images.transpose(0, 2, 3, 1), images.tolist(), images.astype(np.int64), images.astype(">u2")):
        made, labels = data.from_array(given)
        assert (made.dtype, labels, made.flags.c_contiguous) == (np.uint8, None, True)
        assert np.array_equal(made, images)
    grey = images[:, 0]
    for given in (grey, grey[:, None], grey[..., None]):
        assert np.array_equal(data.from_array(given)[0], grey[:, None])
    both = np.zeros((2, 3, 4, 1), np.uint8)
    assert data.from_array(both)[0].shape == (2, 3, 4, 1)  # the library's own layout wins


def test_values(images):
    for dtype in (np.float32, np.float64):
        assert np.array_equal(data.from_array(images.astype(dtype) / 255)[0], images)
        assert np.array_equal(data.from_array(images.astype(dtype) / 127.5 - 1)[0], images)
    half = data.from_array((images / 255).astype(np.float16))[0].astype(int)
    assert np.abs(half - images).max() <= 1
    assert np.array_equal(data.from_array(images > 99)[0], (images > 99) * np.uint8(255))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((2, 4, 4, 4), np.uint8), r"with 1 or 3 channels C, got \(2, 4, 4, 4\)"),
        (np.zeros((4, 4), np.uint8), r"got \(4, 4\)"),
        (np.zeros((0, 4, 4), np.uint8), r"no images in an array of shape \(0, 4, 4\)"),
        (np.uint8(3), r"no images in an array of shape \(\)"),
        (np.full((2, 4, 4), 255.0), r"float64 values from 255 to 255, expected \[0, 1\] or \[-1, 1\]"),
        (np.full((2, 4, 4), np.nan), r"values from nan to nan"),
        (np.full((2, 4, 4), 256), r"int64 values from 256 to 256, expected 0 to 255"),
        (np.full((2, 4, 4), -1), r"values from -1 to -1"),
        (np.full((2, 4, 4), "a"), r"expected numbers, got <U1"),
        (np.full((2, 4, 4), None), r"expected numbers, got object"),
    ],
)
def test_arrays_that_are_no_images(given, message):
    with pytest.raises(mg.errors.DataError, match=f"from_array: .*{message}"):
        data.from_array(given)


def test_labels(images):
    for given in ([3, 1, 2, 0, 9], np.arange(5, dtype=np.uint8), np.arange(5)[:, None]):
        labels = data.from_array(images, given)[1]
        assert labels.dtype == np.int64
        assert labels.tolist() == np.ravel(given).tolist()
    for wrong, message in (
        (np.arange(4), r"for each of 5 images, got int64 \(4,\)"),
        (np.eye(5, dtype=int), r"got int64 \(5, 5\)"),
        (np.arange(5.0), r"got float64 \(5,\)"),
        (np.arange(5) - 1, "labels from -1 to 3, expected 0 or more"),
    ):
        with pytest.raises(mg.errors.DataError, match=message):
            data.from_array(images, wrong)


def test_npy(tmp_path, images):
    path = tmp_path / "a.npy"
    for given in (images, np.asfortranarray(images), images.astype(">i4"), images / 255):
        np.save(path, given)
        assert np.array_equal(data.load_array(path)[0], images)


def test_npz(tmp_path, images):
    path = tmp_path / "a.npz"
    labels = np.arange(5)
    for save in (np.savez, np.savez_compressed):
        for names in (("images", "labels"), ("x", "y"), ("x_train", "y_train")):
            save(path, **dict(zip(names, (images, labels), strict=True)), other=np.zeros(3))
            found = data.load_array(path)
            assert np.array_equal(found[0], images)
            assert np.array_equal(found[1], labels)
        save(path, images)
        assert data.load_array(path)[1] is None
    np.savez(path, pictures=images, z=labels)
    with pytest.raises(mg.errors.DataError, match=r"a\.npz: expected images under the name .* it holds pictures, z"):
        data.load_array(path)
    np.savez(path, x=images, y=labels[:4])
    with pytest.raises(mg.errors.DataError, match=r"a\.npz: .*for each of 5 images, got int64 \(4,\)"):
        data.load_array(path)


class Harmful:
    """What runs when it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("unpickled",)


def test_nothing_is_unpickled(tmp_path):
    objects = np.array([[[Harmful()]]], dtype=object)
    np.save(tmp_path / "o.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "o.npz", x=objects)
    (tmp_path / "p.npy").write_bytes(pickle.dumps(Harmful()))
    for name in ("o.npy", "o.npz", "p.npy"):
        with pytest.raises(mg.errors.DataError, match=rf"{name}.*a pickle, which can run any code"):
            data.load_array(tmp_path / name)


def exaggerated(content):
    """A file of `images` whose header promises more of them."""
    return content.replace(b"(5, 3, 6, 7), }" + 9 * b" ", b"(5000000000, 3, 6, 7), }")


def test_files_that_are_broken(tmp_path, images):
    path = tmp_path / "a.npy"
    np.save(path, images)
    whole = path.read_bytes()
    for broken, message in (
        (b"", "begins with nothing"),
        (b"PK\x03\x04", "not an archive that can be read"),
        (whole[:9], "the header is cut off"),
        (whole[:60], "a header that cannot be read"),
        (whole[:-1], r"promises \(5, 3, 6, 7\) of uint8, 630 bytes, but 629 follow"),
        (whole + b"x", "but more follow"),
        (exaggerated(whole), r"promises \(5000000000, 3, 6, 7\) of uint8, 630000000000 bytes, at most \d+ can follow"),
        (whole.replace(b"|u1", b"<U1"), "elements of type <U1"),
    ):
        path.write_bytes(broken)
        with pytest.raises(mg.errors.DataError, match=message) as caught:
            data.load_array(path)
        assert str(path) in str(caught.value)
    with pytest.raises(mg.errors.DataError, match="no such file"):
        data.load_array(tmp_path / "absent.npy")


def test_an_archive_that_promises_too_much(tmp_path, images):
    """A header of many gigabytes in a small member; nothing of that size is allocated."""
    np.save(tmp_path / "a.npy", images)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", exaggerated((tmp_path / "a.npy").read_bytes()))
    with pytest.raises(mg.errors.DataError, match=r"a\.npz/x\.npy: .* at most 758 can follow"):
        data.load_array(tmp_path / "a.npz")
