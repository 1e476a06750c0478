"""Images in arrays: every layout and type that says which it is, and files of NumPy's, which are never unpickled."""

import gzip
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from PIL import Image

import minigan as mg
from minigan import data
from minigan.system import machine


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (5, 3, 6, 7)).astype(np.uint8)


def test_layouts(images):
    for given in (images, images.transpose(0, 2, 3, 1), images.tolist(), images.astype(np.int64), images.astype(">u2")):
        made, labels = data.from_array(given)
        assert (made.dtype, labels, made.flags.c_contiguous) == (np.uint8, None, True)
        assert np.array_equal(made, images)
    grey = images[:, 0]
    for given in (grey, grey[:, None], grey[..., None]):
        assert np.array_equal(data.from_array(given)[0], grey[:, None])
    both = np.zeros((2, 3, 4, 1), np.uint8)
    assert data.from_array(both)[0].shape == (2, 3, 4, 1)  # the library's own layout wins


def test_values(images):
    for dtype in (np.float32, np.float64):
        assert np.array_equal(data.from_array(images.astype(dtype) / 255)[0], images)
        assert np.array_equal(data.from_array(images.astype(dtype) / 127.5 - 1)[0], images)
    half = data.from_array((images / 255).astype(np.float16))[0].astype(int)
    assert np.abs(half - images).max() <= 1
    assert np.array_equal(data.from_array(images > 99)[0], (images > 99) * np.uint8(255))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f2", ">f4", ">f8"])
@pytest.mark.parametrize("bottom", [0, -1])
def test_a_rounding_error_does_not_change_what_floats_mean(images, dtype, bottom):
    given = (images / 255 * (1 - bottom) + bottom).astype(dtype)
    expected = data.from_array(given)[0]
    assert np.abs(expected.astype(int) - images).max() <= (dtype[-1] == "2")
    half = (1 - bottom) / 510
    for below, above in ((-1e-7, 0), (0, 1e-7), (-1e-7, 1e-7), (-0.9 * half, 0.9 * half)):
        off = given.copy()
        off[images == 0] += below
        off[images == 255] += above
        assert np.array_equal(data.from_array(off)[0], expected)
    for only in (0, 255):  # every value is one that is off
        whole = np.full((2, 3, 3), only / 255 * (1 - bottom) + bottom, dtype) * (1 + 1e-3)
        assert (data.from_array(whole)[0] == only).all()


@pytest.mark.parametrize("filter_", ["BICUBIC", "LANCZOS"])
@pytest.mark.parametrize("bottom", [0, -1])
def test_what_resampling_takes_beyond_the_range_is_clipped(filter_, bottom):
    edge = np.full((16, 16), bottom, np.float32)
    edge[4:9, 5:12] = 1
    scaled = np.asarray(Image.fromarray(edge).resize((61, 61), Image.Resampling[filter_]))
    assert scaled.min() < bottom - 0.05
    assert scaled.max() > 1.05
    for part in (scaled, scaled.clip(bottom), scaled.clip(None, 1)):
        expected = np.rint((scaled.clip(bottom, 1) - bottom) / (1 - bottom) * 255)
        assert np.abs(data.from_array(part[None])[0][0, 0] - expected).max() <= 1


def test_the_whole_array_says_what_its_floats_mean(images):
    """However many images have nothing below 0 by themselves."""
    given = images.astype(np.float32) / 127.5 - 1
    bright = np.concatenate([np.abs(given)] * 3 + [given])
    expected = np.rint((bright + 1) * 127.5)
    assert np.array_equal(data.from_array(bright)[0], expected)


