"""A generator in a file of its own: the same samples, whatever its layers, and nothing run or lost for a bad file."""

import json
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest
from example_scripts import example
from safetensors.numpy import load_file, save_file
from safetensors.numpy import save as to_bytes
from tiny_run import build, settings
from trained_network import trained

import minigan as mg
from minigan import export, training
from minigan.errors import CheckpointError, ShapeError
from minigan.gan import LatentCode, normal_latent, truncated_latent, uniform_latent
from minigan.system.disk import BLANK, sealed
from minigan.training import checkpoint


def newer():
    """A generator of layers of the last ten years."""
    nn = mg.nn
    return nn.Sequential(
        *(nn.PixelNorm(), nn.equalized(nn.Linear(5, 64), 0.5), nn.Unflatten(1, (16, 2, 2)), nn.RMSNorm((16, 2, 2))),
        *(nn.ResidualBlock(16, 8, "up", norm="batch"), nn.SelfAttention2d(8, 4), nn.NoiseInjection(8)),
        *(
            nn.GroupedResidualBlock(8),
            nn.SqueezeExcitation(8, 2),
            nn.equalized(nn.Conv2d(8, 3, 1), gain=1.0),
            nn.Tanh(),
        ),
    )


def normalised(network):
    """With spectral norm in each dense layer and convolution, those within blocks too."""
    for layer in list(network.modules()):
        if isinstance(layer, mg.nn.Linear | mg.nn.Conv2d):
            mg.nn.spectral_norm(layer)
    return network


def told(z_dim, classes=10, *, width):
    """BigGAN's, with spectral norm in the generator."""
    players = mg.models.biggan(16, z_dim, width=width, classes=classes, shared_dim=3)
    return players._replace(generator=normalised(players.generator))


PLAYERS = {
    "mlp28": (lambda: mg.models.mlp28(5), uniform_latent(5)),
    "dcgan28": (lambda: mg.models.dcgan28(5), uniform_latent(5)),
    "lab28": (lambda: mg.models.lab28(5), normal_latent(5)),
    "goodfellow28": (lambda: mg.models.goodfellow28(5), uniform_latent(5)),
    "dcgan": (lambda: mg.models.dcgan(16, 5, width=2, generator_norm="layer"), uniform_latent(5)),
    "dcgan, bare": (lambda: mg.models.dcgan(16, 5, width=2, generator_norm=None), uniform_latent(5)),
    "sndcgan": (lambda: mg.models.sndcgan(16, 5, width=2), normal_latent(5)),
    "resnet": (lambda: mg.models.resnet(16, 5, width=8, attention=8), normal_latent(5)),
    "resnet, spectral norm": (lambda: [normalised(mg.models.resnet(16, 5, width=8)[0])], normal_latent(5)),
    "transgan": (lambda: mg.models.transgan(28, 5, channels=1, width=4, depth=1, grid=7), normal_latent(5)),
    "biggan": (lambda: mg.models.biggan(16, 5, width=8, attention=8), normal_latent(5)),
    "resnet, bare": (lambda: mg.models.resnet(28, 5, width=4, generator_norm=None), normal_latent(5)),
    "stylegan2": (lambda: mg.models.stylegan2(16, 5, width=4, depth=0), normal_latent(5)),
    "stylegan2, noiseless": (lambda: mg.models.stylegan2(8, 5, width=4, depth=0, noiseless=True), normal_latent(5)),
    "fastgan": (lambda: mg.models.fastgan(32, 5, width=4), normal_latent(5)),
    "singan": (lambda: mg.models.singan(16, width=2, smallest=11), normal_latent(3 * (12 * 12 + 16 * 16))),
    "progan": (lambda: mg.models.progan(16, 5, width=4), normal_latent(5)),
    "msggan": (lambda: mg.models.msggan(8, 5, width=4), normal_latent(5)),
    "lapgan": (lambda: mg.models.lapgan(16, 6, width=4), normal_latent(6)),
    "r3gan": (lambda: mg.models.r3gan(28, 5, width=8), normal_latent(5)),
    "mlp512": (lambda: mg.models.mlp512(16, 5), normal_latent(5)),
    "infogan28": (lambda: mg.models.infogan28(13, 8, width=4), LatentCode(5, 6, 2)),
    "ebgan28": (lambda: mg.models.ebgan28(5), uniform_latent(5)),
    "points": (lambda: mg.models.mlp2d(5), normal_latent(5)),
    "weight norm": (lambda: [mg.nn.Sequential(mg.nn.weight_norm(mg.nn.Linear(5, 3)))], normal_latent(5)),
    "newer layers": (lambda: [newer()], normal_latent(5)),
    "spectral norm": (lambda: [mg.nn.Sequential(mg.nn.spectral_norm(mg.nn.Linear(5, 3)))], normal_latent(5)),
}
CONDITIONAL = {"cgan28": mg.models.cgan28, "projection28": mg.models.projection28, "biggan": told}


