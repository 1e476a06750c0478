"""The scripts with an encoder or a classifier, played in this process: their options, what they print at the end."""

import pytest
from example_scripts import example

from minigan import data


@pytest.mark.parametrize(
    ("name", "options", "printed"),
    [
        ("vae", ["--z-dim", "3", "--hidden", "20"], ["test_elbo", "test_reconstruction", "test_kl"]),
        ("bigan", ["--hidden", "20"], ["one_nn_codes", "one_nn_before_tanh", "one_nn_pixels", "reconstruction_rms"]),
        ("semi_supervised", ["--labels", "20"], ["labels: 20", "test_errors", "test_errors_labels_alone"]),
    ],
)
def test_a_system_trains_from_one_command(name, options, printed, capsys):
    assert example(name).main(["--dry-run", "--data", "digits", *options]) == 0
    out = capsys.readouterr().out
    assert "2 steps" in out
    assert all(word in out for word in printed)


def test_labels_that_cannot_be_are_named(capsys):
    assert example("semi_supervised").main(["--dry-run", "--data", "digits", "--labels", "15"]) == 1
    assert "a multiple of 10 labels" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["vae", "semi_supervised"])
def test_pictures_of_ones_own_are_not_measured_but_said_so(name, tmp_path, capsys):
    from PIL import Image

    folder = tmp_path / "pictures"
    folder.mkdir()
    for k, image in enumerate(data.digits(40)[0]):
        Image.fromarray(image[0]).save(folder / f"{k}.png")
    status = example(name).main(
        ["--data", str(folder), "--steps", "1", "--batch-size", "8", "--out", str(tmp_path / "o")]
    )
    said = capsys.readouterr()
    if name == "semi_supervised":
        assert status == 1
        assert "these images have no labels" in said.err
    else:
        assert status == 0
        assert "no held-out images are known" in said.out
        assert (tmp_path / "o" / "metrics.json").read_text() == "{}"
