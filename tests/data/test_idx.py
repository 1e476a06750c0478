"""IDX files: MNIST and Fashion-MNIST, broken files, downloads that are checked and atomic."""

import functools
import gzip
import hashlib
import http.server
import struct
import threading

import numpy as np
import pytest

import minigan as mg
from minigan import data
from minigan.data import files, idx


def idx_bytes(array):
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
        (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(pictures)))
        labels = rng.integers(0, 10, n).astype("uint8")
        (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(labels)))
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
    for name, sha256 in idx.MNIST.sha256.items():
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
        (lambda b: gzip.compress(gzip.decompress(b) + b"x"), "but more follow"),
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
    (tmp_path / "plain").write_bytes(idx_bytes(array))
    assert np.array_equal(data.read_idx(tmp_path / "plain"), array)
    for name in ("absent", "a\0name that no file has"):
        with pytest.raises(mg.errors.DataError, match="no such file"):
            data.read_idx(tmp_path / name)


def test_images_that_do_not_go_with_their_labels(tiny_mnist):
    labels = tiny_mnist / "train-labels-idx1-ubyte.gz"
    labels.write_bytes(gzip.compress(idx_bytes(np.zeros(3, np.uint8))))
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
    sums = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in served.iterdir()}
    monkeypatch.setattr(idx, "MNIST", idx.MNIST._replace(mirrors=[url + "absent/", url], sha256=sums))
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
    mirrors = ["http://127.0.0.1:9/one/", "http://127.0.0.1:9/two/"]
    monkeypatch.setattr(idx, "MNIST", idx.MNIST._replace(mirrors=mirrors))
    with pytest.raises(mg.errors.DataError, match=r"one/: .*; http://127\.0\.0\.1:9/two/: "):
        data.mnist("train")


# --- Fashion-MNIST, and files under other names ---------------------------------------------------------------


def test_fashion_mnist_is_not_taken_for_mnist(tiny_mnist, monkeypatch):
    monkeypatch.setattr(idx, "FASHION_MNIST", idx.FASHION_MNIST._replace(mirrors=["http://127.0.0.1:9/"]))
    with pytest.raises(mg.errors.DataError, match="could not be downloaded"):
        data.fashion_mnist()  # MNIST's files have the same names
    tiny_mnist.rename(tiny_mnist.with_name("fashion_mnist"))
    assert data.fashion_mnist("train")[0].shape == (20, 1, 28, 28)
    assert data.fashion_mnist("test")[1].shape == (5,)
    with pytest.raises(mg.errors.DataError, match="fashion_mnist: expected one of train, test"):
        data.fashion_mnist("valid")


def test_files_may_be_unpacked_and_spelled_otherwise(tiny_mnist):
    expected = data.mnist("train")
    for path in list(tiny_mnist.glob("train*")):
        path.with_name(path.name.removesuffix(".gz").replace("-idx", ".idx")).write_bytes(
            gzip.decompress(path.read_bytes())
        )
        path.unlink()
    found = data.mnist("train")
    assert np.array_equal(found[0], expected[0])
    assert np.array_equal(found[1], expected[1])


def test_what_has_mnists_names_but_not_its_form(tiny_mnist):
    images, labels = (tiny_mnist / f"train-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1"))
    original = images.read_bytes()
    images.write_bytes(gzip.compress(idx_bytes(np.zeros((20, 27, 28), np.uint8))))
    with pytest.raises(mg.errors.DataError, match=r"images of \(27, 28\) pixels, mnist's have \(28, 28\)"):
        data.mnist("train")
    images.write_bytes(original)
    labels.write_bytes(gzip.compress(idx_bytes(np.full(20, 11, np.uint8))))
    with pytest.raises(mg.errors.DataError, match=r"label 11 is not one of mnist's 0\.\.9"):
        data.mnist("train")


def test_a_header_that_promises_more_than_the_file_can_hold(tmp_path):
    path = tmp_path / "idx"
    huge = b"\x00\x00\x08\x03" + b"\x7f\xff\xff\xff" * 3
    for content in (huge, gzip.compress(huge)):
        path.write_bytes(content)
        with pytest.raises(mg.errors.DataError, match=rf"more than a file of {len(content)} bytes can hold"):
            data.read_idx(path)
    path.write_bytes(gzip.compress(idx_bytes(np.zeros((1, 2), np.uint8)) + bytes(50 << 20)))  # a bomb
    with pytest.raises(mg.errors.DataError, match="2 bytes, but more follow"):
        data.read_idx(path)
    path.write_bytes(b"\x00\x00\x08\x02" + bytes(4) + b"\xff" * 4)
    with pytest.raises(mg.errors.DataError, match="0 bytes"):
        data.read_idx(path)
    with pytest.raises(mg.errors.DataError, match="not a regular file"):
        data.read_idx(tmp_path)
