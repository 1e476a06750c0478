"""Batches: which samples, in which order, how they are scaled, mirrored and cropped."""

import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import fakecupy
import numpy as np
import pytest
from PIL import Image

import minigan as mg
from minigan import data


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


def test_the_order_of_bytes_is_no_matter():
    values = np.arange(10)
    for samples in (np.stack([values, -values], 1).astype("f4"), values.reshape(10, 1)):
        here = data.Batches(samples, 4, labels=values)
        swapped = samples.astype(samples.dtype.newbyteorder())
        there = data.Batches(swapped, 4, labels=values.astype(values.dtype.newbyteorder()))
        for k in range(3):
            for found, expected in zip(there.at(k), here.at(k), strict=True):
                assert found.dtype == expected.dtype
                assert found.dtype.isnative
                assert np.array_equal(found, expected)
        assert data.fingerprint(swapped) == data.fingerprint(samples)
        assert data.fingerprint((swapped, values)) == data.fingerprint((samples, values))


def test_labels_go_with_their_samples():
    values = np.arange(10, dtype=np.int64)
    images = data.Batches(values.astype(np.uint8).reshape(10, 1, 1, 1), 3, labels=values, seed=1)
    points = data.Batches(np.stack([values, -values], 1).astype(np.float32), 3, labels=values, seed=1)
    for k in (0, 2, 5, 1):
        pictures, labels = images.at(k)
        assert np.rint((pictures.ravel() + 1) * 127.5).astype(int).tolist() == labels.tolist()
        places, again = points.at(k)
        np.testing.assert_array_equal(places, np.stack([labels, -labels], 1))
        np.testing.assert_array_equal(again, labels)


# --- several arrays ---------------------------------------------------------------------------------------------


class Pair(NamedTuple):
    """An image and what belongs to it."""

    image: Any
    other: Any


def numbered(n, h=6, w=5):
    """n images, each of one grey that is its number."""
    return np.arange(n, dtype=np.uint8)[:, None, None, None].repeat(h, 2).repeat(w, 3)


def numbers(batch):
    return pixels(batch)[:, 0, 0, 0].tolist()


@pytest.mark.parametrize(
    "other",
    [
        numbered(20, 3, 4),
        np.arange(40, dtype=np.float32).reshape(20, 2) / 2,
        np.arange(120, dtype=np.float32).reshape(20, 3, 2) / 6,  # sequences
        np.arange(20),
    ],
)
def test_paired_arrays_are_drawn_together(other):
    batches = data.shuffled_batches(Pair(numbered(20), other), 6, seed=3)
    assert (batches.per_epoch, batches.batch_size, batches.resident) == (3, 6, True)
    alone = data.shuffled_batches(numbered(20), 6, seed=3)
    for k in (0, 2, 5, 1):
        drawn = batches.at(k)
        assert type(drawn) is Pair
        assert numbers(drawn.image) == numbers(alone.at(k))  # in the order of one array by itself
        found = numbers(drawn.other) if drawn.other.ndim == 4 else np.floor(drawn.other.reshape(6, -1)[:, 0]).tolist()
        assert found == numbers(drawn.image)


def test_pairs_are_mirrored_and_moved_alike(rng):
    images = rng.integers(0, 256, (20, 3, 8, 7)).astype(np.uint8)
    drawn = data.shuffled_batches(Pair(images, 255 - images), 20, flip=True, crop=2).at(0)
    np.testing.assert_allclose(drawn.image, -drawn.other, atol=1e-6)
    alone = data.Batches(images, 20, flip=True, crop=2).at(0)
    assert np.array_equal(drawn.image, alone)


def test_two_domains_are_shuffled_each_for_itself():
    batches = data.shuffled_batches(Pair(numbered(20), numbered(45)), 6, paired=False)
    assert batches.per_epoch == 7  # of the larger one
    drawn = [batches.at(k) for k in range(7)]
    assert len({number for batch in drawn for number in numbers(batch.other)}) == 42
    assert all(numbers(batch.image) != numbers(batch.other) for batch in drawn)
    again = data.shuffled_batches(Pair(numbered(20), numbered(45)), 6, paired=False)
    assert numbers(again.at(5).other) == numbers(drawn[5].other)


def test_sources_of_any_kind_go_together(tmp_path):
    for k in range(9):
        Image.fromarray(np.full((4, 4, 3), k, np.uint8)).save(tmp_path / f"{k}.png")
    with data.FolderBatches(tmp_path, 4, 4) as folder:
        both = data.Together(Pair(folder, data.Batches(np.arange(9), 4)))
        assert not both.resident
        both.prepare(0)
        for k in range(4):
            drawn = both.at(k)
            assert numbers(drawn.image) == drawn.other.tolist()


