"""Convolutions of sequences: what they start as, how they print, what they refuse. Their values: parity."""

import numpy as np
import pytest

import minigan as mg
from minigan import nn


def test_weights_start_as_those_of_an_image_of_height_1():
    layer = nn.Conv1d(60, 40, 5, rng=mg.random.Stream(1))
    image = nn.Conv2d(60, 40, (1, 5), rng=mg.random.Stream(1))
    assert np.array_equal(layer.weight.numpy(), image.weight.numpy()[:, :, 0])
    assert np.array_equal(layer.bias.numpy(), image.bias.numpy())
    assert np.abs(layer.weight.numpy()).max() <= 1 / np.sqrt(300)


def test_they_print_what_they_were_made_with():
    assert repr(nn.Conv1d(4, 6, 3, 2, 1, groups=2)) == "Conv1d(4, 6, 3, stride=2, padding=1, groups=2)"
    assert repr(nn.Conv1d(1, 2, 3, padding="same")) == "Conv1d(1, 2, 3, padding=same)"
    assert (
        repr(nn.ConvTranspose1d(4, 6, 5, 3, 1, 2)) == "ConvTranspose1d(4, 6, 5, stride=3, padding=1, output_padding=2)"
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.Conv1d(3, 4, 0), "Conv1d: kernel_size: expected an integer >= 1, got 0"),
        (lambda: nn.Conv1d(3, 4, (1, 2)), "Conv1d: kernel_size"),
        (lambda: nn.Conv1d(3, 4, 3, groups=2), "groups must divide both 4 and 3 channels, got 2"),
        (lambda: nn.Conv1d(3, 4, 3, padding=-1), "Conv1d: padding: expected an integer >= 0, got -1"),
        (lambda: nn.Conv1d(3, 4, 3, padding="full"), 'padding must be "valid", "same" or numbers'),
        (lambda: nn.Conv1d(3, 4, 3, stride=0), "Conv1d: stride"),
        (lambda: nn.Conv1d(3, 4, 3)(mg.ones((3, 9))), r"sequences \(N, C, L\), got \(3, 9\)"),
        (lambda: nn.Conv1d(3, 4, 3)(mg.ones((2, 4, 9))), "x has 4 channels, w expects 3"),
        (lambda: nn.ConvTranspose1d(3, 4, 3, output_padding=1), "must be smaller than stride"),
        (lambda: nn.ConvTranspose1d(3, 4, 3)(mg.ones((2, 3, 1, 9))), r"sequences \(N, C, L\), got"),
    ],
)
def test_wrong_calls_are_named(call, message):
    with pytest.raises(mg.errors.ShapeError, match=message):
        call()
