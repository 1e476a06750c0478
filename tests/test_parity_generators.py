"""Generators that PyTorch programs write by hand draw, with the weights that minigan exports, the images it draws.

Their modules hold parameters of the names that are in the file. Noise between layers comes from one stream.
"""

import numpy as np
import pytest
from parity import torch
from safetensors.torch import load_file
from torch_progan import their_image
from torch_stylegan2 import Theirs

import minigan as mg
from minigan import export
from minigan.gan import normal_latent

nn = torch.nn
F = nn.functional
Z_DIM, SAMPLES = 5, 6


def between_layers(shape):
    """What a layer with noise draws next."""
    return torch.tensor(mg.random.default().normal(shape, dtype="float64"))


# --- residual networks, with self-attention: WGAN-GP, SNGAN, SAGAN ----------------------------------------------------


class ResidualUp(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.conv1, self.conv2 = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.shortcut = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        h = self.conv1(F.interpolate(self.norm1(x).relu(), scale_factor=2))
        return self.conv2(self.norm2(h).relu()) + self.shortcut(F.interpolate(x, scale_factor=2))


class SelfAttention(nn.Module):
    def __init__(self, channels):
        super().__init__()
        inner, half = channels // 8, channels // 2
        self.theta, self.phi = (nn.Conv2d(channels, inner, 1, bias=False) for _ in range(2))
        self.g, self.o = nn.Conv2d(channels, half, 1, bias=False), nn.Conv2d(half, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        queries, keys, values = self.theta(x), F.max_pool2d(self.phi(x), 2), F.max_pool2d(self.g(x), 2)
        seen = torch.einsum("nchw,ncij->nhwij", queries, keys).flatten(3).softmax(3)
        found = torch.einsum("nhwk,nck->nchw", seen, values.flatten(2))
        return self.gamma * self.o(found) + x


def resnet(width=8):
    """For 16x16 pixels, attention at 8x8."""
    return nn.Sequential(
        *(nn.Linear(Z_DIM, width * 4 * 4), nn.Unflatten(1, (width, 4, 4))),
        *(ResidualUp(width), SelfAttention(width), ResidualUp(width)),
        *(nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, 3, 3, padding=1), nn.Tanh()),
    )


# --- R3GAN ------------------------------------------------------------------------------------------------------------


class LearnedBasis(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.basis, self.linear = nn.Parameter(torch.zeros(channels, 4, 4)), nn.Linear(Z_DIM, channels, bias=False)

    def forward(self, z):
        return self.linear(z)[:, :, None, None] * self.basis


class GroupedResidual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        maps = 2 * channels
        self.conv1 = nn.Conv2d(channels, maps, 1)
        self.conv2 = nn.Conv2d(maps, maps, 3, padding=1, groups=maps // 16)
        self.conv3 = nn.Conv2d(maps, channels, 1, bias=False)

    def forward(self, x):
        return x + self.conv3(F.leaky_relu(self.conv2(F.leaky_relu(self.conv1(x), 0.2)), 0.2))


class Doubled(nn.Module):
    """Zeros between pixels, then 1 2 1 / 2 down and across."""

    def forward(self, x):
        taps = torch.tensor([1, 2, 1], dtype=x.dtype) / 2
        kernel = torch.outer(taps, taps).expand(x.shape[1], 1, 3, 3)
        return F.conv_transpose2d(x, kernel, stride=2, groups=x.shape[1])[:, :, :-1, :-1]


def r3gan(width=8):
    """For 16x16 pixels, one block at each size."""
    return nn.Sequential(
        *(LearnedBasis(4 * width), GroupedResidual(4 * width)),
        *(nn.Conv2d(4 * width, 2 * width, 1, bias=False), Doubled(), GroupedResidual(2 * width)),
        *(nn.Conv2d(2 * width, width, 1, bias=False), Doubled(), GroupedResidual(width)),
        nn.Conv2d(width, 3, 1, bias=False),
    )


# --- FastGAN ----------------------------------------------------------------------------------------------------------


class Noise(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return x + self.weight * between_layers((len(x), *x.shape[2:]))[:, None]


def gated(inner, outer, noise):
    layers = [nn.Conv2d(inner, 2 * outer, 3, padding=1, bias=False), *([Noise()] if noise else [])]
    return [*layers, nn.BatchNorm2d(2 * outer), nn.GLU(1)]


class SkipExcitation(nn.Module):
    def __init__(self, low, high):
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(low, high, 4, bias=False), nn.Conv2d(high, high, 1, bias=False)

    def forward(self, low, high):
        return high * self.fc2(F.leaky_relu(self.fc1(F.adaptive_avg_pool2d(low, 4)), 0.1)).sigmoid()


class FastGenerator(nn.Module):
    """For 32x32 pixels: one skip, from 4x4 to 32x32."""

    def __init__(self, width=4):
        super().__init__()
        first, second, third, last = 8 * width, 4 * width, 2 * width, width
        self.start = nn.Sequential(
            *(nn.Unflatten(1, (Z_DIM, 1, 1)), nn.ConvTranspose2d(Z_DIM, 2 * first, 4, bias=False)),
            *(nn.BatchNorm2d(2 * first), nn.GLU(1)),
        )
        up = nn.Upsample(scale_factor=2)
        self.doubled = nn.ModuleList(
            [
                nn.Sequential(up, *gated(first, second, True), *gated(second, second, True)),
                nn.Sequential(up, *gated(second, third, False)),
                nn.Sequential(up, *gated(third, last, True), *gated(last, last, True)),
            ]
        )
        self.skips = nn.ModuleList([SkipExcitation(first, last)])
        self.to_image = nn.Sequential(nn.Conv2d(last, 3, 3, padding=1), nn.Tanh())

    def forward(self, z):
        x = small = self.start(z)
        for block in self.doubled:
            x = block(x)
        return self.to_image(self.skips[0](small, x))


# --- SNGAN's plain network --------------------------------------------------------------------------------------------


def sndcgan(width=2):
    """For 16x16 pixels."""
    layers = [nn.Linear(Z_DIM, 8 * width * 2 * 2), nn.Unflatten(1, (8 * width, 2, 2))]
    for n in (8 * width, 4 * width, 2 * width):
        layers += [nn.ConvTranspose2d(n, n // 2, 4, 2, 1), nn.BatchNorm2d(n // 2), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(width, 3, 3, padding=1), nn.Tanh())


# --- those whose weights are scaled as they are used: functions of the file's tensors ---------------------------------


def stylegan2(weights, z):
    """For 8x8 pixels: convolutions at 4x4, and two at 8x8, noise behind each."""
    theirs = Theirs(weights, {})
    noise = [between_layers((len(z), side, side)) for side in (4, 8, 8)]
    return theirs.synthesis([theirs.mapping(z)] * 4, noise)


def stylegan2_without_noise(weights, z):
    theirs = Theirs(weights, {})
    return theirs.synthesis([theirs.mapping(z)] * 4)


def progan(weights, z):
    """For 16x16 pixels, fully grown; MSG-GAN's largest image is the same."""
    return their_image(weights, z, 2, 1.0)


# --- the comparison ---------------------------------------------------------------------------------------------------

MODULES = {
    "resnet, attention": (lambda: mg.models.resnet(16, Z_DIM, width=8, attention=8), resnet),
    "r3gan": (lambda: mg.models.r3gan(16, Z_DIM, width=8, blocks=1), r3gan),
    "fastgan": (lambda: mg.models.fastgan(32, Z_DIM, width=8), FastGenerator),
    "sndcgan": (lambda: mg.models.sndcgan(16, Z_DIM, width=2), sndcgan),
}
FUNCTIONS = {
    "stylegan2": (lambda: mg.models.stylegan2(8, Z_DIM, width=4, depth=2), stylegan2),
    "stylegan2, noiseless": (
        lambda: mg.models.stylegan2(8, Z_DIM, width=4, depth=2, noiseless=True),
        stylegan2_without_noise,
    ),
    "progan": (lambda: mg.models.progan(16, Z_DIM, width=4), progan),
    "msggan": (lambda: mg.models.msggan(16, Z_DIM, width=4), progan),
}


def exported(players, path, dtype):
    """(the file of a generator, noise, the images it draws of it): no weight and no statistic is as it began."""
    network, rng = players.generator.to(dtype=dtype), np.random.default_rng(0)
    for name, t in network.named_tensors():
        if t.dtype.kind == "f" and name != "level":
            noise = 0.2 * rng.normal(size=t.shape)
            t.copy_(np.exp(noise) if name.endswith("running_var") else t.numpy() + noise)
    generator = export.Generator(network, normal_latent(Z_DIM, dtype=dtype))
    z = rng.normal(size=(SAMPLES, Z_DIM)).astype(dtype)
    path = export.save_generator(path / "g.safetensors", generator)
    drawn = generator.generate(mg.tensor(z), rng=mg.random.Stream(3)).numpy()
    assert drawn.std(0).mean() > 0.01, "samples differ"
    return path, torch.tensor(z), drawn


def close(found, drawn, tolerance):
    """Do images agree, relative to the largest of their pixels?"""
    return np.abs(found.numpy() - drawn).max() < tolerance * np.abs(drawn).max()


@pytest.mark.parametrize("name", MODULES)
def test_a_module_of_pytorch_loads_the_file_and_draws_the_same(name, tmp_path):
    make, in_torch = MODULES[name]
    path, z, drawn = exported(make(), tmp_path, "float64")
    theirs = in_torch().double()
    theirs.load_state_dict(load_file(path))  # each name and shape is its own
    with torch.no_grad(), mg.random.using(mg.random.Stream(3)):
        assert close(theirs.eval()(z), drawn, 1e-12)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_formulas_in_pytorch_of_the_files_weights_draw_the_same(name, tmp_path):
    make, in_torch = FUNCTIONS[name]
    path, z, drawn = exported(make(), tmp_path, "float64")
    with torch.no_grad(), mg.random.using(mg.random.Stream(3)):
        assert close(in_torch(load_file(path), z), drawn, 1e-12)


@pytest.mark.parametrize("name", ["resnet, attention", "r3gan", "sndcgan"])
def test_in_the_precision_that_runs_have(name, tmp_path):
    make, in_torch = MODULES[name]
    path, z, drawn = exported(make(), tmp_path, "float32")
    theirs = in_torch()
    theirs.load_state_dict(load_file(path))
    with torch.no_grad():
        assert close(theirs.eval()(z), drawn, 1e-5)
