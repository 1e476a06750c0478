"""What a file is, whatever its name, and one line for what is nothing that can be read."""

import gzip
import io
import pickle
import tarfile
import zipfile

import numpy as np
import pytest
from damaged_files import idx, saved
from PIL import Image

import minigan as mg
from minigan import data
from minigan.data import cifar, kinds


def tar(name, content, **options):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz", **options) as archive:
        about = tarfile.TarInfo(name)
        about.size = len(content)
        archive.addfile(about, io.BytesIO(content))
    return made.getvalue()


COLOUR = np.random.default_rng(0).integers(0, 256, (3, 3, 32, 32)).astype(np.uint8)
RECORDS = b"".join(bytes([k]) + image.tobytes() for k, image in enumerate(COLOUR))
READABLE = {
    "npy": saved(np.save, COLOUR),
    "npy in gzip": gzip.compress(saved(np.save, COLOUR)),
    "npz": saved(np.savez, images=COLOUR),
    "records": RECORDS,
    "archive": tar("data_batch_1.bin", RECORDS),
    "archive of old": tar("a/data_batch_1.bin", RECORDS, format=tarfile.USTAR_FORMAT),
    "archive with long names": tar("é" * 60 + "/data_batch_1.bin", RECORDS, format=tarfile.PAX_FORMAT),
}


@pytest.mark.parametrize("name", ["a.NPY", "a.npy", "a.npz", "a.png", "a.tar.gz", "a.bin", "a.gz", "a"])
@pytest.mark.parametrize("kind", READABLE)
def test_the_content_decides(tmp_path, kind, name):
    (tmp_path / name).write_bytes(READABLE[kind])
    assert np.array_equal(data.load_images(str(tmp_path / name), shape=(3, 32, 32)).values, COLOUR)


@pytest.mark.parametrize("name", ["t-images-idx3-ubyte", "images.npy", "a.png", "images.bin"])
def test_idx_under_any_name(tmp_path, name):
    for content in (idx(COLOUR[:, 0]), gzip.compress(idx(COLOUR[:, 0]))):
        (tmp_path / name).write_bytes(content)
        assert np.array_equal(data.load_images(str(tmp_path / name), shape=(1, 32, 32)).values, COLOUR[:, :1])


REFUSED = {
    "one picture, its folder may be given": saved(Image.fromarray(COLOUR[0, 0]).save, "PNG"),
    "empty": b"",
    "a page of HTML": b"<html>not found</html>",
    "a RAR archive": b"Rar!\x1a\x07",
    "an HDF5 file": b"\x89HDF\r\n\x1a\n",
    "compressed by xz": b"\xfd7zXZ\0",
    "a TIFF picture": saved(Image.fromarray(COLOUR[0, 0]).save, "TIFF"),
    r"of no kind that is known \(it begins with 74 65 78 74\)": b"text",
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_read_is_said_in_one_line_with_what_can(tmp_path, message):
    for name, content in {
        "a.npy": REFUSED[message],
        "a": REFUSED[message],
        "b": gzip.compress(REFUSED[message]),
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(mg.errors.DataError, match=f"{name}: {message}.*; what is accepted: a folder of") as caught:
            data.load_images(str(tmp_path / name))
        assert kinds.ACCEPTED in str(caught.value)
        assert str(caught.value).isprintable()


def test_archives_and_pickles_are_refused_with_what_to_do(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("faces/a.png", REFUSED["one picture, its folder may be given"])
    (tmp_path / "pickle").write_bytes(pickle.dumps([1]))
    (tmp_path / "tar").write_bytes(tar("faces/a.png", b"x"))
    (tmp_path / "tar, not gzipped").write_bytes(gzip.decompress(READABLE["archive"]))
    for name, message in {
        "a.npz": r"a zip archive, but not of arrays; unpack it first \(it holds faces/a\.png\)",
        "pickle": "a pickle, which can run any code",
        "tar": r"no data_batch_\*\.bin",
        "tar, not gzipped": "not a gzipped archive",
    }.items():
        with pytest.raises(mg.errors.DataError, match=message):
            data.load_images(str(tmp_path / name))


def test_a_folder_with_mnists_files_is_no_folder_of_pictures(tmp_path):
    (tmp_path / "train-images.idx3-ubyte").write_bytes(idx(COLOUR[:, 0, :28, :28]))
    with pytest.raises(mg.errors.DataError, match=r"mnist: no train-images.* and train-labels.* in "):
        data.load_images(str(tmp_path))
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.array([5, 0, 4], np.uint8))))
    found = data.load_images(str(tmp_path))
    assert np.array_equal(found.values, COLOUR[:, :1, :28, :28])
    assert found.labels.tolist() == [5, 0, 4]
    assert found.name == str(tmp_path.resolve())
    with pytest.raises(mg.errors.DataError, match=r"mnist: no t10k-images.* in "):
        data.mnist("test", tmp_path)


def test_records_are_told_by_their_size(tmp_path):
    path = tmp_path / "data"
    gzipped = b"\x1f\x8b" + RECORDS[2:]
    for content, whole in ((RECORDS, True), (RECORDS[1:], False), (b"", False), (gzipped, False)):
        path.write_bytes(content)
        assert cifar.is_records(path) == whole
    assert not cifar.is_records(tmp_path)
