"""`minigan translate` and `upscale`: many styles of one picture, large pictures, folders, where results go."""

import json
import tracemalloc
from itertools import product

import numpy as np
import pytest
from PIL import Image

import minigan as mg
from minigan import export
from minigan.command import cli, tiles, translating
from minigan.gan.latents import SourceImages


def saved(path, network, channels=1, side=8):
    export.save_generator(path, export.Generator(network, SourceImages(channels, side, side)))
    return str(path)


@pytest.fixture
def plain(tmp_path):
    """A translator that draws nothing."""
    return saved(tmp_path / "plain.safetensors", mg.models.resnet_translator(1, 1, width=2, blocks=1))


def drawing(name):
    """Translators that draw, with weights by which that is to be seen."""
    rng = mg.random.Stream(0)
    if name == "code":
        network = mg.models.WithNoise(mg.nn.Sequential(mg.nn.Conv2d(3, 1, 1, rng=rng), mg.nn.Tanh()), 2)
    elif name == "style":
        parts = mg.models.content_encoder(1, width=2, blocks=1, rng=rng), mg.models.StyledDecoder(1, 2, 2, 1, rng=rng)
        network = mg.models.StyledTranslator(*parts, 2)
    else:
        return mg.nn.Sequential(mg.nn.Conv2d(1, 1, 1, rng=rng), mg.nn.Dropout(0.5, always=True), mg.nn.Tanh())
    for weight in network.parameters():
        weight.copy_(rng.normal(weight.shape))
    return network


def picture(path, size=(20, 26), rng=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0) if rng is None else rng
    Image.fromarray(rng.integers(0, 256, size).astype(np.uint8)).save(path)
    return str(path)


def read(path):
    return np.asarray(Image.open(path))


@pytest.mark.parametrize("name", ["code", "style", "dropout"])
def test_many_styles_of_one_picture_are_files_of_their_own_and_the_same_for_the_same_seed(name, tmp_path):
    generator = saved(tmp_path / "many.safetensors", drawing(name))
    source = picture(tmp_path / "a.png")

    def made(out, *words):
        assert cli.main(["translate", generator, source, "--out", str(tmp_path / out), "--tile", "16", *words]) == 0
        return {path.stem: read(path) for path in (tmp_path / out).iterdir()}

    three, again = made("three", "--styles", "3"), made("again", "--styles", "3")
    assert sorted(three) == ["a_1", "a_2", "a_3"]
    assert all((three[each] == again[each]).all() for each in three)
    assert all((three[one] != three[other]).any() for one, other in (("a_1", "a_2"), ("a_2", "a_3"), ("a_1", "a_3")))
    assert (made("one")["a"] == three["a_1"]).all()
    other = made("other", "--seed", "1")
    assert list(other) == ["a"]
    assert (other["a"] != three["a_1"]).any()


def test_who_sees_the_whole_picture_says_that_tiles_matter(tmp_path, plain, capsys):
    """Instance norm: the note says which --tile makes no tiles, by which results are those of the whole."""
    source = picture(tmp_path / "a.png", (37, 26))
    made = {}
    for tile in (16, 36, 40, 64):
        line = ["translate", plain, source, "--tile", str(tile), "--overlap", "4", "--out", str(tmp_path / f"{tile}")]
        assert cli.main([*line, "--json"]) == 0
        told = capsys.readouterr()
        assert json.loads(told.out)["n"] == 1
        made[tile] = read(tmp_path / f"{tile}" / "a.png")
        noted = (
            f"note: InstanceNorm2d sees each tile by itself, so that what is made depends on --tile {tile}; --tile 40"
        )
        assert (noted in told.err) == (tile < 40)
    assert (made[40] == made[64]).all()
    assert (made[16] != made[40]).any()
    local = saved(tmp_path / "local.safetensors", mg.models.srresnet(2, channels=1, width=4, blocks=1))
    assert cli.main(["upscale", local, source, "--tile", "16", "--out", str(tmp_path / "local")]) == 0
    assert "note" not in capsys.readouterr().err


def test_styles_of_who_draws_none_are_refused(tmp_path, plain, capsys):
    source = picture(tmp_path / "a.png")
    for words, told in (
        (["--styles", "3"], "--styles 3: "),
        (["--seed", "4"], "--seed 4: "),
        (["--seed", "4", "--styles", "2"], "--seed 4 and --styles 2: "),
    ):
        assert cli.main(["translate", plain, source, "--out", str(tmp_path / "out"), *words]) == 1
        assert f"{told}{plain} draws no styles, and makes one picture of each" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert cli.main(["translate", plain, source, "--out", str(tmp_path / "out")]) == 0


