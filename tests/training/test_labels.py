"""Runs that learn from clusters or labels: found once, kept, the same on resume, refused where they cannot be had."""

import json

import numpy as np
import pytest
from PIL import Image
from quick_run import QuickYardstick, quick_curves
from safetensors.numpy import load_file
from tiny_run import newest

import minigan as mg
from minigan import data, export
from minigan.command import cli
from minigan.data import k_means
from minigan.training import loop

RUN = "--model dcgan --side 32 --channels 1 --width 2 --batch-size 16 --sample-every 100 --data"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(loop, "Yardstick", QuickYardstick)
    monkeypatch.setattr(mg.viz, "loss_curves", quick_curves)


@pytest.fixture
def digits(tmp_path):
    """(a file of 96 digits of the classes 0 to 3, they and their labels), as large as the networks want them."""
    images, labels = data.digits(400)
    images = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)))
    chosen = np.flatnonzero(labels < 4)[:96]
    np.savez(tmp_path / "digits.npz", images=images[chosen], labels=labels[chosen])
    return tmp_path / "digits.npz", images[chosen], labels[chosen]


def train(file, out, *words):
    return cli.main(["train", *RUN.split(), str(file), "--out", str(out), *words])


def test_clusters_are_labels_and_a_resumed_run_is_the_same(digits, tmp_path, capsys):
    file, images, _ = digits
    words = ["--clusters", "5", "--ema", "0.9", "--seed", "3", "--steps"]
    assert train(file, tmp_path / "whole", *words, "4") == 0
    assert train(file, tmp_path / "run", *words, "2") == 0
    found = load_file(tmp_path / "run/clusters.safetensors")["labels"]
    assert np.array_equal(found, k_means(images, 5, seed=3))
    (tmp_path / "run/clusters.safetensors").unlink()  # they are found anew, and are the same
    assert cli.main(["resume", str(tmp_path / "run"), "--steps", "3"]) == 0
    assert "the clusters are found anew" in capsys.readouterr().out
    assert cli.main(["resume", str(tmp_path / "run"), "--steps", "4"]) == 0
    assert "found anew" not in capsys.readouterr().out
    whole, resumed = newest(tmp_path / "whole"), newest(tmp_path / "run")
    assert whole.keys() == resumed.keys()
    assert [name for name in whole if not np.array_equal(whole[name], resumed[name])] == []
    assert whole["counts"].tolist() == np.bincount(found, minlength=5).tolist()
    generator = export.load_generator(tmp_path / "run/generator.safetensors")
    assert generator.counts == whole["counts"].tolist()


def test_clusters_of_another_machine_are_kept_and_others_refused(digits, tmp_path, capsys):
    """Where sums are rounded otherwise, a run goes on with the clusters it has, or says that they are others."""
    file, images, _ = digits
    train(file, tmp_path / "run", "--clusters", "5", "--steps", "1")
    folder = mg.training.RunFolder(tmp_path / "run")
    ours = folder.read_clusters(len(images))
    theirs = ours.copy()
    theirs[0] = (theirs[0] + 1) % 5
    folder.write_clusters(theirs)
    capsys.readouterr()
    assert cli.main(["resume", str(tmp_path / "run"), "--steps", "2"]) == 1
    assert "cannot resume with other settings: labels_sha256 was" in capsys.readouterr().err
    folder.write_clusters(ours)
    assert cli.main(["resume", str(tmp_path / "run"), "--steps", "2"]) == 0
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert config["settings"]["clusters"] == 5


def test_damaged_clusters_are_found_anew(digits, tmp_path, capsys):
    file, images, _ = digits
    train(file, tmp_path / "run", "--clusters", "5", "--steps", "1")
    path = tmp_path / "run/clusters.safetensors"
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)
    assert mg.training.RunFolder(tmp_path / "run").read_clusters(len(images)) is None
    assert "clusters.safetensors is damaged; the clusters are found anew" in capsys.readouterr().out


