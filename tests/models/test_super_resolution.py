"""SRResNet, ESRGAN's generator and their critic: as many weights as the papers' networks, images of any size."""

import numpy as np
import pytest

import minigan as mg
from minigan import export
from minigan.errors import ShapeError
from minigan.gan.latents import SourceImages


def test_they_have_the_papers_weights():
    """srresnet: 16 blocks, https://arxiv.org/abs/1609.04802; rrdbnet: 23 blocks, 16.7 M, arxiv.org/abs/1809.00219."""
    counted = mg.models.srresnet().num_parameters()
    blocks = 16 * (2 * 64 * 64 * 9 + 4 * 64 + 1)
    assert counted == 64 * 3 * 81 + 64 + 1 + blocks + 64 * 64 * 9 + 128 + 2 * (256 * 64 * 9 + 256 + 1) + 3 * 64 * 81 + 3
    assert 16.6e6 < mg.models.rrdbnet().num_parameters() < 16.8e6


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("make", [mg.models.srresnet, mg.models.rrdbnet])
def test_they_enlarge_images_of_any_size_and_are_files(make, factor, tmp_path, rng):
    network = make(factor, channels=1, width=4, blocks=1)
    x = mg.tensor(rng.uniform(-1, 1, (2, 1, 5, 7)).astype(np.float32))
    generator = export.Generator(network, SourceImages(1, 5, 7))
    made = generator.generate(x)
    assert made.shape == (2, 1, 5 * factor, 7 * factor)
    assert np.abs(made.numpy()).max() <= 1
    export.save_generator(tmp_path / "g.safetensors", generator)
    again = export.load_generator(tmp_path / "g.safetensors").generate(x)
    np.testing.assert_array_equal(again.numpy(), made.numpy())


def test_a_dense_block_adds_little_at_first(rng):
    mg.random.seed(0)
    network = mg.models.rrdbnet(2, width=8, blocks=3)
    x = mg.tensor(rng.standard_normal((1, 8, 6, 6)).astype(np.float32))
    for block in network.body[:-1]:
        y = block(x)
        assert 0 < np.abs((y - 1.2 * x).numpy()).max() < 0.05  # x + 0.2 times what begins as x
        x = y


def test_the_critic_halves_images_until_few_pixels_are_left():
    D = mg.models.image_discriminator(24, channels=1, width=4, features=8)
    convolutions = [layer for layer in D if isinstance(layer, mg.nn.Conv2d)]
    assert [c.weight.shape[0] for c in convolutions] == [4, 4, 8, 8]
    assert D(mg.zeros((3, 1, 24, 24))).shape == (3, 1)
    assert not any(isinstance(layer, mg.nn.BatchNorm2d) for layer in mg.models.image_discriminator(24, norm=False))
    for call in (lambda: mg.models.image_discriminator(22), lambda: mg.models.srresnet(3)):
        with pytest.raises(ShapeError, match=r"expected a (side|factor)"):
            call()
