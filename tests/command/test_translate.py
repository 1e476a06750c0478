"""`minigan translate`: pictures of any size, upright, with what is transparent; in tiles, which leave no seam."""

import json

import numpy as np
import pytest
from PIL import Image

import minigan as mg
from minigan import export
from minigan.command import cli, tiles
from minigan.errors import ShapeError
from minigan.gan.latents import SourceImages
from minigan.nn.module import Module


@pytest.fixture
def translator(tmp_path):
    """A file with a network that turns red, green and blue into their negatives."""
    network = mg.nn.Sequential(mg.nn.Conv2d(3, 3, 1))
    network[0].weight.copy_(-np.eye(3, dtype=np.float32)[..., None, None])
    network[0].bias.copy_(np.zeros(3, np.float32))
    path = tmp_path / "negative.safetensors"
    export.save_generator(path, export.Generator(network, SourceImages(3, 16, 16)))
    return path


def test_pictures_keep_their_size_their_way_up_and_what_is_transparent(tmp_path, translator, rng, capsys):
    wide = rng.integers(0, 256, (20, 50, 3)).astype(np.uint8)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned a quarter clockwise
    Image.fromarray(wide).save(tmp_path / "turned.png", exif=turned)
    veiled = np.dstack([wide, rng.integers(0, 255, (20, 50))]).astype(np.uint8)
    folder = tmp_path / "folder"
    folder.mkdir()
    Image.fromarray(veiled).save(folder / "veiled.png")
    (folder / "note.txt").write_text("no picture")
    given = [tmp_path / "wide.png", tmp_path / "turned.png", folder]
    out = tmp_path / "made"
    assert cli.main(["translate", str(translator), *map(str, given), "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 3
    made = {path.stem: np.asarray(Image.open(path)) for path in out.iterdir()}
    assert np.abs(made["wide"].astype(int) - (255 - wide)).max() <= 1
    assert np.abs(made["turned"].astype(int) - (255 - np.rot90(wide, -1))).max() <= 1
    assert (made["veiled"][..., 3] == veiled[..., 3]).all()
    assert np.abs(made["veiled"][..., :3].astype(int) - (255 - wide)).max() <= 1


def test_what_is_wrong_is_named_and_loses_nothing(tmp_path, translator, capsys):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    Image.new("RGB", (9, 9)).save(tmp_path / "a.bmp")
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    noise = tmp_path / "noise.safetensors"
    G = mg.nn.Sequential(mg.nn.Linear(2, 4), mg.nn.Unflatten(1, (1, 2, 2)))
    export.save_generator(noise, export.Generator(G, mg.gan.normal_latent(2)))
    a, before = str(tmp_path / "a.png"), (tmp_path / "a.png").read_bytes()
    for line, message in (
        ([translator, tmp_path / "none.png"], "none.png: no such picture or folder"),
        ([translator, a, tmp_path / "a.bmp"], "a.bmp: another picture has that name too"),
        ([translator, a, "--out", tmp_path], "is one of the pictures; give another --out"),
        ([translator, tmp_path / "bad.png"], "nothing is written: 1 of 1 pictures were left out"),
        ([noise, a], "makes samples of noise, `minigan sample` draws some"),
    ):
        out = [] if "--out" in line else ["--out", tmp_path / "out"]
        assert cli.main(["translate", *map(str, [*line, *out])]) == 1
        assert message in capsys.readouterr().err
    assert (tmp_path / "a.png").read_bytes() == before
    assert cli.main(["sample", str(translator)]) == 1
    assert "makes images of images, `minigan translate` shows how" in capsys.readouterr().err
    line = ["translate", str(translator), a, str(tmp_path / "bad.png"), "--out", str(tmp_path / "out"), "--json"]
    assert cli.main(line) == 0
    said, warned = capsys.readouterr()
    assert "bad.png: left out" in warned
    assert json.loads(said)["n"] == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]


def test_what_is_transparent_is_filled_by_who_was_told_of_holes(tmp_path, rng, capsys):
    """The network draws white where it is told of a hole, and would draw black elsewhere."""
    network = mg.nn.Sequential(mg.nn.Conv2d(4, 3, 1))
    network[0].weight.copy_(np.eye(4, dtype=np.float32)[[3, 3, 3], :, None, None])
    network[0].bias.copy_(np.zeros(3, np.float32))
    path = tmp_path / "holes.safetensors"
    export.save_generator(path, export.Generator(network, SourceImages(4, 16, 16)))
    pixels = rng.integers(0, 200, (20, 50, 3)).astype(np.uint8)
    alpha = np.full((20, 50), 255, np.uint8)
    alpha[5:9, 10:30] = 0
    Image.fromarray(np.dstack([pixels, alpha])).save(tmp_path / "holed.png")
    Image.fromarray(pixels).save(tmp_path / "whole.png")
    given = [str(tmp_path / name) for name in ("holed.png", "whole.png")]
    assert cli.main(["translate", str(path), *given, "--out", str(tmp_path / "made")]) == 0
    made = np.asarray(Image.open(tmp_path / "made" / "holed.png"))
    np.testing.assert_array_equal(made, np.where(alpha[..., None] == 0, 255, pixels))
    assert "whole.png: left out: nothing of it is transparent" in capsys.readouterr().err


@pytest.mark.parametrize("made", ["hole", "holes"])
def test_masks_say_what_is_missing_and_all_else_stays(made, tmp_path, rng, capsys):
    """The network gives what it is told of holes, or half its source where it is told of none."""
    told = made == "holes"
    network = mg.nn.Sequential(mg.nn.Conv2d(3 + told, 3, 1))
    network[0].weight.copy_(np.eye(4, dtype=np.float32)[[3] * 3 if told else [0, 1, 2], : 3 + told, None, None] / 2)
    network[0].bias.copy_(np.zeros(3, np.float32))
    path = tmp_path / "filling.safetensors"
    export.save_generator(path, export.Generator(network, SourceImages(3 + told, 16, 16), about={"made": made}))
    pixels = rng.integers(0, 100, (20, 50, 3)).astype(np.uint8)
    for name, size in (("a", (20, 50)), ("small", (9, 9)), ("alone", (20, 50)), ("whole", (20, 50)), ("cut", (20, 50))):
        (tmp_path / "given" / "in").mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "given" / "in" / f"{name}.bmp")
        mask = np.zeros(size, np.uint8)
        if name != "whole":
            mask[5:9, 3:30] = 255
        if name != "alone":
            (tmp_path / "masks" / "in").mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(tmp_path / "masks" / "in" / f"{name}.png")
    cut = tmp_path / "masks" / "in" / "cut.png"
    cut.write_bytes(cut.read_bytes()[:-9])
    line = ["translate", path, tmp_path / "given", "--out", tmp_path / "out", "--masks", tmp_path / "masks"]
    assert cli.main([*map(str, line)]) == 0
    said = capsys.readouterr().err
    assert "small.bmp: left out: 50 x 20 pixels, its mask 9 x 9" in said
    assert "alone.bmp: left out: no mask in" in said
    assert "whole.bmp: left out: nothing of it is transparent, nor its mask white" in said
    assert f"cut.bmp: left out: its mask {cut}: cut off" in said
    missing = np.zeros((20, 50, 1), bool)
    missing[5:9, 3:30] = True
    found = np.asarray(Image.open(tmp_path / "out" / "in" / "a.png"))
    drawn = 191 if told else 128  # half of 1, the sign of a hole, or of 0, which is in holes
    np.testing.assert_array_equal(found, np.where(missing, drawn, pixels))


