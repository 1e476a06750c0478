"""The page of a generator: what it holds, what it states of its rounding, and what is refused."""

import json
import re

import numpy as np
import pytest
import small_generators

import minigan as mg
from minigan import export, pages
from minigan.command import cli
from minigan.errors import ShapeError
from minigan.export import NotDescribed
from minigan.gan import LatentCode, normal_latent, uniform_latent
from minigan.gan.latents import SourceImages, TruncatedLatent
from minigan.models import infogan28, translators
from minigan.pages import generator as page

MAKERS = [small_generators.plain, small_generators.styled, small_generators.conditional]


def held(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="content">(.*?)</script>', text, re.DOTALL)[1])


@pytest.mark.parametrize("make", MAKERS)
def test_a_page_loads_nothing_and_holds_all(tmp_path, make):
    path = tmp_path / "g.html"
    about = pages.write_generator(path, make(), "digits & <more> \udcff")
    text = path.read_text(encoding="utf-8")
    assert about["bytes"] == len(text.encode()) < 3e6
    assert not re.search(r"https?://(?!www\.w3\.org)|fetch\(|XMLHttpRequest|import\(|{{", text)
    assert "default-src 'none'" in text
    assert "<title>digits &amp; &lt;more&gt; ?</title>" in text
    content = held(path)
    assert set(content["programs"]) == ({"mapping", "synthesis"} if make is small_generators.styled else {"synthesis"})
    assert content["classes"] == make().classes


@pytest.mark.parametrize("kind", ["float16", "int8", "float32"])
def test_the_error_it_states_is_that_of_the_rounded_weights(tmp_path, kind):
    generator = small_generators.plain()
    about = pages.write_generator(tmp_path / "g.html", generator, "digits", kind)
    z = generator.latent(page.COMPARED, mg.random.Stream(0, "compared"))
    exact = generator.generate(z).numpy()
    for t in generator.network.parameters():
        t.data[...] = export.js.rounded(t.numpy(), kind)
    for t in generator.network.buffers():
        if t.dtype.kind == "f":
            t.data[...] = export.js.rounded(t.numpy(), kind)
    rounded = generator.generate(z).numpy()
    assert about["error"]["most"] == pytest.approx(np.abs(rounded - exact).max(), rel=0.01, abs=1e-6)
    assert about["error"]["mean"] == pytest.approx(np.abs(rounded - exact).mean(), rel=0.01, abs=1e-7)
    assert (about["error"]["most"] == 0) == (kind == "float32")
    check = held(tmp_path / "g.html")["check"]
    np.testing.assert_allclose(check["numbers"], rounded[0].ravel()[:: check["every"]], atol=1e-6)
    np.testing.assert_allclose(check["given"][0], z.numpy()[0], rtol=1e-7)


def test_many_weights_are_kept_as_int8_unless_asked_otherwise(tmp_path, monkeypatch):
    generator = small_generators.plain()
    assert pages.write_generator(tmp_path / "g.html", generator, "digits")["weights"] == "float16"
    monkeypatch.setattr(page, "FLOAT16_AT_MOST", 100)
    assert pages.write_generator(tmp_path / "g.html", generator, "digits")["weights"] == "int8"
    assert held(tmp_path / "g.html")["weights"] == "int8"
    assert pages.write_generator(tmp_path / "g.html", generator, "digits", "float32")["weights"] == "float32"


def test_writing_it_leaves_the_generator_as_it_was(tmp_path):
    generator = small_generators.conditional()
    before = generator.sample(4).numpy()
    pages.write_generator(tmp_path / "g.html", generator, "digits", "int8")
    np.testing.assert_array_equal(generator.sample(4).numpy(), before)


def test_sliders_move_by_a_deviation_of_the_directions(tmp_path):
    pages.write_generator(tmp_path / "g.html", small_generators.plain(), "digits")
    content = held(tmp_path / "g.html")
    vectors = np.array([slider["vector"] for slider in content["sliders"]])
    assert vectors.shape == (4, 4)  # as many directions as the noise has numbers
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=0.05)
    np.testing.assert_allclose(vectors @ vectors.T, np.diag(np.square(vectors).sum(1)), atol=1e-5)
    assert sum(slider["share"] for slider in content["sliders"]) == pytest.approx(1, abs=1e-3)
    assert content["space"] == {"kind": "z", "circle": True}


def test_the_codes_of_an_infogan_are_its_sliders(tmp_path):
    generator = export.Generator(infogan28(5 + 6 + 2, 8, width=4).generator, LatentCode(5, 6, 2))
    pages.write_generator(tmp_path / "g.html", generator, "codes")
    content = held(tmp_path / "g.html")
    assert [np.flatnonzero(slider["vector"]).tolist() for slider in content["sliders"]] == [[11], [12]]
    assert content["noise"] == {"kind": "code", "noise": 5, "categories": 6, "continuous": 2, "dim": 13}


@pytest.mark.parametrize(
    ("generator", "message"),
    [
        (lambda: export.Generator(mg.models.mlp2d(5)[0], normal_latent(5)), r"samples of this generator are \(2,\)"),
        (
            lambda: export.Generator(translators.resnet_translator(3, 3, width=4, blocks=1), SourceImages(3, 16, 16)),
            "makes images of images",
        ),
        (
            lambda: export.Generator(mg.models.dcgan(16, 5, width=2)[0], TruncatedLatent(5, 1.0)),
            r"no page draws the noise of this generator, TruncatedLatent",
        ),
        (
            lambda: export.Generator(mg.models.dcgan(16, 5, channels=4, width=2)[0], normal_latent(5)),
            r"images \(1 or 3, height, width\), and samples of this generator are \(4, 16, 16\)",
        ),
    ],
)
def test_what_no_page_draws_is_refused(tmp_path, generator, message):
    with pytest.raises(ShapeError, match=message):
        pages.write_generator(tmp_path / "g.html", generator(), "none")
    assert not (tmp_path / "g.html").exists()


def test_an_op_that_no_page_computes_is_refused(tmp_path, monkeypatch):
    known = export.js.program.known_ops() - {"ConvTranspose"}
    monkeypatch.setattr("minigan.export.js.program.known_ops", lambda: known)
    with pytest.raises(NotDescribed, match=r"^\d+: no page computes the op ConvTranspose$"):
        pages.write_generator(tmp_path / "g.html", small_generators.plain(), "digits")


def test_the_command_writes_one_and_refuses_what_does_nothing(tmp_path, capsys):
    file = export.save_generator(tmp_path / "generator.safetensors", small_generators.plain(uniform_latent))
    line = ["export", str(file), "--page", str(tmp_path / "g.html"), "--weights", "int8", "--json"]
    assert cli.main(line) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["bytes"] == (tmp_path / "g.html").stat().st_size
    assert (about["weights"], about["out"]) == ("int8", str(tmp_path / "g.html"))
    assert 0 < about["error"]["mean"] < about["error"]["most"] < 0.5
    for words, message in (
        ([], "one of the arguments --onnx --page is required"),
        (["--page", "g.html", "--onnx", "g.onnx"], "not allowed with argument --page"),
        (["--page", "g.html", "--noiseless"], "--noiseless changes nothing without --onnx"),
        (["--onnx", "g.onnx", "--weights", "int8"], "--weights changes nothing without --page"),
    ):
        with pytest.raises(SystemExit):
            cli.main(["export", str(file), *words])
        assert message in capsys.readouterr().err
