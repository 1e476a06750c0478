"""The examples as programs: every model of train.py, and what it says of settings that cannot be."""

import subprocess
import sys
from pathlib import Path

import pytest

TRAIN = Path(__file__).parent.parent / "examples" / "train.py"


def train(*options, cwd):
    return subprocess.run([sys.executable, TRAIN, *options], capture_output=True, text=True, cwd=cwd)


@pytest.mark.parametrize(
    "options",
    [
        "--model mlp28 --loss minimax --optimizer sgd --momentum 0.5",
        "--model lab28 --loss wasserstein --penalty gradient_penalty --d-steps 2 --beta1 0",
        "--model wgan_gp28 --loss wasserstein --penalty one_sided",
        "--model dcgan --width 4 --loss relativistic --penalty r1 --ema 0.9",
        "--model mlp512 --side 32 --channels 1 --loss wasserstein --clip 0.01 --optimizer rmsprop --latent normal",
    ],
)
def test_a_model_trains_from_one_command(options, tmp_path):
    result = train("--dry-run", *options.split(), cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "2 steps" in result.stdout


def test_settings_that_cannot_be_are_named(tmp_path):
    too_small = train("--model", "dcgan", "--side", "16", "--data", "digits", "--dry-run", cwd=tmp_path)
    assert (too_small.returncode, "digits are 28x28 pixels" in too_small.stderr) == (1, True)
    odd = train("--model", "dcgan", "--side", "40", "--dry-run", cwd=tmp_path)
    assert (odd.returncode, "divisible by 16" in odd.stderr) == (1, True)
    grey = train("--data", "cifar10", "--dry-run", cwd=tmp_path)
    assert (grey.returncode, "cifar10 has images of shape (3, 32, 32)" in grey.stderr) == (1, True)
    unknown = train("--loss", "nonesuch", cwd=tmp_path)
    assert unknown.returncode == 2
    assert "relativistic_average_hinge" in unknown.stderr
