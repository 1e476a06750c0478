"""Pairs that are mirrored and moved alike whatever their sizes, read from disk when needed, or once into memory."""

import threading
import tracemalloc
from functools import partial

import fakecupy
import numpy as np
import pytest
from PIL import Image

from minigan import data
from minigan.data import Batches, Pair, PictureBatches, halves, paired_folders, pairs_by_name, pairs_of_halves
from minigan.data.augment import crops_alike
from minigan.errors import DataError
from minigan.system import machine

SOURCES = np.random.default_rng(0).integers(0, 256, (30, 2, 6, 8)).astype(np.uint8)


def larger(images, times):
    return images.repeat(times, 2).repeat(times, 3)


# --- alike ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 2, 4])
@pytest.mark.parametrize("steps", [0, 1, 5])
def test_pairs_are_mirrored_and_moved_alike_if_one_is_some_times_as_large(times, steps):
    """A target whose pixels are repeated stays that of its source, at the reflected edges too."""
    pairs = Pair(larger(SOURCES, times), SOURCES)
    batches = data.shuffled_batches(pairs, 15, flip=True, crop=steps * times, seed=3)
    plain = data.shuffled_batches(pairs, 15, seed=3)
    for k in (0, 1, 5):
        drawn = batches.at(k)
        assert (drawn.target == larger(drawn.source, times)).all()
        assert (drawn.source != plain.at(k).source).any()


def test_what_is_within_a_large_pixel_is_mirrored_with_it():
    """Each pixel says its place; wherever the source's pixel came from, the target's came from within it."""
    places = np.arange(48, dtype=np.uint8).reshape(1, 1, 6, 8).repeat(20, 0)
    fine = np.arange(24 * 32).reshape(1, 1, 24, 32).repeat(20, 0)
    low, high = (fine % 256).astype(np.uint8), (fine // 256).astype(np.uint8)
    batches = data.shuffled_batches(Pair(np.concatenate([low, high], 1), places), 20, flip=True, crop=12)
    drawn = batches.at(2)
    target, source = (np.rint((images + 1) * 127.5).astype(int) for images in drawn)
    fine = target[:, 0] + 256 * target[:, 1]
    rows, columns = fine // 32, fine % 32
    assert (rows // 4 * 8 + columns // 4 == larger(source, 4)[:, 0]).all()
    assert (abs(np.diff(columns, axis=2)) <= 1 + 2 * 4).all()
    mirrored = columns[:, 0, 13] > columns[:, 0, 14]
    assert 0 < mirrored.sum() < 20


def test_pairs_of_one_size_are_moved_as_each_is_alone():
    batches = data.shuffled_batches(Pair(SOURCES, SOURCES[::-1].copy()), 10, flip=True, crop=2, seed=1)
    alone = Batches(SOURCES, 10, flip=True, crop=2, seed=1)
    for k in range(4):
        assert np.array_equal(batches.at(k).target, alone.at(k))


def test_what_cannot_be_moved_alike_is_named():
    assert crops_alike([(24, 32), (6, 8), (12, 16)], 8) == [(8, 4), (2, 1), (4, 2)]
    assert crops_alike([(24, 32), (9, 9)], 0) == [(0, 1), (0, 1)]
    pairs = Pair(larger(SOURCES, 4), SOURCES)
    with pytest.raises(
        DataError, match=r"crop: expected a multiple of 4, the times that \(24, 32\) is \(6, 8\), got 6"
    ):
        data.shuffled_batches(pairs, 4, crop=6)
    odd = Pair(SOURCES[:, :, :, :7].copy(), SOURCES[:, :, :3, :4].copy())
    with pytest.raises(DataError, match=r"whole multiples of the smallest of them, got \(6, 7\) and \(3, 4\)"):
        data.shuffled_batches(odd, 4, crop=1)
    assert data.shuffled_batches(odd, 4, flip=True).at(0).target.shape == (4, 2, 6, 7)
    assert data.shuffled_batches(odd, 4, crop=1, paired=False).at(0).source.shape == (4, 2, 3, 4)
    with pytest.raises(DataError, match="crop: expected 0 to 23 pixels"):
        data.shuffled_batches(pairs, 4, crop=24)


# --- on disk --------------------------------------------------------------------------------------------------------


@pytest.fixture
def folders(tmp_path):
    """(targets, sources, both beside each other): fourteen pictures each."""
    rng = np.random.default_rng(0)
    for k in range(14):
        for name, size in (("a", (20, 24)), ("b", (17, 13)), ("ab", (16, 32))):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (*size, 3)).astype(np.uint8)).save(tmp_path / name / f"{k:02}.png")
    return tmp_path / "a", tmp_path / "b", tmp_path / "ab"


def cut(path):
    path.write_bytes(path.read_bytes()[:-6])


@pytest.mark.parametrize("options", [{}, {"flip": True, "crop": 4}])
def test_pairs_from_disk_are_the_batches_of_those_in_memory(folders, options):
    targets, sources, both = folders
    sizes = {"source_size": 4, "source_channels": 1}
    listed = {
        "by name": (pairs_by_name(targets, sources, 16, **sizes), paired_folders(targets, sources, 16, **sizes)),
        "halves": (pairs_of_halves(both, 8, source="right"), halves(both, 8, source="right")),
    }
    for pictures, values in listed.values():
        resident = data.shuffled_batches(values, 5, seed=2, **options)
        with PictureBatches(pictures, 5, seed=2, **options) as streamed:
            assert streamed.per_epoch == resident.per_epoch == 2
            for k in (0, 1, 2, 7, 1):
                found, expected = streamed.at(k), resident.at(k)
                assert isinstance(found, Pair)
                assert np.array_equal(found.target, expected.target)
                assert np.array_equal(found.source, expected.source)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("minigan-pictures")]