@pytest.mark.parametrize("classes", [None, 10])
def test_a_truncated_generator_has_statistics_of_its_own(classes):
    players = mg.models.biggan(16, 6, channels=1, width=4, classes=classes or 0, shared_dim=3)
    generator = export.Generator(trained(players[0]), normal_latent(6), classes, counts=classes and [1, *[0] * 9])
    before = {k: t.numpy() for k, t in generator.network.state_dict().items()}
    usual, less = generator.sample(200).numpy(), generator.truncated(0.4).sample(200).numpy()
    assert np.array_equal(generator.truncated(0.4).sample(20).numpy(), less[:20])
    assert np.abs(less - usual).max() > 1e-3
    for k, t in generator.network.state_dict().items():
        np.testing.assert_array_equal(t.numpy(), before[k])
    last = generator.truncated(0.4).network.image[0]
    z = mg.tensor(truncated_latent(generator.latent, 0.4)(2000, mg.random.Stream(7)).numpy())
    labels = () if classes is None else (mg.tensor(np.zeros(2000, int)),)
    network = generator.network.train()
    network(z, *labels)
    network.eval()
    seen = (network.image[0].running_mean.numpy() - 0.9 * before["image.0.running_mean"]) / 0.1
    np.testing.assert_allclose(last.running_mean.numpy(), seen, atol=0.1)


@pytest.mark.parametrize("name", PLAYERS)
def test_a_file_gives_the_same_samples(tmp_path, name):
    make, latent = PLAYERS[name]
    generator = export.Generator(trained(make()[0]), latent, about={"run": name})
    path = export.save_generator(tmp_path / "g.safetensors", generator)
    again = export.load_generator(path)
    assert np.array_equal(again.sample(7, seed=4).numpy(), generator.sample(7, seed=4).numpy())
    assert not np.array_equal(again.sample(7, seed=5).numpy(), again.sample(7, seed=4).numpy())
    assert (again.latent, again.about, again.classes) == (latent, {"run": name}, None)
    assert set(load_file(path)) == set(generator.network.state_dict())
    assert again.sample(300).shape[0] == 300  # more than a chunk
    assert again.sample(0).shape == (0, *again.sample(1).shape[1:])


@pytest.mark.parametrize("name", CONDITIONAL)
def test_a_conditional_generator_takes_labels(tmp_path, name):
    generator = export.Generator(trained(CONDITIONAL[name](5, width=4)[0]), uniform_latent(5), 10)
    again = export.load_generator(export.save_generator(tmp_path / "g.safetensors", generator))
    threes = again.sample(6, labels=np.full(6, 3)).numpy()
    assert np.array_equal(threes, generator.sample(6, labels=np.full(6, 3)).numpy())
    assert np.array_equal(again.sample(12).numpy(), again.sample(12, labels=np.arange(12) % 10).numpy())
    assert not np.array_equal(threes, again.sample(6).numpy())
    for labels, message in (([10] * 6, "from 0 to 9, got 10"), ([1], "expected 6 labels"), ([-1] * 6, "from 0")):
        with pytest.raises(ShapeError, match=message):
            again.sample(6, labels=np.array(labels))
    plain = export.Generator(mg.models.mlp28(5)[0], uniform_latent(5))
    with pytest.raises(ShapeError, match="takes no labels"):
        plain.sample(2, labels=np.zeros(2, int))
    for noise, found in ((mg.ones(5), r"Tensor \(5,\)"), (np.ones((2, 5), "float32"), r"ndarray \(2, 5\)")):
        with pytest.raises(ShapeError, match=rf"expected a Tensor of noise \(n, dim\), got {found}"):
            plain.generate(noise)
    for n in (-1, 2.5, float("nan")):
        with pytest.raises(ShapeError, match=rf"expected .*integer.*got .*{n}"):
            plain.sample(n)


