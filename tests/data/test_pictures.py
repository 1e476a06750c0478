"""One picture: every size, mode and orientation becomes the right square; what is damaged or too large is named."""

import io
import os
import struct
import subprocess
import sys
import time
import tracemalloc
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from damaged_files import chunk
from PIL import Image

import minigan as mg
from minigan.data import pictures
from minigan.data.pictures import MAX_PIXELS, decode

ROOT = Path(__file__).parents[2]


def encoded(image, form="PNG", **options):
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()


def png_of_size(width, height, body=b""):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def test_the_shorter_side_is_fitted_and_the_middle_kept():
    wide = np.zeros((20, 60), np.uint8)
    wide[:, 20:40] = 200
    for form in ("PNG", "BMP", "WEBP", "GIF", "JPEG"):
        kept = decode(encoded(Image.fromarray(wide).convert("RGB"), form, quality=95), 10, 3)
        assert kept.shape == (10, 10, 3)
        assert np.abs(kept[:, 2:8].astype(int) - 200).max() < 12, form
    ramp = np.tile(np.arange(60, dtype=np.uint8)[:, None] * 4, (1, 40))
    column = decode(encoded(Image.fromarray(ramp)), 16, 1)[:, 8, 0].astype(int)
    assert np.diff(column).min() > 0  # top to bottom
    assert abs(column[0] - 4 * 10) < 8  # a sixth is cut off at either end
    for size in ((1, 1), (1, 300), (300, 1), (7, 5)):
        assert (decode(encoded(Image.new("RGB", size, (9, 99, 199))), 8, 3) == (9, 99, 199)).all()


