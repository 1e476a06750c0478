"""Which tile our own products on tensor cores get: by the size of the result and by what the GPU has."""

import fakecupy
import numpy as np
import pytest

from minigan.kernels import cuda_conv, precision
from minigan.kernels.tiles import Tile, shared_memory

FLOAT = np.dtype("float32")
ALONG = {"conv": (True, True), "conv_input": (True, False), "conv_weight": (False, False)}
MULTIPROCESSOR = {"H100": 228 << 10, "A100": 164 << 10, "RTX 4090": 100 << 10}
BLOCK = {"H100": 227 << 10, "A100": 163 << 10, "RTX 4090": 99 << 10}  # bytes that one block may have


@pytest.fixture(autouse=True)
def cupy(monkeypatch):
    monkeypatch.setattr(precision, "_chosen", "tf32")
    return fakecupy.install(monkeypatch)


def tile(m, n, along=ALONG["conv"], packs=(4, 4), count=1, dtype=FLOAT):
    return cuda_conv._tile(dtype, m, n, along, packs, count)


@pytest.mark.parametrize("gpu", MULTIPROCESSOR)
@pytest.mark.parametrize("face", ALONG)
def test_two_blocks_of_the_largest_tile_fit_into_a_multiprocessor(gpu, face, monkeypatch):
    monkeypatch.setattr(cuda_conv, "shared_memory", lambda: MULTIPROCESSOR[gpu])
    chosen = tile(1 << 16, 128, ALONG[face])
    assert (chosen.m, chosen.n) == (128, 128)
    assert 2 * (chosen.shared(ALONG[face]) + 1024) <= MULTIPROCESSOR[gpu]
    assert chosen.depth == (32 if (gpu, face) == ("H100", "conv") else 16)


@pytest.mark.parametrize("gpu", MULTIPROCESSOR)
def test_every_tile_fits_into_a_block(gpu, monkeypatch):
    monkeypatch.setattr(cuda_conv, "shared_memory", lambda: MULTIPROCESSOR[gpu])
    for along in ALONG.values():
        for packs in ((4, 4), (1, 4)):
            for m, n in ((1 << 16, 128), (1 << 16, 64), (1 << 10, 128)):
                assert tile(m, n, along, packs).shared(along) <= BLOCK[gpu]


def test_small_results_have_small_tiles_and_narrow_ones_narrow_tiles():
    assert [(t.m, t.n) for t in (tile(1 << 10, 128), tile(1 << 16, 64), tile(1 << 10, 128, count=64))] == [
        (64, 64),
        (128, 64),
        (128, 128),
    ]


def test_without_tensor_cores_nothing_is_staged(monkeypatch):
    assert tile(1 << 16, 128, dtype=np.dtype("float64")) == Tile(64, 64)
    monkeypatch.setattr(precision, "_chosen", "fp32")
    assert tile(1 << 16, 128) == Tile(128, 128)
    assert tile(1 << 16, 128).defines("fp32", (4, 4)) == {"TILE_M": 128, "TILE_N": 128}


def test_what_the_device_says_of_its_memory():
    shared_memory.cache_clear()
    assert shared_memory() == 228 << 10