def test_classes_come_in_the_proportion_of_the_data(tmp_path):
    G, _ = mg.models.of_classes(mg.models.mlp28(5 + 4, outputs=4), 4)
    generator = export.Generator(trained(G), uniform_latent(5), 4, counts=[1, 0, 2, 5])
    path = export.save_generator(tmp_path / "g.safetensors", generator)
    again = export.load_generator(path)
    labels = again.labels(800)
    assert again.counts == [1, 0, 2, 5]
    assert np.bincount(labels).tolist() == pytest.approx([100, 0, 200, 500], abs=40)
    assert np.array_equal(again.labels(30), labels[:30])
    assert not np.array_equal(again.labels(30, seed=1), labels[:30])
    assert np.array_equal(again.sample(30).numpy(), generator.sample(30, labels=labels[:30]).numpy())
    with pytest.raises(ShapeError, match="how often each of 4 classes is there"):
        export.save_generator(path, export.Generator(G, uniform_latent(5), 4, counts=[1, 2]))


def test_a_run_leaves_the_generator_that_its_samples_are_of(tmp_path, few_digits):
    training.run(build, settings(tmp_path))
    game = build(settings(tmp_path))
    game.load_state(checkpoint.load(checkpoint.find(tmp_path / "checkpoints")[-1])[0])
    generator = export.load_generator(tmp_path / "generator.safetensors")
    z = game.latent(5, mg.random.Stream(1))
    assert np.array_equal(generator.generate(z).numpy(), game.generate(z).numpy())  # averaged weights, as it samples
    assert generator.about == {"run": "tiny", "step": 18}


@pytest.mark.parametrize(
    ("script", "options"),
    [
        *[("conditional", "--model acgan"), ("infogan", ""), ("bigan", ""), ("vae", ""), ("energy", "--model began")],
        *[("quadratic", ""), ("modes", ""), ("train", "goodfellow"), ("train", "tricks"), ("singan", "")],
        ("semi_supervised", "--dry-run --data digits"),
    ],
)
def test_the_generator_of_every_system_can_be_kept(tmp_path, script, options):
    module = example(script)
    made = module.options(options.split()) if script == "train" else module.options()
    game = module.build(training.Settings.parsed(made, options.split(), script))
    path = export.save_of_game(tmp_path / "g.safetensors", game)
    z = game.latent(3, mg.random.Stream(1))
    again = export.load_generator(path).generate(z).numpy()
    assert again.shape[1:] == game.sample(3).shape[1:]


def test_numbers_of_numpy_and_layers_that_take_several_are_kept(tmp_path, monkeypatch):
    class Tower(mg.nn.Sequential):
        def __init__(self, *blocks):
            super().__init__(*blocks)

    monkeypatch.setitem(export.LAYERS, "Tower", Tower)
    network = Tower(mg.nn.Linear(np.int64(4), np.prod((2, 3))), mg.nn.ReLU(True), mg.nn.LeakyReLU(np.float32(0.5)))
    generator = export.Generator(network, mg.gan.normal_latent(np.int64(4)))
    again = export.load_generator(export.save_generator(tmp_path / "g.safetensors", generator))
    assert type(again.network) is Tower
    assert np.array_equal(again.sample(3).numpy(), generator.sample(3).numpy())


# --- what is refused --------------------------------------------------------------------------------------------


