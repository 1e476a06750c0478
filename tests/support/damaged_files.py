"""Damaged data files, what reference decoders make of them, and a check that minigan makes the same or raises.

Run as a script it checks many in a process of its own: `python damaged_files.py COUNT SEED` prints how many files of
each kind were accepted and refused, and the most memory that was taken.
"""

import faulthandler
import gzip
import io
import json
import struct
import sys
import tarfile
import tempfile
import warnings
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import peak_memory
from PIL import Image, ImageOps

from minigan import data
from minigan.data.pictures import FORMATS, read_picture
from minigan.errors import DataError

SIDE = 12  # of the squares that pictures are fitted to
HANG = 60  # seconds after which a file is one that never ends


# --- whole files ------------------------------------------------------------------------------------------------


def saved(write, *args, **kwargs):
    content = io.BytesIO()
    write(content, *args, **kwargs)
    return content.getvalue()


def chunk(kind, body):
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def idx(array):
    return b"\x00\x00\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def _tar_gz(records):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for k in (1, 2):
            about = tarfile.TarInfo(f"cifar-10-batches-bin/data_batch_{k}.bin")
            about.size = len(records)
            tar.addfile(about, io.BytesIO(records))
    return content.getvalue()


def _pictures():
    rng = np.random.default_rng(1)
    smooth = Image.fromarray(rng.integers(0, 256, (5, 4, 4)).astype(np.uint8)).resize((20, 26))
    rgb = smooth.convert("RGB")
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    deep = Image.fromarray(rng.integers(0, 65536, (16, 13)).astype(np.uint16))
    pngs = [smooth, rgb, rgb.convert("L"), smooth.quantize(9), deep, rgb.convert("1"), smooth.convert("LA")]
    jpegs = [
        saved(rgb.save, "JPEG"),
        saved(rgb.save, "JPEG", progressive=True, exif=exif),
        saved(rgb.convert("L").save, "JPEG", exif=exif, quality=30),
        saved(rgb.convert("CMYK").save, "JPEG"),
        saved(rgb.resize((90, 120)).save, "JPEG", restart_marker_blocks=2),
    ]
    keyed = [_keyed(rng, depth, 0) for depth in (1, 2, 4, 8, 16)] + [_keyed(rng, depth, 2) for depth in (8, 16)]
    return {
        "png": [*(saved(p.save, "PNG") for p in pngs), saved(rgb.save, "PNG", exif=exif), *keyed],
        "jpg": jpegs,
        "gif": [saved(rgb.quantize(9).save, "GIF", save_all=True, append_images=[rgb.quantize(5)], comment="a" * 300)],
        "webp": [saved(smooth.save, "WEBP", lossless=True), saved(rgb.save, "WEBP", exif=exif)],
        "bmp": [saved(p.save, "BMP") for p in (smooth, rgb, rgb.convert("L"), rgb.convert("1"))],
    }


def _keyed(rng, depth, colour):
    """A PNG of noise, of which one grey or colour is transparent."""
    samples = 3 if colour else 1
    rows = rng.integers(0, 256, (13, -(-14 * samples * depth // 8))).astype(np.uint8)
    key = np.resize([rows[0, 0] >> 8 - min(depth, 8), *rows[0, 1:]], 6).astype(np.uint8)
    key = key[:6].tobytes() if depth == 16 else b"".join(bytes([0, value]) for value in key[:3])
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", 14, 13, depth, colour, 0, 0, 0),
        b"tRNS": key[: 2 * samples],
        b"IDAT": zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows)),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks.items())


