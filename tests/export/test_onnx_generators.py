"""Every generator, encoder and translator as a model in ONNX, run by onnxruntime: the same images, of any batch."""

import json
from functools import partial

import fakecupy
import layer_table
import numpy as np
import pytest
from onnx_models import computed, expected, onnx, session
from test_export import CONDITIONAL, PLAYERS
from trained_network import trained

import minigan as mg
from minigan import export
from minigan.command import cli
from minigan.errors import CheckpointError, DTypeError, MissingExtra
from minigan.export.onnx import file, model, signature, table
from minigan.gan import normal_latent, uniform_latent
from minigan.gan.latents import SourceImages
from minigan.models import codes, super_resolution, translators
from minigan.op import OPS

DRAWING = {"stylegan2", "fastgan", "newer layers"}  # generators with noise between layers
unet, resnet = partial(translators.UNetTranslator, width=4), partial(translators.resnet_translator, width=4, blocks=1)
TRANSLATORS = {  # network, images that it was trained on, and another size that it takes
    "pix2pix": (lambda: unet(3, 3, 3), (3, 16, 16), (24, 8)),
    "pix2pix, no noise": (lambda: unet(1, 3, 2, norm="instance", dropout=0.0), (1, 8, 12), (20, 4)),
    "cyclegan": (lambda: resnet(3, 1), (3, 16, 16), (17, 31)),
    "cyclegan, batch norm": (lambda: resnet(1, 1, norm="batch"), (1, 16, 12), (9, 22)),
    "bicyclegan": (lambda: translators.WithNoise(unet(3 + 4, 3, 2, dropout=0.0), 4), (3, 16, 16), (8, 20)),
    "ccgan": (lambda: translators.Inpainting(unet(4, 3, 2, dropout=0.0)), (4, 16, 16), (8, 20)),
    "stargan": (lambda: translators.WithClass(resnet(3 + 3, 3), 3), (3, 16, 16), (20, 11)),
    "munit": (
        lambda: codes.StyledTranslator(
            codes.content_encoder(3, width=4, blocks=1), codes.StyledDecoder(1, 5, width=4, blocks=1, features=8), 5
        ),
        (3, 16, 16),
        (20, 13),
    ),
    "unit": (lambda: codes.unit_translators(1, 3, width=4, blocks=2)[0], (1, 16, 16), (15, 22)),
    "srresnet": (lambda: super_resolution.srresnet(2, width=4, blocks=1), (3, 8, 8), (5, 9)),
    "esrgan": (lambda: super_resolution.rrdbnet(4, channels=1, width=4, blocks=1, growth=2), (1, 8, 8), (3, 7)),
    "encoder": (lambda: translators.image_encoder(1, 5, width=4), (1, 28, 28), (33, 21)),
    "encoder, of a VAE": (lambda: mg.models.vae28(3, 8)[0], (1, 28, 28), None),
    "encoder of one size": (lambda: mg.models.bigan28(5).encoder, (1, 28, 28), None),
}


def latent_inputs(generator, n):
    """z and labels, as a program has them."""
    inputs = {"z": generator.latent(n, mg.random.Stream(9)).numpy()}
    if generator.classes is not None:
        inputs["labels"] = np.arange(n) % generator.classes
    return inputs


def alike(result, wanted):
    assert (result.shape, result.dtype) == (wanted.shape, wanted.dtype)
    np.testing.assert_allclose(result, wanted, rtol=1e-5, atol=1e-5)


OTHERS = {
    "maxout": (lambda: [mg.nn.Sequential(mg.models.maxout.Maxout(5, 4, 3), mg.nn.Linear(4, 3))], normal_latent(5)),
    "progan, growing": (lambda: growing(1.4), normal_latent(5)),
    "progan, at first": (lambda: growing(0.0), normal_latent(5)),
}
GENERATORS = {**PLAYERS, **OTHERS}


def growing(level):
    players = mg.models.progan(16, 5, width=4)
    trained(players[0]).level.copy_(np.array(level, "float32"))
    return players


def test_every_layer_that_a_file_may_hold_is_among_these():
    networks = [make()[0] for make, _ in GENERATORS.values()] + [make() for make, *_ in TRANSLATORS.values()]
    networks += [make(5, width=4)[0] for make in CONDITIONAL.values()]
    networks.append(mg.models.gan_cls(4, 8, 5, width=2).generator)
    kinds = {kind.__name__ for network in networks for part in network.modules() for kind in type(part).__mro__}
    assert set(export.LAYERS) <= kinds | set(layer_table.TABLE)