def test_a_layer_or_noise_that_no_file_describes_is_named(tmp_path):
    class Mine(mg.nn.Module):
        pass

    for network, latent, name in (
        (mg.nn.Sequential(Mine()), uniform_latent(2), "Mine"),
        (mg.nn.Linear(2, 2), lambda n, rng: None, "lambda"),
    ):
        with pytest.raises(export.NotDescribed, match=name):
            export.save_generator(tmp_path / "g.safetensors", export.Generator(network, latent))
    assert not list(tmp_path.iterdir())


def test_pickles_are_refused_with_the_reason(tmp_path):
    class Boom:
        def __reduce__(self):
            return (pytest.fail, ("it was run",))

    (tmp_path / "g.pkl").write_bytes(pickle.dumps(Boom()))
    with zipfile.ZipFile(tmp_path / "g.pth", "w") as archive:
        archive.writestr("data.pkl", pickle.dumps(Boom()))
    for name in ("g.pkl", "g.pth"):
        with pytest.raises(CheckpointError, match=r"a pickle, and loading one can run .*safetensors\.torch\.save_file"):
            export.load_generator(tmp_path / name)


def altered(path, change):
    """The file with its description changed, its checksum right."""
    from safetensors import safe_open

    arrays = load_file(path)
    with safe_open(path, framework="numpy") as held:
        about = json.loads(held.metadata()["minigan"])
    change(about)
    about["sha256"] = BLANK.decode()
    path.write_bytes(sealed(to_bytes(arrays, {"minigan": json.dumps(about)})))


def enlarge(about):
    about["network"]["layers"][0]["in_features"] = 10**9


def first(**changes):
    """The first layer with other arguments."""
    return lambda about: about["network"]["layers"][0].update(changes)


def rename(about):
    about["network"]["layers"][0]["layer"] = "__import__"


def nest(about):
    for _ in range(60):
        about["network"] = {"layer": "Sequential", "layers": [about["network"]]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (enlarge, "larger than the weights"),
        (first(in_features=float("inf")), "larger than the weights"),
        (first(layer="Conv2d", in_channels=512, out_channels=512, kernel_size=99), "larger than the weights"),
        (first(layer="Conv2d", in_channels=1, out_channels=1, kernel_size=[3000, 3000]), "larger than the weights"),
        (first(normalised=["spectral_norm", {"dim": 9}]), "describes no generator"),
        (lambda about: about.update(classes="ten"), "make no sense"),
        (lambda about: about.update(classes=0), "make no sense"),
        (lambda about: about.update(counts=[1, 2]), "how often each of None classes is there"),
        (lambda about: about.update(counts="many"), "describes no generator"),
        (lambda about: about.update(classes=3), "describes no generator"),
        (lambda about: about["latent"].update(dim=-1), "make no sense"),
        (lambda about: about["latent"].update(dim=10**13), "make no sense"),
        (lambda about: about["latent"].update(dim="x"), "describes no generator"),
        (lambda about: about["latent"].update(dtype="object"), "describes no generator"),
        (
            lambda about: about["network"]["layers"].insert(0, {"layer": "LeakyReLU", "negative_slope": "x"}),
            "negative_slope: expected a finite number",
        ),
        (rename, "__import__"),
        (nest, "recursion"),
        (lambda about: about.update(format=9), "written in format 9, this minigan reads 1"),
        (lambda about: about.update(latent={"kind": "x"}), "describes no generator"),
        (lambda about: about.pop("network"), "describes no generator"),
        (lambda about: about["network"]["layers"].pop(), None),
        (lambda about: about["network"]["layers"].pop(0), "is missing|is unknown"),
    ],
)
def test_a_crafted_description_is_an_error_and_takes_no_memory(tmp_path, change, message):
    path = export.save_generator(tmp_path / "g.safetensors", export.Generator(mg.models.mlp28(5)[0], uniform_latent(5)))
    altered(path, change)
    if message is None:  # a tanh more or less fits the weights
        export.load_generator(path)
        return
    with pytest.raises(CheckpointError, match=message):
        export.load_generator(path)