def whole_files():
    """Some files of each kind."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, 6, 5)).astype(np.uint8)
    records = rng.integers(0, 256, (3, 3073)).astype(np.uint8)
    records[:, 0] = (3, 0, 9)
    pictures = _pictures()
    labels = np.arange(4)
    array = saved(np.save, images)
    return {
        "idx": [idx(images), idx(labels.astype(np.uint8))],
        "idx.gz": [gzip.compress(idx(images)), gzip.compress(idx(images), 0)],
        "bin": [records.tobytes()],
        "tar.gz": [_tar_gz(records.tobytes())],
        **pictures,
        "png, checksums renewed": pictures["png"],
        "npy": [array, saved(np.save, np.asfortranarray(images / 255)), saved(np.save, images.astype(">f4") / 255)],
        "npy.gz": [gzip.compress(array)],
        "npz": [saved(np.savez, x=images, y=labels), saved(np.savez_compressed, images=images / 255)],
    }


# --- damage -----------------------------------------------------------------------------------------------------


def mutated(rng, content):
    """`content` with a few bytes changed, more often near its beginning, or a part cut, doubled, moved or added."""
    made = bytearray(content)
    start, end = sorted(rng.integers(0, len(made) + 1, 2).tolist())
    kind = rng.integers(8)
    if kind <= 2:
        for _ in range(rng.integers(1, 4)):
            made[rng.integers(len(made) if kind else min(len(made), 80))] ^= int(rng.integers(1, 256))
    elif kind == 3:
        made[rng.integers(len(made))] ^= 1 << int(rng.integers(8))
    elif kind == 4:
        del made[start:]
    elif kind == 5:
        del made[start:end]
    elif kind == 6:
        made[start:start] = made[start:end]
    else:
        made[start : start + 4] = rng.bytes(rng.integers(1, 12))
    return bytes(made)


def renewed(rng, content):
    """A PNG whose chunks are changed one by one and given the checksums that go with it, so that they are decoded."""
    made, at = bytearray(content[:8]), 8
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        kind, body = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        if length and rng.integers(2):
            inner = zlib.decompress(body) if kind == b"IDAT" and rng.integers(2) else None
            body = mutated(rng, body) if inner is None else zlib.compress(mutated(rng, inner))
        made += chunk(kind, body)
        at += 12 + length
    return bytes(made)


# --- what reference decoders make of it -------------------------------------------------------------------------


def reference_idx(content):
    if content[:3] != b"\x00\x00\x08":
        raise ValueError("magic number")
    shape = np.frombuffer(content, ">u4", content[3], offset=4).tolist()
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape))
    if not (0 < len(shape) <= 4 and values.size):
        raise ValueError("empty")
    return values.reshape(shape)


def reference_records(content):
    records = np.frombuffer(content, np.uint8).reshape(-1, 3073)
    if not len(records) or records[:, 0].max() > 9:
        raise ValueError("labels")
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(np.int64)


def reference_archive(content):
    """The records of both files. gzip has a checksum, so whatever is decompressed is what was compressed."""
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content))) as tar:
        members = sorted((m for m in tar if m.name.endswith(".bin")), key=lambda m: m.name)
        return reference_records(b"".join(tar.extractfile(m).read() for m in members))


def reference_picture(content):
    method = Image.Transpose
    turns = [None, method.FLIP_LEFT_RIGHT, method.ROTATE_180, method.FLIP_TOP_BOTTOM]
    turns += [method.TRANSPOSE, method.ROTATE_270, method.TRANSVERSE, method.ROTATE_90]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        image.draft(None, (2 * SIDE, 2 * SIDE))
        image.load()
        try:
            turn = dict(enumerate(turns, 1))[image.getexif().get(0x0112, 1)]
        except Exception:
            turn = None
        kept = opaque(image, content)
        if image.mode == "I;16":
            image = Image.fromarray((np.asarray(image) // 256).astype(np.uint8))
        if kept is not None:
            image = image.convert("RGB")
            image.putalpha(Image.fromarray(kept * np.uint8(255)))
        if image.has_transparency_data:
            fitted = ImageOps.fit(image.convert("RGBA"), (SIDE, SIDE), Image.Resampling.LANCZOS)
            white = Image.new("RGBA", (SIDE, SIDE), (255, 255, 255, 255))
            fitted = Image.alpha_composite(white, fitted).convert("RGB")
        else:
            fitted = ImageOps.fit(image.convert("RGB"), (SIDE, SIDE), Image.Resampling.LANCZOS)
    return np.asarray(fitted if turn is None else fitted.transpose(turn))


def opaque(image, content):
    """Which pixels of a PNG are not of the one grey or colour that it names as transparent; None if it names none."""
    key, depth = image.info.get("transparency"), content[24]
    if key is None or image.format != "PNG" or image.mode not in ("1", "L", "I;16", "RGB"):
        return None
    stored = np.asarray(image).astype(int) * (255 if image.mode == "1" else 1)
    if image.mode == "RGB":
        return (stored != [value // 256 if depth == 16 else value % 256 for value in key]).any(-1)
    return stored != key if image.mode != "L" else stored * (2**depth - 1) // 255 != key % 2**depth


def reference_npy(content):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return data.from_array(np.load(io.BytesIO(content), allow_pickle=False))


def reference_npz(content):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive = np.load(io.BytesIO(content), allow_pickle=False)
        name = next(name for name in ("images", "x") if name in archive)
        return data.from_array(archive[name], archive.get("y"))


def picture(path):
    return read_picture(path, SIDE, 3)


KINDS = {
    "idx": (data.read_idx, reference_idx),
    "idx.gz": (data.read_idx, lambda content: reference_idx(gzip.decompress(content))),
    "bin": (lambda path: data.cifar10("train", path.parent), reference_records),
    "tar.gz": (lambda path: data.cifar10("train", path), reference_archive),
    "png": (picture, reference_picture),
    "png, checksums renewed": (picture, reference_picture),
    "jpg": (picture, reference_picture),
    "gif": (picture, reference_picture),
    "webp": (picture, reference_picture),
    "bmp": (picture, reference_picture),
    "npy": (data.load_array, reference_npy),
    "npy.gz": (data.load_array, lambda content: reference_npy(gzip.decompress(content))),
    "npz": (data.load_array, reference_npz),
}
SAME_AS_REFERENCE = {"idx", "bin"}  # accepted exactly if the reference accepts it
CHECKSUM = {"idx.gz", "tar.gz", "png", "npy.gz"}  # accepted only if it says what the whole file said


def read(kind, content, folder):
    """What minigan makes of a file with this content: arrays, or the text of its DataError."""
    path = folder / {"bin": "data_batch_1.bin", "tar.gz": "a.tar.gz"}.get(kind, "file")
    path.write_bytes(content)
    try:
        return KINDS[kind][0](path)
    except DataError as error:
        return str(error)


def compare(kind, content, whole, made):
    """Whether a file was accepted; AssertionError if it was not treated as it should be."""
    try:
        expected = KINDS[kind][1](content)
    except Exception:  # of any kind: it is the reference's
        expected = None
    if isinstance(made, str):
        assert kind not in SAME_AS_REFERENCE or expected is None, f"{kind} was refused, but it is valid: {made}"
        return False
    assert expected is not None, f"{kind} was accepted, but is broken"
    assert same(made, expected), f"{kind}: not what the reference makes of it"
    assert kind not in CHECKSUM or same(made, KINDS[kind][1](whole)), f"{kind}: accepted, though it was changed"
    return True


def same(a, b):
    """Whether these arrays, or images and labels, are equal in every respect."""
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a is b or (a is not None and b is not None and a.dtype == b.dtype and np.array_equal(a, b))


def damaged(count, seed):
    """(kind, content, the whole file it was made of) of `count` files, of all kinds in turn."""
    files = whole_files()
    for k in range(count):
        kind = list(files)[k % len(files)]
        rng = np.random.default_rng((seed, k))
        whole = files[kind][rng.integers(len(files[kind]))]
        yield kind, (renewed if kind.endswith("renewed") else mutated)(rng, whole), whole


def main(count, seed):
    """Read `count` damaged files, look at the memory that took, and compare."""
    outcomes, seen = [], Counter()
    with tempfile.TemporaryDirectory() as folder:
        for kind, content, _ in damaged(count, seed):
            faulthandler.dump_traceback_later(HANG, exit=True)
            outcomes.append(read(kind, content, Path(folder)))
    faulthandler.cancel_dump_traceback_later()
    taken = peak_memory.peak()
    for k, (case, made) in enumerate(zip(damaged(count, seed), outcomes, strict=True)):
        try:
            seen[f"{case[0]}: {'accepted' if compare(*case, made) else 'refused'}"] += 1
        except AssertionError:
            print(f"file {k} of seed {seed}", file=sys.stderr)
            raise
    print(json.dumps({"seen": seen, "bytes": taken}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
