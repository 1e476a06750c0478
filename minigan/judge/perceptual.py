"""How different images look to a judge: distances of what the stages of its network make of them."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from .. import nn, ops
from ..errors import DataError
from ..models.vgg import VGG
from ..nn import in_chunks
from ..tensor import Tensor
from .reader import Judge

EPS = 1e-6  # of a pixel's squared length, in units of the judge's features


def perceptual(judge: Judge) -> Callable[[Tensor], Tensor]:
    """f: images (N, C, H, W) in [-1, 1] to (N, F), such that |f(a) - f(b)|^2 is how different a and b look.

    As LPIPS without learnt weights (Zhang et al. 2018, equation 1), by the stages of the judge's network in place of
    VGG's: the maps that a stage ends with, each pixel divided by its length over the channels; of their squared
    differences the sum over channels, the mean over pixels, the mean over stages. So it lies between 0 and 4, and in
    fact between 0 and 2, as no feature is negative. Numbers compare only with those of the same judge. f has gradients
    to the images. Of larger images the judge sees the middle, of colour the mean if it reads grey ones, as in
    `Judge.features`; DataError for images that it does not read.
    """
    for part in judge.classifier:
        part.eval()
    body = judge.classifier.body

    def embedded(x: Tensor) -> Tensor:
        x = _framed(judge, x)
        found = []
        for layer in body:
            if isinstance(layer, nn.Flatten):
                break
            x = layer(x)
            if isinstance(layer, nn.MaxPool2d):
                found.append(x)
        return _of_unit_pixels(found)

    return embedded


def perceptual_by_vgg(network: VGG) -> Callable[[Tensor], Tensor]:
    """f as of `perceptual`, by VGG in a judge's place: LPIPS of VGG16 has the last ReLU of each stage, as here.

    Of images (N, 1 or 3, H, W) of any size that the network's pools leave a pixel of.
    """
    return lambda x: _of_unit_pixels(network.maps(x, network.ends))


def _of_unit_pixels(stages: Sequence[Tensor]) -> Tensor:
    """(N, F) of the maps of several stages: each pixel of length 1 over the channels; means over pixels and stages."""
    found = []
    for x in stages:
        unit = x * ops.rsqrt(ops.sum(ops.square(x), 1, keepdims=True) + EPS)
        n, c, h, w = unit.shape
        found.append(ops.reshape(unit, (n, c * h * w)) * (1 / math.sqrt(h * w * len(stages))))
    return ops.concatenate(found, 1)


def looks(judge: Judge, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How different a and b look to the judge, pair by pair: (N,) of images (N, C, H, W), uint8 or in [-1, 1]."""
    device = judge.classifier.head.parameters()[0].device
    apart = [in_chunks(perceptual(judge), images, device) for images in (a, b)]
    return np.square(apart[0] - apart[1]).sum(1)


def _framed(judge: Judge, x: Tensor) -> Tensor:
    """The images as the judge's network takes them."""
    if x.ndim != 4 or not judge.reads(x.shape[1:]):
        raise DataError(f"{judge.name} reads images (N, {', '.join(map(str, judge.shape))}), got {x.shape}")
    channels, side, _ = judge.shape
    top, left = (x.shape[2] - side) // 2, (x.shape[3] - side) // 2
    if x.shape[2:] != (side, side):
        x = x[:, :, top : top + side, left : left + side]
    return x if x.shape[1] == channels else ops.mean(x, 1, keepdims=True)