@pytest.mark.parametrize(("darkest", "bottom"), [(-0.51, -1), (-0.3, 0), (0, 0)])
def test_the_darkest_value_says_which_range_it_is(darkest, bottom):
    given = np.linspace(0.01, 1, 100, dtype=np.float32).reshape(4, 5, 5)
    given[0, 0, 0] = darkest
    expected = (given.clip(bottom) - bottom) / (1 - bottom) * 255
    assert np.abs(data.from_array(given)[0][:, 0] - expected).max() <= 0.51


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((-0.4, 1), r"values from -0.4 to 1, expected \[0, 1\] or \[-1, 1\]"),  # neither overshoot nor black
        ((0, 1.4), "values from 0 to 1.4, expected"),
        ((-1.7, 1), "values from -1.7 to 1, expected"),
        ((-1, 1.7), "values from -1 to 1.7, expected"),
        ((-25.5, 280), "values from -25.5 to 280, expected"),  # 0 to 255, with overshoot
        ((0, np.nan), "values from nan to nan, expected"),
        ((0, np.inf), "values from 0 to inf, expected"),
        ((-0.2, 1), r"values from -0.2 to 1, 50% of them beyond \[0, 1\], expected"),  # bright ones in [-1, 1]
        ((-1.2, 1.4), r"values from -1.2 to 1.4, 100% of them beyond \[-1, 1\], expected"),  # standardised
    ],
)
def test_floats_that_are_in_neither_range(values, message):
    given = np.resize(np.array(values, np.float32), (4, 6, 6))
    with pytest.raises(mg.errors.DataError, match=f"from_array: float32 {message}"):
        data.from_array(given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((2, 4, 4, 4), np.uint8), r"with 1 or 3 channels C, got \(2, 4, 4, 4\)"),
        (np.zeros((4, 4), np.uint8), r"got \(4, 4\)"),
        (np.zeros((0, 4, 4), np.uint8), r"no images in an array of shape \(0, 4, 4\)"),
        (np.uint8(3), r"no images in an array of shape \(\)"),
        (np.full((2, 4, 4), 255.0), r"float64 values from 255 to 255, expected \[0, 1\] or \[-1, 1\]"),
        (np.full((2, 4, 4), np.nan), r"values from nan to nan"),
        (np.full((2, 4, 4), 65535, ">u2"), r">u2 values from 65535 to 65535, expected 0 to 255"),
        ([[[1, 2], [3]]], "different shapes in one list"),
        (np.full((2, 4, 4), 256), r"int64 values from 256 to 256, expected 0 to 255"),
        (np.full((2, 4, 4), -1), r"values from -1 to -1"),
        (np.full((2, 4, 4), "a"), r"expected numbers, got <U1"),
        (np.full((2, 4, 4), None), r"expected numbers, got object"),
    ],
)
def test_arrays_that_are_no_images(given, message):
    with pytest.raises(mg.errors.DataError, match=f"from_array: .*{message}"):
        data.from_array(given)


def test_labels(images):
    for given in ([3, 1, 2, 0, 9], np.arange(5, dtype=np.uint8), np.arange(5)[:, None]):
        labels = data.from_array(images, given)[1]
        assert labels.dtype == np.int64
        assert labels.tolist() == np.ravel(given).tolist()
    for wrong, message in (
        (np.arange(4), r"for each of 5 images, got int64 \(4,\)"),
        (np.eye(5, dtype=int), r"got int64 \(5, 5\)"),
        (np.arange(5.0), r"got float64 \(5,\)"),
        (np.arange(5) - 1, "labels from -1 to 3, expected 0 or more"),
    ):
        with pytest.raises(mg.errors.DataError, match=message):
            data.from_array(images, wrong)


def test_npy(tmp_path, images):
    path = tmp_path / "a.npy"
    for dtype in ("u1", "<i4", ">i4", "<u2", ">u2", "<f4", ">f4", "<f8", ">f8"):
        given = (images / 255 if "f" in dtype else images).astype(dtype)
        for ordered in (given, np.asfortranarray(given)):
            np.save(path, ordered)
            assert np.array_equal(data.load_array(path)[0], images)
            path.write_bytes(gzip.compress(path.read_bytes()))
            assert np.array_equal(data.load_array(path)[0], images)


