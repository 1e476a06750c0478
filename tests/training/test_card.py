"""A run's folder shows itself in a notebook."""

import base64
import re

import pytest
from made_up_run import add_health, folder

from minigan.errors import CheckpointError
from minigan.training import RunFolder


def test_how_the_run_stands(tmp_path):
    run = folder(tmp_path / "run")
    add_health(run)
    html = RunFolder(str(run))._repr_html_()
    assert "<b>dcgan</b>, step 200 of 400" in html
    assert re.search("<b[^>]*>failing</b>: Samples look alike", html)
    assert "images_per_s 1234" in html
    picture = base64.b64decode(re.search('src="data:image/png;base64,(.*?)"', html)[1])
    assert picture == (run / "samples" / "step_00000200.png").read_bytes()


def test_a_bare_run_and_none(tmp_path):
    run = folder(tmp_path / "run", pictures=0, name="<i>", extra={})
    (run / "log.csv").unlink()
    html = RunFolder(run)._repr_html_()
    assert "<b>&lt;i&gt;</b>, step 0 of 400" in html
    assert "<img" not in html
    with pytest.raises(CheckpointError, match="no run is in this folder"):
        RunFolder(tmp_path)._repr_html_()