def crafted(path, layers, arrays=None, **changes):
    """A file of nothing but these layers, or of a description that changes otherwise, its checksum right."""
    about = {"sha256": BLANK.decode(), "format": 1, "network": {"layer": "Sequential", "layers": layers}}
    about |= {"latent": {"kind": "normal", "dim": 1}, "classes": None, "about": {}, **changes}
    path.write_bytes(sealed(to_bytes(arrays or {}, {"minigan": json.dumps(about)})))
    return path


def layer(kind, **arguments):
    return {"layer": kind, **arguments}


def conv(kind="Conv2d", **options):
    return [PIXEL, layer(kind, in_channels=1, out_channels=1, kernel_size=1, bias=False, **options)]


def linear(inputs, outputs):
    return [layer("Linear", in_features=inputs, out_features=outputs)]


PIXEL = layer("Unflatten", dim=1, unflattened_size=[1, 1, 1])
PER_CLASS = layer("ConditionalNormGenerator", z_dim=1, classes=1, width=5000)
NAN, INFINITY = float("nan"), float("inf")
NEWER = [  # layers that hold more numbers than those that they are made with say
    [layer("SelfAttention2d", channels=1 << 17)],
    [layer("MultiheadAttention", embed_dim=1 << 17, num_heads=1)],
    [layer("ModulatedConv2d", in_channels=1 << 12, out_channels=1 << 12, kernel_size=[99, 99], style_dim=1)],
    [layer("Conv1d", in_channels=1 << 14, out_channels=1 << 14, kernel_size=1, groups=-5)],
    [layer("ConvTranspose1d", in_channels=1, out_channels=1, kernel_size=10**9)],
    [layer("ConditionalGroupNorm", num_groups=1, num_channels=10**6, num_classes=10**4)],
    [layer("SqueezeExcitation", channels=1 << 17, reduction=1)],
    [layer("SkipLayerExcitation", low_channels=1, high_channels=1 << 17)],
    [layer("MinibatchDiscrimination", in_features=10**8)],
    [layer("VirtualBatchNorm2d", num_features=10**9, reference=1)],
    [layer("VirtualBatch", network=layer("ReLU"), shape=[10**5, 10**5])],
    [layer("ResidualBlock", in_channels=10**9, out_channels=1, norm="batch", num_classes=-(10**9))],
    [layer("ResidualBlock", in_channels=1, out_channels=1 << 17)],
    [layer("GroupedResidualBlock", channels=1 << 17, blocks=1)],
]