def npy(header, values=bytes(32), version=1):
    """A file of numpy.save's with a header of one's own."""
    text = header.encode("latin-1")
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text + values


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize(
    "header",
    [
        "{'shape': (2, 4, 4), 'fortran_order': False, 'descr': '|u1'}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2L, 4L, 4L), }  \n",
        '{"descr": "uint8",\n "shape": (2,4,4,), "fortran_order": False}',
    ],
)
def test_headers_of_every_kind_that_numpy_reads(tmp_path, header, version):
    path = tmp_path / "a.npy"
    path.write_bytes(npy(header, bytes(range(32)), version))
    assert np.array_equal(data.load_array(path)[0].ravel(), np.arange(32))


@pytest.mark.parametrize(
    "header",
    [
        "{'shape': (2, 4, 4), 'fortran_order': False}",
        "{'shape': (-2, -4, 4), 'fortran_order': False, 'descr': '|u1'}",
        "{'shape': (2, 4, 4.0), 'fortran_order': False, 'descr': '|u1'}",
        "{'shape': (2, 4, 4), 'fortran_order': 0, 'descr': '|u1'}",
        "{'shape': (2, 4, 4), 'fortran_order': False, 'descr': 'no type'}",
        f"{{'shape': ({'9' * 999}, 4, 4), 'fortran_order': False, 'descr': '|u1'}}",
        f"{{'shape': ({'9, ' * 3000}), 'fortran_order': False, 'descr': '|u1'}}",
        "{'shape': (2, 4, 4), 'fortran_order': False, 'descr': __import__('os').abort()}",
        "-" * 9000 + "1",
        "(" * 9000,
        "{" + "'\\d' 0or 1" * 99,
        "\x1b[31m\x00",
        "",
        " " * 9_950 + "{'shape': (2, 4, 4), 'fortran_order': False, 'descr': '|u1'}",
    ],
)
def test_headers_that_are_none(tmp_path, header):
    (tmp_path / "a.npy").write_bytes(npy(header))
    with pytest.raises(mg.errors.DataError, match="a header that cannot be read") as caught:
        data.load_array(tmp_path / "a.npy")
    assert str(caught.value).isprintable()


def test_elements_that_are_no_numbers(tmp_path):
    for descr in ("'<c8'", "'<M8[s]'", "'|S4'", "[('a', '<f4')]", "('<f4', (2,))"):
        (tmp_path / "a.npy").write_bytes(npy(f"{{'shape': (2, 4, 4), 'fortran_order': False, 'descr': {descr}}}"))
        with pytest.raises(mg.errors.DataError, match=r"elements of type .* expected integers, booleans or floats"):
            data.load_array(tmp_path / "a.npy")


def test_npz(tmp_path, images):
    path = tmp_path / "a.npz"
    labels = np.arange(5)
    for save in (np.savez, np.savez_compressed):
        for names in (("images", "labels"), ("x", "y"), ("x_train", "y_train")):
            save(path, **dict(zip(names, (images, labels), strict=True)), other=np.zeros(3))
            found = data.load_array(path)
            assert np.array_equal(found[0], images)
            assert np.array_equal(found[1], labels)
        save(path, images)
        assert data.load_array(path)[1] is None
    np.savez(path, pictures=images, z=labels)
    with pytest.raises(mg.errors.DataError, match=r"a\.npz: expected images under the name .* it holds pictures, z"):
        data.load_array(path)
    np.savez(path, x=images, y=labels[:4])
    with pytest.raises(mg.errors.DataError, match=r"a\.npz: .*for each of 5 images, got int64 \(4,\)"):
        data.load_array(path)