def test_masks_are_for_who_fills_holes(tmp_path, translator, capsys):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    assert cli.main(["translate", str(translator), str(tmp_path / "a.png"), "--masks", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert f"--masks {tmp_path}: {translator} was not trained with --made holes or hole" in said


def test_small_tiles_overlap_as_far_as_they_can(tmp_path, rng):
    """Whose network takes multiples of 16 alone."""
    network = mg.models.UNetTranslator(3, 3, 4, 2, None, dropout=0, rng=mg.random.Stream(0))
    path = tmp_path / "unet.safetensors"
    export.save_generator(path, export.Generator(network, SourceImages(3, 16, 16)))
    Image.fromarray(rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)).save(tmp_path / "a.png")
    for tile in (10, 16, 24, 40):
        out = tmp_path / f"made{tile}"
        assert cli.main(["translate", str(path), str(tmp_path / "a.png"), "--tile", str(tile), "--out", str(out)]) == 0
        assert np.asarray(Image.open(out / "a.png")).min() > 100


def test_a_generator_that_enlarges_does(tmp_path, translator, rng, capsys):
    network = mg.nn.Sequential(mg.nn.UpsampleNearest(2))
    export.save_generator(tmp_path / "twice.safetensors", export.Generator(network, SourceImages(1, 4, 4)))
    pixels = rng.integers(0, 256, (9, 11)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    line = ["upscale", str(tmp_path / "twice.safetensors"), str(tmp_path / "a.png"), "--out", str(tmp_path / "out")]
    assert cli.main(line) == 0
    assert (np.asarray(Image.open(tmp_path / "out" / "a.png")) == pixels.repeat(2, 0).repeat(2, 1)).all()
    assert cli.main(["upscale", str(translator), str(tmp_path / "a.png")]) == 1
    assert "makes (16, 16) pixels of (16, 16); minigan translate uses it" in capsys.readouterr().err


def test_a_translator_between_domains_is_told_where_to_go(tmp_path, capsys):
    network = mg.models.WithClass(mg.nn.Sequential(mg.nn.Conv2d(1 + 3, 1, 1)), 3)
    weight, bias = network.translator[0].parameters()
    weight.copy_(np.array([0, -1, 0, 1], np.float32).reshape(1, 4, 1, 1))
    bias.copy_(np.zeros(1, np.float32))
    file = tmp_path / "told.safetensors"
    export.save_generator(file, export.Generator(network, SourceImages(1, 4, 4), 3))
    Image.new("L", (5, 6), 77).save(tmp_path / "a.png")
    line = ["translate", str(file), str(tmp_path / "a.png"), "--out", str(tmp_path / "out")]
    for label, expected in ((0, 0), (1, 128), (2, 255)):
        assert cli.main([*line, "--label", str(label)]) == 0
        assert abs(int(np.asarray(Image.open(tmp_path / "out" / "a.png"))[0, 0]) - expected) <= 1
    assert cli.main([*line, "--label", "3"]) == 1
    assert "--label 3: it knows 0 to 2" in capsys.readouterr().err


class Blurring(Module):
    """A network that sees two pixels around each, of images whose sides four divides."""

    def forward(self, x):
        assert x.shape[2] % 4 == x.shape[3] % 4 == 0
        h, w = x.shape[2:]
        padded = np.pad(x.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)), mode="edge")
        return mg.tensor(sum(padded[:, :, i : i + h, j : j + w] for i in range(5) for j in range(5)) / 25)


