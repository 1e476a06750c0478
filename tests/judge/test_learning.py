"""How judges learn: with labels and without, from samples of any kind, by one command."""

import json

import numpy as np
import pytest
from PIL import Image

import minigan as mg
from minigan import data, judge
from minigan.command import cli


def arrows(n, side=16, seed=0):
    """Colour pictures (n, 3, side, side) that have an up: light above, a dark bar below, noise on all."""
    rng = np.random.default_rng(seed)
    pictures = rng.integers(0, 60, (n, 3, side, side)).astype(np.uint8)
    pictures[:, :, : side // 2] += 120
    pictures[:, :, -3:] = rng.integers(0, 20, (n, 3, 1, 1), dtype=np.uint8)
    return pictures


@pytest.fixture(scope="module")
def unlabelled():
    return judge.learn(data.Samples(arrows(200), None, "a/folder/arrows"), epochs=3)


def test_without_labels_it_learns_which_way_up_a_picture_is(unlabelled):
    assert unlabelled.about["taught"] == "rotations"
    assert unlabelled.about["accuracy"] > 0.9
    assert (unlabelled.about["images"], unlabelled.about["tested"]) == (180, 20)
    assert unlabelled.about["data"] == "arrows"
    pictures = arrows(5, seed=1)
    assert unlabelled.features(pictures).shape == (5, unlabelled.width)
    assert unlabelled.classes is None
    assert unlabelled.probabilities(pictures) is None
    with pytest.raises(mg.errors.DataError, match="was taught rotations: it knows features, no classes"):
        unlabelled.predict(pictures)


def test_a_judge_with_batch_norm_is_stored_in_half_the_bytes(unlabelled, tmp_path):
    pictures = arrows(9, seed=1)
    again = judge.load(unlabelled.save(tmp_path / "half.safetensors", half=True))
    np.testing.assert_allclose(again.logits(pictures), unlabelled.logits(pictures), rtol=0.02, atol=0.02)
    np.testing.assert_allclose(again.features(pictures), unlabelled.features(pictures), rtol=0.02, atol=0.1)


def test_what_an_image_gives_does_not_depend_on_those_beside_it(unlabelled):
    pictures = arrows(9, seed=1)
    np.testing.assert_allclose(unlabelled.features(pictures[:1]), unlabelled.features(pictures)[:1], atol=1e-4)
    assert unlabelled.classifier.body.training  # as it was


def test_a_turn_is_a_quarter_to_the_left():
    picture = np.zeros((1, 1, 2, 2), np.uint8)
    picture[0, 0, 0, 1] = 1  # above right
    ways, turns = judge.turned(picture)
    assert turns.tolist() == [0, 1, 2, 3]
    assert [tuple(map(int, np.argwhere(way[0])[0])) for way in ways] == [(0, 1), (0, 0), (1, 0), (1, 1)]


def test_with_labels_it_learns_their_classes():
    pictures, labels = arrows(240), np.arange(240) % 3
    pictures[labels == 1, 0] += 80
    pictures[labels == 2, 1] += 80
    learnt = judge.learn(data.Samples(pictures, labels, "coloured"), epochs=3)
    assert (learnt.classes, learnt.about["taught"], learnt.about["tested"]) == (3, "labels", 24)
    assert learnt.about["accuracy"] > 0.9
    assert learnt.about["floor"] >= 0
    assert learnt.probabilities(pictures[:4]).shape == (4, 3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((99, 1, 16, 16), np.uint8), r"100 images \(N, C, H, W\) or more, got \(99, 1, 16, 16\)"),
        (np.zeros((200, 2), np.float32), r"got \(200, 2\)"),
        (np.zeros((200, 3, 16, 24), np.uint8), r"square images of 8 pixels a side or more, got \(3, 16, 24\)"),
        (np.zeros((200, 3, 6, 6), np.uint8), r"got \(3, 6, 6\)"),
    ],
)
def test_what_nothing_can_be_learnt_from_is_named(values, message):
    with pytest.raises(mg.errors.DataError, match=message):
        judge.learn(data.Samples(values, None, "few"))


@pytest.mark.parametrize("side", [8, 13, 16, 28, 48, 128])
def test_pictures_of_any_side_become_features(side):
    reader = judge.Judge((form := judge.form_of((3, side, side), 4)).build(), form)
    assert reader.features(np.zeros((2, 3, side, side), np.uint8)).shape == (2, 64)
    with pytest.raises(
        mg.errors.DataError, match=rf"judge reads images \(N, 3, {side}, {side}\), got \(2, 3, 99, 99\)"
    ):
        reader.features(np.zeros((2, 3, 99, 99), np.uint8))


def test_the_stages_of_a_picture_classifier_cost_alike():
    body, head = mg.models.picture_classifier(32, 3, 10)
    widths = [layer.weight.shape[:2] for layer in body.modules() if isinstance(layer, mg.nn.Conv2d)]
    assert widths == [(32, 3), (64, 32), (128, 64)]
    assert head(body(mg.zeros((2, 3, 32, 32)))).shape == (2, 10)
    for side, maps in ((7, 128), (128, 24)):
        with pytest.raises(mg.errors.ShapeError, match=f"got {side} and {maps}"):
            mg.models.picture_classifier(side, maps=maps)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two folders of sixty pictures each."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, turned in (("up", 0), ("down", 2)):
        (folder / name).mkdir()
        for k, picture in enumerate(arrows(60)):
            Image.fromarray(np.rot90(picture.transpose(1, 2, 0), turned)).save(folder / name / f"{k}.png")
    return folder


def test_one_command_trains_a_judge_of_a_folder(folder, tmp_path, capsys):
    out = tmp_path / "new" / "mine.safetensors"
    line = ["judge", "train", str(folder), "--side", "16", "--epochs", "4", "--out", str(out)]
    assert cli.main(line) == 0
    told = capsys.readouterr().out
    assert "epoch 4, " in told
    made = judge.load(out)
    assert f"knows features of images 3x16x16 by {made.width} features" in told
    assert "% of the turns of 12 unseen images told" in told
    assert made.name == "mine"
    assert cli.main([*line, "--labels", "folders", "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert (about["judge"], about["classes"]) == (line[-1], 2)
    assert about["accuracy"] > 0.9
    assert about["accuracy"] == judge.load(line[-1]).about["accuracy"]


def test_where_a_judge_cannot_be_written_is_said_before_it_learns(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(judge, "learn", lambda *_, **__: pytest.fail("it has learnt"))
    assert cli.main(["judge", "train", str(folder), "--side", "16", "--out", str(tmp_path)]) == 1
    assert f"{tmp_path}: cannot be written (not a regular file)" in capsys.readouterr().err


def test_a_judge_says_what_it_is(capsys):
    assert cli.main(["judge", "about", "digits", "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert (about["name"], about["shape"], about["classes"], about["features"]) == ("digits", [1, 28, 28], 10, 64)
    assert about["accuracy"] > 0.99
    assert cli.main(["judge", "about", "digits"]) == 0
    assert capsys.readouterr().out.startswith("digits: reads 10 classes of images 1x28x28 by 64 features\n")
    assert cli.main(["judge", "about", "nobody"]) == 1
    assert "no judge of that name; those that ship are digits" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["judge", "train", "mnist", "--side", "32"])
    assert "--side changes nothing without pictures" in capsys.readouterr().err
