"""CIFAR-10: files of records, the archive, which is read without unpacking it, and what is refused."""

import gzip
import hashlib
import io
import pickle
import tarfile

import numpy as np
import pytest

import minigan as mg
from minigan import data
from minigan.data import cifar


def records(n, seed=0):
    """The bytes of n records, labelled 0, 1, ..."""
    made = np.random.default_rng(seed).integers(0, 256, (n, cifar.RECORD)).astype("uint8")
    made[:, 0] = np.arange(n)
    return made.tobytes()


def archive(path, members):
    """A .tar.gz of (name, content) or of members as tarfile has them."""
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member, io.BytesIO(bytes(member.size)) if member.isreg() else None)
            else:
                about = tarfile.TarInfo(member[0])
                about.size = len(member[1])
                tar.addfile(about, io.BytesIO(member[1]))
    return path


def official(path):
    """An archive of the official form, with few records in each file."""
    names = [f"cifar-10-batches-bin/data_batch_{k}.bin" for k in (3, 1, 2)]
    members = [(name, records(3, seed=k)) for k, name in enumerate(names)]
    test = [("cifar-10-batches-bin/test_batch.bin", records(2)), ("cifar-10-batches-bin/readme.html", b"<html>")]
    return archive(path, members + test)


def test_records(tmp_path):
    content = records(7)
    (tmp_path / "data_batch_1.bin").write_bytes(content)
    pictures, labels = data.cifar10("train", tmp_path)
    assert (pictures.shape, pictures.dtype, labels.dtype) == ((7, 3, 32, 32), np.uint8, np.int64)
    assert labels.tolist() == list(range(7))
    assert pictures[2, 1, 0, 3] == content[2 * cifar.RECORD + 1 + 1024 + 3]
    with pytest.raises(mg.errors.DataError, match=r"no test_batch\*\.bin in"):
        data.cifar10("test", tmp_path)
    with pytest.raises(mg.errors.DataError, match="expected train or test, got 'valid'"):
        data.cifar10("valid", tmp_path)
    (tmp_path / "data_batch_2.bin").write_bytes(b"short")
    with pytest.raises(mg.errors.DataError, match=r"data_batch_2\.bin: 5 bytes are not a whole number of records"):
        data.cifar10("train", tmp_path)
    (tmp_path / "data_batch_2.bin").write_bytes(b"\x1f\x8b" + bytes(cifar.RECORD - 2))
    with pytest.raises(mg.errors.DataError, match=r"data_batch_2\.bin: gzipped"):
        data.cifar10("train", tmp_path)
    (tmp_path / "data_batch_2.bin").write_bytes(records(12))
    with pytest.raises(mg.errors.DataError, match=r"data_batch_2\.bin: label 11 is not one of"):
        data.cifar10("train", tmp_path)


def test_the_archive_and_where_it_is_looked_for(tmp_path, monkeypatch):
    path = official(tmp_path / cifar.ARCHIVE)
    pictures, labels = data.cifar10("train", path)
    assert pictures.shape == (9, 3, 32, 32)
    assert labels.tolist() == [0, 1, 2] * 3
    assert pictures.tobytes()[:3072] == records(3, seed=1)[1 : 1 + 3072]  # of data_batch_1
    assert len(data.cifar10("test", tmp_path)[0]) == 2
    with tarfile.open(path) as tar:
        for member in tar:
            (tmp_path / "unpacked" / member.name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "unpacked" / member.name).write_bytes(tar.extractfile(member).read())
    assert np.array_equal(data.cifar10("train", tmp_path / "unpacked")[0], pictures)
    monkeypatch.setenv("MINIGAN_DATA", str(tmp_path / "unpacked"))
    assert np.array_equal(data.cifar10("train")[0], pictures)


