"""What this machine lends a program."""

import os
import subprocess
import sys

import pytest

DRAWING = """
import os, sys
from minigan import viz
viz.loss_curves({"step": [1, 2], "d_loss": [1.0, 0.5]}, sys.argv[1])
import matplotlib
print(os.environ["MPLBACKEND"], matplotlib.rcParams["backend"])
"""


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "nonesuch", "svg"])
def test_pictures_are_drawn_whatever_backend_a_notebook_leaves_behind(backend, tmp_path):
    command = [sys.executable, "-c", DRAWING, str(tmp_path / "losses.png")]
    drawn = subprocess.run(command, env={**os.environ, "MPLBACKEND": backend}, capture_output=True, text=True)
    assert drawn.returncode == 0, drawn.stderr
    assert (tmp_path / "losses.png").exists()
    named, used = drawn.stdout.split()
    assert named == backend
    assert backend != "svg" or used == "svg"  # one that is there stays