def gathered(network, image, **size):
    """All rows of `tiles.through`."""
    return np.concatenate(list(tiles.through(network, image, **size)), 1)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (61, 90), (7, 130), (3, 2)])
def test_tiles_are_what_the_whole_would_be(rng, height, width):
    image = rng.standard_normal((2, height, width)).astype(np.float32)
    network = lambda part: Blurring()(mg.tensor(part)).numpy()
    whole = gathered(network, image, tile=160, overlap=0, of=4)
    given = []
    parts = gathered(lambda part: given.append(1) or network(part), image, tile=32, overlap=12, of=4)
    assert len(given) == tiles.count(height, width, tile=32, overlap=12, of=4)
    assert parts.shape == image.shape
    np.testing.assert_allclose(parts, whole, atol=1e-6)


def test_tiles_of_a_network_that_enlarges(rng):
    image = rng.standard_normal((1, 50, 70)).astype(np.float32)
    found = gathered(lambda part: part.repeat(3, 2).repeat(3, 3), image, tile=24, overlap=8, of=2)
    np.testing.assert_allclose(found, image.repeat(3, 1).repeat(3, 2), atol=1e-6)


def test_where_tiles_begin():
    assert list(tiles.starts(100, 40, 10)) == [0, 30, 60]
    assert list(tiles.starts(101, 40, 10)) == [0, 30, 60, 61]
    assert list(tiles.starts(40, 40, 10)) == list(tiles.starts(8, 40, 10)) == [0]
    for tile, overlap in ((30, 15), (30, -1), (31, 4), (0, 0), (2, 1)):
        with pytest.raises(ShapeError, match=f"expected a multiple of 2 pixels a side.* got {tile} and {overlap}"):
            gathered(lambda part: part, np.zeros((1, 50, 50), np.float32), tile=tile, overlap=overlap, of=2)
    network = mg.models.resnet_translator(3, 3, width=2, blocks=1)
    assert tiles.multiple(network) == 4
    assert tiles.multiple(mg.models.UNetTranslator(1, 1, 5, 2)) == 32