def test_the_labels_of_the_data_and_what_is_drawn_of_them(digits, tmp_path):
    file, _, labels = digits
    assert train(file, tmp_path / "run", "--labels", "--steps", "1") == 0
    generator = export.load_generator(tmp_path / "run/generator.safetensors")
    assert (generator.classes, generator.counts) == (4, np.bincount(labels).tolist())
    assert cli.main(["sample", str(tmp_path / "run"), "--n", "9", "--out", str(tmp_path / "s.npy")]) == 0
    drawn = generator.sample(9, labels=generator.labels(9)).numpy()
    assert np.array_equal(np.load(tmp_path / "s.npy"), drawn)
    ways = ["interpolate", str(tmp_path / "run"), "--pairs", "2", "--frames", "3", "--out", str(tmp_path / "w.png")]
    assert cli.main(ways) == 0
    with Image.open(tmp_path / "w.png") as picture:
        assert picture.size == (2 * (3 * 34 + 2), 2 * (2 * 34 + 2))
    assert not (tmp_path / "run/clusters.safetensors").exists()


def test_folders_of_pictures_are_classes(tmp_path, monkeypatch):
    for name in ("cats", "dogs", "emus"):
        (tmp_path / "zoo" / name).mkdir(parents=True)
        for k in range(6):
            Image.new("L", (28, 28), 40 * k).save(tmp_path / f"zoo/{name}/{k}.png")
    assert data.count_classes(str(tmp_path / "zoo"), labels="folders") == 3
    assert train(tmp_path / "zoo", tmp_path / "run", "--labels-from", "folders", "--steps", "1") == 0
    assert newest(tmp_path / "run")["counts"].tolist() == [6, 6, 6]
    monkeypatch.setattr("minigan.training.program.SEEN", 7)  # that are shown; it learns from all
    assert train(tmp_path / "zoo", tmp_path / "other", "--labels-from", "folders", "--stream", "--steps", "1") == 0
    ours, theirs = newest(tmp_path / "run"), newest(tmp_path / "other")
    assert [name for name, array in ours.items() if not np.array_equal(array, theirs[name])] == []
    with pytest.raises(mg.errors.DataError, match="these pictures have no labels, unless their folders are"):
        data.count_classes(str(tmp_path / "zoo"))


def test_how_many_classes_data_have(digits, tmp_path):
    file, images, _ = digits
    assert [data.count_classes(name) for name in ("auto", "digits", "cifar10")] == [10, 10, 10]
    assert data.count_classes(str(file)) == 4
    np.save(tmp_path / "bare.npy", images)
    with pytest.raises(mg.errors.DataError, match="have no labels, so their classes cannot be counted"):
        data.count_classes(str(tmp_path / "bare.npy"))


def test_what_cannot_be_is_named(digits, tmp_path, capsys):
    file, _, _ = digits
    for words, status, message in (
        ("--clusters 97", 1, "expected 1 to 96 clusters"),
        ("--clusters 5 --batch-size 97", 1, "--batch-size 97: "),
        ("--clusters 5 --labels", 2, "--clusters changes nothing with labels"),
        ("--labels-from folders", 1, "digits.npz: no such folder"),
        ("--clusters 5 --stream", 1, "--clusters are found among all images, which --stream never holds"),
        ("--clusters 5 --pack 2", 1, "does not go with {'pack': 2}"),
        ("--clusters -1", 2, "expected a number from 0"),
    ):
        capsys.readouterr()
        try:
            found = train(file, tmp_path / "run", *words.split())
        except SystemExit as stopped:
            found = stopped.code
        said = capsys.readouterr().err
        assert (found, message in said) == (status, True), said
        assert not (tmp_path / "run").exists()


def test_a_dry_run_has_as_many_clusters_as_it_has_images(digits, tmp_path):
    assert train(digits[0], tmp_path / "run", "--clusters", "97", "--dry-run") == 0