def test_pairs_from_disk_on_a_gpu(folders, monkeypatch):
    cupy = fakecupy.install(monkeypatch)
    pictures = pairs_by_name(*folders[:2], 8, source_size=4)
    with PictureBatches(pictures, 4, device="cuda", crop=2) as streamed, PictureBatches(pictures, 4, crop=2) as here:
        found, expected = streamed.at(1), here.at(1)
        for ours, theirs in zip(found, expected, strict=True):
            assert isinstance(ours, cupy.ndarray)
            np.testing.assert_allclose(ours.get(), theirs, rtol=1e-6)


def test_sources_that_are_not_so_much_smaller_than_targets_are_scaled_and_that_is_said(tmp_path, capsys):
    for folder, size in (("large", (64, 48)), ("small", (16, 12)), ("nearly", (17, 13))):
        (tmp_path / folder).mkdir()
        Image.new("RGB", size).save(tmp_path / folder / "a.png")
    large, small, nearly = (tmp_path / folder for folder in ("large", "small", "nearly"))
    for targets, sources, sides, told in (
        (large, small, (8, 2), ""),
        (large, nearly, (8, 2), ""),
        (large, large, (8, 8), ""),
        (
            large,
            small,
            (8, 4),
            "a.png is 64 x 48 pixels, ",
        ),
        (small, large, (8, 2), "a.png is 16 x 12 pixels, "),
    ):
        with data.folders.each_reported_once():
            for _ in range(2):
                pairs_by_name(targets, sources, sides[0], source_size=sides[1])
        said = capsys.readouterr().out
        assert said.count("note: ") == bool(told)
        assert told in said
    assert "0.25 times and not 4: they are scaled to 8 and 2 pixels a side" in said
    cut(small / "a.png")
    pairs_by_name(large, small, 8, source_size=4)
    assert capsys.readouterr().out == ""


def test_a_pair_of_which_one_is_damaged_is_replaced_by_the_next(folders, capsys):
    targets, sources, _ = folders
    original = paired_folders(targets, sources, 8)
    cut(targets / "03.png")
    cut(sources / "04.png")
    stand_ins = Pair(*(array.copy() for array in original))
    for array in stand_ins:
        array[[3, 4]] = array[5]
    resident = data.shuffled_batches(stand_ins, 7)
    with PictureBatches(pairs_by_name(targets, sources, 8), 7) as streamed:
        for k in range(2):
            assert np.array_equal(streamed.at(k).target, resident.at(k).target)
            assert np.array_equal(streamed.at(k).source, resident.at(k).source)
        assert {path.name for path in streamed.skipped} == {"03.png", "04.png"}
    assert "skipped 2 of 14 files" in capsys.readouterr().out
    assert len(paired_folders(targets, sources, 8).target) == 12


def test_some_of_them_alone_are_read(folders):
    pictures = pairs_by_name(*folders[:2], 8)
    chosen = pictures.chosen([9, 2])
    assert [path.name for path in chosen.pictures] == ["09.png", "02.png"]
    assert len(pictures.pictures) == 14
    values = chosen.batch(data.read_all(chosen)[0])
    assert (values.target == paired_folders(*folders[:2], 8).target[[9, 2]]).all()
    assert [array.shape for array in data.read_all(pictures.chosen([]))[0]] == [(0, 3, 8, 8)] * 2


def test_the_fingerprint_is_of_both_sides(folders):
    targets, sources, both = folders
    whole = pairs_by_name(targets, sources, 8)
    before = data.fingerprint_of_pictures(whole)
    assert before == data.fingerprint_of_pictures(pairs_by_name(targets, sources, 8))
    assert before["count"] == 14
    assert before != data.fingerprint_of_pictures(whole.chosen(range(13)))
    (sources / "05.png").write_bytes((sources / "05.png").read_bytes() + b"\0")
    assert before["sha256"] != data.fingerprint_of_pictures(whole)["sha256"]
    assert data.fingerprint_of_pictures(pairs_of_halves(both, 8))["count"] == 14


# --- in memory ------------------------------------------------------------------------------------------------------


def test_more_than_memory_holds_is_refused_before_it_is_read(folders, monkeypatch):
    targets, sources, both = folders
    monkeypatch.setattr(machine, "memory", lambda: 14 * 3 * (64 + 16) - 1)
    for read in (partial(paired_folders, targets, sources, 8, source_size=4), partial(halves, both, 8)):
        with pytest.raises(DataError, match="14 pictures take 0 GB of memory: use --stream"):
            read()
    assert len(paired_folders(targets, sources, 8, source_size=4, limit=13).target) == 13


@pytest.mark.parametrize("beside", [False, True])
def test_images_are_not_held_twice(folders, beside):
    targets, sources, both = folders
    size = 192
    read = partial(halves, both, size) if beside else partial(paired_folders, targets, sources, size)
    read(limit=2)
    tracemalloc.start()
    try:
        held = sum(array.nbytes for array in read())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert held == 14 * 2 * 3 * size**2
    assert peak < 2 * held + 4e6