def blended_whole(network, image, tile, overlap, of):
    """What tiles come to where all of the result is held in floats."""
    height, width = image.shape[1:]
    padded = tiles._mirrored(image, [max(-(-side // of) * of, of) for side in (height, width)])
    made = None
    for top, left in product(*(list(tiles.starts(side, tile, overlap, of)) for side in padded.shape[1:])):
        part = np.ascontiguousarray(padded[None, :, top : top + tile, left : left + tile])
        found = network(part)[0]
        factor = found.shape[1] // part.shape[2]
        if made is None:
            made = np.zeros((len(found), *(factor * side for side in padded.shape[1:])), np.float32)
            weight = np.zeros(made.shape[1:], np.float32)
        rows, columns = (
            tiles._fade(side, factor * overlap, begins=at == 0, ends=factor * at + side == whole)
            for side, at, whole in zip(found.shape[1:], (top, left), made.shape[1:], strict=True)
        )
        place = (
            slice(factor * top, factor * top + len(rows)),
            slice(factor * left, factor * left + len(columns)),
        )
        made[(slice(None), *place)] += found * np.outer(rows, columns)
        weight[place] += np.outer(rows, columns)
    return (made / weight)[:, : factor * height, : factor * width]


@pytest.mark.parametrize(("height", "width"), [(100, 61), (61, 100), (33, 32), (3, 130), (200, 9)])
@pytest.mark.parametrize(("tile", "overlap", "of"), [(32, 12, 4), (24, 8, 2), (48, 0, 4)])
def test_rows_of_tiles_are_to_the_bit_what_the_whole_was(rng, height, width, tile, overlap, of):
    image = rng.standard_normal((2, height, width)).astype(np.float32)
    noise = rng.standard_normal((1, 1, 144, 144)).astype(np.float32)  # so that tiles disagree

    def network(part):
        larger = part.repeat(3, 2).repeat(3, 3)
        return larger * noise[..., : larger.shape[2], : larger.shape[3]]

    size = {"tile": tile, "overlap": overlap, "of": of}
    bands = list(tiles.through(network, image, **size))
    assert max(band.shape[1] for band in bands) <= tiles.ROWS
    np.testing.assert_array_equal(np.concatenate(bands, 1), blended_whole(network, image, **size))


def test_memory_of_a_large_picture_is_the_result_and_a_row_of_tiles(tmp_path, rng):
    generator = saved(tmp_path / "larger.safetensors", mg.nn.Sequential(mg.nn.UpsampleNearest(4)))
    height, width, tile = 4096, 256, 64
    line = ["upscale", generator, picture(tmp_path / "a.png", (height, width), rng), "--tile", str(tile)]
    line += ["--overlap", "8", "--out", str(tmp_path / "out")]
    tracemalloc.start()
    try:
        assert cli.main(line) == 0
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    result = 16 * height * width  # bytes; in floats it would be four times that, and as much for weights
    row = 4 * 2 * 16 * tile * width
    assert (read(tmp_path / "out" / "a.png") == read(tmp_path / "a.png").repeat(4, 0).repeat(4, 1)).all()
    assert result < peak < result + 4 * row


def test_the_bar_moves_with_every_tile(tmp_path, plain, monkeypatch):
    moved = []

    class Bar:
        def __init__(self, **about):
            self.about = about

        def __enter__(self):
            return self

        def __exit__(self, *error):
            moved.append(("end", self.about["total"]))

        def set_postfix_str(self, text, refresh):
            moved.append(text)

        def update(self, n=1):
            moved.append(n)

    monkeypatch.setattr(translating, "progress", lambda **about: Bar(**about))
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    given = [picture(tmp_path / "a.png", (40, 40)), str(tmp_path / "bad.png"), picture(tmp_path / "b.png", (16, 16))]
    line = ["translate", plain, *given, "--tile", "16", "--overlap", "4", "--out", str(tmp_path / "out")]
    assert cli.main(line) == 0
    steps = [1 / 9] * 9
    assert moved == ["picture 1 of 3", *steps, "picture 2 of 3", 1, "picture 3 of 3", 1.0, ("end", 3)]


def test_pictures_of_folders_lie_where_they_lay_below_the_folder(tmp_path, plain, capsys):
    folder = tmp_path / "given"
    for name in ("a.png", "x/a.png", "x/y/a.png", "z/b.png"):
        picture(folder / name)
    line = ["translate", plain, str(folder)]
    out = folder / "made"
    for _ in range(2):  # the second time the results of the first lie below the folder too
        assert cli.main([*line, "--out", str(out)]) == 0
        found = {path.relative_to(out).as_posix() for path in out.rglob("*.png")}
        assert found == {"a.png", "x/a.png", "x/y/a.png", "z/b.png"}
    assert cli.main([*line, "--out", str(folder)]) == 1
    assert "is one of the pictures; give another --out" in capsys.readouterr().err
    assert cli.main([*line, str(folder / "x"), "--out", str(tmp_path / "both")]) == 1
    assert "another picture has that name too" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["translate", "upscale"])
def test_an_out_that_is_a_file_is_refused_before_anything_is_read(command, tmp_path, capsys):
    (tmp_path / "file").write_text("kept")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        assert cli.main([command, "no such run", "no such picture", "--out", str(out)]) == 1
        told = capsys.readouterr().err
        assert f"--out {out}: expected a folder, {tmp_path / 'file'} is a file; give another --out" in told
    assert (tmp_path / "file").read_text() == "kept"