@pytest.mark.parametrize("tag", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_orientation(tag, form):
    """A picture stored in each of EXIF's eight ways is shown as the same one."""
    upright = np.zeros((16, 16), np.uint8)
    upright[:8, :8], upright[:8, 8:] = 250, 120
    method = Image.Transpose
    undo = {
        **{1: None, 2: method.FLIP_LEFT_RIGHT, 3: method.ROTATE_180, 4: method.FLIP_TOP_BOTTOM},
        **{5: method.TRANSPOSE, 6: method.ROTATE_90, 7: method.TRANSVERSE, 8: method.ROTATE_270},
    }[tag]
    stored = Image.fromarray(upright)
    if undo is not None:
        stored = stored.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = tag
    shown = decode(encoded(stored.convert("RGB"), form, exif=exif, quality=95), 16, 1)[:, :, 0]
    assert np.abs(shown.astype(int) - upright).mean() < 10


def test_damaged_exif_leaves_the_picture_upright():
    picture = Image.new("RGB", (8, 4), (9, 9, 9))
    for exif in (
        b"Exif\x00\x00MM",
        b"Exif\x00\x00II*\x00\xff\xff\xff\xff",
        b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff",
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert decode(encoded(picture, "JPEG", exif=exif), 4, 3).shape == (4, 4, 3)


def test_16_bits_are_scaled_not_clipped():
    deep = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    for channels in (1, 3):
        kept = decode(encoded(Image.fromarray(deep)), 8, channels)
        assert (kept == (deep >> 8).astype(np.uint8)[:, :, None]).all()


def test_transparency_is_laid_over_white():
    half = Image.new("RGBA", (8, 8), (255, 0, 0, 255))
    half.paste((0, 0, 255, 0), (0, 0, 8, 4))
    for image in (half, half.quantize(4)):  # the second has a palette with transparent entries
        kept = decode(encoded(image), 8, 3)
        assert (kept[:4] == 255).all()
        assert (kept[4:] == (255, 0, 0)).all()
    assert decode(encoded(Image.new("LA", (8, 8), (0, 128))), 8, 1)[0, 0, 0] == pytest.approx(127, abs=1)
    keyed = encoded(Image.new("RGB", (4, 4), (1, 2, 3)), transparency=(1, 2, 3))
    assert (decode(keyed, 4, 3) == 255).all()


def png(width, height, depth, colour, rows, *more):
    """A PNG of rows of bytes, with chunks of (kind, body) before them."""
    made = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    made += b"".join(chunk(*each) for each in more)
    return made + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_the_transparent_grey_of_a_png(depth, channels):
    """Of several greys the one that is named becomes white, in every depth; of 16 bits all of them count."""
    greys = {1: [0, 1], 2: range(4), 4: range(16), 8: range(0, 256, 17), 16: [0, 0x8000, 0x8001, 0x80FF, 0xFFFE]}[depth]
    pixels = np.resize(np.array(greys), (8, 8))
    rows = [np.packbits(row).tobytes() for row in (pixels[..., None] >> np.arange(depth)[::-1] & 1).astype(np.uint8)]
    for key in greys:
        stray = 0x4000 if depth in (2, 4, 8) else 0  # bits above the depth say nothing
        found = decode(png(8, 8, depth, 0, rows, (b"tRNS", struct.pack(">H", key + stray))), 8, channels)
        expected = np.where(pixels == key, 255, pixels >> 8 if depth == 16 else pixels * 255 // (2**depth - 1))
        assert np.abs(found.astype(int) - expected[..., None]).max() <= 1, key


@pytest.mark.parametrize("depth", [8, 16])
def test_the_transparent_colour_of_a_png(depth):
    scale = 1 if depth == 8 else 256
    colours = np.array([[1, 2, 3], [3, 2, 1], [200, 0, 90], [200, 0, 91]])
    pixels = np.resize(colours, (8, 8, 3))
    rows = [row.astype(f">u{depth // 8}").tobytes() for row in pixels * scale + scale // 3]
    for colour in colours:
        key = struct.pack(">3H", *(colour * scale + scale // 3 + (0x4000 if depth == 8 else 0)))
        found = decode(png(8, 8, depth, 2, rows, (b"tRNS", key)), 8, 3)
        expected = np.where((pixels == colour).all(-1, keepdims=True), 255, pixels)
        assert np.abs(found.astype(int) - expected).max() <= 1


def with_scans(count, side):
    """A progressive JPEG of one grey, with so many scans, and how many a usual one has."""
    content = encoded(Image.new("L", (side, side), 99), "JPEG", progressive=True)
    starts = [at for at in range(len(content)) if content[at : at + 2] == b"\xff\xda"]
    return content[:-2] + content[starts[-1] : -2] * (count - len(starts)) + content[-2:], len(starts)


def test_a_jpeg_of_many_scans_is_refused_before_it_is_decoded():
    many, usual = with_scans(3000, 2048)
    assert len(many) < 1 << 20
    before = time.process_time()
    with pytest.raises(mg.errors.DataError, match="3000 scans of 2048x2048 pixels, more than are decoded"):
        decode(many, 8, 3)
    assert time.process_time() - before < 2  # it would be decoded for a minute
    assert (decode(with_scans(usual, 2048)[0], 8, 3) == 99).all()
    assert (decode(with_scans(300, 64)[0], 8, 3) == 99).all()


def test_scans_of_a_thumbnail_or_behind_the_end_do_not_count():
    jpeg, usual = with_scans(6, 64)
    thumbnail = b"\xff\xe1" + struct.pack(">H", 4002) + b"\xff\xda" * 2000
    assert usual == 6 == pictures._scans(jpeg[:2] + thumbnail + jpeg[2:] + b"\0\4" + b"\xff\xda\0\2" * 1000)
    assert pictures._scans(encoded(Image.new("L", (64, 64)), "JPEG", restart_marker_blocks=1)) == 1


@pytest.mark.parametrize(
    ("form", "before", "part"),
    [
        ("PNG", b"IDAT", chunk(b"IDAT", b"")),
        ("JPEG", b"\xff\xdb", b"\xff\xe5\0\2"),
        ("GIF", b",\0\0\0\0", b"!\xfe\1a\0"),
    ],
)
def test_a_file_of_too_many_parts_is_refused(form, before, part):
    content = encoded(Image.new("L", (8, 8), 99), form)
    at = content.index(before) - 4 * (form == "PNG")
    for count in (10, 100_000):
        flooded = content[:at] + part * count + content[at:]
        if count == 10:
            assert (decode(flooded, 8, 1) == 99).all()
        else:
            with pytest.raises(mg.errors.DataError, match="more than 65536 parts, which a picture has not"):
                decode(flooded, 8, 3)


def test_a_gif_without_a_palette_of_its_own_is_counted_too():
    flood = b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0, 0, 0) + b"!\xfe\1a\0" * 100_000
    with pytest.raises(mg.errors.DataError, match="more than 65536 parts"):
        decode(flood, 8, 3)


@pytest.mark.parametrize("kind", [b"iTXt", b"zTXt", b"iCCP"])
def test_text_that_expands_without_end(kind):
    bomb = zlib.compress(bytes(64 << 20))
    body = {b"iTXt": b"k\0\1\0\0\0", b"zTXt": b"k\0\0", b"iCCP": b"k\0\0"}[kind] + bomb
    content = png(4, 4, 8, 0, [b"cccc"] * 4, *[(kind, body)] * 20)
    tracemalloc.start()
    try:
        made = decode(content, 4, 1)
    except mg.errors.DataError as error:
        made = str(error)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 << 20
    assert "cannot be decoded" in made if isinstance(made, str) else (made == 99).all()


def test_of_a_long_animation_only_the_first_frame_is_decoded():
    frames = [Image.effect_noise((64, 64), k + 1) for k in range(200)]
    for form in ("GIF", "PNG", "WEBP"):
        content = encoded(frames[0], form, save_all=True, append_images=frames[1:])
        before = time.process_time()
        assert decode(content, 8, 3).shape == (8, 8, 3)
        assert time.process_time() - before < 0.5


def test_other_modes():
    red = Image.new("RGB", (8, 8), (255, 0, 0))
    assert np.abs(decode(encoded(red.convert("CMYK"), "JPEG"), 8, 3).astype(int) - (255, 0, 0)).max() < 4
    assert (decode(encoded(red.quantize(2)), 8, 3) == (255, 0, 0)).all()
    assert (decode(encoded(Image.new("1", (8, 8), 1)), 4, 3) == 255).all()
    assert decode(encoded(red), 8, 1).tolist() == [[[76]] * 8] * 8


def test_of_an_animation_the_first_frame_is_taken():
    frames = [Image.new("RGB", (8, 8), (value, value, value)) for value in (40, 200)]
    for form, options in (("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True})):
        content = encoded(frames[0], form, save_all=True, append_images=frames[1:], **options)
        assert (decode(content, 8, 3) == 40).all(), form


def test_a_large_jpeg_is_decoded_small(rng):
    small = rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)
    large = Image.fromarray(small).resize((512, 512), Image.Resampling.BICUBIC)
    exact = np.asarray(large.resize((16, 16), Image.Resampling.LANCZOS))
    kept = decode(encoded(large, "JPEG", quality=95), 16, 3)
    assert np.abs(kept.astype(int) - exact).mean() < 3


def test_a_bomb_is_refused_before_it_is_decoded():
    side = 1 << 15
    assert side * side > MAX_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for width, height in ((side, side // 8), (side, side // 4 - 64), (side, side)):  # Pillow would warn or raise
            with pytest.raises(mg.errors.DataError, match="pixels"):
                decode(png_of_size(width, height), 8, 3)


@pytest.mark.slow
@pytest.mark.parametrize(("colour", "depth", "size"), [(6, 8, 4), (4, 8, 2), (0, 16, 2), (6, 16, 8)])
def test_the_largest_picture_takes_less_than_a_gigabyte(colour, depth, size, tmp_path):
    side = 1 << 13
    assert side * side == MAX_PIXELS
    packer = zlib.compressobj(1)
    body = b"".join(packer.compress(bytes(1 + side * size)) for _ in range(side)) + packer.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, depth, colour, 0, 0, 0))
    content = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    assert peak_of(content, tmp_path) < 1e9


def peak_of(content, folder):
    """The most memory of a process that decodes this."""
    (folder / "large").write_bytes(content)
    script = (
        "import peak_memory, sys; from pathlib import Path; from minigan.data.pictures import read_picture; "
        "read_picture(Path(sys.argv[1]), 64, 3); print(peak_memory.peak())"
    )
    command = [sys.executable, "-c", script, str(folder / "large")]
    path = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "tests/support"), str(ROOT)])}
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300, env=path)
    return int(ended.stdout)


def webp_of_size(side):
    """An animation whose canvas is so large, and of which little is drawn."""
    frames = [Image.new("RGB", (8, 8), (k, 9, 99)) for k in range(2)]
    content = bytearray(encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True))
    at = content.index(b"VP8X") + 12
    content[at : at + 6] = 2 * (side - 1).to_bytes(3, "little")
    return bytes(content)