def test_arrays_that_do_not_go_together_are_refused():
    with pytest.raises(mg.errors.DataError, match=r"of one length, got \{'image': 5, 'other': 6\}"):
        data.shuffled_batches(Pair(numbered(5), numbered(6)), 2)
    with pytest.raises(mg.errors.DataError, match="labels of a named tuple of arrays are one of its arrays"):
        data.shuffled_batches(Pair(numbered(5), numbered(5)), 2, labels=np.arange(5))
    with pytest.raises(mg.errors.DataError, match=r"sources of one batch size, got \{'image': 2, 'other': 3\}"):
        data.Together(Pair(data.Batches(numbered(5), 2), data.Batches(numbered(5), 3)))
    with pytest.raises(mg.errors.DataError, match=r"expected uint8 images .* got float64"):
        data.shuffled_batches(Pair(numbered(5), np.zeros((5, 2))), 2)
    with pytest.raises(mg.errors.DataError, match="shuffled_batches: expected an array or a named tuple, got a tuple"):
        data.shuffled_batches((numbered(5), numbered(5)), 2)
    with pytest.raises(mg.errors.DataError, match="Together: expected an array or a named tuple, got a list"):
        data.Together([data.Batches(numbered(5), 2)])
    with pytest.raises(TypeError, match="flp"):
        data.shuffled_batches(Pair(np.arange(5), np.arange(5)), 2, flp=True)


def test_a_stream_of_another_name_keeps_pairs_together_and_domains_apart():
    drawn = data.shuffled_batches(Pair(numbered(20), np.arange(20)), 8, stream="mine").at(0)
    assert numbers(drawn.image) == drawn.other.tolist()
    assert numbers(drawn.image) != numbers(data.shuffled_batches(numbered(20), 8).at(0))
    domains = data.shuffled_batches(Pair(one_image(), one_image()), 32, paired=False, flip=True).at(0)
    assert not np.array_equal(domains.image, domains.other)  # each is mirrored for itself


# --- mirrored and cropped ---------------------------------------------------------------------------------------


def one_image(n=64, h=6, w=5):
    """n copies of an image whose pixels all differ."""
    return np.tile(np.arange(3 * h * w, dtype=np.uint8).reshape(1, 3, h, w), (n, 1, 1, 1))


def pixels(batch):
    return np.rint((batch + 1) * 127.5).astype(np.uint8)


def test_flips_mirror_half_of_the_images():
    images = one_image()
    batch = pixels(data.Batches(images, 64, flip=True).at(0))
    mirrored = (batch == images[..., ::-1]).all((1, 2, 3))
    assert (mirrored | (batch == images).all((1, 2, 3))).all()
    assert 16 < mirrored.sum() < 48


def test_crops_are_taken_out_of_a_reflected_border():
    images = one_image()
    batch = pixels(data.Batches(images, 64, crop=2).at(0))
    bordered = np.pad(images[0], ((0, 0), (2, 2), (2, 2)), mode="reflect")
    crops = [bordered[:, down : down + 6, right : right + 5] for down in range(5) for right in range(5)]
    taken = {next(i for i, crop in enumerate(crops) if np.array_equal(crop, image)) for image in batch}
    assert len(taken) > 15


def test_a_batch_is_augmented_by_its_number_and_the_seed_alone(rng):
    images = rng.integers(0, 256, (20, 1, 8, 8)).astype(np.uint8)
    labels = np.arange(20)

    def make(seed=3, **options):
        return data.Batches(images, 5, seed=seed, labels=labels, **{"flip": True, "crop": 3, **options})

    first, again = make(), make()
    batches = [first.at(k)[0] for k in range(9)]
    plain = make(flip=False, crop=0)
    for k in (7, 0, 8, 3):
        assert np.array_equal(again.at(k)[0], batches[k])
        assert np.array_equal(again.at(k)[1], plain.at(k)[1])
        assert batches[k].transpose(0, 2, 3, 1).flags.c_contiguous
    assert not np.array_equal(make(seed=4).at(0)[0], batches[0])
    assert plain.at(0)[0].dtype == batches[0].dtype
    assert not np.array_equal(plain.at(0)[0], batches[0])


def test_what_cannot_be_augmented_is_refused():
    with pytest.raises(mg.errors.DataError, match=r"0 to 4 pixels for images of \(6, 5\), got 5"):
        data.Batches(one_image(), 4, crop=5)
    with pytest.raises(mg.errors.DataError, match="got -1"):
        data.Batches(one_image(), 4, crop=-1)
    with pytest.raises(mg.errors.DataError, match=r"points cannot be flipped or cropped, got float32 \(9, 2\)"):
        data.Batches(np.zeros((9, 2), np.float32), 4, flip=True)
    assert data.Batches(one_image(), 4, crop=4).at(0).shape == (4, 3, 6, 5)