@pytest.mark.parametrize(
    ("layers", "changes", "message"),
    [
        ([PIXEL, *[layer("UpsampleNearest", scale=100)] * 2], {}, "makes 100000000 numbers"),
        (conv(padding=10**5), {}, "numbers of"),
        (conv("ConvTranspose2d", stride=10**6, output_size=10**5), {}, "numbers of"),
        (conv("ConvTranspose2d", stride=10**5, output_padding=10**5 - 1), {}, "numbers of"),
        (conv(padding=NAN), {}, "got nan"),
        (conv(padding=-1), {}, "got .-1, -1."),
        (conv(stride=0.5), {}, r"got 0\.5"),
        (conv(groups=-1), {}, "got -1"),
        *[(linear(n, 10**9), {}, "larger than the") for n in (NAN, INFINITY, -1, 0)],
        *[(linear(n, 9), {}, "describes no generator") for n in (2.5, -1, "5", None, [1, 2])],
        ([layer("BatchNorm1d", num_features=10**9, eps=NAN)], {}, "larger than the"),
        ([layer("UpsampleNearest", scale=10**400)], {}, "describes no generator"),
        ([layer("MaxPool2d", kernel_size=9000, stride=1)], {}, "larger than the"),
        ([layer("Linear", in_features=1, out_features=1, normalised=["spectral_norm", {"n_power_iterations": 10**9}])],
         {}, "larger than the"),
        *[(made, {}, "larger than the") for made in NEWER],
        ([], {"network": PER_CLASS, "classes": 1}, "larger than the"),
        ([{**PER_CLASS, "z_dim": 10**9, "width": -1}, *linear(500, 10**6)], {}, "larger than the"),
        (linear(500, 500) * 3000, {}, "larger than the"),
        ([layer("LayerNorm", normalized_shape=[80])] * 3000, {}, "more than 1000 layers"),
        ([layer("ReLU")] * 3000, {}, "more than 1000 layers"),
        ([], {"about": {"long": "x" * (1 << 20)}}, "in more than 1048576 letters"),
        ([], {"network": {"layer": "Sequential", "layers": [[[]] * 10**5] * 9}}, "in more than 1048576 letters"),
        ([], {"classes": NAN}, "make no sense"),
        ([], {"classes": True}, "make no sense"),
        ([], {"classes": 1 << 20}, "make no sense"),
        *[([], {"latent": {"kind": "normal", "dim": n}}, "make no sense") for n in (NAN, 1.0, -1, "1", True, 1 << 20)],
        ([], {"latent": {"kind": "normal", "dim": 5, "dtype": "U100000000"}}, "make no sense"),
        ([], {"latent": {"kind": "uniform", "dim": 5, "low": INFINITY}}, "make no sense"),
        ([], {"latent": {"kind": "code", "noise": 1 << 20}}, "make no sense"),
    ],
)  # fmt: skip
def test_a_file_of_a_few_bytes_costs_no_memory(tmp_path, layers, changes, message):
    arrays = {"1.weight": np.zeros((1, 1, 1, 1), "f4")} if layers and "kernel_size" in layers[-1] else None
    path = crafted(tmp_path / "g.safetensors", layers, arrays, **changes)
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match=rf"g\.safetensors: .*{message}"):
            export.load_generator(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 26
    finally:
        tracemalloc.stop()


def test_a_lack_of_memory_is_not_blamed_on_the_file(tmp_path, monkeypatch):
    def lacking(about, arrays):
        raise MemoryError("Unable to allocate 9 TiB")

    path = crafted(tmp_path / "g.safetensors", [])
    monkeypatch.setattr(export.generator, "from_description", lacking)
    with pytest.raises(MemoryError, match="9 TiB"):
        export.load_generator(path)


def test_json_that_is_deep_or_says_a_name_twice_is_refused(tmp_path):
    path = crafted(tmp_path / "g.safetensors", [])
    content = path.read_bytes()
    assert export.load_generator(path).sample(2).shape == (2, 1)
    for wrong, message in (("[" * 9000 + "]" * 9000, "nested too"), ('{"format": 1, "format": 2}', "'format' twice")):
        path.write_bytes(to_bytes({}, {"minigan": wrong}))
        with pytest.raises(CheckpointError, match=rf"g\.safetensors: describes no generator .*{message}"):
            export.load_generator(path)
    path.write_bytes(content)
    export.load_generator(path)


def test_what_would_be_refused_is_not_written(tmp_path):
    up = mg.nn.UpsampleNearest(100)
    for network, latent, message in (
        (mg.nn.Sequential(mg.nn.Unflatten(1, (1, 1, 1)), up, up), uniform_latent(1), "makes 100000000 numbers"),
        (mg.nn.Sequential(*[mg.nn.ReLU()] * 1001), uniform_latent(1), "more than 1000 layers"),
        (mg.nn.ReLU(), uniform_latent(1 << 20), "make no sense"),
    ):
        with pytest.raises(export.NotDescribed, match=message):
            export.save_generator(tmp_path / "g.safetensors", export.Generator(network, latent))
    plain = export.Generator(mg.nn.ReLU(), uniform_latent(1), about={"long": "x" * (1 << 20)})
    with pytest.raises(export.NotDescribed, match="more than 1048576 letters"):
        export.save_generator(tmp_path / "g.safetensors", plain)
    assert not list(tmp_path.iterdir())


def test_what_few_weights_describe_is_kept(tmp_path):
    """Layers whose arguments multiply to far more than they hold."""
    up = mg.nn.ConvTranspose2d(16, 8, (5, 5), (2, 2), (2, 2), (1, 1), dilation=(1, 1))
    apart = mg.nn.Conv2d(8, 8, 9, padding=4, groups=8)
    network = mg.nn.Sequential(mg.nn.Unflatten(1, (16, 4, 4)), up, mg.nn.GroupNorm(4, 8), apart, mg.nn.AvgPool2d(8))
    alone = mg.nn.Conv2d(256, 256, 9, padding=4, groups=256)
    depthwise = mg.nn.Sequential(mg.nn.Unflatten(1, (256, 1, 1)), alone)
    conditional = mg.models.projection28(99, classes=900, width=3)[0]
    for made, z_dim, classes in ((network, 256, None), (depthwise, 256, None), (conditional, 99, 900)):
        generator = export.Generator(made, normal_latent(z_dim), classes)
        again = export.load_generator(export.save_generator(tmp_path / "g.safetensors", generator))
        assert np.array_equal(again.sample(2).numpy(), generator.sample(2).numpy())


def test_loading_leaves_the_default_stream_alone(tmp_path):
    path = export.save_generator(tmp_path / "g.safetensors", export.Generator(mg.models.mlp28(5)[0], uniform_latent(5)))
    mg.random.seed(1)
    expected = mg.random.default().uniform(3)
    mg.random.seed(1)
    export.load_generator(path)
    assert np.array_equal(mg.random.default().uniform(3), expected)


def test_weights_move_by_name_and_say_what_does_not_fit(tmp_path):
    G = trained(mg.models.mlp28(5)[0])
    path = export.save_generator(tmp_path / "g.safetensors", export.Generator(G, uniform_latent(5)))
    other = mg.models.mlp28(5)[0]
    export.load_weights(other, path)
    assert all(np.array_equal(t.numpy(), G.state_dict()[k].numpy()) for k, t in other.state_dict().items())
    with pytest.raises(CheckpointError, match=r"g\.safetensors: load_state_dict.*0\.weight has shape \(1024, 5\)"):
        export.load_weights(mg.models.mlp28(6)[0], path)
    theirs = {f"module.{name}": 2 * t.numpy() for name, t in trained(mg.models.mlp28(5)[0]).state_dict().items()}
    save_file(theirs, path)
    export.load_weights(other, path)
    assert all(np.array_equal(t.numpy(), theirs[f"module.{name}"]) for name, t in other.state_dict().items())
    kept = {name: t.numpy() for name, t in other.state_dict().items()}
    wrong = {**kept, "4.bias": kept["4.bias"][:5]}
    save_file({name: np.ascontiguousarray(a) + 1 for name, a in wrong.items()}, path)
    with pytest.raises(CheckpointError, match=r"4\.bias has shape \(5,\)"):
        export.load_weights(other, path)
    assert all(np.array_equal(t.numpy(), kept[name]) for name, t in other.state_dict().items())
    save_file({"0.weight": np.zeros((2, 2), np.float32)}, tmp_path / "bare.safetensors")
    with pytest.raises(CheckpointError, match="weights without a network"):
        export.load_generator(tmp_path / "bare.safetensors")
    with pytest.raises(CheckpointError, match=r"absent\.safetensors: no such file"):
        export.load_generator(tmp_path / "absent.safetensors")


def test_arguments_in_the_wrong_order_are_told_which_is_which(tmp_path):
    network, path = mg.nn.Linear(2, 1), tmp_path / "g.safetensors"
    for arguments in ((path, network), (network, path)):
        with pytest.raises(mg.errors.DTypeError, match=r"save_generator: expected a path and a Generator, .* a Linear"):
            export.save_generator(*arguments)
    assert not path.exists()


def test_layers_with_names_of_their_own_are_described(tmp_path):
    network = mg.nn.Sequential(
        {"body": mg.nn.Sequential([mg.nn.Linear(2, 4), mg.nn.ReLU()]), "layer": mg.nn.Linear(4, 3)}
    )
    generator = export.Generator(network, normal_latent(2))
    again = export.load_generator(export.save_generator(tmp_path / "g.safetensors", generator))
    assert list(again.network.state_dict()) == ["body.0.weight", "body.0.bias", "layer.weight", "layer.bias"]
    assert np.array_equal(again.sample(3).numpy(), generator.sample(3).numpy())
