"""A layer that would cost too much is refused before it is called, and none that a GAN needs is."""

import tracemalloc

import numpy as np
import pytest

import minigan as mg
from minigan import nn
from minigan.errors import CheckpointError, ShapeError
from minigan.nn import cost


def images(*shape):
    return mg.tensor(np.zeros(shape, "float32"))


def up(times):
    return nn.Sequential(*(nn.UpsampleNearest(100) for _ in range(times)))


EXPENSIVE = {
    "upsampled twice": (up(2), (1, 1, 1, 1)),
    "padding": (nn.Conv2d(1, 1, 1, padding=10**5), (1, 1, 1, 1)),
    "padding that a stride jumps over": (nn.Conv2d(1, 1, 1, stride=10**6, padding=10**5), (1, 1, 1, 1)),
    "padding for dilation": (nn.Conv2d(1, 1, 2, dilation=10**5, padding=10**5), (1, 1, 1, 1)),
    "stride": (nn.ConvTranspose2d(1, 1, 1, stride=10**5), (1, 1, 2, 2)),
    "output size": (nn.ConvTranspose2d(1, 1, 1, stride=10**6, output_size=10**5), (1, 1, 1, 1)),
    "output padding": (nn.ConvTranspose2d(1, 1, 1, stride=10**5, output_padding=10**5 - 1), (1, 1, 1, 1)),
    "dilation": (nn.ConvTranspose2d(1, 1, 2, dilation=10**5), (1, 1, 1, 1)),
    "dilation that padding hides": (nn.ConvTranspose2d(1, 1, 2, dilation=999, padding=499), (1, 1, 299, 299)),
    "columns": (nn.Conv2d(16, 1, 9), (1, 16, 300, 300)),
    "window": (nn.MaxPool2d(1200, 1), (1, 1, 1200, 1200)),
    "kernel with holes": (nn.ConvTranspose2d(300, 300, (1, 2), dilation=400), (1, 300, 1, 1)),
    "work of a window": (nn.AvgPool2d(200, 1), (1, 1, 700, 700)),
    "work of groups": (nn.Sequential(*[nn.Conv2d(10**5, 10**5, 1, groups=10**5)] * 6), (1, 10**5, 1, 1)),
    "work of copies": (nn.Sequential(*[nn.Conv2d(1, 1, 9, padding=4)] * 45), (1, 1, 800, 800)),
    "work of a product": (nn.Sequential(*[nn.Linear(900, 900)] * 1000), (100, 900)),
    "rows": (nn.Linear(1, 10**4), (10**4, 1)),
    "work of many": (nn.Sequential(*[nn.Tanh()] * 200), (1, 1, 4000, 4000)),
    "spectral norm": (nn.spectral_norm(nn.Conv2d(1, 1, 1, padding=10**5)), (1, 1, 1, 1)),
}


@pytest.mark.parametrize("name", EXPENSIVE)
def test_too_much_is_refused_before_it_is_spent(name, monkeypatch):
    network, shape = EXPENSIVE[name]
    x = mg.tensor(np.broadcast_to(np.float32(0), shape))
    if isinstance(network, nn.Sequential) and len(network) > 2:  # whose work adds up: not to be done here
        for kind in (nn.Tanh, nn.Conv2d, nn.Linear):
            monkeypatch.setattr(kind, "forward", lambda self, x: x)
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match=r"more than \d+"), cost.bounded(network):
            network(x)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


def test_an_embedding_is_counted_too():
    labels = mg.tensor(np.zeros(10**4, "int64"))
    with pytest.raises(CheckpointError, match="Embedding"), cost.bounded(layer := nn.Embedding(1, 10**4)):
        layer(labels)


def test_what_does_not_fit_a_layer_is_its_own_error():
    for layer in (
        nn.UpsampleNearest(2),
        nn.Conv2d(1, 1, 1),
        nn.ConvTranspose2d(1, 1, 1),
        nn.MaxPool2d(2),
        nn.Linear(3, 2),
    ):
        with pytest.raises(ShapeError) as expected:
            layer(images(1, 2))
        with pytest.raises(ShapeError) as found, cost.bounded(layer):
            layer(images(1, 2))
        assert str(found.value).split(":")[1] == str(expected.value).split(":")[1]


def test_afterwards_the_network_is_as_before():
    network = nn.Sequential(up(1), nn.Flatten())
    before = [dict(vars(layer)) for layer in network.modules()]
    for shape in ((1, 1, 2, 2), (1, 1, 200, 200), (1, 1)):
        try:
            with cost.bounded(network):
                network(images(*shape))
        except (CheckpointError, ValueError):
            assert shape != (1, 1, 2, 2)
    assert [dict(vars(layer)) for layer in network.modules()] == before


def test_a_large_network_of_the_literature_stays_within():
    """256x256 pixels, 64 channels next to them."""
    widths = [512, 512, 512, 256, 128, 64]
    layers = [nn.Unflatten(1, (512, 4, 4))]
    for i, o in zip(widths, [*widths[1:], 64], strict=True):
        layers += [nn.UpsampleNearest(2), nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU()]
    network = nn.Sequential(*layers, nn.Conv2d(64, 3, 3, padding=1), nn.Tanh())
    x, spent, largest = images(1, 512 * 16), 0, 0
    for layer in network:
        numbers, operations = cost._cost(layer, x)
        spent, largest = spent + operations, max(largest, numbers)
        if isinstance(layer, nn.Conv2d):
            shape = (1, layer.weight.shape[0], *x.shape[2:])
        elif isinstance(layer, nn.UpsampleNearest):
            shape = (*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
        else:
            shape = (1, 512, 4, 4) if x.ndim == 2 else x.shape
        x = mg.Tensor(np.broadcast_to(np.float32(0), shape))
    assert x.shape == (1, 3, 256, 256)
    assert largest <= cost.NUMBERS
    assert spent <= cost.OPERATIONS