@pytest.mark.parametrize("name", GENERATORS)
def test_a_generator_makes_the_same_samples_of_another_batch(tmp_path, name):
    make, latent = GENERATORS[name]
    network = make()[0]
    generator = export.Generator(network if name in OTHERS else trained(network), latent)
    path = export.save_onnx(tmp_path / "g.onnx", generator, noise=False)
    inputs = latent_inputs(generator, 7)
    alike(computed(path, inputs), expected(generator.network, inputs))
    if name not in DRAWING:
        alike(computed(path, inputs), generator.generate(mg.tensor(inputs["z"])).numpy())
    alike(computed(path, latent_inputs(generator, 1)), expected(generator.network, latent_inputs(generator, 1)))
    onnx.checker.check_model(path, full_check=True)
    shape = generator.sample(1).shape[1:]
    out = "images" if len(shape) == 3 else "samples"
    assert signature(path) == {"inputs": {"z": ["batch", latent.dim]}, "outputs": {out: ["batch", *shape]}}


@pytest.mark.parametrize("name", [*CONDITIONAL, "of classes"])
def test_a_conditional_generator_takes_labels(tmp_path, name):
    players = (
        mg.models.of_classes(mg.models.stylegan2(8, 5 + 10, width=4, depth=2, noiseless=True, outputs=10), 10)
        if name == "of classes"
        else CONDITIONAL[name](5, width=4)
    )
    generator = export.Generator(trained(players[0]), uniform_latent(5), 10)
    path = export.save_onnx(tmp_path / "g.onnx", generator)
    inputs = latent_inputs(generator, 12)
    images = computed(path, inputs)
    alike(images, generator.generate(mg.tensor(inputs["z"]), inputs["labels"]).numpy())
    assert not np.array_equal(images, computed(path, inputs | {"labels": np.zeros(12, np.int64)}))
    assert signature(path)["inputs"] == {"z": ["batch", 5], "labels": ["batch"]}


@pytest.mark.parametrize("window", [1, 3])
def test_a_generator_of_texts_takes_tokens(tmp_path, window):
    network = trained(mg.models.gan_cls(4, 8, 5, width=2, features=6, told=3, window=window).generator)
    texts = export.Texts.of(["a", "red", "blue", "dot"], np.array([[1, 2, 4], [1, 3, 4], [4, 0, 0]]))
    generator = export.Generator(network, uniform_latent(5), texts=texts)
    path = export.save_onnx(tmp_path / "g.onnx", generator)
    inputs = latent_inputs(generator, 4) | {"tokens": np.array([[1, 2, 4], [1, 4, 0], [0, 0, 0], [3, 0, 1]])}
    alike(computed(path, inputs), generator.generate(mg.tensor(inputs["z"]), np.array(inputs["tokens"])).numpy())
    assert json.loads(told(path)["words"]) == ["a", "red", "blue", "dot"]


@pytest.mark.parametrize("name", TRANSLATORS)
def test_a_translator_takes_images_of_any_size_where_its_network_does(tmp_path, name):
    make, shape, other = TRANSLATORS[name]
    generator = export.Generator(make(), SourceImages(*shape), 3 if name == "stargan" else None)
    path = export.save_onnx(tmp_path / "g.onnx", generator, noise=False)
    for n, size in ((4, shape[1:]), (1, other or shape[1:])):
        inputs = model._inputs(generator, (n, *size), 7)
        alike(computed(path, inputs), expected(generator.network, inputs))
    taken = signature(path)["inputs"]
    assert taken["image"] == ["batch", shape[0], *(shape[1:] if other is None else ("height", "width"))]
    assert list(taken) == list(inputs)
    (out,) = signature(path)["outputs"]
    assert out == ("codes" if name.startswith("encoder") else "images")


@pytest.mark.parametrize(
    "layer",
    [lambda: mg.nn.Conv2d(3, 3, 3, 2, "same"), lambda: mg.nn.Upsample(scale_factor=1.5, mode="bilinear")],
)
def test_where_the_model_would_be_wrong_for_some_sizes_images_have_the_one_of_training(tmp_path, layer):
    generator = export.Generator(mg.nn.Sequential(layer(), mg.nn.Tanh()), SourceImages(3, 16, 16))
    path = export.save_onnx(tmp_path / "g.onnx", generator)
    assert signature(path)["inputs"] == {"image": ["batch", 3, 16, 16]}
    inputs = model._inputs(generator, (4, 16, 16), 7)
    alike(computed(path, inputs), expected(generator.network, inputs))


