"""Generators of small pictures that have learnt nothing, each the same every time."""

import minigan as mg
from minigan import export
from minigan.gan import normal_latent, uniform_latent
from minigan.models import cgan28, dcgan, stylegan2


def plain(latent=normal_latent, channels=1):
    """Of pictures of 16x16 pixels, of four numbers."""
    rng = mg.random.Stream(0)
    network = dcgan(16, 4, channels=channels, width=4, rng=rng).generator
    for weight in network.parameters():
        if weight.ndim > 1:  # so that pictures have blacks and whites
            mg.nn.init.kaiming_normal_(weight, rng=rng)
    return export.Generator(network, latent(4))


def styled(mixing=0.9):
    """StyleGAN2's of pictures of 16x16 pixels, whose layers' noise can be seen."""
    network = stylegan2(16, 6, channels=1, width=4, depth=2, mixing=mixing, rng=mg.random.Stream(1)).generator
    for layer in network.modules():
        if isinstance(layer, mg.nn.NoiseInjection):
            layer.weight.data[...] = 0.3
    return export.Generator(network, normal_latent(6))


def conditional():
    """Of digits of ten classes."""
    return export.Generator(cgan28(5, width=4, rng=mg.random.Stream(2)).generator, uniform_latent(5), 10)


def styled_conditional():
    """StyleGAN2's of three classes, the last twice as frequent."""
    made = stylegan2(16, 6 + 3, channels=1, width=4, depth=2, outputs=3, rng=mg.random.Stream(3))
    return export.Generator(mg.models.of_classes(made, 3).generator, normal_latent(6), 3, counts=[1, 1, 2])
