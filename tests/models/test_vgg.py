"""VGG's convolutions from a file: which layers it has, what it lacks, and features of them in a game's loss."""

from functools import partial

import numpy as np
import pytest
from example_scripts import example
from replayed_game import replays_exactly

import minigan as mg
from minigan import data, judge
from minigan.errors import CheckpointError, ShapeError
from minigan.gan.translation import Restoration, making, squared_length, taxicab
from minigan.judge.perceptual import EPS
from minigan.models import read_vgg, vgg_features, vgg_layers
from minigan.models.vgg import DEVIATION, MEAN
from minigan.random import Stream
from minigan.training import Settings

VGG16 = 0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28
VGG19 = 0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34
"""The numbers of torchvision's convolutions."""


def weights(places, maps=4):
    """Small arrays with torchvision's names."""
    rng, before, found = np.random.default_rng(0), 3, {}
    for place in places:
        scale = (2 / (9 * before)) ** 0.5
        found[f"features.{place}.weight"] = scale * rng.standard_normal((maps, before, 3, 3)).astype(np.float32)
        found[f"features.{place}.bias"] = 0.1 * rng.standard_normal(maps).astype(np.float32)
        before = maps
    return found | {"classifier.0.weight": np.zeros((2, 2), np.float32)}


@pytest.fixture
def file(tmp_path):
    def written(held):
        mg.save(held, tmp_path / "vgg.safetensors")
        return tmp_path / "vgg.safetensors"

    return written


def images(n=2, side=32, channels=3):
    return mg.tensor(np.random.default_rng(1).uniform(-1, 1, (n, channels, side, side)).astype(np.float32))


@pytest.mark.parametrize(
    ("places", "pools", "last"), [(VGG16, (4, 9, 16, 23), "conv5_3"), (VGG19, (4, 9, 18, 27), "conv5_4")]
)
def test_pools_are_where_numbers_leave_room(places, pools, last, file):
    network = read_vgg(file(weights(places)))
    layers = list(network.features)
    assert tuple(k for k, layer in enumerate(layers) if isinstance(layer, mg.nn.MaxPool2d)) == pools
    assert tuple(k for k, layer in enumerate(layers) if isinstance(layer, mg.nn.Conv2d)) == places
    assert network.place(last) == places[-1]
    assert network.place(last.replace("conv", "relu")) == places[-1] + 1
    assert [network.place(name) + 1 for name in network.ends[:-1]] == list(pools)
    assert network(images()).shape == (2, 4, 2, 2)
    before, after, again = network.maps(images(), [last, last.replace("conv", "relu"), str(places[-1])])
    assert before.numpy().min() < 0
    assert (np.maximum(before.numpy(), 0) == after.numpy()).all()
    assert (again.numpy() == before.numpy()).all()


def test_images_are_normalised_and_grey_ones_repeated(file):
    held = weights([0], 3)
    held["features.0.weight"] = np.zeros((3, 3, 3, 3), np.float32)
    held["features.0.weight"][range(3), range(3), 1, 1] = 1
    held["features.0.bias"] = np.zeros(3, np.float32)
    network = read_vgg(file(held))
    x = images()
    seen = network.maps(x, ["conv1_1"])[0].numpy()
    pixels = (x.numpy() + 1) / 2
    mean, deviation = (np.array(each).reshape(1, 3, 1, 1) for each in (MEAN, DEVIATION))
    np.testing.assert_allclose(seen, (pixels - mean) / deviation, atol=1e-5)
    grey = images(channels=1)
    in_colour = mg.tensor(grey.numpy().repeat(3, 1))
    assert (network(grey).numpy() == network(in_colour).numpy()).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features.2.bias": None}, r"features\.2\.bias is missing"),
        ({"features.7.weight": None}, r"features\.7\.weight is missing"),
        (
            {"features.5.weight": None, "features.5.bias": None},
            r"expected features\.4 or, behind a max pool, features\.5, found features\.7",
        ),
        ({"features.0.weight": None, "features.0.bias": None}, r"expected features\.0, found features\.2"),
        (
            {"features.5.weight": np.zeros((4, 5, 3, 3))},
            r"features\.5\.weight: expected \(\*, 4, 3, 3\), got \(4, 5, 3",
        ),
        ({"features.5.weight": np.zeros(4)}, r"features\.5\.weight: expected \(\*, 4, 3, 3\), got \(4,\)"),
        ({"features.5.bias": np.zeros(5)}, r"features\.5\.bias: expected \(4,\), got \(5,\)"),
        ({"features.1.running_mean": np.zeros(4)}, "a VGG with batch norm"),
    ],
)
def test_what_is_missing_or_of_another_shape_is_named(change, message, file):
    held = {name: array for name, array in (weights([0, 2, 5, 7]) | change).items() if array is not None}
    with pytest.raises(CheckpointError, match=rf"vgg\.safetensors: {message}"):
        read_vgg(file(held))


