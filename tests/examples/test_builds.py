"""The games of the examples are built from their seed alone, and building one does nothing to another."""

import numpy as np
import pytest
from example_scripts import example

import minigan as mg
from minigan import training


@pytest.mark.parametrize(
    ("script", "options"),
    [
        *[("conditional", f"--model {name}") for name in ("cgan", "acgan", "projection")],
        *[("energy", "--model ebgan"), ("energy", "--model began"), ("train", "wgan_gp"), ("train", "tricks")],
        *[(name, "") for name in ("infogan", "bigan", "vae", "quadratic", "modes", "singan")],
        ("semi_supervised", "--dry-run --data digits"),
        *[("pix2pix", "--data digits --width 2"), ("pix2pix", "--data digits --width 2 --system bicyclegan")],
        *[("pix2pix", f"--data digits --width 2 --system {name}") for name in ("context_encoder", "ccgan")],
        *[
            ("cyclegan", f"--width 2 --system {name}")
            for name in ("cyclegan", "discogan", "dualgan", "cut", "unit", "munit")
        ],
        *[
            ("stargan", "--data digits --width 2 --clusters 3"),
            ("domain_adaptation", "--data digits --target mnist_m --width 4"),
        ],
        ("cogan", "--data digits --width 4"),
        *[("super_resolution", f"--data digits --side 32 --width 4 --system {name}") for name in ("srgan", "esrgan")],
    ],
)
def test_a_game_is_built_from_its_seed_and_leaves_the_default_stream_alone(script, options):
    module = example(script)
    arguments = [*options.split(), "--seed", "3"]
    made = module.options(options.split()) if script == "train" else module.options()
    weights = []
    for seed in (0, 1):
        mg.random.seed(seed)
        expected = mg.random.default().uniform(3)
        mg.random.seed(seed)
        game = module.build(training.Settings.parsed(made, arguments, script))
        assert np.array_equal(mg.random.default().uniform(3), expected)
        weights.append({name: t.numpy() for name, t in game.state.items()})
    for name, value in weights[0].items():
        np.testing.assert_array_equal(value, weights[1][name], err_msg=name)
