"""Translators of small images, of few layers and few maps, have files as large ones do."""

from itertools import product

import pytest

import minigan as mg
from minigan import export
from minigan.gan.latents import SourceImages

SIZES = list(product((1, 3, 11), (1, 3), (2, 3, 4, 5, 6), (2, 8, 32)))


def test_the_most_that_a_unet_holds_is_little_more_than_it_holds():
    for source, target, steps, width in SIZES:
        network = mg.models.UNetTranslator(source, target, steps, width)
        most = mg.models.UNetTranslator.held(source, target, steps, width)
        assert network.num_parameters(buffers=True) <= most < 10 * network.num_parameters()


@pytest.mark.parametrize(("side", "width"), [(8, 4), (8, 32), (16, 8), (16, 32), (32, 32)])
def test_a_unet_of_a_small_side_is_described(side, width, tmp_path):
    network = mg.models.UNetTranslator(3 + 8, 3, mg.models.halvings_within(side), width, dropout=0.0)
    generator = export.Generator(mg.models.WithNoise(network, 8), SourceImages(3, side, side))
    path = export.save_generator(tmp_path / "generator.safetensors", generator)
    assert export.load_generator(path).source.shape == (3, side, side)