def test_the_archive_is_downloaded_and_checked(tmp_path, monkeypatch):
    (tmp_path / "served").mkdir()
    path = official(tmp_path / "served" / cifar.ARCHIVE)
    monkeypatch.delenv("MINIGAN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cifar, "MIRRORS", [path.parent.as_uri() + "/"])
    with pytest.raises(mg.errors.DataError, match=f"has SHA-256 .* expected {cifar.SHA256}"):
        data.cifar10("train")
    monkeypatch.setattr(cifar, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(data.cifar10("train")[0]) == 9
    path.unlink()
    assert len(data.cifar10("test")[0]) == 2  # from the cache


class Harmful:
    """What runs when it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("unpickled",)


@pytest.mark.parametrize("name", ["data_batch_1", "cifar-10-python.tar.gz", "cifar-10-batches-py/data_batch_1"])
def test_the_pickled_version_is_refused_with_the_reason(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    if name.endswith("gz"):
        archive(path, [("cifar-10-batches-py/data_batch_1", pickle.dumps(Harmful()))])
        renamed = tmp_path / "renamed.tar.gz"
        renamed.write_bytes(path.read_bytes())
    else:
        path.write_bytes(pickle.dumps(Harmful()))
    for place in tmp_path.iterdir() if name.endswith("gz") else [tmp_path]:
        with pytest.raises(mg.errors.DataError, match=r"a pickle can run any code; take .*cifar-10-binary\.tar\.gz"):
            data.cifar10("train", place)
    with pytest.raises(mg.errors.DataError, match="a pickle can run any code"):
        data.load_images(str(tmp_path), shape=(3, 32, 32))


def link(name):
    about = tarfile.TarInfo(name)
    about.type, about.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return about


def sized(name, size):
    about = tarfile.TarInfo(name)
    about.size = size
    return about


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("../data_batch_1.bin", records(1))], "would lie outside the archive's folder"),
        ([("/data_batch_1.bin", records(1))], "would lie outside the archive's folder"),
        ([("a/../../x", b"")], "would lie outside the archive's folder"),
        ([link("data_batch_1.bin")], "is not a plain file"),
        ([("data_batch_1.bin", b"123")], "3 bytes are not a whole number of records"),
        ([("data_batch_1.bin", b"")], "0 bytes are not a whole number"),
        ([sized("data_batch_1.bin", 10_001 * cifar.RECORD)], "larger than CIFAR-10's"),
        ([("a/data_batch_1.bin", records(1)), ("b/data_batch_1.bin", records(1))], "or there twice"),
        ([(f"{k}.txt", b"") for k in range(101)], "more than 100 members"),
        ([("\x1b[31m\n/data_batch_1.bin", b"123")], r"its member '.x1b\[31m.n/data_batch_1.bin': 3 bytes are"),
        ([("data_batch_1.bin", b"\x0a" + records(1)[1:])], "label 10 is not one of"),
        ([("readme.html", b"")], r"no data_batch_\*\.bin in"),
    ],
)
def test_archives_that_are_not_cifar10(tmp_path, members, message):
    path = archive(tmp_path / "a.tar.gz", members)
    with pytest.raises(mg.errors.DataError, match=message) as caught:
        data.cifar10("train", path)
    assert str(path) in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]  # nothing was unpacked


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
@pytest.mark.parametrize("body", [b"a" * 600, b"9" * 200_000, b"30 path=" + b"x" * 21 + b"\n", b"\0" * 512])
def test_members_that_say_what_the_next_is_called_are_counted(tmp_path, kind, body):
    """Chains of them, which tarfile follows as deep as they go, and what it searches in quadratic time."""
    about = tarfile.TarInfo("././@LongLink")
    about.type, about.size = kind, len(body)
    block = about.tobuf(tarfile.GNU_FORMAT) + body + bytes(-len(body) % 512)
    whole = gzip.decompress(official(tmp_path / "a.tar.gz").read_bytes())
    path = tmp_path / "b.tar.gz"
    path.write_bytes(gzip.compress(block * 2 + whole))
    assert data.cifar10("train", path)[1].tolist() == [0, 1, 2] * 3
    path.write_bytes(gzip.compress(block * 120 + whole, 1))
    with pytest.raises(mg.errors.DataError, match="more than 100 members"):
        data.cifar10("train", path)


def test_a_member_that_leads_back(tmp_path):
    """One of negative size, after which the one before it would be read again."""
    about = tarfile.TarInfo("readme")
    about.size = -512
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(about.tobuf(tarfile.GNU_FORMAT) + bytes(2048)))
    with pytest.raises(mg.errors.DataError, match="its member 'readme' says it has -512 bytes"):
        data.cifar10("train", tmp_path / "a.tar.gz")


def test_archives_that_are_broken(tmp_path, monkeypatch):
    whole = official(tmp_path / "a.tar.gz").read_bytes()
    path = tmp_path / "b.tar.gz"
    for broken, message in (
        (b"", "not a gzipped archive"),
        (gzip.decompress(whole), "not a gzipped archive"),
        (whole[:-40], "cannot be decompressed"),
        (whole[:-8] + b"\x00" + whole[-7:], "cannot be decompressed"),  # the checksum
        (gzip.compress(b"text" * 999), "not an archive that can be read"),
    ):
        path.write_bytes(broken)
        with pytest.raises(mg.errors.DataError, match=message):
            data.cifar10("train", path)
    monkeypatch.setattr(cifar, "MOST_CONTENT", 1 << 20)
    path.write_bytes(gzip.compress(bytes(1 << 22)))
    with pytest.raises(mg.errors.DataError, match="more than 1048576 bytes when decompressed"):
        data.cifar10("train", path)
