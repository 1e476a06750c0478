"""Data sets that are drawn, and data sets by the name or path that a command line gives."""

import collections
import gzip
import os
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

import minigan as mg
from minigan import data
from minigan.data import files


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


@pytest.mark.parametrize(
    ("draw", "told"),
    [
        (lambda: data.gaussians_ring(9, modes=0), "modes from 1, got 0"),
        (lambda: data.gaussians_ring(9, modes=2.5), "modes from 1, got 2.5"),
        (lambda: data.gaussians_ring(9, radius=float("inf")), "radius to be finite and not negative, got inf"),
        (lambda: data.gaussians_ring(9, std=-1), "std to be finite and not negative, got -1"),
        (lambda: data.gaussians_grid(9, side=0), "modes from 1, got 0"),
        (lambda: data.gaussians_grid(9, spacing=float("nan")), "spacing to be finite and not negative, got nan"),
        (lambda: data.swiss_roll(9, noise=-1), "noise to be finite and not negative, got -1"),
        (lambda: data.swiss_roll(9, scale=0), "a scale of 0"),
    ],
)
def test_point_sets_that_cannot_be_are_named(draw, told):
    with pytest.raises(mg.errors.DataError, match=told):
        draw()


# --- by name or path --------------------------------------------------------------------------------------------


def test_every_kind_of_path(tmp_path, rng):
    grey = rng.integers(0, 256, (6, 1, 8, 8)).astype(np.uint8)
    labels = np.arange(6)
    np.save(tmp_path / "a.npy", grey[:, 0] / 255)
    np.savez(tmp_path / "a.npz", images=grey, labels=labels)
    for name, array in {"t-images-idx3-ubyte": grey[:, 0], "t-labels-idx1-ubyte": labels.astype(np.uint8)}.items():
        header = b"\x00\x00\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
        (tmp_path / name).write_bytes(header + array.tobytes())
    (tmp_path / "pictures").mkdir()
    for k in range(6):
        Image.fromarray(grey[k, 0]).save(tmp_path / f"pictures/{k}.png")
    for name, labelled in (("a.npy", False), ("a.npz", True), ("t-images-idx3-ubyte", True), ("pictures", False)):
        found = data.load_images(str(tmp_path / name), shape=(1, 8, 8))
        assert np.array_equal(found.values, grey), name
        assert (found.labels is not None) == labelled
        assert found.name == str((tmp_path / name).resolve())
    assert len(data.load_images(str(tmp_path / "pictures"), 3, (1, 8, 8)).values) == 3
    bordered = data.load_images(str(tmp_path / "a.npz"), shape=(3, 12, 10)).values
    assert np.array_equal(bordered[:, :, 2:-2, 1:-1], grey.repeat(3, 1))
    assert bordered.sum(dtype=int) == 3 * grey.sum(dtype=int)
    with pytest.raises(mg.errors.DataError, match=r"a\.npz has images of shape \(1, 8, 8\), .* made for \(1, 7, 9\)"):
        data.load_images(str(tmp_path / "a.npz"), shape=(1, 7, 9))
    with pytest.raises(mg.errors.DataError, match=r"labels 'folders' are for folders of pictures, .*a\.npz is none"):
        data.load_images(str(tmp_path / "a.npz"), shape=(1, 8, 8), labels="folders")
    (tmp_path / "pictures").rename(tmp_path / "one")
    (tmp_path / "classes").mkdir()
    (tmp_path / "one").rename(tmp_path / "classes/one")
    found = data.load_images(str(tmp_path / "classes"), shape=(1, 8, 8), labels="folders")
    assert found.labels.tolist() == [0] * 6
    with pytest.raises(mg.errors.DataError, match="absent: no such folder or file; the data sets"):
        data.load_images(str(tmp_path / "absent"))
    with pytest.raises(mg.errors.DataError, match=r"digit: no such folder or file; did you mean digits\?"):
        data.load_images(str(tmp_path / "digit"))