class Harmful:
    """What runs when it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("unpickled",)


def test_nothing_is_unpickled(tmp_path):
    objects = np.array([[[Harmful()]]], dtype=object)
    np.save(tmp_path / "o.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "o.npz", x=objects)
    (tmp_path / "p.npy").write_bytes(pickle.dumps(Harmful()))
    for name in ("o.npy", "o.npz", "p.npy"):
        with pytest.raises(mg.errors.DataError, match=rf"{name}.*a pickle, which can run any code"):
            data.load_array(tmp_path / name)


def exaggerated(content):
    """A file of `images` whose header promises more of them."""
    return content.replace(b"(5, 3, 6, 7), }" + 9 * b" ", b"(5000000000, 3, 6, 7), }")


def test_files_that_are_broken(tmp_path, images):
    path = tmp_path / "a.npy"
    np.save(path, images)
    whole = path.read_bytes()
    for broken, message in (
        (b"", "begins with nothing"),
        (b"PK\x03\x04", "not an archive that can be read"),
        (whole[:9], "the header is cut off"),
        (whole[:60], "a header that cannot be read"),
        (whole.replace(b"(5, 3", b"(0, 3")[:128], r"no images in an array of shape \(0, 3, 6, 7\)"),
        (whole[:-1], r"promises \(5, 3, 6, 7\) of uint8, 630 bytes, but 629 follow"),
        (whole + b"x", "but more follow"),
        (exaggerated(whole), r"promises \(5000000000, 3, 6, 7\) of uint8, 630000000000 bytes, at most \d+ can follow"),
        (whole.replace(b"|u1", b"<U1"), "elements of type <U1"),
    ):
        path.write_bytes(broken)
        with pytest.raises(mg.errors.DataError, match=message) as caught:
            data.load_array(path)
        assert str(path) in str(caught.value)
    with pytest.raises(mg.errors.DataError, match="no such file"):
        data.load_array(tmp_path / "absent.npy")


def test_an_archive_that_promises_too_much(tmp_path, images):
    """A header of many gigabytes in a small member; nothing of that size is allocated."""
    np.save(tmp_path / "a.npy", images)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", exaggerated((tmp_path / "a.npy").read_bytes()))
    with pytest.raises(mg.errors.DataError, match=r"a\.npz/x\.npy: .* at most 758 can follow"):
        data.load_array(tmp_path / "a.npz")


def zipped(path, members, method):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_archives_of_every_compression_whole_and_damaged(tmp_path, images, method):
    """What numpy.savez writes is read; BZ2 and LZMA, of which a kilobyte may hold gigabytes, are refused unread."""
    np.save(tmp_path / "x.npy", images)
    path = tmp_path / "a.npz"
    zipped(path, {"x.npy": (tmp_path / "x.npy").read_bytes()}, method)
    whole = path.read_bytes()
    refused = 0
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            made = data.load_array(path)[0]
        except mg.errors.DataError:
            refused += 1
        else:
            assert np.array_equal(made, images)
    assert refused > len(whole) // 14
    path.write_bytes(whole)
    if method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        assert np.array_equal(data.load_array(path)[0], images)
    else:
        with pytest.raises(mg.errors.DataError, match=r"a\.npz/x\.npy: compressed as numpy\.savez does not"):
            data.load_array(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_that_expands_without_end(tmp_path, method):
    """A member of 16 MB, a few hundred bytes in BZ2, whose array is of one: more is never expanded."""
    path = tmp_path / "a.npz"
    header = npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1024, 32, 32)}", b"")
    zipped(path, {"x.npy": header + bytes(16 << 20)}, method)
    tracemalloc.start()
    with pytest.raises(mg.errors.DataError, match=r"but more follow|compressed as"):
        data.load_array(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_an_array_that_does_not_fit_into_memory(tmp_path, images, monkeypatch):
    np.save(tmp_path / "a.npy", images)
    np.savez_compressed(tmp_path / "a.npz", images)
    (tmp_path / "idx").write_bytes(b"\0\0\x08\1" + struct.pack(">I", images.size) + images.tobytes())
    monkeypatch.setattr(machine, "memory", lambda: images.size - 1)
    for name, read in (("a.npy", data.load_array), ("a.npz", data.load_array), ("idx", data.read_idx)):
        with pytest.raises(mg.errors.DataError, match=f"{name}.* 630 bytes, more than this machine's memory"):
            read(tmp_path / name)
