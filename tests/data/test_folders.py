"""Folders of pictures: which files count, in which order, what is skipped and said."""

import os
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import minigan as mg
from minigan import data
from minigan.data import files, folders
from minigan.system import machine


def save(path, value, size=(6, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).save(path)


def values(pictures):
    """The brightness of each picture of one colour."""
    return pictures[:, 0, 0, 0].tolist()


def test_pictures_come_in_the_order_of_their_paths(tmp_path):
    for name, value in {"b.png": 20, "a/z.png": 10, "c/a/x.png": 30, "c/b.bmp": 40}.items():
        save(tmp_path / name, value)
    pictures, labels = data.image_folder(tmp_path, 4)
    assert (pictures.shape, pictures.dtype, labels) == ((4, 3, 4, 4), np.uint8, None)
    assert values(pictures) == [10, 20, 30, 40]
    assert data.image_folder(tmp_path, 4, channels=1)[0].shape == (4, 1, 4, 4)
    assert values(data.image_folder(tmp_path, 4, limit=2)[0]) == [10, 30]  # spread


def test_folders_as_labels(tmp_path):
    for name, value in {"dogs/1.png": 1, "cats/2.png": 2, "dogs/old/3.png": 3, "empty/note.txt.png": 4}.items():
        save(tmp_path / name, value)
    (tmp_path / "empty/note.txt.png").write_bytes(b"text")
    (tmp_path / "cats/cut.png").write_bytes((tmp_path / "cats/2.png").read_bytes()[:-9])
    pictures, labels = data.image_folder(tmp_path, 4, labels="folders")
    assert labels.dtype == np.int64
    assert list(zip(values(pictures), labels.tolist(), strict=True)) == [(2, 0), (1, 1), (3, 1)]
    save(tmp_path / "stray.png", 9)
    with pytest.raises(mg.errors.DataError, match=r"stray\.png: is in no folder below .* that would be its class"):
        data.image_folder(tmp_path, 4, labels="folders")


def test_what_is_no_picture_or_damaged_is_skipped_and_reported(tmp_path, capsys):
    for k in range(7):
        save(tmp_path / f"{k}.jpg", 100, (64, 64))
    whole = (tmp_path / "3.jpg").read_bytes()
    (tmp_path / "3.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "4.jpg").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("a line")
    (tmp_path / ".hidden").write_text("passed over")
    (tmp_path / "gone.png").symlink_to("nowhere.png")
    assert len(data.image_folder(tmp_path, 8)[0]) == 5
    said = capsys.readouterr().out
    assert "skipped 4 of 9 files: 3.jpg (cannot be decoded (" in said
    assert "4.jpg (empty), gone.png (cannot be opened: No such file or directory), 1 more" in said
    assert data.list_pictures(tmp_path).skipped[tmp_path / "notes.txt"] == "not a picture"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.wav", b"RIFF\x24\0\0\0WAVEfmt " + bytes(40)),
        ("a.avi", b"RIFF\x24\0\0\0AVI LIST" + bytes(40)),
        ("notes.txt", b"BMW series, photographed in May"),
        ("list.txt", b"BM\n" + b"another line\n" * 4),
        ("about.txt", b"GIF8 is how such a file begins"),
        ("a.mp3", b"\xff\xd8\xff\x10" + bytes(40)),
        ("short", b"BM"),
        ("png.txt", b"\x89PNG is how such a file begins"),
    ],
)
def test_what_only_begins_like_a_picture_is_none(tmp_path, name, content):
    save(tmp_path / "1.png", 10)
    (tmp_path / name).write_bytes(content)
    assert data.list_pictures(tmp_path).skipped == {tmp_path / name: "not a picture"}
    assert len(data.image_folder(tmp_path, 4)[0]) == 1


