"""The GAN by hand learns what it says, and leaves it in files."""

import runpy

import numpy as np
from example_scripts import EXAMPLES

import minigan as mg
from minigan.data import ring_centres

SCRIPT = EXAMPLES / "first_gan.py"


def test_it_reaches_every_cluster_evenly_and_saves_the_generator(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["first_gan.py", "--steps", "1200"])
    left = runpy.run_path(str(SCRIPT))
    found = mg.metrics.mode_coverage(left["points"], ring_centres(), 0.1)
    assert found.modes == 8
    assert found.good > 0.4
    assert found.reverse_kl < 0.1
    saved = mg.load(left["network"](8, 2), "first_gan.safetensors").state_dict()
    assert all(np.array_equal(t.numpy(), saved[name].numpy()) for name, t in left["G"].state_dict().items())
    assert {path.name for path in tmp_path.iterdir()} == {"first_gan.png", "first_gan.safetensors"}


def test_it_is_as_short_as_the_readme_says():
    assert len([line for line in SCRIPT.read_text(encoding="utf-8").splitlines() if line.strip()]) <= 40
