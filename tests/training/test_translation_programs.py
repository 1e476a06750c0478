"""Programs of translators as their user meets them: what has to be said, what is said once, what is streamed."""

import numpy as np
import pytest
from example_scripts import example
from PIL import Image

from minigan.training import Settings


def settings(script, *words):
    return Settings.parsed(example(script).options(), [*map(str, words)], script)


def pictures(folder, count, start=0):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(start)
    for k in range(count):
        Image.fromarray(rng.integers(0, 256, (20, 18, 3)).astype(np.uint8)).save(folder / f"{k:03d}.png")
    return folder


@pytest.mark.parametrize("script", ["cyclegan", "domain_adaptation"])
@pytest.mark.parametrize(("given", "missing"), [("--data", "--target"), ("--target", "--data")])
def test_a_domain_is_not_given_without_the_other(script, given, missing, capsys):
    with pytest.raises(SystemExit):
        settings(script, given, "somewhere")
    assert f"{given} needs {missing} beside it: without both, images of " in capsys.readouterr().err
    both = settings(script, "--data", "here", "--target", "mnist")
    assert (both.data, both.extra["target"]) == ("here", "mnist")
    assert settings(script).extra["target"] in ("mnist", "mnist_m")