def test_another_file_and_another_layer_are_named(file):
    with pytest.raises(CheckpointError, match=r"expected features\.0\.weight and so on.*found body"):
        read_vgg(file({"body": np.zeros(3)}))
    network = read_vgg(file(weights([0, 2, 5])))
    with pytest.raises(ShapeError, match="there is no layer 'conv5_4'; expected one of conv1_1, relu1_1, conv1_2"):
        vgg_features(network, {"conv5_4": 1.0})
    with pytest.raises(ShapeError, match=r"expected images \(N, 1 or 3, H, W\) of 2 pixels a side or more, got \(1, 2"):
        network(mg.zeros((1, 2, 8, 8)))
    with pytest.raises(ShapeError, match=r"of 2 pixels a side or more, got \(1, 3, 1, 8\)"):
        network(mg.zeros((1, 3, 1, 8)))
    assert network.maps(mg.zeros((1, 3, 1, 8)), ["relu1_2"])[0].shape == (1, 4, 1, 8)
    for text in ("", "conv1_1:", ":2", "a,,b", "a:x", "a:0", "a:inf"):
        if text == "conv1_1:":
            assert vgg_layers(text) == {"conv1_1": 1.0}
            continue
        with pytest.raises(ShapeError, match="expected NAME or NAME:WEIGHT with commas between"):
            vgg_layers(text)


@pytest.mark.parametrize(("power", "distance"), [(1, taxicab), (2, squared_length)])
def test_features_are_as_far_apart_as_the_weighted_means_of_maps(power, distance, file):
    network = read_vgg(file(weights(VGG16)))
    layers = vgg_layers("conv1_2:0.1,relu3_3,24:2")
    a, b = images(), images(channels=1)
    seen = vgg_features(network, layers, power)
    expected = 0.0
    for name, weight in {"conv1_2": 0.1, "relu3_3": 1.0, "24": 2.0}.items():
        ours, theirs = (network.maps(x, [name])[0].numpy().astype(float) for x in (a, b))
        expected += weight * (np.abs(ours - theirs) ** power).mean()
    assert distance(seen(a), seen(b)).item() == pytest.approx(expected, rel=1e-4)


def test_unit_pixels_of_each_stage_are_those_of_lpips(file):
    network = read_vgg(file(weights([0, 2, 5])))
    a, b = images(), images(channels=1)
    seen = judge.perceptual_by_vgg(network)
    expected = 0.0
    for name in ("relu1_2", "relu2_1"):
        units = []
        for x in (a, b):
            maps = network.maps(x, [name])[0].numpy().astype(float)
            units.append(maps / np.sqrt(np.square(maps).sum(1, keepdims=True) + EPS))
        expected += np.square(units[0] - units[1]).sum(1).mean() / 2
    assert squared_length(seen(a), seen(b)).item() == pytest.approx(expected, rel=1e-4)


def restoration(network):
    with mg.random.using(Stream(0)):
        G = mg.models.srresnet(2, width=4, blocks=1)
        D = mg.models.image_discriminator(8, width=4, features=6)
    adam = [mg.optim.Adam(player.parameters(), 1e-3) for player in (G, D)]
    parts = {"make": making("small:2"), "features": vgg_features(network, {"conv2_1": 1.0}, 1), "apart": taxicab}
    made = Restoration(G, D, generator_optimizer=adam[0], discriminator_optimizer=adam[1], perceptual=1.0, **parts)
    made.meet(np.zeros((4, 3, 8, 8), np.uint8))
    return made


def test_a_game_that_looks_with_it_is_replayed(file):
    network = read_vgg(file(weights([0, 2, 5])))
    pixels = np.random.default_rng(0).integers(0, 256, (12, 3, 8, 8)).astype(np.uint8)
    before = {name: t.numpy().copy() for name, t in network.state_dict().items()}
    replays_exactly(partial(restoration, network), partial(data.Batches, pixels, 4))
    assert all((t.numpy() == before[name]).all() for name, t in network.state_dict().items())


@pytest.mark.parametrize(
    ("words", "layer", "distance", "weights_of"),
    [
        ("--system srgan", "relu5_4", squared_length, (0.0, 0.006)),
        ("--system esrgan", "conv5_4", taxicab, (0.01, 1.0)),
        ("--system esrgan --vgg-layers lpips", "", squared_length, (0.01, 1.0)),
        ("--system srgan --vgg-layers conv2_1", "conv2_1", squared_length, (0.0, 0.006)),
        ("--system srgan --vgg-layers lpips", "", squared_length, (0.0, 1.0)),
    ],
)
def test_the_program_takes_its_papers_layers_and_weights(words, layer, distance, weights_of, file):
    module, path = example("super_resolution"), file(weights(VGG19))
    line = f"--data nowhere --side 32 --width 4 --blocks 1 --vgg {path} {words}".split()
    game = module.build(Settings.parsed(module.options(), line, "super_resolution"))
    assert game.apart is distance
    assert (game.pixel, game.perceptual) == weights_of
    x, network = images(), read_vgg(path)
    maps = network.maps(x, [layer])[0].numpy() if layer else None
    expected = judge.perceptual_by_vgg(network)(x).numpy() if maps is None else maps.reshape(2, -1)
    power = 1 if distance is taxicab else 2
    scale = 1 if maps is None else (1 / expected.shape[1]) ** (1 / power)
    np.testing.assert_allclose(game.features(x).numpy(), expected * scale, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--system srresnet --vgg x", "--vgg changes nothing with --system srresnet"),
        ("--vgg-layers conv5_4", "--vgg-layers changes nothing without --vgg"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(words, message, capsys):
    with pytest.raises(SystemExit):
        Settings.parsed(example("super_resolution").options(), words.split(), "super_resolution")
    assert message in capsys.readouterr().err