def test_a_folder_is_the_data_set_whose_files_it_holds(tmp_path, monkeypatch):
    held = {"a": "data_batch_1.bin", "b": "train-images-idx3-ubyte.gz", "c": "0.png"}
    for folder, name in held.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).touch()
    monkeypatch.chdir(tmp_path)
    Path("mnist").mkdir()  # a name counts more than a folder that is called so
    Path("x.npy").touch()
    assert [data.data_set(s) for s in ("a", "b", "c", "mnist", "auto", "x.npy", "none")] == [
        *("cifar10", "mnist", None, "mnist", "auto", None, None)
    ]
    assert [data.is_pictures(s) for s in ("a", "b", "c", "mnist", "x.npy")] == [False, False, True, False, False]


def test_names(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGAN_DATA", str(tmp_path))
    record = bytes([7]) + bytes(3072)
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / "data_batch_1.bin").write_bytes(3 * record)
    assert data.load_images("cifar10", shape=(3, 32, 32)).labels.tolist() == [7, 7, 7]
    assert len(data.load_images(str(tmp_path / "cifar10"), shape=(3, 32, 32)).values) == 3
    assert len(data.load_images(str(tmp_path / "cifar10/data_batch_1.bin"), shape=(3, 32, 32)).values) == 3
    with pytest.raises(mg.errors.DataError, match=r"fashion_mnist has images of shape \(1, 28, 28\)"):
        data.load_images("fashion_mnist", shape=(1, 16, 16))
    assert data.load_images("digits", 50, (3, 32, 32)).values.shape == (50, 3, 32, 32)


@pytest.mark.parametrize("name", sorted(data.DATASETS))
def test_every_data_set_with_a_name_has_images_that_are_held_out(name, monkeypatch):
    """Fashion-MNIST and CIFAR-10 as well as MNIST: what is asked for is the test set."""
    shape = data.DATASETS[name].shape
    asked = []

    def load(split, most):
        asked.append((split, most))
        return np.full((300, *shape), 7, np.uint8), np.arange(300) % 10

    monkeypatch.setitem(data.DATASETS, name, data.DATASETS[name]._replace(load=load))
    samples = data.Samples(np.zeros((3, *shape), np.uint8), None, name)
    images, labels = data.held_out(samples)
    assert (images.shape, labels.shape, asked) == ((300, *shape), (300,), [("test", None)])
    assert len(data.held_out(samples, few=True)[0]) == 200
    larger = (3, 40, 40)
    if shape[0] == 1:
        bordered = data.held_out(samples, shape=larger)[0]
        assert bordered.shape == (300, *larger)
        assert bordered[:, :, 20, 20].all()
        assert not bordered[:, :, 0].any()
    else:
        with pytest.raises(mg.errors.DataError, match="the networks are made for"):
            data.held_out(samples, shape=larger)
    with pytest.raises(mg.errors.DataError, match="no held-out images are known for my own"):
        data.held_out(samples._replace(name="my own"))


STRANGE = os.fsdecode(b"caf\xe9\x1b[31m\n\xe2\x80\xae")  # bytes of no encoding, and what a terminal obeys
SHOWN = r"caf\xe9\x1b[31m\n\u202e"


@pytest.fixture
def strange(tmp_path):
    """A folder of that name, or a skip where no file can have it."""
    try:
        (tmp_path / STRANGE).mkdir()
    except (OSError, UnicodeError):
        pytest.skip("needs file names of any bytes")
    return tmp_path / STRANGE