@pytest.mark.slow
def test_the_largest_animation_takes_less_than_a_gigabyte(tmp_path):
    assert peak_of(webp_of_size(int((MAX_PIXELS // 2) ** 0.5)), tmp_path) < 1e9


def test_an_animation_that_would_take_more_is_refused():
    with pytest.raises(mg.errors.DataError, match="8191x8191 pixels, more than the 33554432 that are decoded"):
        decode(webp_of_size(8191), 8, 3)


def test_large_pictures_are_decoded_one_at_a_time(monkeypatch):
    inside, most = [], []

    def slow(*args):
        inside.append(args)
        most.append(len(inside))
        time.sleep(0.01)
        inside.pop()
        return Image.new("RGB", (8, 8)), 1

    monkeypatch.setattr(pictures, "_converted", slow)
    content = encoded(Image.new("L", (40, 40), 7))
    for limit, together in ((0, 1), (1 << 22, 4)):
        monkeypatch.setattr(pictures, "LARGE", limit)
        most.clear()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: decode(content, 8, 3), range(8)))
        assert max(most) <= together
        assert (max(most) == 1) == (limit == 0)


@pytest.mark.parametrize("tag", range(1, 9))
def test_a_whole_picture_is_upright_and_keeps_what_is_transparent(tag, rng):
    upright = rng.integers(0, 256, (5, 7, 4)).astype(np.uint8)
    stored = np.empty((5, 7) if tag < 5 else (7, 5))
    back = {pictures._turned(np.arange(35).reshape(stored.shape), tag).ravel()[k]: k for k in range(35)}
    pixels = upright.reshape(35, 4)[[back[k] for k in range(35)]].reshape(*stored.shape, 4)
    exif = Image.Exif()
    exif[0x0112] = tag
    image, alpha = pictures.decode_whole(encoded(Image.fromarray(pixels), exif=exif), 3)
    assert (image == upright[..., :3]).all()
    assert (alpha == upright[..., 3]).all()
    opaque, none = pictures.decode_whole(encoded(Image.fromarray(pixels[..., :3]), exif=exif), 1)
    assert opaque.shape == (5, 7, 1)
    assert none is None


def test_what_is_damaged_is_named():
    content = bytearray(encoded(Image.new("L", (40, 40), 7)))
    jpeg = encoded(Image.effect_noise((64, 64), 50), "JPEG")
    content[60] ^= 1
    for broken, message in (
        (b"", "not a picture"),
        (b"<html>", "not a picture"),
        (bytes(content), "checksum of its 'IDAT' chunk does not fit"),
        (png_of_size(3, 3)[:-1], "cut off after"),
        (png_of_size(3, 3, b"\x00"), "cannot be decoded"),
        (jpeg[:400], "truncated"),
        (jpeg[:3], "not a picture|cannot be decoded"),
        (b"GIF89a" + bytes(20), "not a picture|cannot be decoded"),
    ):
        with pytest.raises(mg.errors.DataError, match=message):
            decode(broken, 8, 3)


def test_a_lack_of_memory_is_not_blamed_on_the_picture(monkeypatch):
    def lacking(*args):
        raise MemoryError("Unable to allocate 9 TiB")

    monkeypatch.setattr(pictures, "_converted", lacking)
    with pytest.raises(MemoryError, match="9 TiB"):
        decode(encoded(Image.new("RGB", (4, 4))), 4, 3)


def test_the_filters_of_warnings_are_as_before():
    before = list(warnings.filters)
    decode(encoded(Image.new("RGB", (4, 4))), 4, 3)
    assert list(warnings.filters) == before
