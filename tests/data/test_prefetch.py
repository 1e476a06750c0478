"""Batches that threads decode ahead: the same ones as from memory, bounded, and gone when they are closed."""

import gc
import threading
import time

import fakecupy
import numpy as np
import pytest
from PIL import Image

import minigan as mg
from minigan import data
from minigan.data import folders


@pytest.fixture
def folder(tmp_path, rng):
    """Twenty pictures of different sizes, and a text file."""
    for k in range(20):
        pixels = rng.integers(0, 256, (8 + k, 12, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{k:02}.png")
    (tmp_path / "note.txt").write_text("text")
    return tmp_path


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert decoding() == []


def decoding():
    """The names of the threads that decode."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("minigan-pictures")]


def cut(path):
    path.write_bytes(path.read_bytes()[:-6])


@pytest.mark.parametrize("options", [{}, {"flip": True, "crop": 2}])
def test_they_are_the_batches_of_the_folder_in_memory(folder, options):
    resident = data.Batches(data.image_folder(folder, 8)[0], 6, seed=2, **options)
    with data.FolderBatches(folder, 6, 8, seed=2, **options) as streamed:
        assert streamed.per_epoch == resident.per_epoch == 3
        for k in (0, 1, 2, 3, 4, 11, 12, 1):  # in order across an epoch, then elsewhere
            found = streamed.at(k)
            assert found.transpose(0, 2, 3, 1).flags.c_contiguous
            assert np.array_equal(found, resident.at(k))


def test_on_a_gpu(folder, monkeypatch):
    fakecupy.install(monkeypatch)
    options = {"seed": 2, "flip": True, "crop": 1}
    with data.FolderBatches(folder, 4, 8, channels=1, device="cuda", **options) as streamed:
        resident = data.Batches(data.image_folder(folder, 8, channels=1)[0], 4, **options)
        for k in (0, 1, 6):
            np.testing.assert_allclose(streamed.at(k).get(), resident.at(k), rtol=1e-6)


def test_the_next_batches_are_decoded_while_one_is_used_and_no_more(folder, monkeypatch):
    read, enough = [], threading.Event()
    original = folders.read_picture

    def reading(name, size, channels):
        made = original(name, size, channels)
        read.append(name)
        if len(read) == 4 * 3:
            enough.set()
        return made

    monkeypatch.setattr(folders, "read_picture", reading)
    with data.FolderBatches(folder, 4, 8, ahead=2) as batches:
        batches.at(0)
        assert decoding()
        assert enough.wait(20)
        time.sleep(0.05)
        assert len(read) == 4 * 3


def test_a_damaged_picture_is_replaced_by_the_next_that_is_whole(folder, capsys):
    original = data.image_folder(folder, 8)[0]
    for k in (4, 5, 19):
        cut(folder / f"{k:02}.png")
    stand_ins = original.copy()
    stand_ins[[4, 5, 19]] = original[[6, 6, 0]]
    resident = data.Batches(stand_ins, 5, seed=1)
    with data.FolderBatches(folder, 5, 8, seed=1) as batches:
        for k in (*range(4), 2):
            assert np.array_equal(batches.at(k), resident.at(k))
        named = {path.name: reason for path, reason in batches.skipped.items()}
    assert named.keys() == {"note.txt", "04.png", "05.png", "19.png"}
    assert "cut off" in named["04.png"]
    said = capsys.readouterr().out
    assert "skipped 1 of 21 files: note.txt (not a picture)" in said
    assert "skipped 3 of 20 files: 04.png (cut off after" in said


def test_an_error_of_a_thread_reaches_the_trainer_and_ends_the_threads(folder):
    batches = data.FolderBatches(folder, 5, 8)
    batches.at(0)
    (folder / "07.png").unlink()
    with pytest.raises(mg.errors.DataError, match=r"07\.png: can no longer be read \(No such file"):
        list(map(batches.at, range(1, 20)))
    assert decoding() == []
    with pytest.raises(mg.errors.DataError, match="these batches are closed"):
        batches.at(1)
    batches.close()  # again does no harm


def test_mostly_damaged_is_an_error(folder):
    for k in range(11):
        cut(folder / f"{k:02}.png")
    with (
        data.FolderBatches(folder, 20, 8) as batches,
        pytest.raises(mg.errors.DataError, match="11 of 20 pictures are damaged"),
    ):
        batches.at(0)


def test_what_is_forgotten_ends_by_itself(folder):
    batches = data.FolderBatches(folder, 5, 8)
    batches.at(0)
    del batches
    gc.collect()
    for _ in range(200):
        if decoding():
            time.sleep(0.01)


def test_a_game_trains_on_them(folder):
    mg.random.seed(0)
    nn = mg.nn
    G = nn.Sequential(nn.Linear(4, 3 * 64), nn.Unflatten(1, (3, 8, 8)))
    D = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 1))
    game = mg.gan.ScoreGame(
        *(G, D),
        loss=mg.gan.losses.hinge,
        latent=mg.gan.normal_latent(4),
        generator_optimizer=mg.optim.Adam(G.parameters(), 1e-3),
        discriminator_optimizer=mg.optim.Adam(D.parameters(), 1e-3),
    )
    with data.FolderBatches(folder, 5, 8) as batches:
        for _ in range(6):
            assert np.isfinite(game.play(lambda k: mg.Tensor(batches.at(k)))["d_loss"].item())


def test_what_cannot_be(folder):
    for wrong in ({"channels": 2}, {"size": 0}, {"ahead": 0}):
        with pytest.raises(mg.errors.DataError, match="expected 1 or 3 channels"):
            data.FolderBatches(folder, 5, **{"size": 8, **wrong})
    with pytest.raises(mg.errors.DataError, match="from 1 to the 20 samples, got 21"):
        data.FolderBatches(folder, 21, 8)
    with pytest.raises(mg.errors.DataError, match="no such folder"):
        data.FolderBatches(folder / "absent", 5, 8)
