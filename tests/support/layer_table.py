"""One row per layer of `nn`: how to make it and what it is given. Checks of layers run over it.

A row is (maker of the layer, maker of float64 inputs from a generator). What a layer is told besides, such as labels,
is an array of integers. Parameters are drawn by whoever checks, so that none stays 0.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from minigan import nn


class Row(NamedTuple):
    make: Callable[[], nn.Module]
    inputs: Callable[[np.random.Generator], list[np.ndarray]]


def normal(*shapes):
    return lambda rng: [rng.standard_normal(s) for s in shapes]


def labelled(shape, *labels):
    return lambda rng: [rng.standard_normal(shape), np.array(labels)]


TABLE: dict[str, list[Row]] = {
    "Linear": [
        Row(lambda: nn.Linear(3, 2), normal((4, 3))),
        Row(lambda: nn.equalized(nn.Linear(3, 2), 0.5), normal((4, 3))),
    ],
    "SlicedLinear": [
        Row(lambda: nn.SlicedLinear(3, 2).eval(), normal((4, 3))),
        Row(lambda: nn.SlicedLinear(3, 1, bias=False).eval(), normal((2, 4, 3))),
    ],
    "Conv2d": [
        Row(lambda: nn.Conv2d(4, 6, (3, 2), 2, 1, groups=2), normal((2, 4, 7, 6))),
        Row(lambda: nn.equalized(nn.Conv2d(2, 3, 3, bias=False)), normal((2, 2, 4, 5))),
    ],
    "ConvTranspose2d": [Row(lambda: nn.ConvTranspose2d(4, 6, (3, 2), 2, 1, 1), normal((2, 4, 3, 4)))],
    "Conv1d": [
        Row(lambda: nn.Conv1d(4, 6, 3, 2, 1, 2, groups=2), normal((2, 4, 9))),
        Row(lambda: nn.Conv1d(1, 2, 25, padding="same", bias=False), normal((2, 1, 6))),
        Row(lambda: nn.equalized(nn.Conv1d(8, 8, 1, groups=8)), normal((2, 8, 3))),
    ],
    "ConvTranspose1d": [
        Row(lambda: nn.ConvTranspose1d(4, 6, 5, 3, 1, 1, groups=2), normal((2, 4, 3))),
        Row(lambda: nn.spectral_norm(nn.ConvTranspose1d(2, 3, 4, 2, "same")).eval(), normal((2, 2, 3))),
    ],
    "Embedding": [Row(lambda: nn.Embedding(4, 3), lambda rng: [np.array([3, 0, 3])])],
    "Dropout": [Row(lambda: nn.Dropout(0.4), normal((4, 5)))],
    "GaussianNoise": [Row(lambda: nn.GaussianNoise(0.4), normal((4, 5)))],
    "NoiseInjection": [
        Row(lambda: nn.NoiseInjection(), normal((2, 3, 4, 5))),
        Row(lambda: nn.NoiseInjection(3), normal((2, 3, 4, 5))),
    ],
    "Flatten": [Row(nn.Flatten, normal((2, 3, 2, 2)))],
    "Unflatten": [Row(lambda: nn.Unflatten(1, (3, 2, 1)), normal((2, 6)))],
    "ReLU": [Row(nn.ReLU, normal((3, 4)))],
    "LeakyReLU": [Row(lambda: nn.LeakyReLU(0.2), normal((3, 4)))],
    "PReLU": [Row(lambda: nn.PReLU(3), normal((2, 3, 2, 2)))],
    "ELU": [Row(nn.ELU, normal((3, 4)))],
    "GLU": [Row(nn.GLU, normal((3, 4))), Row(lambda: nn.GLU(1), normal((2, 6, 2, 3)))],
    "Tanh": [Row(nn.Tanh, normal((3, 4)))],
    "Sigmoid": [Row(nn.Sigmoid, normal((3, 4)))],
    "Softplus": [Row(nn.Softplus, normal((3, 4)))],
    "Softmax": [Row(nn.Softmax, normal((3, 4)))],
    "MaxPool2d": [Row(lambda: nn.MaxPool2d(2), normal((2, 3, 4, 6)))],
    "AvgPool2d": [Row(lambda: nn.AvgPool2d(2, 1), normal((2, 3, 4, 5)))],
    "UpsampleNearest": [Row(lambda: nn.UpsampleNearest((2, 1)), normal((2, 3, 2, 2)))],
    "PixelShuffle": [Row(lambda: nn.PixelShuffle(2), normal((2, 8, 2, 3)))],
    "BatchNorm1d": [Row(lambda: nn.BatchNorm1d(3), normal((5, 3)))],
    "BatchNorm2d": [Row(lambda: nn.BatchNorm2d(3), normal((3, 3, 2, 2)))],
    "GroupNorm": [Row(lambda: nn.GroupNorm(2, 4), normal((2, 4, 3, 2)))],
    "InstanceNorm2d": [Row(lambda: nn.InstanceNorm2d(3, affine=True), normal((2, 3, 3, 4)))],
    "LayerNorm": [Row(lambda: nn.LayerNorm((3, 4)), normal((2, 3, 4)))],
    "RMSNorm": [
        Row(lambda: nn.RMSNorm((3, 4)), normal((2, 3, 4))),
        Row(lambda: nn.RMSNorm(4, 0.1, False), normal((2, 3, 4))),
    ],
    "PixelNorm": [Row(nn.PixelNorm, normal((2, 3, 4, 5))), Row(nn.PixelNorm, normal((3, 4)))],
    "MinibatchStdDev": [Row(lambda: nn.MinibatchStdDev(2), normal((4, 3, 2, 2)))],
    "MinibatchDiscrimination": [Row(lambda: nn.MinibatchDiscrimination(4, 3, 2), normal((5, 4)))],
    "VirtualBatchNorm2d": [
        Row(lambda: nn.VirtualBatchNorm2d(3, 2), normal((5, 3, 2, 3))),
        Row(lambda: nn.VirtualBatchNorm2d(2, 3), normal((3, 2, 2, 2))),
    ],
    "VirtualBatch": [
        Row(
            lambda: nn.VirtualBatch(nn.Sequential(nn.Conv2d(2, 3, 2), nn.VirtualBatchNorm2d(3, 4)), (4, 2, 3, 3)),
            normal((2, 2, 3, 3)),
        )
    ],
    "ConditionalBatchNorm2d": [
        Row(lambda: nn.ConditionalBatchNorm2d(3, 5), labelled((3, 3, 2, 2), 4, 0, 4)),
        Row(lambda: nn.ConditionalBatchNorm2d(3, style_dim=2), normal((3, 3, 2, 2), (3, 2))),
    ],
    "ConditionalGroupNorm": [
        Row(lambda: nn.ConditionalGroupNorm(2, 4, 5), labelled((3, 4, 2, 3), 4, 0, 4)),
        Row(lambda: nn.ConditionalGroupNorm(1, 4, style_dim=2), normal((3, 4, 2, 3), (3, 2))),
    ],
    "AdaptiveInstanceNorm2d": [Row(lambda: nn.AdaptiveInstanceNorm2d(3, 2), normal((2, 3, 3, 4), (2, 2)))],
    "SqueezeExcitation": [Row(lambda: nn.SqueezeExcitation(6, 2), normal((2, 6, 3, 2)))],
    "SkipLayerExcitation": [Row(lambda: nn.SkipLayerExcitation(3, 2), normal((2, 3, 4, 8), (2, 2, 9, 9)))],
    "SelfAttention2d": [
        Row(lambda: nn.SelfAttention2d(8), normal((2, 8, 4, 6))),
        Row(lambda: nn.SelfAttention2d(4, reduction=2, bias=True), normal((2, 4, 3, 2))),
    ],
    "ResidualBlock": [
        Row(lambda: nn.ResidualBlock(3, 3), normal((2, 3, 4, 5))),
        Row(lambda: nn.ResidualBlock(3, 2, "up", norm="batch"), normal((3, 3, 2, 3))),
        Row(lambda: nn.ResidualBlock(2, 3, "down", norm="layer", hidden_channels=4), normal((2, 2, 4, 6))),
        Row(lambda: nn.ResidualBlock(1, 3, "down", preactivation=False), normal((2, 1, 4, 4))),
        Row(lambda: nn.ResidualBlock(3, 2, "up", norm="batch", num_classes=4), labelled((3, 3, 2, 2), 3, 0, 3)),
        Row(lambda: nn.ResidualBlock(3, 2, norm="layer", num_classes=4), labelled((2, 3, 2, 2), 3, 1)),
        Row(lambda: nn.ResidualBlock(3, 2, "up", norm="batch", style_dim=4), normal((3, 3, 2, 2), (3, 4))),
    ],
    "GroupedResidualBlock": [
        Row(lambda: nn.GroupedResidualBlock(2, 3, 4, 4), normal((2, 2, 3, 4))),
        Row(lambda: nn.GroupedResidualBlock(8), normal((1, 8, 2, 2))),
    ],
    "MultiheadAttention": [
        Row(lambda: nn.MultiheadAttention(6, 2, batch_first=True), normal((2, 3, 6), (2, 4, 6), (2, 4, 6))),
        Row(lambda: nn.MultiheadAttention(4, 4, bias=False), normal((3, 2, 4), (3, 2, 4), (3, 2, 4))),
    ],
    "ModulatedConv2d": [
        Row(lambda: nn.ModulatedConv2d(3, 4, 3, 2), normal((2, 3, 4, 5), (2, 2))),
        Row(lambda: nn.ModulatedConv2d(2, 3, 3, 2, up=2), normal((2, 2, 3, 2), (2, 2))),
        Row(lambda: nn.ModulatedConv2d(2, 3, (1, 2), 3, demodulate=False, padding=1), normal((2, 2, 3, 3), (2, 3))),
    ],
    "Upsample": [
        Row(lambda: nn.Upsample((3, 7), mode="bilinear", align_corners=True), normal((2, 3, 4, 5))),
        Row(lambda: nn.Upsample(scale_factor=(1.7, 0.5), mode="bicubic"), normal((2, 1, 3, 4))),
        Row(lambda: nn.Upsample(scale_factor=2), normal((2, 3, 2, 3))),
    ],
    "Blur": [
        Row(lambda: nn.Blur(up=2), normal((2, 3, 4, 5))),
        Row(lambda: nn.Blur(((1, 2), (3, 5), (1, 0)), down=(1, 2)), normal((2, 3, 4, 5))),
    ],
    "ZeroPad2d": [Row(lambda: nn.ZeroPad2d((0, 1, 2, 0)), normal((2, 3, 4, 5)))],
    "ReflectionPad2d": [Row(lambda: nn.ReflectionPad2d((2, 0, 1, 3)), normal((2, 3, 4, 5)))],
    "ReplicationPad2d": [Row(lambda: nn.ReplicationPad2d((2, 0, 1, 5)), normal((2, 3, 4, 5)))],
}

ROWS = [(name, k) for name, rows in TABLE.items() for k in range(len(rows))]
