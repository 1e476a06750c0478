"""The judges that ship, and the files of judges."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

import minigan as mg
from minigan import data, judge
from minigan.judge import reader
from minigan.system import disk, stored


@pytest.mark.parametrize("name", judge.SHIPPED)
def test_a_judge_that_ships_says_where_it_comes_from(name):
    shipped = judge.load(name)
    assert shipped.name == name
    assert {"accuracy", "seed", "epochs", "date", "parameters", "sets"} <= set(shipped.about)
    assert tuple(shipped.about["sets"]) == judge.SHIPPED[name]
    images = np.zeros((3, *shipped.shape), np.uint8)
    assert shipped.features(images).shape == (3, 64)
    assert shipped.probabilities(images).shape == (3, shipped.classes) == (3, 10)


def test_the_judge_of_digits_reads_digits_that_are_drawn_from_fonts():
    images, labels = data.digits(500, seed=3)
    shipped = judge.suited(data.Samples(images, labels, "digits"))
    assert shipped.name == "digits"
    assert shipped.accuracy(images, labels) > 0.98
    framed = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)))
    np.testing.assert_array_equal(shipped.features(framed), shipped.features(images))
    np.testing.assert_allclose(shipped.features(framed.repeat(3, 1)), shipped.features(images), atol=1e-3)


def test_a_judge_knows_its_data_by_name_or_by_what_their_labels_say():
    images, labels = data.digits(600, seed=3)
    assert judge.suited(data.Samples(images, labels, "/some/file")).name == "digits"
    assert judge.suited(data.Samples(images, (labels + 1) % 10, "/some/file")) is None
    assert judge.suited(data.Samples(images, None, "/some/file")) is None
    assert judge.suited(data.Samples(np.zeros((9, 3, 40, 48), np.uint8), None, "faces")) is None
    assert judge.suited(data.Samples(np.zeros((9, 2), np.float32), None, "ring")) is None


@pytest.fixture(scope="module")
def quick():
    images, labels = data.digits(200)
    return judge.fit_classifier(images, labels)


def test_a_judge_in_a_file_is_the_judge(quick, tmp_path):
    images = data.digits(20, seed=1)[0]
    quick.name, quick.about["data"] = "mine", "digits"
    again = judge.load(quick.save(tmp_path / "judge.safetensors"))
    assert (again.name, again.about, again.form) == (quick.name, quick.about, quick.form)
    np.testing.assert_array_equal(again.features(images), quick.features(images))
    halved = judge.load(quick.save(tmp_path / "half.safetensors", half=True))
    assert (tmp_path / "half.safetensors").stat().st_size < 0.6 * (tmp_path / "judge.safetensors").stat().st_size
    np.testing.assert_allclose(halved.features(images), quick.features(images), rtol=0.02, atol=0.01)


def test_what_is_no_judge_is_named(quick, tmp_path):
    with pytest.raises(mg.errors.CheckpointError, match=r"no judge of that name.*those that ship are digits"):
        judge.load("digit")
    path = quick.save(tmp_path / "judge.safetensors")
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(mg.errors.CheckpointError, match=r"judge\.safetensors: cannot be read as safetensors"):
        judge.load(path)
    path.write_bytes(whole[:-100] + bytes(100))
    with pytest.raises(mg.errors.CheckpointError, match="its checksum is not the one"):
        judge.load(path)
    path.write_bytes(stored.content({"w": np.ones(3, "f4")}))
    with pytest.raises(mg.errors.CheckpointError, match="holds no judge"):
        judge.load(path)
    path.write_text("no safetensors at all")
    with pytest.raises(mg.errors.CheckpointError, match="cannot be read as safetensors"):
        judge.load(path)


def test_a_judge_file_that_is_damaged_anywhere_is_refused(quick, tmp_path):
    path = quick.save(tmp_path / "judge.safetensors", half=True)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    header = int.from_bytes(whole[:8], "little") + 8
    for place in [*rng.integers(0, header, 60), *rng.integers(header, len(whole), 20)]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        with pytest.raises(mg.errors.CheckpointError, match=r"judge\.safetensors: "):
            judge.load(path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"format": 3}, "written in format 3, this minigan reads 1 and 2"),
        ({"network": "dcgan"}, "expected one of classifier28, picture_classifier, and its sizes, got dcgan"),
        ({"options": {"channels": 1, "classes": 10, "features": 1 << 40}}, "its sizes, got classifier28"),
        ({"options": {"channels": 1, "classes": 4096, "features": 4096}}, "its weights are not those of"),
        ({"options": {"channels": 1, "classes": 10, "features": 64}}, r"head\.weight has shape \(10, 128\)"),
        ({"options": {"channels": 1, "classes": 10, "width": 64}}, "describes no judge"),
        ({"options": None}, "describes no judge"),
        ({"about": 3}, "describes no judge"),
        ({"name": None, "about": {"form": 1}}, "describes no judge"),
    ],
)
def test_a_file_that_somebody_made_up_is_refused(quick, changed, message, tmp_path):
    """Its checksum is right: it was written so."""
    held, metadata, _ = stored.read(quick.save(tmp_path / "judge.safetensors"))
    about = {**json.loads(metadata[reader.KEY]), "sha256": disk.BLANK.decode(), **changed}
    path = tmp_path / "made_up.safetensors"
    path.write_bytes(disk.sealed(stored.content(held, {reader.KEY: json.dumps(about)})))
    with pytest.raises(mg.errors.CheckpointError, match=rf"made_up\.safetensors: .*{message}"):
        judge.load(path)


def test_features_of_other_tools_come_in(tmp_path):
    rows = np.random.default_rng(0).standard_normal((5, 8)).astype("f4")
    np.save(tmp_path / "a.npy", rows)
    np.savez(tmp_path / "b.npz", features=rows[:, :, None, None])
    (tmp_path / "c.safetensors").write_bytes(stored.content({"features": rows.astype("f2")}))
    for name, tolerance in (("a.npy", 0), ("b.npz", 0), ("c.safetensors", 1e-2)):
        found = judge.read_features(tmp_path / name)
        assert (found.shape, found.dtype) == ((5, 8), np.float32)
        np.testing.assert_allclose(found, rows, atol=tolerance)
    assert judge.read_features(_saved(tmp_path, rows.astype("f8"))).dtype == np.float64


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((1, 4), "f4"), r"expected floats \(N, F\), N >= 2, got float32 \(1, 4\)"),
        (np.ones(4, "f4"), r"got float32 \(4,\)"),
        (np.ones((4, 4), "i4"), r"got int32 \(4, 4\)"),
        (np.array([[1, 2], [np.nan, 1]]), "1 of 2 rows of features hold a NaN or an infinity"),
    ],
)
def test_features_that_are_none_are_named(array, message, tmp_path):
    with pytest.raises(mg.errors.DataError, match=message):
        judge.read_features(_saved(tmp_path, array))


def test_a_file_without_features_is_named(tmp_path):
    np.savez(tmp_path / "moments.npz", mu=np.ones(3), sigma=np.eye(3))
    with pytest.raises(mg.errors.DataError, match=r"expected features under the name .* it holds mu, sigma"):
        judge.read_features(tmp_path / "moments.npz")
    with pytest.raises(mg.errors.DataError, match=r"none\.safetensors: no such file"):
        judge.read_features(tmp_path / "none.safetensors")


def _saved(folder, array):
    np.save(folder / "features.npy", array)
    return folder / "features.npy"


@pytest.mark.parametrize(("name", "data_set"), [(name, each) for name, sets in judge.SHIPPED.items() for each in sets])
def test_a_judge_is_as_good_as_it_says_on_images_that_it_has_not_seen(name, data_set):
    if data_set != "digits" and not (Path(os.environ.get("MINIGAN_DATA", "absent")) / data_set).is_dir():
        pytest.skip(f"needs {data_set}: set MINIGAN_DATA to the folder that holds {data_set}/")
    shipped = judge.load(name)
    said = shipped.about["sets"][data_set]["accuracy"]
    images, labels = data.digits(2000, seed=1) if data_set == "digits" else data.DATASETS[data_set].load("test", None)
    assert shipped.accuracy(images[:2000], labels[:2000]) > said - 0.02
