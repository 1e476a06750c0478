"""Arrays in a safetensors file, as others write them: every type that a network can hold, and what is no such file."""

import json
import os
import tracemalloc

import numpy as np
import pytest
from safetensors.numpy import save as to_bytes

from minigan.errors import CheckpointError
from minigan.system import disk, stored


def written(path, tensors, header=None, size=None):
    """A safetensors file of {name: (type, shape, bytes)}, or with any other header, or one that says another size."""
    about, content = {}, b""
    for name, (dtype, shape, data) in tensors.items():
        about[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(content), len(content) + len(data)]}
        content += data
    text = (json.dumps(about) if header is None else header).encode()
    path.write_bytes((len(text) if size is None else size).to_bytes(8, "little") + text + content)
    return path


@pytest.mark.parametrize("size", [0x0280, 0x0380, 0x0480, 0x0580, 0x4B50])
def test_a_header_whose_size_begins_as_a_pickle_does_is_none(tmp_path, size):
    held = stored.read(written(tmp_path / "w", {}, header="{}".ljust(size)))[0]
    assert held == {}


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"])
def test_the_types_of_numpy_come_as_they_are(tmp_path, dtype):
    x = np.array([[0, 1, 2], [3, 1, 0]]).astype(dtype)
    name = "BOOL" if dtype == "?" else f"{dtype[0].upper()}{8 * x.itemsize}"
    held, metadata, _ = stored.read(written(tmp_path / "w", {"x": (name, [2, 3], x.tobytes())}))
    assert held["x"].dtype == x.dtype
    assert np.array_equal(held["x"], x)
    assert metadata == {}


def test_what_is_written_comes_back_however_it_lies_in_memory(tmp_path):
    x = np.arange(24.0).reshape(2, 3, 4)
    for k, kept in enumerate((x.transpose(2, 0, 1), x[:, ::2], x.astype(">f4"), np.array(3.0), x[:0])):
        (tmp_path / "w").write_bytes(stored.content({"x": kept}, {"k": str(k)}))
        held, metadata, _ = stored.read(tmp_path / "w")
        assert np.array_equal(held["x"], kept)
        assert held["x"].dtype == kept.dtype.newbyteorder("=")
        assert metadata == {"k": str(k)}


def test_the_bytes_are_those_of_the_library():
    types = ["?", "u1", "i1", "i2", "u2", "f2", "i4", "u4", "f4", "f8", "i8", "u8"]
    arrays = {f"{name}.{k}": np.arange(6).reshape(2, 3).astype(t) for k, t in enumerate(types) for name in ("b", "aö")}
    arrays |= {"step": np.array(3), "none": np.zeros((0, 2), "f4")}
    for metadata in (None, {}, {"minigan": '{"ö": "1"}'}):
        assert stored.content(arrays, metadata) == to_bytes(arrays, metadata or None)


def test_arrays_are_copied_once():
    arrays = {str(k): np.zeros(250_000, "f4") for k in range(4)}
    tracemalloc.start()
    try:
        disk.sealed(json.dumps({"sha256": disk.BLANK.decode()}).encode(), stored.content(arrays))
        assert tracemalloc.get_traced_memory()[1] < 1.1 * 4_000_000
    finally:
        tracemalloc.stop()


def test_bfloat16_comes_as_float32(tmp_path):
    values = [0.0, -0.0, 1.0, -2.5, 3.0e38, 2.0**-133, np.inf, -np.inf, np.nan]
    halves = (np.array(values, "<f4").view("<u4") >> 16).astype("<u2")
    held, _, _ = stored.read(written(tmp_path / "w", {"x": ("BF16", [9, 1], halves.tobytes())}))
    assert held["x"].dtype == np.float32
    assert held["x"].shape == (9, 1)
    np.testing.assert_allclose(held["x"][:, 0], values, rtol=2**-8)
    assert np.signbit(held["x"][1, 0])


@pytest.mark.parametrize(
    ("dtype", "size"), [("F8_E4M3", 8), ("F8_E5M2", 8), ("F8_E8M0", 8), ("F4", 4), ("F6_E2M3", 6), ("C64", 64)]
)
def test_a_type_that_numpy_lacks_is_named_with_its_array(tmp_path, dtype, size):
    tensors = {"0.bias": ("F32", [2], bytes(8)), "0.weight": (dtype, [4, 2], bytes(size))}
    with pytest.raises(CheckpointError, match=rf"w: 0\.weight is of type {dtype}, .*write it as float32"):
        stored.read(written(tmp_path / "w", tensors))


@pytest.mark.parametrize(
    ("header", "size"),
    [
        (None, 1 << 62),
        (None, 1 << 30),
        ('{"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}' + " " * 5_000_000, None),
        (None, 0),
        (None, 3),
        ("[" * 100_000, None),
        ('{"x": {"dtype": "F32", "shape": [1099511627776], "data_offsets": [0, 4398046511104]}}', None),
        ('{"x": {"dtype": "F32", "shape": [4294967296, 4294967296], "data_offsets": [0, 8]}}', None),
        ('{"x": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 8]}}', None),
        ('{"x": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}}', None),
        ('{"x": {"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]}}', None),
        ('{"__metadata__": {"a": 1}}', None),
        ('{"__metadata__": {"a": "1", "a": "2"}, "x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}', None),
        ('{"x": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}, '
         '"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}', None),
    ],
)  # fmt: skip
def test_a_header_that_lies_is_an_error_and_takes_no_memory(tmp_path, header, size):
    path = written(tmp_path / "w", {"x": ("F32", [2], bytes(8))}, header, size)
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match="w: cannot be read as safetensors"):
            stored.read(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "w")
    with pytest.raises(CheckpointError, match=r"w: cannot be read as safetensors .*not a regular file"):
        stored.read(tmp_path / "w")
