"""`minigan project`, `edit`, `mix`, `path-length`, and ways through a generator's space: what they draw and refuse."""

import json

import numpy as np
import pytest
from PIL import Image
from small_generators import conditional, plain, styled, styled_conditional

import minigan as mg
from minigan import data, export, latent, viz
from minigan.command import cli
from minigan.latent import Space

MADE = {"plain": plain, "styled": styled, "digits": conditional, "both": styled_conditional}
QUICK = ["--steps", "3", "--starts", "2"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A generator's file by its name in MADE."""
    folder = tmp_path_factory.mktemp("generators")
    return {name: str(export.save_generator(folder / f"{name}.safetensors", make())) for name, make in MADE.items()}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def few(monkeypatch):
    """The data sets with a name have 20 images."""
    held = data.digits(20)
    monkeypatch.setattr(data.sources, "digits", lambda n, seed=0: held)
    return held[0]


def answer(capsys, *words):
    assert cli.main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def problem(capsys, *words):
    assert cli.main(list(words)) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    return told.err


@pytest.fixture
def drawn(monkeypatch):
    """The blocks of the pictures that are drawn."""
    kept, draw = [], viz.blocks
    monkeypatch.setattr(viz, "blocks", lambda blocks, *how: (kept.extend(blocks), draw(blocks, *how)))
    return kept


def assert_same(images, expected):
    """Are they, but for rounding in a batch of another size?"""
    assert np.abs(images.astype(int) - viz.to_uint8(expected)).max() <= 1


def size(path):
    with Image.open(path) as picture:
        return picture.size


# --- project ----------------------------------------------------------------------------------------------------


def test_images_of_the_data_are_projected(files, here, few, capsys):
    told = answer(capsys, "project", files["digits"], "--data", "digits", "--index", "2,0,5", *QUICK)
    assert (told["space"], told["judge"], told["points"]) == ("z", "digits", "projection.npz")
    assert [row["image"] for row in told["images"]] == ["digits 2", "digits 0", "digits 5"]
    points = latent.read_points("projection.npz")
    found = Space(conditional()).pictures(points)
    wanted = data.scaled(few[[2, 0, 5]])
    np.testing.assert_allclose(
        [row["pixels"] for row in told["images"]], np.square(found - wanted).mean((1, 2, 3)), rtol=1e-3
    )
    assert [row["label"] for row in told["images"]] == points.labels.tolist()
    assert all(row["judge"] > 0 and row["anomaly"] > 0 for row in told["images"])
    assert size("projection.png")[0] > 3 * 84
    capsys.readouterr()
    line = ["project", files["digits"], "--data", "digits", "--held-out", "--index", "1", *QUICK, "--labels", "7"]
    assert cli.main([*line, "--out", "p.npz"]) == 0
    assert latent.read_points("p.npz").labels.tolist() == [7]
    assert not (here / "p.png").exists()
    text = capsys.readouterr().out.splitlines()
    assert text[0].split() == ["image", "pixels", "judge", "anomaly", "label"]
    assert text[1].startswith("digits 1")


def test_pictures_are_fitted_and_projected_into_styles(files, here, capsys):
    Image.new("RGB", (40, 30), (200, 90, 30)).save("red.jpg")
    Image.new("L", (16, 16), 255).save("white.png")
    for kind in latent.KINDS:
        line = ["project", files["styled"], "red.jpg", "white.png", "--space", kind, *QUICK, "--noise", "0.05"]
        told = answer(capsys, *line)
        assert (told["space"], told["judge"]) == (kind, None)
        assert [row["image"] for row in told["images"]] == ["red.jpg", "white.png"]
        assert "judge" not in told["images"][0]
        assert latent.read_points("projection.npz").kind == kind


def test_what_cannot_be_projected_is_told(files, here, few, capsys):
    (here / "text.png").write_text("no picture")
    Image.new("L", (16, 16)).save("black.png")
    assert "text.png: not a picture in the form of PNG" in problem(capsys, "project", files["plain"], "text.png")
    assert "absent.png: cannot be read (No such file" in problem(capsys, "project", files["plain"], "absent.png")
    assert "of which data? Say it with --data" in problem(capsys, "project", files["plain"], "--index", "1")
    line = ["project", files["digits"], "--data", "digits", "--index", "20"]
    assert "digits: has images 0 to 19, got --index [20]" in problem(capsys, *line)
    line = ["project", files["plain"], "black.png"]
    assert "w is a space of styles, and this generator has none" in problem(capsys, *line, "--space", "w")
    assert "this generator takes no labels" in problem(capsys, *line, "--labels", "1")
    assert "digits reads images (1, 28, 28)" in problem(capsys, *line, "--judge", "digits")
    assert "expected a name that ends in .png or .npz" in problem(capsys, *line, "--out", "x.gif")
    assert "Search: lr: expected a finite number >= 0" in problem(capsys, *line, "--lr", "-1")
    assert "labels go from 0 to 2, got 3" in problem(capsys, "project", files["both"], "black.png", "--labels", "3")
    for words, told in (
        ([], "expected pictures, or --index K,... of the data"),
        (["black.png", "--held-out"], "--held-out changes nothing without --index"),
        (["black.png", "--index", "1"], "--index changes nothing beside pictures"),
    ):
        with pytest.raises(SystemExit):
            cli.main(["project", files["plain"], *words])
        assert told in capsys.readouterr().err


# --- ways -------------------------------------------------------------------------------------------------------


def test_ways_lead_through_styles(files, here, capsys):
    line = ["interpolate", files["styled"], "--pairs", "2", "--frames", "3"]
    told = answer(capsys, *line, "--out", "w.png")
    assert (told["path"], told["space"]) == ("line", "w")
    space = Space(styled())
    z = space.generator.latent(4, mg.random.Stream(0, "interpolation")).numpy()
    ends = [space.of_noise(z[k::2]) for k in (0, 1)]
    middle = latent.Points("w", (ends[0].values + ends[1].values) / 2)
    rows = np.stack([space.pictures(p) for p in (ends[0], middle, ends[1])], 1).reshape(-1, 1, 16, 16)
    expected = viz.grid(viz.to_uint8(rows), 3).repeat(2, 0).repeat(2, 1)
    assert np.abs(np.asarray(Image.open("w.png")).astype(int) - expected).max() <= 1
    assert answer(capsys, *line, "--space", "z", "--out", "z.png")["path"] == "circle"
    assert (here / "w.png").read_bytes() != (here / "z.png").read_bytes()


def test_ways_lead_from_point_to_point(files, here, capsys):
    space = Space(styled(), "w+")
    points = [space.draw(2, seed=1), Space(styled()).draw(1, seed=2)]
    points[0].save(here / "a.npz")
    points[1].save(here / "b.npz")
    line = ["interpolate", files["styled"], "--points", "a.npz", "b.npz", "--frames", "4"]
    told = answer(capsys, *line, "--out", "w.png")
    assert told["space"] == "w+"
    assert size("w.png") == (2 * (4 * 18 + 2), 2 * (2 * 18 + 2))
    every = latent.space.joined([points[0], space.widened(points[1])])
    ends = viz.to_uint8(space.pictures(every))[:, 0]
    drawn = np.asarray(Image.open("w.png"))[::2, ::2].astype(int)
    for row in range(2):
        for column, end in ((0, ends[row]), (3, ends[row + 1])):
            cell = drawn[2 + 18 * row : 18 + 18 * row, 2 + 18 * column : 18 + 18 * column]
            assert np.abs(cell - end).max() <= 1
    assert answer(capsys, *line, "--out", "w.gif")["out"] == "w.gif"
    assert "a way needs two" in problem(capsys, "interpolate", files["styled"], "--points", "b.npz")
    assert "w+ is a space of styles, and this generator has none" in problem(
        capsys, "interpolate", files["plain"], "--points", "a.npz"
    )
    with pytest.raises(SystemExit):
        cli.main([*line, "--pairs", "3"])
    assert "--pairs changes nothing beside --points" in capsys.readouterr().err


def test_classes_hold_on_the_way(files, here, capsys):
    for words in ([], ["--label", "2"], ["--space", "w"]):
        told = answer(capsys, "interpolate", files["both"], "--pairs", "2", "--frames", "3", *words)
        assert told["space"] == "w"
    assert "labels go from 0 to 2, got 5" in problem(capsys, "interpolate", files["both"], "--label", "5")
    Space(styled_conditional()).draw(3).save(here / "p.npz")
    assert answer(capsys, "interpolate", files["both"], "--points", "p.npz")["space"] == "w"


def test_the_length_of_ways_is_measured(files, here, capsys):
    line = ["path-length", files["digits"], "--data", "digits", "--n", "30"]
    told = answer(capsys, *line)
    assert (told["judge"], told["space"], told["way"], told["n"]) == ("digits", "z", "full", 30)
    assert told["mean"] > told["error"] > 0
    assert cli.main([*line, "--way", "end", "--labels", "3"]) == 0
    assert capsys.readouterr().out.startswith("path length ")
    told = problem(capsys, "path-length", files["plain"])
    assert "no judge knows these images; `minigan judge train DATA` makes one" in told


# --- directions and styles --------------------------------------------------------------------------------------


def test_samples_are_moved_along_directions(files, here, drawn, capsys):
    told = answer(capsys, "edit", files["plain"], "--count", "3", "--columns", "5", "--strength=-1..2")
    assert (told["by"], told["space"], len(told["shares"])) == ("sefa", "z", 3)
    assert told["strengths"] == pytest.approx([-1, -0.25, 0.5, 1.25, 2])
    space = Space(plain())
    moved = latent.factorised(space, 3).moved(space, space.draw(1), 2, np.array([2.0]))
    assert drawn[0].images.shape == (3, 5, 1, 16, 16)
    assert_same(drawn[0].images[2, 4], space.pictures(moved)[0])
    assert drawn[0].columns == ["-1", "-0.25", "+0.5", "+1.2", "+2"]
    assert [row.split()[0] for row in drawn[0].rows] == ["0", "1", "2"]
    assert size("edit.png")[0] >= 5 * 64
    told = answer(capsys, "edit", files["styled"], "--by", "pca", "--direction", "1", "--n", "2", "--layers", "0..1")
    assert (told["space"], len(told["shares"])) == ("w", 2)
    told = answer(capsys, "edit", files["digits"], "--direction", "0", "--labels", "3,4", "--out", "e.gif")
    assert told["strengths"][-1] == 3
    with Image.open("e.gif") as film:
        assert film.n_frames > 3
    Space(styled(), "w+").draw(2).save(here / "p.npz")
    assert answer(capsys, "edit", files["styled"], "--points", "p.npz", "--direction", "0")["space"] == "w"


def test_directions_lead_from_class_to_class(files, here, capsys, monkeypatch):
    line = ["edit", files["digits"], "--by", "classes", "--from", "3", "--to", "8"]
    assert "--by classes: no judge knows these images" in problem(capsys, *line)
    assert "of 4096 samples are read as" in problem(capsys, *line, "--judge", "digits")
    monkeypatch.setattr("minigan.judge.Judge.predict", lambda judge, images: np.arange(len(images)) % 10)
    assert answer(capsys, *line, "--judge", "digits", "--n", "2")["by"] == "classes"
    assert "expected two classes, --from CLASS --to CLASS" in problem(capsys, *line[:-2])
    assert "digits reads 10 classes, asked for 3 and 10" in problem(capsys, *line[:-1], "10", "--judge", "digits")


def test_what_cannot_be_edited_is_told(files, here, capsys):
    assert "noise: all alike" in problem(capsys, "edit", files["plain"], "--by", "pca")
    assert "layers are chosen in w or w+" in problem(capsys, "edit", files["plain"], "--layers", "0")
    assert "expected layers from 0 to" in problem(capsys, "edit", files["styled"], "--layers", "99")
    assert "directions go from 0 to 3, got 9" in problem(capsys, "edit", files["plain"], "--direction", "9")
    for words, told in (
        (["--strength", "x"], "expected A..B or a number, got 'x'"),
        (["--strength", "nan"], "expected finite numbers"),
        (["--from", "3"], "--from changes nothing without --by classes"),
        (["--n", "3"], "--n changes nothing without --direction or --by classes"),
    ):
        with pytest.raises(SystemExit):
            cli.main(["edit", files["plain"], *words])
        assert told in capsys.readouterr().err


def test_styles_are_mixed(files, here, drawn, capsys):
    told = answer(capsys, "mix", files["styled"], "--rows", "2", "--columns", "3", "--layers", "3..5")
    assert (told["layers"], told["truncation"]) == ([3, 4, 5], 1)
    space = Space(styled(), "w+")
    w = space.draw(5).values
    both = w[1].copy()
    both[3:] = w[4][3:]
    (block,) = drawn
    assert block.images.shape == (3, 4, 1, 16, 16)
    assert (block.images[0, 0] == 255).all()
    assert_same(block.images[2, 3], space.pictures(latent.Points("w+", both[None]))[0])
    assert_same(block.images[1:, 0], space.pictures(latent.Points("w+", w[:2])))
    assert_same(block.images[0, 1:], space.pictures(latent.Points("w+", w[2:])))
    assert size("mix.png")[0] >= 4 * 64
    assert answer(capsys, "mix", files["both"], "--truncation", "0.5", "--labels", "2")["truncation"] == 0.5
    assert "w+ is a space of styles, and this generator has none" in problem(capsys, "mix", files["plain"])


def test_samples_are_truncated(files, here, capsys):
    assert cli.main(["sample", files["styled"], "--n", "4", "--truncation", "0.5", "--out", "t.npy"]) == 0
    space = Space(styled())
    np.testing.assert_allclose(np.load("t.npy"), space.pictures(space.truncated(space.draw(4), 0.5)), atol=1e-5)
    capsys.readouterr()
    assert cli.main(["sample", files["plain"], "--n", "4", "--truncation", "0.5", "--out", "z.npy"]) == 0
    expected = plain().truncated(0.5).sample(4).numpy()  # of the noise, where there are no styles
    np.testing.assert_allclose(np.load("z.npy"), expected, atol=1e-5)
    capsys.readouterr()
    assert "normal noise has values far" in problem(capsys, "sample", files["digits"], "--truncation", "0.5")
    line = ["sample", files["both"], "--n", "4", "--truncation", "0.5", "--labels"]
    assert cli.main([*line, "1"]) == 0
    capsys.readouterr()
    assert "labels go from 0 to 2, got 7" in problem(capsys, *line, "7")
