"""The convolutions of VGG16 and VGG19 (Simonyan and Zisserman 2015), which see how images differ as people do.

Their weights, learnt on ImageNet, do not ship: `read_vgg` reads a safetensors file of torchvision's.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import cast

import numpy as np

from .. import nn, ops
from ..errors import CheckpointError, ShapeError
from ..nn.naming import plain
from ..random import Stream
from ..system import stored
from ..tensor import Tensor, as_tensor, tensor

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's red, green and blue in [0, 1]
KERNEL = 3  # pixels a side
_PLACE = re.compile(r"features\.(\d+)\.(weight|bias)")


class VGG(nn.Module):
    """Maps that VGG's layers make of images (N, 1 or 3, H, W) in [-1, 1], which are normalised as ImageNet's are.

    `features` are 3x3 convolutions, ReLUs and max pools. Layers go by their number there, as text, or by the papers'
    names: relu5_4 is the fourth ReLU of the fifth stage, stages end with a max pool, conv5_4 is the convolution before
    it. `ends` are the names of each stage's last ReLU.
    """

    def __init__(self, features: nn.Sequential) -> None:
        self.features = features
        self.mean, self.deviation = (
            nn.Buffer(tensor(np.array(each, "float32").reshape(1, 3, 1, 1))) for each in (MEAN, DEVIATION)
        )
        self.names: dict[str, int] = {}
        self.ends: list[str] = []
        stage, number = 1, 0
        for place, layer in enumerate(features):
            if isinstance(layer, nn.MaxPool2d):
                stage, number = stage + 1, 0
            elif isinstance(layer, nn.Conv2d):
                number += 1
                self.names[f"conv{stage}_{number}"] = place
            else:
                self.names[f"relu{stage}_{number}"] = place
                self.ends = [*self.ends[: stage - 1], f"relu{stage}_{number}"]

    def place(self, name: str) -> int:
        """The number of the layer of that name; ShapeError if there is none."""
        if name.isdecimal() and int(name) < len(self.features):
            return int(name)
        if name not in self.names:
            known = f"{', '.join(self.names)}, or 0 to {len(self.features) - 1}"
            raise ShapeError(f"VGG: there is no layer {name!r}; expected one of {known}")
        return self.names[name]

    def maps(self, x: Tensor, names: Iterable[str]) -> list[Tensor]:
        """The maps (N, C', H', W') that layers of these names make of the images, in that order.

        Grey images are seen as of three equal channels. ShapeError for a name that there is not, other channels, or an
        image of which the pools before a layer leave nothing.
        """
        x = as_tensor(x, "VGG")
        places = [self.place(name) for name in names]
        last = max(places, default=-1)
        least = 1 << sum(isinstance(layer, nn.MaxPool2d) for layer in list(self.features)[: last + 1])
        if x.ndim != 4 or x.shape[1] not in (1, 3) or min(x.shape[2:]) < least:
            raise ShapeError(f"VGG: expected images (N, 1 or 3, H, W) of {least} pixels a side or more, got {x.shape}")
        h = x if x.shape[1] == 3 else ops.broadcast_to(x, (len(x), 3, *x.shape[2:]))
        h = ((h + 1) / 2 - self.mean) / self.deviation
        found: dict[int, Tensor] = {}
        for place in range(last + 1):
            h = self.features[place](h)
            if place in places:
                found[place] = h
        return [found[place] for place in places]

    def forward(self, x: Tensor) -> Tensor:
        """The maps of the last layer."""
        return self.maps(x, [str(len(self.features) - 1)])[0]


def vgg_features(network: VGG, layers: Mapping[str, float], power: int = 2) -> Callable[[Tensor], Tensor]:
    """f: images (N, C, H, W) in [-1, 1] to (N, F), by layers of VGG and a weight for each.

    The sum of |f(a) - f(b)|^power over F is that of the layers' weights times the mean of |a' - b'|^power over their
    maps a' and b'. SRGAN (Ledig et al. 2017) has relu5_4 of VGG19 and squares, ESRGAN (Wang et al. 2018) conv5_4 and
    the first power. ShapeError for a name that there is not.
    """
    for name in layers:
        network.place(name)

    def seen(x: Tensor) -> Tensor:
        found = []
        for maps, weight in zip(network.maps(x, layers), layers.values(), strict=True):
            n, c, h, w = maps.shape
            found.append(ops.reshape(maps, (n, c * h * w)) * (weight / (c * h * w)) ** (1 / power))
        return ops.concatenate(found, 1)

    return seen


def vgg_layers(text: str) -> dict[str, float]:
    """Layers and their weights, 1 unless it is said: "conv1_2:0.1,conv5_4". ShapeError if the text is none of such."""
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, weight = part.partition(":")
        try:
            found[name] = float(weight or 1)
        except ValueError:
            found[name] = -1.0
        if not name or not 0 < found[name] < float("inf"):
            raise ShapeError(f"vgg_layers: expected NAME or NAME:WEIGHT with commas between, got {text!r}")
    return found


def read_vgg(path: str | Path) -> VGG:
    """The convolutions in a safetensors file with the weights of torchvision's vgg16 or vgg19, in float32.

    By `safetensors.torch.save_file(torchvision.models.vgg19(weights="DEFAULT").state_dict(), path)`. The file says
    which convolutions there are: behind each comes a ReLU, and a max pool where the next one's number leaves room for
    it. What else it holds is left alone. CheckpointError naming the file and what is missing, or of another shape.
    """
    held = {plain(name): array for name, array in stored.read(path)[0].items()}
    places = sorted({int(match[1]) for match in map(_PLACE.fullmatch, held) if match})
    if not places:
        few = ", ".join(list(held)[:3]) or "nothing"
        raise CheckpointError(f"{path}: expected features.0.weight and so on, as torchvision's VGG has, found {few}")
    if any(name.endswith("running_mean") for name in held):
        raise CheckpointError(f"{path}: a VGG with batch norm; expected the weights of torchvision's vgg16 or vgg19")
    layers: list[nn.Module] = []
    maps = 3
    for place in places:
        due = len(layers)
        if place not in (due, due + bool(due)):
            expected = f"features.{due}" + (f" or, behind a max pool, features.{due + 1}" if due else "")
            raise CheckpointError(f"{path}: expected {expected}, found features.{place}")
        layers += [nn.MaxPool2d(2)] if place > due else []
        conv = _convolution(path, held, place, maps)
        maps = conv.weight.shape[0]
        layers += [conv, nn.ReLU()]
    return VGG(nn.Sequential(*layers))


def _convolution(path: str | Path, held: Mapping[str, np.ndarray], place: int, maps: int) -> nn.Conv2d:
    """The convolution of that number, of so many maps."""
    for name in (f"features.{place}.weight", f"features.{place}.bias"):
        if name not in held:
            raise CheckpointError(f"{path}: {name} is missing")
    weight, bias = (held[f"features.{place}.{kind}"] for kind in ("weight", "bias"))
    if weight.ndim != 4 or weight.shape[1:] != (maps, KERNEL, KERNEL):
        expected = f"(*, {maps}, {KERNEL}, {KERNEL})"
        raise CheckpointError(f"{path}: features.{place}.weight: expected {expected}, got {weight.shape}")
    if bias.shape != weight.shape[:1]:
        raise CheckpointError(f"{path}: features.{place}.bias: expected {weight.shape[:1]}, got {bias.shape}")
    conv = nn.Conv2d(maps, len(weight), KERNEL, padding=1, rng=Stream(0, "vgg"))
    conv.weight.copy_(weight.astype("float32"))
    cast(Tensor, conv.bias).copy_(bias.astype("float32"))
    return conv