def test_the_decoder_of_a_vae_makes_the_images_that_the_game_makes(tmp_path):
    encoder, decoder = mg.models.vae28(3, 8)
    optimizer = mg.optim.Adam([*encoder.parameters(), *decoder.parameters()], 1e-3)
    game = mg.gan.VAE(encoder, decoder, z_dim=3, optimizer=optimizer)
    path = export.save_onnx(tmp_path / "g.onnx", export.of_game(game))
    z = game.latent(5, mg.random.Stream(1))
    alike(computed(path, {"z": z.numpy()}), game.generate(z).numpy())


def test_a_generator_on_a_gpu_is_written_from_the_host_and_stays_there(tmp_path, monkeypatch):
    fakecupy.install(monkeypatch)
    generator = export.Generator(mg.models.dcgan(16, 5, width=2)[0], uniform_latent(5))
    inputs = latent_inputs(generator, 3)
    wanted = expected(generator.network, inputs)
    generator.network.to("cuda")
    path = export.save_onnx(tmp_path / "g.onnx", generator)
    alike(computed(path, inputs), wanted)
    assert {p.device for p in generator.network.parameters()} == {"cuda"}


# --- noise that a network draws -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*sorted(DRAWING), "pix2pix"])
def test_the_model_draws_the_noise_between_layers_anew_unless_it_is_left_out(tmp_path, name):
    if name == "pix2pix":
        generator = export.Generator(TRANSLATORS[name][0](), SourceImages(3, 16, 16))
        inputs = model._inputs(generator, (3, 24, 16), 0)
        for part in generator.network.modules():
            if isinstance(part, mg.nn.ConvTranspose2d):
                mg.nn.init.normal_(part.weight, std=0.3)
    else:
        make, latent = PLAYERS[name]
        generator = export.Generator(trained(make()[0]), latent)
        inputs = latent_inputs(generator, 3)
    path = export.save_onnx(tmp_path / "g.onnx", generator)
    drawing = session(path)
    first, second = (drawing.run(None, inputs)[0] for _ in range(2))
    assert np.abs(first - second).max() > 1e-4
    quiet = export.save_onnx(tmp_path / "quiet.onnx", generator, noise=False)
    assert np.array_equal(computed(quiet, inputs), computed(quiet, inputs))
    assert not any(node.op_type.startswith("Random") for node in onnx.load(quiet).graph.node)


def test_noise_has_the_distribution_that_the_layer_draws(tmp_path):
    network = mg.nn.Sequential(mg.nn.Unflatten(1, (1, 4, 4)), mg.nn.NoiseInjection(), mg.nn.Dropout(0.25, always=True))
    network[1].weight.copy_(np.array([0.5], "float32"))
    path = export.save_onnx(tmp_path / "g.onnx", export.Generator(network, normal_latent(16)))
    images = computed(path, {"z": np.full((4000, 16), 3, "float32")})
    kept = images[images != 0]
    assert abs(kept.size / images.size - 0.75) < 0.01
    assert abs(kept.mean() - 4) < 0.02  # 3 / (1 - 0.25)
    assert abs(kept.std() - 0.5 / 0.75) < 0.02


# --- what the file holds --------------------------------------------------------------------------------------------


def told(path):
    return {p.key: p.value for p in onnx.load(path).metadata_props}


def test_weights_go_by_their_names_and_the_metadata_say_what_goes_in_and_comes_out(tmp_path):
    generator = export.Generator(
        trained(mg.models.projection28(5, width=2).generator), uniform_latent(5, -2, 2), 10, {"run": "a"}, [1.0] * 10
    )
    path = export.save_onnx(tmp_path / "g.onnx", generator)
    held = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    state = generator.network.state_dict()
    assert {name for name in state if not name.endswith("num_batches_tracked")} <= set(held)
    for name, weight in state.items():
        if name in held:
            np.testing.assert_array_equal(held[name], weight.numpy())
    about = {name: value if name == "minigan" else json.loads(value) for name, value in told(path).items()}
    assert about["minigan"] == mg.__version__
    assert about["latent"] == {"kind": "uniform", "dim": 5, "low": -2.0, "high": 2.0, "dtype": "float32"}
    assert (about["classes"], about["range"], about["about"]) == (10, [-1, 1], {"run": "a"})
    assert about["counts"] == [1.0] * 10
    read = onnx.load(path)
    assert (read.ir_version, [each.version for each in read.opset_import]) == (8, [17])


# --- what is refused ------------------------------------------------------------------------------------------------


class Sorted(mg.nn.Module):
    def forward(self, x):
        return mg.sort(x)


class Looked(mg.nn.Module):
    """Reads values beside all ops."""

    def forward(self, x):
        return x * mg.tensor(x.numpy())