def test_a_gpu_draws_the_same_augmented_batches(monkeypatch, rng):
    fakecupy.install(monkeypatch)
    images = rng.integers(0, 256, (11, 3, 7, 6)).astype(np.uint8)
    options = {"seed": 1, "flip": True, "crop": 2}
    here = data.Batches(images, 3, **options)
    there = data.Batches(images, 3, device="cuda", **options)
    streamed = data.StreamedBatches(images, 3, **options)
    step = mg.tensor(0, device="cuda").data
    draw = mg.capture(lambda: mg.Tensor(there.at(step)))
    for k in range(6):
        there.prepare(k)
        step[...] = k
        for found in (there.at(k).get(), draw().numpy(), streamed.at(k).get()):
            np.testing.assert_allclose(found, here.at(k), rtol=1e-6)


# --- on a GPU that cannot hold all of them ----------------------------------------------------------------------


def test_what_is_kept_on_a_gpu_and_what_is_sent(monkeypatch, rng):
    fakecupy.install(monkeypatch)
    images = rng.integers(0, 256, (11, 3, 7, 6)).astype(np.uint8)
    options = {"seed": 4, "flip": True, "crop": 2, "stream": "mine"}
    expected = data.shuffled_batches(images, 3, **options)
    assert type(expected) is data.Batches
    assert type(data.shuffled_batches(images, 3, device="cuda")) is data.Batches  # far below the default
    most = np.broadcast_to(np.uint8(0), (3, 1 << 10, 1 << 10, 1 << 10))  # 3 GiB, of which one byte is there
    assert type(data.shuffled_batches(most, 1, device="cuda")) is data.StreamedBatches
    for room, kind in ((images.nbytes, data.Batches), (images.nbytes - 1, data.StreamedBatches)):
        monkeypatch.setattr(data.batches, "RESIDENT", room)
        made = data.shuffled_batches(images, 3, device="cuda", **options)
        assert type(made) is kind
        for k in (0, 4):
            np.testing.assert_allclose(made.at(k).get(), expected.at(k), rtol=1e-6)
    for samples, more in (
        (images, {"device": "cpu"}),
        (images, {"device": "cuda", "labels": np.arange(11)}),
        (np.zeros((999, 2), np.float32), {"device": "cuda"}),
    ):
        assert type(data.shuffled_batches(samples, 3, **more)) is data.Batches


def test_each_batch_is_sent_once_while_the_one_before_is_used(monkeypatch, rng):
    fakecupy.install(monkeypatch)
    images = rng.integers(0, 256, (11, 1, 2, 2)).astype(np.uint8)
    here, streamed = data.Batches(images, 3, seed=1), data.StreamedBatches(images, 3, seed=1)
    sent, drawn = [], []
    fill, permutation = streamed._fill, streamed._permutation
    monkeypatch.setattr(streamed, "_fill", lambda *args: (sent.append(args[2]), fill(*args))[1])
    monkeypatch.setattr(streamed, "_permutation", lambda epoch: (drawn.append(epoch), permutation(epoch))[1])
    for k in range(5):
        np.testing.assert_allclose(streamed.at(k).get(), here.at(k), rtol=1e-6)
    assert sent == [0, 1, 2, 3, 4, 5]
    assert drawn == [0, 1]
    for k in (9, 3, 4, 0, 7):  # elsewhere, as after a resume
        np.testing.assert_allclose(streamed.at(k).get(), here.at(k), rtol=1e-6)
    assert sent[6:] == [9, 10, 3, 4, 5, 0, 1, 7, 8]


def test_sources_together_are_prepared_together():
    pairs = data.shuffled_batches(Pair(numbered(20), np.arange(20)), 6, seed=3)
    again = data.shuffled_batches(Pair(numbered(20), np.arange(20)), 6, seed=3)
    for k in (0, 4, 11):
        again.prepare(k)
        found = again.at(np.array(k))  # a number that lives on a device: what it needs has been prepared
        assert numbers(found.image) == found.other.tolist() == pairs.at(k).other.tolist()


def test_the_benchmark_runs(tmp_path):
    script = Path(__file__).parents[2] / "benches/data.py"
    command = [sys.executable, script, "--count", "20", "--side", "16"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert [line.split(":")[0] for line in said.splitlines()] == [
        *("image_folder", "FolderBatches", "Batches()", "Batches(flip=True)", "Batches(flip=True, crop=1)")
    ]
