"""A folder of samples as clean-fid and torch-fidelity read one: every picture in it, by its ending, as RGB."""

import numpy as np
import pytest
from PIL import Image

from minigan import export, viz
from minigan.command import cli
from minigan.gan import normal_latent
from minigan.models import dcgan
from minigan.random import Stream

READ = {  # the endings that each looks for
    "clean-fid": {"bmp", "jpg", "jpeg", "pgm", "png", "ppm", "tif", "tiff", "webp", "npy", "JPEG", "JPG", "PNG"},
    "torch-fidelity": {"png", "jpg", "jpeg"},
}


@pytest.fixture(scope="module", params=[1, 3])
def file(request, tmp_path_factory):
    """A generator of grey pictures, or of colour ones."""
    network = dcgan(16, 4, channels=request.param, width=2, rng=Stream(0)).generator
    path = tmp_path_factory.mktemp("generator") / "generator.safetensors"
    return export.save_generator(path, export.Generator(network, normal_latent(4)))


@pytest.mark.parametrize("tool", READ)
def test_the_folder_holds_the_samples_and_nothing_else(tool, file, tmp_path, capsys):
    folder = tmp_path / "samples"
    for _ in range(2):  # the second time over the first
        assert cli.main(["sample", str(file), "--n", "7", "--seed", "3", "--out", f"{folder}/"]) == 0
    paths = sorted(p for p in folder.rglob("*") if p.suffix[1:] in READ[tool])
    assert len(paths) == len(list(folder.iterdir())) == 7
    read = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths]).transpose(0, 3, 1, 2)
    drawn = viz.to_uint8(export.load_generator(file).sample(7, seed=3).numpy())
    np.testing.assert_array_equal(read, np.broadcast_to(drawn, (7, 3, 16, 16)))
    capsys.readouterr()
    assert cli.main(["sample", str(file), "--n", "5", "--out", str(folder)]) == 1
    assert "holds 00005.png, and whoever reads a folder of samples takes all of it" in capsys.readouterr().err