READERS = {
    "load_images": lambda path: data.load_images(str(path)),
    "load_images, labels": lambda path: data.load_images(str(path), labels="folders"),
    "load_array": data.load_array,
    "read_idx": data.read_idx,
    "mnist": lambda path: data.mnist("train", path),
    "cifar10": lambda path: data.cifar10("train", path),
    "list_pictures": data.list_pictures,
    "image_folder": lambda path: data.image_folder(path, 8, labels="folders"),
    "FolderBatches": lambda path: data.FolderBatches(path, 1, 8),
}
CONTENTS = {
    "nothing": None,
    "empty": b"",
    "text": b"text",
    "gzip": gzip.compress(b"text"),
    "cut gzip": gzip.compress(b"text")[:-3],
    "zip": b"PK\3\4",
    "npy": b"\x93NUMPY\1\0\2\0{}",
    "idx": b"\0\0\x08\1\1\1\1\1",
    "pickle": b"\x80\4",
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", CONTENTS)
def test_names_are_shown_escaped_in_every_error(strange, reader, kind):
    path = strange / STRANGE
    if CONTENTS[kind] is not None:
        path.write_bytes(CONTENTS[kind])
    for given in (path, strange):
        with pytest.raises(mg.errors.DataError) as caught:
            READERS[reader](given)
        assert SHOWN in str(caught.value)
        assert str(caught.value).isprintable()


def test_names_are_shown_escaped_in_every_note(strange, capsys):
    for k in range(5):
        Image.new("L", (28, 28), k).save(strange / f"{STRANGE}{k}.png")
    (strange / STRANGE).write_text("text")
    cut = strange / f"{STRANGE}0.png"
    cut.write_bytes(cut.read_bytes()[:-5])
    samples = data.load_images(str(strange))
    assert samples.name == str(strange.resolve())
    with pytest.raises(mg.errors.DataError) as caught:
        samples.needed_labels("why")
    with pytest.raises(mg.errors.DataError) as unknown:
        data.held_out(samples)
    with data.FolderBatches(strange, 4, 8) as batches:
        batches.at(0)
        (strange / f"{STRANGE}3.png").unlink()
        with pytest.raises(mg.errors.DataError) as gone:
            list(map(batches.at, range(9)))
    said = capsys.readouterr().out
    assert said.count(SHOWN) > 4
    for text in (*said.splitlines(), *(str(each.value) for each in (caught, unknown, gone))):
        assert SHOWN in text
        assert text.isprintable()


def test_labels_among_the_arrays_count_if_these_belong_together():
    class Known(NamedTuple):
        image: Any
        labels: Any

    values = Known(np.zeros((4, 1, 2, 2), np.uint8), np.arange(4))
    assert data.Samples(values, None, "x").needed_labels("why").tolist() == [0, 1, 2, 3]
    with pytest.raises(mg.errors.DataError, match="x: these samples have no labels, why"):
        data.Samples(values, None, "x", paired=False).needed_labels("why")


def test_some_of_the_samples_are_each_there_once_with_their_labels_and_always_the_same(tmp_path):
    values = np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1).repeat(8, 2).repeat(8, 3)
    np.savez(tmp_path / "all.npz", images=values, labels=np.arange(20))
    found = data.load_images(str(tmp_path / "all.npz"), shape=(1, 8, 8), count=12)
    assert found.values.shape == (12, 1, 8, 8)
    assert len({*found.labels}) == 12
    assert found.values[:, 0, 0, 0].tolist() == found.labels.tolist() != sorted(found.labels.tolist())
    fewer = data.load_images(str(tmp_path / "all.npz"), shape=(1, 8, 8), count=5)
    assert fewer.labels.tolist() == found.labels.tolist()[:5]
    two = collections.namedtuple("Two", "a b")(values, values[:7])
    domains = data.some(data.Samples(two, None, "two", paired=False), 7)
    assert [len(domain) for domain in domains.values] == [7, 7]
    with pytest.raises(mg.errors.DataError, match=r"all\.npz: expected from 1 to all 20 of its samples, got 21"):
        data.load_images(str(tmp_path / "all.npz"), shape=(1, 8, 8), count=21)


def test_scaled_images_are_those_of_batches_and_come_back(rng):
    images = rng.integers(0, 256, (6, 3, 4, 5)).astype(np.uint8)
    found = data.scaled(images)
    assert found.dtype == np.float32
    assert np.array_equal(mg.viz.to_uint8(found), images)
    assert np.array_equal(np.sort(found.ravel()), np.sort(data.Batches(images, 6).at(0).ravel()))
    np.testing.assert_allclose(data.scaled(np.array([0, 255], np.uint8)), [-1, 1], atol=1e-6)
    with pytest.raises(mg.errors.DataError, match=r"scaled: expected uint8 images, got float32 \(6, 3"):
        data.scaled(found)


def test_a_user_without_a_home_is_told_what_to_set_and_needs_none_where_the_data_are(monkeypatch):
    def unknown():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("MINIGAN_DATA", "given")
    assert files.folders("mnist") == [Path("given/mnist"), Path("given")]
    with pytest.raises(mg.errors.DataError, match="set MINIGAN_DATA to a folder that holds the data"):
        files.cache_folder()
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    assert files.folders("mnist")[-1] == Path("cache/minigan/mnist")
