"""VGG16 and VGG19 against PyTorch's layers in torchvision's order, by the file that safetensors writes of them."""

import numpy as np
import pytest
from parity import close, torch
from safetensors.torch import save_file

import minigan as mg
from minigan.models import read_vgg

LAYERS = {
    "vgg16": (8, 8, "M", 12, 12, "M", 16, 16, 16, "M", 20, 20, 20, "M", 20, 20, 20, "M"),
    "vgg19": (8, 8, "M", 12, 12, "M", 16, 16, 16, 16, "M", 20, 20, 20, 20, "M", 20, 20, 20, 20, "M"),
}
"""torchvision's configurations D and E, with an eighth and less of the maps."""


def as_torchvision_has_it(name):
    """torchvision.models.vgg.make_layers, in a module with its names."""
    layers, before = [], 3
    for maps in LAYERS[name]:
        if maps == "M":
            layers.append(torch.nn.MaxPool2d(kernel_size=2, stride=2))
        else:
            layers += [torch.nn.Conv2d(before, maps, kernel_size=3, padding=1), torch.nn.ReLU(inplace=False)]
            before = maps
    model = torch.nn.Module()
    model.features = torch.nn.Sequential(*layers)
    model.classifier = torch.nn.Sequential(torch.nn.Linear(4, 2))
    return model


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", LAYERS)
def test_maps_and_slopes_of_every_layer(name, dtype, tmp_path):
    torch.manual_seed(0)
    model = as_torchvision_has_it(name)
    save_file(model.state_dict(), tmp_path / "vgg.safetensors")
    ours = read_vgg(tmp_path / "vgg.safetensors").to(dtype=dtype)
    model = model.to(getattr(torch, dtype))
    pixels = np.random.default_rng(0).uniform(-1, 1, (2, 3, 32, 48)).astype(dtype)
    x, t = mg.tensor(pixels), torch.tensor(pixels, requires_grad=True)
    mean, deviation = (
        torch.tensor(each.numpy().astype("float32"), dtype=t.dtype) for each in (ours.mean, ours.deviation)
    )
    assert mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert deviation.flatten().tolist() == pytest.approx([0.229, 0.224, 0.225])
    h, theirs = ((t + 1) / 2 - mean) / deviation, []
    for layer in model.features:
        h = layer(h)
        theirs.append(h)
    found = ours.maps(x, [str(k) for k in range(len(ours.features))])
    assert len(found) == len(theirs) - 1  # the last pool
    for k, (a, b) in enumerate(zip(found, theirs, strict=False)):
        close(a, b, dtype, f"layer {k}")
    loss = sum(mg.mean(mg.square(found[k])) for k in (0, 5, len(found) - 2))
    sum(theirs[k].square().mean() for k in (0, 5, len(found) - 2)).backward()
    close(mg.grad(loss, x), t.grad, dtype, "slope")
