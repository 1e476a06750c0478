"""The script of SinGAN: one picture, an epoch for each scale, samples of its size and wider."""

import csv

import numpy as np
import pytest
from example_scripts import example

from minigan import export
from minigan.system import stored

OPTIONS = ["--side", "16", "--smallest", "11", "--width", "3", "--scale-rounds", "3"]


def test_it_trains_from_one_command(capsys):
    assert example("singan").main(["--dry-run", *OPTIONS]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("2 steps", "reconstruction_rms", "diversity"))


def test_all_scales_of_a_picture_resumed_to_the_bit(tmp_path):
    from PIL import Image

    picture = tmp_path / "p.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype("uint8")).save(picture)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    arguments = ["--data", str(picture), *OPTIONS]
    assert example("singan").main([*arguments, "--out", str(whole)]) == 0
    assert example("singan").main([*arguments, "--steps", "4", "--out", str(parts)]) == 0
    assert example("singan").main([*arguments, "--resume", "--out", str(parts)]) == 0
    ours, theirs = (stored.read(folder / "generator.safetensors")[0] for folder in (whole, parts))
    assert [name for name in ours if not np.array_equal(ours[name], theirs[name])] == []
    with (whole / "log.csv").open() as log:
        assert len(list(csv.DictReader(log))) == 6, "three rounds at each of two scales"
    with Image.open(whole / "samples" / "wide_step_00000006.png") as wide:
        assert wide.size == (2 * (2 * 34 + 2), 2 * (2 * 18 + 2))
    samples = export.load_generator(whole / "generator.safetensors").sample(2)
    assert samples.shape == (2, 3, 16, 16)


@pytest.mark.parametrize("data", ["nowhere.png", __file__])
def test_what_is_no_picture_is_named(data, tmp_path, capsys):
    assert example("singan").main(["--data", data, *OPTIONS, "--out", str(tmp_path / "o")]) == 1
    assert f"{data}: expected a picture: " in capsys.readouterr().err