def test_pictures_are_told_by_their_first_bytes(tmp_path):
    picture = Image.effect_noise((20, 20), 50)
    for form in folders.FORMATS:
        picture.save(tmp_path / f"{form}.txt", form)
    picture.save(tmp_path / "progressive.txt", "JPEG", progressive=True)
    picture.save(tmp_path / "lossless.txt", "WEBP", lossless=True)
    picture.convert("RGBA").save(tmp_path / "transparent.txt", "WEBP", exif=b"Exif\0\0II*\0")
    picture.convert("RGBA").save(tmp_path / "transparent_bmp.txt", "BMP")
    old = struct.pack("<2sIHHIIHHHH", b"BM", 26 + 12, 0, 0, 26, 12, 2, 2, 1, 24) + bytes(16)  # OS/2's
    (tmp_path / "old_bmp.txt").write_bytes(old)
    assert len(data.list_pictures(tmp_path).pictures) == 10
    assert len(data.image_folder(tmp_path, 4)[0]) == 10


def test_mostly_damaged_is_an_error(tmp_path):
    for k in range(4):
        save(tmp_path / f"{k}.png", 100)
    for k in range(2):
        (tmp_path / f"{k}.png").write_bytes((tmp_path / f"{k}.png").read_bytes()[:-5])
    assert len(data.image_folder(tmp_path, 4)[0]) == 2
    (tmp_path / "2.png").write_bytes((tmp_path / "2.png").read_bytes()[:-5])
    with pytest.raises(mg.errors.DataError, match=r"3 of 4 pictures are damaged: 0\.png \(cut off after \d+ bytes\)"):
        data.image_folder(tmp_path, 4)


def test_folders_that_cannot_be(tmp_path):
    with pytest.raises(mg.errors.DataError, match="no such folder"):
        data.image_folder(tmp_path / "absent", 16)
    with pytest.raises(mg.errors.DataError, match=r"holds no picture \(PNG, .*\), nor anything else"):
        data.image_folder(tmp_path, 16)
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(mg.errors.DataError, match=r"holds no picture .*but a\.txt \(not a picture\)"):
        data.image_folder(tmp_path, 16)
    for wrong, message in (
        ({"channels": 2}, "1 or 3 channels, got 2"),
        ({"size": 0}, "at least 1 pixel, got 0"),
        ({"labels": "names"}, "got 'names'"),
    ):
        with pytest.raises(mg.errors.DataError, match=message):
            data.image_folder(tmp_path, **{"size": 16, **wrong})


def test_a_folder_that_does_not_fit_into_memory(tmp_path, monkeypatch):
    save(tmp_path / "1.png", 10)
    monkeypatch.setattr(machine, "memory", lambda: 4 * 4 * 3 - 1)
    with pytest.raises(mg.errors.DataError, match="1 pictures take 0 GB of memory: use --stream"):
        data.image_folder(tmp_path, 4)


def test_links_are_followed_and_never_loop(tmp_path):
    save(tmp_path / "pictures/a/1.png", 10)
    save(tmp_path / "elsewhere/2.png", 20)
    (tmp_path / "pictures/a/up").symlink_to(tmp_path / "pictures")
    (tmp_path / "pictures/a/self").symlink_to(".")
    (tmp_path / "pictures/b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "pictures/c").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/3.png").symlink_to("2.png")
    (tmp_path / "elsewhere/4.png").symlink_to("5.png")
    (tmp_path / "elsewhere/5.png").symlink_to("4.png")
    found = data.list_pictures(tmp_path / "pictures")
    assert [str(p.relative_to(tmp_path / "pictures")) for p in found.pictures] == ["a/1.png", "b/2.png", "b/3.png"]
    assert [p.name for p in found.skipped] == ["4.png", "5.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_what_would_never_end_is_not_opened(tmp_path):
    save(tmp_path / "1.png", 10)
    os.mkfifo(tmp_path / "pipe.png")
    assert data.list_pictures(tmp_path).skipped == {tmp_path / "pipe.png": "not a regular file"}


def decoding():
    """The names of the threads that decode."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("minigan-pictures")]


def test_threads_end_with_the_folder_and_with_an_interruption(tmp_path, monkeypatch):
    for k in range(40):
        save(tmp_path / f"{k:02}.png", k)
    assert values(data.image_folder(tmp_path, 4)[0]) == list(range(40))
    assert decoding() == []

    def interrupted(items, total, name):
        for k, item in enumerate(items):
            if k == 3:
                raise KeyboardInterrupt
            yield item

    monkeypatch.setattr(folders, "_with_bar", interrupted)
    with pytest.raises(KeyboardInterrupt):
        data.image_folder(tmp_path, 4)
    assert decoding() == []


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
