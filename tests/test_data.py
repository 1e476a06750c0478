"""Data sets: what they return, that broken files are named, that downloads are checked and atomic."""

import functools
import gzip
import hashlib
import http.server
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import minigan as mg
from minigan import data
from minigan.data import files, images


def idx(array):
    """The bytes of an IDX file of unsigned bytes."""
    return b"\x00\x00\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def tiny_mnist(tmp_path, monkeypatch):
    """A folder with well-formed MNIST files of a few images, as MINIGAN_DATA; nothing in the cache."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "data" / "mnist"
    folder.mkdir(parents=True)
    for prefix, n in (("train", 20), ("t10k", 5)):
        pictures = rng.integers(0, 256, (n, 28, 28)).astype("uint8")
        (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(pictures)))
        labels = rng.integers(0, 10, n).astype("uint8")
        (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    monkeypatch.setenv("MINIGAN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


# --- MNIST ----------------------------------------------------------------------------------------------------


def test_the_real_mnist(mnist_folder):
    pictures, labels = data.mnist("train")
    assert (pictures.shape, pictures.dtype) == ((60_000, 1, 28, 28), np.uint8)
    assert (labels.shape, labels.dtype) == ((60_000,), np.int64)
    assert labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.bincount(labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert data.mnist("test")[0].shape == (10_000, 1, 28, 28)
    assert len(data.mnist("train-55k")[0]) == 55_000
    assert np.array_equal(data.mnist("validation-5k")[0], pictures[:5000])
    for name, sha256 in images.MNIST_SHA256.items():
        assert hashlib.sha256((mnist_folder / name).read_bytes()).hexdigest() == sha256


def test_mnist_from_a_folder(tiny_mnist):
    pictures, labels = data.mnist("train")
    assert pictures.shape == (20, 1, 28, 28)
    assert labels.dtype == np.int64
    assert data.mnist("test")[0].shape == (5, 1, 28, 28)
    with pytest.raises(mg.errors.DataError, match="got 'valid'"):
        data.mnist("valid")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda b: b[:200], "cannot be decompressed"),
        (lambda b: gzip.compress(gzip.decompress(b)[:-7]), r"promises \(20, 28, 28\), 15680 bytes, but 15673 follow"),
        (lambda b: gzip.compress(gzip.decompress(b) + b"x"), "but 15681 follow"),
        (lambda b: gzip.compress(b"\x00\x00\x08"), "not an IDX file"),
        (lambda b: gzip.compress(b"\x00\x00\x08\x03\x00"), "the header is cut off after 5 bytes"),
        (lambda b: gzip.compress(b"<html>not found</html>"), "not an IDX file of unsigned bytes .*3c 68 74 6d"),
        (lambda b: b"", "nothing"),
        (lambda b: b[:300] + bytes([b[300] ^ 255]) + b[301:], "cannot be decompressed"),
    ],
)
def test_a_broken_idx_file_is_named_with_its_defect(tiny_mnist, spoil, message):
    path = tiny_mnist / "train-images-idx3-ubyte.gz"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(mg.errors.DataError, match=message) as caught:
        data.mnist("train")
    assert str(path) in str(caught.value)


def test_idx_without_gzip_and_without_a_file(tmp_path):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "plain").write_bytes(idx(array))
    assert np.array_equal(data.read_idx(tmp_path / "plain"), array)
    with pytest.raises(mg.errors.DataError, match="no such file"):
        data.read_idx(tmp_path / "absent")


def test_images_that_do_not_go_with_their_labels(tiny_mnist):
    labels = tiny_mnist / "train-labels-idx1-ubyte.gz"
    labels.write_bytes(gzip.compress(idx(np.zeros(3, np.uint8))))
    with pytest.raises(mg.errors.DataError, match=r"images of shape \(20, 28, 28\) do not go with labels \(3,\)"):
        data.mnist("train")


# --- downloads, from a server on this machine -----------------------------------------------------------------


@pytest.fixture
def mirror(tiny_mnist, monkeypatch):
    """A local server that offers tiny_mnist, as the second mirror after one that has nothing."""
    served = tiny_mnist.rename(tiny_mnist.parent.parent / "served")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=served))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.delenv("MINIGAN_DATA")
    monkeypatch.setattr(images, "MNIST_MIRRORS", [url + "absent/", url])
    sums = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in served.iterdir()}
    monkeypatch.setattr(images, "MNIST_SHA256", sums)
    yield served
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_download_falls_back_to_the_next_mirror_and_is_cached(mirror):
    assert data.mnist("train")[0].shape == (20, 1, 28, 28)
    for path in mirror.iterdir():
        path.unlink()
    assert data.mnist("train")[0].shape == (20, 1, 28, 28)  # from the cache
    assert not list((files.cache_folder() / "mnist").glob("*.part"))


def test_a_download_with_another_checksum_is_refused_and_leaves_nothing(mirror):
    path = mirror / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes() + b"tampered")
    with pytest.raises(mg.errors.DataError, match=r"could not be downloaded.*404.*has SHA-256 .* expected"):
        data.mnist("train")
    assert list((files.cache_folder() / "mnist").iterdir()) == []


def test_no_network_says_what_each_mirror_answered(tmp_path, monkeypatch):
    monkeypatch.delenv("MINIGAN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(images, "MNIST_MIRRORS", ["http://127.0.0.1:9/one/", "http://127.0.0.1:9/two/"])
    with pytest.raises(mg.errors.DataError, match=r"one/: .*; http://127\.0\.0\.1:9/two/: "):
        data.mnist("train")


# --- other sets -----------------------------------------------------------------------------------------------


def test_digits_are_the_same_for_the_same_seed():
    pictures, labels = data.digits(300, seed=1)
    assert (pictures.shape, pictures.dtype, labels.dtype) == ((300, 1, 28, 28), np.uint8, np.int64)
    again, same = data.digits(300, seed=1)
    assert np.array_equal(pictures, again)
    assert np.array_equal(labels, same)
    assert not np.array_equal(pictures, data.digits(300, seed=2)[0])


def test_digits_are_digits():
    """Black ground, enough ink, and told apart by their nearest neighbours."""
    pictures, labels = data.digits(4000)
    flat = pictures.reshape(4000, -1).astype("float32") / 255
    assert np.bincount(labels, minlength=10).min() > 300
    assert flat[:, :28].mean() < 0.01
    assert flat.mean(1).min() > 0.02
    train, test = flat[:3500], flat[3500:]
    distance = (test**2).sum(1)[:, None] - 2 * test @ train.T + (train**2).sum(1)
    assert (labels[:3500][distance.argmin(1)] == labels[3500:]).mean() > 0.92


def test_cifar10_records(tmp_path):
    records = np.random.default_rng(0).integers(0, 256, (7, 3073)).astype("uint8")
    records[:, 0] = np.arange(7)
    (tmp_path / "data_batch_1.bin").write_bytes(records.tobytes())
    pictures, labels = data.cifar10("train", tmp_path)
    assert pictures.shape == (7, 3, 32, 32)
    assert labels.tolist() == list(range(7))
    assert pictures[2, 1, 0, 3] == records[2, 1 + 1024 + 3]
    with pytest.raises(mg.errors.DataError, match=r"no test_batch\*\.bin in"):
        data.cifar10("test", tmp_path)
    (tmp_path / "data_batch_2.bin").write_bytes(b"short")
    with pytest.raises(mg.errors.DataError, match=r"data_batch_2\.bin: 5 bytes are not a whole number of records"):
        data.cifar10("train", tmp_path)


def test_image_folder(tmp_path):
    ramp = np.tile(np.arange(60, dtype=np.uint8)[:, None] * 4, (1, 40))
    Image.fromarray(ramp).save(tmp_path / "b.png")
    Image.new("RGB", (30, 90), (255, 0, 0)).save(tmp_path / "a.jpg")
    turned = Image.new("RGB", (20, 10), (0, 0, 255))
    exif = turned.getexif()
    exif[274] = 6  # to be shown turned by 90 degrees
    turned.save(tmp_path / "c.jpg", exif=exif)
    (tmp_path / "note.txt").write_text("not a picture")
    pictures, labels = data.image_folder(tmp_path, 16)
    assert labels is None
    assert pictures.shape == (3, 3, 16, 16)
    assert pictures[0, 0].min() > 240
    assert pictures[0, 1].max() < 20
    assert np.diff(pictures[1, 0, :, 8].astype(int)).min() > 0  # top to bottom
    assert data.image_folder(tmp_path, 16, channels=1)[0].shape == (3, 1, 16, 16)
    (tmp_path / "d.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(mg.errors.DataError, match=r"d\.png: cannot be read as a picture"):
        data.image_folder(tmp_path, 16)
    with pytest.raises(mg.errors.DataError, match="no such folder"):
        data.image_folder(tmp_path / "absent", 16)
    (tmp_path / "empty").mkdir()
    with pytest.raises(mg.errors.DataError, match="holds no picture"):
        data.image_folder(tmp_path / "empty", 16)
    with pytest.raises(mg.errors.DataError, match="1 or 3 channels"):
        data.image_folder(tmp_path, 16, channels=2)


def test_point_sets():
    x, y = data.quadratic(1000).T
    assert x.min() >= -50
    assert x.max() < 50
    np.testing.assert_allclose(y, 10 + x**2, rtol=1e-6)
    points, mode = data.gaussians_ring(2000, modes=8)
    assert points.dtype == np.float32
    for k in range(8):
        angle = 2 * np.pi * k / 8
        centre = points[mode == k].mean(0)
        np.testing.assert_allclose(centre, [2 * np.cos(angle), 2 * np.sin(angle)], atol=0.01)


# --- batches --------------------------------------------------------------------------------------------------


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


def test_the_first_faces(tmp_path):
    folder = files.folders("anime_faces")[0]
    if not folder.is_dir():
        pytest.skip("needs pictures: set MINIGAN_DATA to the folder that holds anime_faces/")
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(Path(folder).iterdir())[:5]:
        (few / path.name).write_bytes(path.read_bytes())
    pictures, _ = data.image_folder(few, 96)
    assert pictures.shape == (5, 3, 96, 96)
    assert pictures.std() > 20