class Halved(mg.nn.Module):
    """Computes otherwise for another batch."""

    def forward(self, x):
        return mg.tanh(x) if len(x) % 2 else x * 2


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Sorted, "1: the op argsort has no counterpart in ONNX"),
        (Looked, "1/multiply: reads an array that is not the same for all inputs"),
        (Halved, "computes otherwise where a batch or images have another size"),
    ],
)
def test_what_has_no_counterpart_is_named_with_its_layer(tmp_path, layer, message):
    generator = export.Generator(mg.nn.Sequential(mg.nn.Linear(3, 4), layer()), normal_latent(3))
    with pytest.raises(export.NotDescribed, match=message):
        export.save_onnx(tmp_path / "g.onnx", generator)
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_computes_something_else_is_not_written(tmp_path, monkeypatch):
    generator = export.Generator(mg.models.mlp2d(3)[0], normal_latent(3))
    wrong = {
        r"gives \(5, 2\) where the network gives \(5, 2\), .* apart": lambda g, _y, x: g.add("Abs", x.name),
        "onnxruntime does not run the model": lambda g, y, x: g.add(
            "Gather", x.name, g.constant([10**6] * y.shapes[0][1], "int64"), axis=1
        ),
    }
    for message, counterpart in wrong.items():
        monkeypatch.setitem(table.TABLE, OPS["tanh"].forward, (counterpart, False))
        with pytest.raises(export.NotDescribed, match=message):
            export.save_onnx(tmp_path / "g.onnx", generator)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_call_says_what_is_wrong(tmp_path, monkeypatch):
    generator = export.Generator(mg.models.mlp2d(3)[0], normal_latent(3))
    with pytest.raises(DTypeError, match=r"expected a path and a Generator, got a pathlib\.PosixPath and a Seq"):
        export.save_onnx(tmp_path / "g.onnx", generator.network)
    with pytest.raises(CheckpointError, match="cannot be written"):
        export.save_onnx(tmp_path / "nowhere" / "g.onnx", generator)
    wide = export.Generator(mg.models.mlp2d(3)[0].to(dtype="float64"), normal_latent(3, "float64"))
    with pytest.raises(export.NotDescribed, match="weights of float32, these are float64"):
        export.save_onnx(tmp_path / "g.onnx", wide)
    two = export.Generator(mg.models.labels.TwoHeads(*(mg.nn.Linear(3, 3) for _ in range(3))), normal_latent(3))
    with pytest.raises(export.NotDescribed, match="the network gives a tuple, not one Tensor"):
        export.save_onnx(tmp_path / "g.onnx", two)
    monkeypatch.setattr(file, "MOST", 100)
    with pytest.raises(CheckpointError, match="more than 2 GB"):
        export.save_onnx(tmp_path / "g.onnx", generator)


def test_what_is_not_installed_is_named_with_the_command_that_installs_it(tmp_path, monkeypatch):
    def missing(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(file, "import_module", missing)
    generator = export.Generator(mg.models.mlp2d(3)[0], normal_latent(3))
    with pytest.raises(MissingExtra, match=r"needs onnx .*: pip install 'minigan\[onnx\]'"):
        export.save_onnx(tmp_path / "g.onnx", generator)


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_writes_the_model_of_a_generator_or_translator(tmp_path, capsys):
    for k, generator in enumerate(
        (
            export.Generator(mg.models.stylegan2(8, 4, width=2, depth=1)[0], normal_latent(4), about={"run": "a"}),
            export.Generator(translators.UNetTranslator(3, 3, 2, 4), SourceImages(3, 8, 8), about={"run": "a"}),
        )
    ):
        path = export.save_generator(tmp_path / f"{k}.safetensors", generator)
        out = tmp_path / f"{k}.onnx"
        assert cli.main(["export", str(path), "--onnx", str(out), "--noiseless", "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert (said["out"], said["generator"]) == (str(out), {"run": "a"})
        taken, given = (
            ({"z": ["batch", 4]}, {"images": ["batch", 3, 8, 8]}),
            ({"image": ["batch", 3, "height", "width"]}, {"images": ["batch", 3, "height", "width"]}),
        )[k]
        assert (said["inputs"], said["outputs"]) == (taken, given)
        inputs = model._inputs(generator, (3, 8, 8), 1)
        alike(computed(out, inputs), expected(generator.network, inputs))
    assert cli.main(["export", str(tmp_path / "none"), "--onnx", "g.onnx"]) == 1
    assert "none: no such run or generator file" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["export", str(path)])
    assert "--onnx" in capsys.readouterr().err
