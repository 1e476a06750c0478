"""What differs from one generation of GPUs to the next: whether a kernel fits, and what is chosen by the GPU's kind."""

import itertools
import types
from collections.abc import Iterator

import fakecupy
import numpy as np
import nvrtc
import pytest
from kernel_variants import ROUNDED, all_variants, shared
from launches import without_arithmetic

from minigan.kernels import cuda_conv, cuda_linear, launch, precision
from minigan.kernels.geometry import convolution

needs_nvrtc = pytest.mark.skipif(nvrtc.available() is not None, reason=f"needs NVRTC: {nvrtc.available()}")

REGISTERS = 1 << 16  # of a block, in every generation
OWN_SHARED = 48 << 10  # bytes of arrays that a kernel declares, likewise
SHARED = {  # bytes of a block with what it is given beside them (CUDA's programming guide, compute capabilities)
    "sm_75": 64 << 10,
    "sm_80": 163 << 10,
    "sm_86": 99 << 10,
    "sm_89": 99 << 10,
    "sm_90": 227 << 10,
    "sm_100": 227 << 10,
    "sm_120": 99 << 10,
}
CAPABILITIES = [arch.removeprefix("sm_") for arch in SHARED]
WARP_UNIT = 256  # registers, of which a warp has a multiple


def misfits(name: str, real: str, defines: dict, arch: str) -> Iterator[str]:
    """What a GPU of that generation would refuse to launch of these kernels."""
    found = nvrtc.resources(nvrtc.compile_cubin(launch.source(name), launch.options(real, **defines), arch))
    assert found
    given = shared(defines)
    if int(arch.removeprefix("sm_")) < 80:
        given = 0  # tensor cores are not used there
    for kernel, needs in found.items():
        threads = needs.threads or launch.THREADS
        of_a_warp = -(-32 * needs.registers // WARP_UNIT) * WARP_UNIT
        if threads // 32 * of_a_warp > REGISTERS:
            yield f"{kernel} {defines}: {needs.registers} registers of {threads} threads"
        if needs.shared > OWN_SHARED or needs.shared + given > SHARED[arch]:
            yield f"{kernel} {defines}: {needs.shared} + {given} bytes of shared memory"


@needs_nvrtc
def test_the_largest_tiles_fit_where_there_is_least():
    largest = [d for d in all_variants("convolution", "float") if d["TILE_N"] == 128 and d.get("DEPTH") != 16]
    assert len(largest) == 3
    assert not [misfit for defines in largest for misfit in misfits("convolution", "float", defines, "sm_86")]


IN_EACH_RUN = {"sm_75", "sm_90"}  # the least memory, and the most kernels; a minute each


@needs_nvrtc
@pytest.mark.parametrize(
    "arch", [pytest.param(a, marks=pytest.mark.slow if a in IN_EACH_RUN else pytest.mark.long) for a in SHARED]
)
def test_everything_that_can_be_launched_compiles_and_fits(arch):
    for name in launch.SOURCES:
        for real in ("float", "double"):
            for defines in all_variants(name, real):
                assert not list(misfits(name, real, defines, arch))


@needs_nvrtc
def test_what_does_not_fit_is_seen():
    source = """
extern "C" __global__ void __launch_bounds__(512) large(float* x) {
    __shared__ float held[8192];
    held[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    x[threadIdx.x] = held[511 - threadIdx.x];
}
extern "C" __global__ void small(float* x) { x[threadIdx.x] = 0; }
"""
    found = nvrtc.resources(nvrtc.compile_cubin(source, (), "sm_86"))
    assert (found["large"].shared, found["large"].threads) == (4 * 8192, 512)
    assert (found["small"].shared, found["small"].threads) == (0, None)
    assert 2 <= found["small"].registers <= found["large"].registers <= 128


# --- what can be launched ---------------------------------------------------------------------------------------


@pytest.fixture
def launched(monkeypatch):
    """The sets of definitions with which each source is asked for, on the stand-in, which does no arithmetic."""
    found = {}
    original = launch._module

    def noted(lib, name, dtype, defines):
        found.setdefault((name, launch._REAL[dtype]), set()).add(tuple(sorted(defines)))
        return original(lib, name, dtype, defines)

    fakecupy.install(monkeypatch)
    launch._kernel.cache_clear()
    monkeypatch.setattr(launch, "_module", noted)
    with without_arithmetic():
        yield found
    launch._kernel.cache_clear()


def as_sets(variants):
    return {tuple(sorted(defines.items())) for defines in variants}


def of(defines):
    """The precision of what was compiled with these definitions."""
    return next((name for name in ROUNDED if (name.upper(), 1) in defines), "fp32")


def sizes():
    """Convolutions with few and much to do, with channels in groups of four and not."""
    for n, side in ((2, 4), (100, 64)):
        for c, o in ((8, 8), (6, 8), (8, 6), (6, 6), (8, 72), (72, 8)):
            yield (n, c, side, side), (o, c, 3, 3)


@pytest.mark.parametrize("chosen", precision.PRECISIONS)
def test_no_convolution_is_launched_that_is_not_among_those_compiled(chosen, launched, monkeypatch):
    import cupy

    monkeypatch.setattr(cuda_conv, "FORCED", "implicit")
    monkeypatch.setattr(precision, "_chosen", chosen)
    for real, memory, (x, w) in itertools.product(("float32", "float64"), (228, 164, 100), sizes()):
        monkeypatch.setattr(cuda_conv, "shared_memory", lambda memory=memory: memory << 10)
        s = convolution("conv2d", x, w, stride=1, padding=1, dilation=1, groups=1)
        made = cupy.empty(x, dtype=real), cupy.empty(w, dtype=real), cupy.empty(s.y, dtype=real)
        cuda_conv.conv(made[0], made[1], s)
        cuda_conv.conv_input(made[1], made[2], s)
        cuda_conv.conv_weight(made[0], made[2], s)
    expected = as_sets(all_variants("convolution", "float"))
    assert launched["convolution", "float"] == {defines for defines in expected if of(defines) == chosen}
    assert launched["convolution", "double"] == as_sets(all_variants("convolution", "double"))


@pytest.mark.parametrize("chosen", precision.PRECISIONS)
def test_no_product_either(chosen, launched, monkeypatch):
    import cupy

    monkeypatch.setattr(precision, "_chosen", chosen)
    for real in ("float32", "float64"):
        a = cupy.empty((4, 4), dtype=real)
        for left in (a, a.T):
            for right in (a, a.T):
                cuda_linear.own_product(left, right, cupy.empty((4, 4), dtype=real))
    expected = as_sets(all_variants("product", "float"))
    assert launched["product", "float"] == {defines for defines in expected if of(defines) == chosen}
    assert launched["product", "double"] == as_sets(all_variants("product", "double"))


# --- what is chosen by a GPU's kind, of which CuPy tells as a text, "75" to "120" -----------------------------------


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_tensor_cores_are_used_from_ampere_on(capability, monkeypatch):
    cupy = fakecupy.install(monkeypatch)
    monkeypatch.setattr(cupy.cuda, "Device", lambda: types.SimpleNamespace(compute_capability=capability))
    found = {}
    for chosen in precision.PRECISIONS:
        monkeypatch.setattr(precision, "_chosen", chosen)
        found[chosen] = precision.tf32(), precision.bf16("float32"), precision.of_own_products(np.float32)
        assert not precision.bf16("float64")
        assert precision.of_own_products(np.float64) == "fp32"
    able = capability != "75"
    tf32, bf16 = ROUNDED if able else ("fp32", "fp32")
    assert found == {"fp32": (False, False, "fp32"), "tf32": (able, False, tf32), "bf16": (False, able, bf16)}
    assert precision.capability() == capability
