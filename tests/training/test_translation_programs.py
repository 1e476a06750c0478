"""Programs of translators as their user meets them: what has to be said, what is said once, what is streamed."""

import json

import numpy as np
import pytest
from example_scripts import example
from PIL import Image
from quick_run import QuickYardstick
from translator_programs import pictures, settings

import minigan as mg
from minigan.gan.translation.making import FILLED, MAKINGS
from minigan.training import loop, record


@pytest.mark.parametrize("script", ["cyclegan", "domain_adaptation"])
@pytest.mark.parametrize(("given", "missing"), [("--data", "--target"), ("--target", "--data")])
def test_a_domain_is_not_given_without_the_other(script, given, missing, capsys):
    with pytest.raises(SystemExit):
        settings(script, given, "somewhere")
    assert f"{given} needs {missing} beside it: without both, images of " in capsys.readouterr().err
    both = settings(script, "--data", "here", "--target", "mnist")
    assert (both.data, both.extra["target"]) == ("here", "mnist")
    assert settings(script).extra["target"] in ("mnist", "mnist_m")


@pytest.mark.parametrize("words", [(), ("--stream",)])
@pytest.mark.parametrize("script", ["pix2pix", "super_resolution"])
def test_what_is_left_out_is_said_once_in_a_run(script, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)  # by a relative path, which a run makes an absolute one
    folder = pictures(tmp_path / "a", 40)
    damaged = [folder / f"{k:03d}.png" for k in range(0, 40, 4)]  # some of them are held out
    for file in damaged:
        file.write_bytes(file.read_bytes()[:-6])
    (folder / "000.txt").write_text("no picture")
    line = f"--data {folder.name} --side 16 --width 4 --batch-size 4 --steps 8 --held-out 4 --out run".split()
    given = {"super_resolution": ["--factor", "2", "--blocks", "1", "--system", "srresnet"]}.get(script, [])
    assert example(script).main([*line, *given, *words]) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if "skipped" in line]
    assert sum("000.txt (not a picture)" in line for line in said) == 1
    counts = [int(line.split("skipped ")[1].split()[0]) for line in said]
    assert sum(counts) == len(damaged) + 1


def test_pictures_without_a_fellow_are_said_once_in_a_run(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data, target = pictures(tmp_path / "a", 24), pictures(tmp_path / "b", 23, 1)
    line = f"--data {data.name} --target {target.name} --side 16 --width 4 --batch-size 4 --steps 1 --out run"
    assert example("pix2pix").main(line.split()) == 0
    assert capsys.readouterr().out.count("1 of 24 pictures have no fellow of their name: 023") == 1


@pytest.mark.parametrize("words", [(), ("--stream",)])
def test_a_batch_of_more_than_there_is_names_its_option(words, tmp_path, capsys):
    a, b = pictures(tmp_path / "a", 24), pictures(tmp_path / "b", 12, 1)
    for script, given, told in (
        ("pix2pix", ["--data", a], f"{a} has 22 samples"),
        ("cyclegan", ["--data", a, "--target", b], "target domain has 12 samples"),
        ("cyclegan", ["--data", b, "--target", a], "source domain has 12 samples"),
        ("train", ["--data", a, "--channels", 3], f"{a} has 24 samples"),
    ):
        side = ["--side", 16] if script != "train" else ["--model", "dcgan"]
        line = [*given, *side, "--batch-size", 25, "--out", tmp_path / "run", *words]
        assert example(script).main([*map(str, line)]) == 1
        said = capsys.readouterr().err
        number = told.split()[-2]
        assert f"--batch-size 25: {told} to learn from, and a batch has no more; at most --batch-size {number}" in said
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("script", "words", "way"),
    [
        ("super_resolution", "--factor 2 --blocks 1 --system srresnet --lr 1e-9", "bicubic"),
        ("pix2pix", "--made hole --lr 1e-9", "mean fill"),
        ("pix2pix", "--made holes --lr 1e-9", "mean fill"),
    ],
)
def test_the_verdict_says_where_a_plain_way_is_nearer(script, words, way, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("minigan.judge.verdict.EARLY", 0)
    monkeypatch.setattr(loop, "Yardstick", QuickYardstick)
    fine = {"distance": 0.5, "diversity": 1.0, "spacing": 1.0}
    monkeypatch.setattr(QuickYardstick, "measure", lambda yardstick, samples: fine)
    out = tmp_path / "run"
    line = f"--data {pictures(tmp_path / 'a', 24)} --side 16 --width 4 --batch-size 4 --steps 2 --out {out} {words}"
    assert example(script).main(line.split()) == 0
    said = capsys.readouterr().out
    numbers = json.loads((out / "metrics.json").read_text())
    assert numbers["psnr"] < numbers[f"psnr_{way.replace(' ', '_')}"]
    assert said.count("Verdict: ") == 1
    assert said.index("psnr: ") < said.index("Verdict: ")
    assert f"below {way}" in said.split("Verdict: ")[1].splitlines()[0]
    assert f"below {way}" in [finding.title for finding in record.read_looks(out, [])[-1].findings]
    assert f"below {way}" in (out / "report.html").read_text()


def test_a_hole_is_filled_with_the_mean_of_the_rest(rng):
    images = rng.uniform(-1, 1, (3, 2, 8, 8)).astype(np.float32)
    for name, fill in FILLED.items():
        source = MAKINGS[name](mg.tensor(images), mg.random.Stream(0))
        filled = fill(source).numpy()
        assert filled.shape == images.shape
        for image, whole in zip(filled, images, strict=True):
            kept = (image == whole).all(0)
            assert (~kept).sum() == 16
            means = whole[:, kept].mean(1)
            np.testing.assert_allclose(image[:, ~kept], np.repeat(means[:, None], 16, 1), atol=1e-6)


@pytest.mark.parametrize("script", ["pix2pix", "cyclegan", "super_resolution", "stargan", "cogan"])
def test_what_becomes_of_a_picture_is_in_the_help(script, tmp_path):
    said = " ".join(example(script).options().format_help().split())
    assert "laid over white where it is transparent, scaled to cover the square, and cropped at its centre" in said
    pixels = np.zeros((20, 40, 4), np.uint8)  # black, and transparent but for the middle half
    pixels[:, 10:30, 3] = 255
    pixels[:10, :, 3] = 0
    (tmp_path / "a").mkdir()
    Image.fromarray(pixels).save(tmp_path / "a" / "a.png")
    found = mg.data.image_folder(tmp_path / "a", 20)[0]
    assert (found[0, :, :9] == 255).all()
    assert (found[0, :, 11:] == 0).all()
