"""The CUDA sources as programs: their barriers are needed, they stay within their memory, every GPU can have them."""

import fakecupy
import numpy as np
import nvrtc
import pytest
import shim
from kernel_checks import EXAMPLES
from kernel_variants import variants

from minigan.kernels import launch
from minigan.kernels.tiles import Tile

needs_compiler = pytest.mark.skipif(shim.compiler() is None, reason="needs g++, to compile CUDA C for the CPU")
needs_nvrtc = pytest.mark.skipif(nvrtc.available() is not None, reason=f"needs NVRTC: {nvrtc.available()}")

ARCHITECTURES = ["sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"]


def test_every_source_has_examples():
    assert set(EXAMPLES) == set(launch.SOURCES)


DIGITS = """
extern "C" __global__ void digits(int64* index, int* digit, int n) { *digit = take(*index, n); }
"""


@needs_compiler
@pytest.mark.parametrize("index", [0, 41, 2**31 + 5, 2**32 - 1, 2**32, 2**40 + 3])
def test_digits_of_an_index(index):
    taken = shim.Module((launch.FOLDER / "common.cuh").read_text() + DIGITS, ("-DREAL=float",)).get_function("digits")
    rest, digit = np.array([index]), np.zeros(1, np.int32)
    taken((1,), (1,), (rest, digit, np.int32(1000)))
    assert (rest[0], digit[0]) == divmod(index, 1000)


MUTANTS = [(name, k) for name in launch.SOURCES for k in range(shim.barriers(launch.source(name)))]


@needs_compiler
@pytest.mark.parametrize("name", launch.SOURCES)
def test_examples_hold_while_every_barrier_stands(name, monkeypatch):
    fakecupy.install(monkeypatch, library=None)
    for order in ("forward", "backward", 1):
        for example in EXAMPLES[name]:
            example(order)


@needs_compiler
@pytest.mark.parametrize(("name", "k"), MUTANTS)
def test_a_removed_barrier_is_noticed(name, k, monkeypatch):
    broken = shim.without_barrier(launch.source(name), k)
    original = launch.source
    monkeypatch.setattr(launch, "source", lambda wanted: broken if wanted == name else original(wanted))
    fakecupy.install(monkeypatch, library=None)

    def survives(example, order):
        try:
            example(order)
        except AssertionError:
            return False
        except RuntimeError as error:
            if "compile" in str(error):
                raise
            return False  # threads that wait for ever
        return True

    assert not all(survives(example, order) for order in ("forward", "backward", 1) for example in EXAMPLES[name])


@needs_compiler
def test_kernels_stay_within_their_memory():
    result = shim.run_sanitized("import kernel_checks; kernel_checks.run_all_sanitized(); print('all ran')")
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "all ran"


@needs_compiler
def test_the_sanitizers_see_a_kernel_that_leaves_its_memory():
    script = """
import fakecuda, fakecupy, kernel_checks, pytest
from minigan.kernels import launch
from minigan.kernels.tiles import Tile

original = launch.source
launch.source = lambda name: original(name).replace("EACH(i, n) y[i] = x[i]", "EACH(i, n + 1) y[i] = x[i]")
with pytest.MonkeyPatch.context() as patch:
    fakecupy.install(patch, library=None)
    fakecuda.device.sanitize = True
    kernel_checks.EXAMPLES["pointwise"][0]("forward")
"""
    result = shim.run_sanitized(script)
    assert result.returncode != 0
    assert "heap-buffer-overflow" in result.stderr


@needs_nvrtc
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_source_compiles_for(arch):
    for name in launch.SOURCES:
        for real in ("float", "double"):
            for defines in variants(name, real):
                assert nvrtc.compile_cubin(launch.source(name), launch.options(real, **defines), arch)


@needs_nvrtc
def test_tensor_cores_and_asynchronous_copies_are_used_where_there_are_any():
    def uses(what, arch, precision):
        options = launch.options("float", **Tile(64, 64, 4).defines(precision, (4, 4)))
        return what in nvrtc.compile_ptx(launch.source("convolution"), options, arch)

    for precision, instruction in (("tf32", b"mma.sync.aligned.m16n8k8"), ("bf16", b"mma.sync.aligned.m16n8k16")):
        for what in (instruction, b"ldmatrix", b"cp.async.cg"):
            assert [uses(what, arch, precision) for arch in ("compute_75", "compute_80")] == [False, True]


@needs_nvrtc
def test_the_compiler_says_what_is_wrong():
    with pytest.raises(RuntimeError, match=r'NVRTC_ERROR_COMPILATION\n.*kernels.cu\(2\).*"m" is undefined'):
        nvrtc.compile_cubin('\nextern "C" __global__ void broken(int n) { n = m; }', (), "sm_90")
    with pytest.raises(RuntimeError, match="gpu-architecture"):
        nvrtc.compile_cubin("", (), "sm_1")
