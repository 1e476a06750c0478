"""Copies that nobody waits for, and shared memory of a launch's own size, on the shim and on the stand-in for CuPy."""

import fakecupy
import numpy as np
import pytest
import shim

from minigan.backend import array_module
from minigan.kernels.launch import launch

pytestmark = pytest.mark.skipif(shim.compiler() is None, reason="needs g++")
ORDERS = ["forward", "backward", 1]

# out[i] = the sum of x at i's mirror image within each of the blocks' parts, two parts on their way at a time
MIRROR = r"""
extern "C" __global__ void mirror(const float* x, float* out, int parts) {
    extern __shared__ __align__(16) float held[];
    int n = blockDim.x, i = threadIdx.x;
    float total = 0;
    __pipeline_memcpy_async(held + i, x + i, 4);
    __pipeline_commit();
    for (int k = 0; k < parts; k++) {
        if (k + 1 < parts) __pipeline_memcpy_async(held + (k + 1) % 2 * n + i, x + (k + 1) * n + i, 4);
        __pipeline_commit();
        __pipeline_wait_prior(1);
        __syncthreads();
        total += held[k % 2 * n + n - 1 - i];
        __syncthreads();
    }
    out[i] = total;
}

extern "C" __global__ void filled(const float4* x, float4* out, int offset, int zeros) {
    extern __shared__ float4 held[];
    char* to = (char*)held + offset;
    __pipeline_memcpy_async(to, x, 16, zeros);
    __pipeline_commit();
    __pipeline_wait_prior(0);
    *out = held[0];
}
"""


def mirrored(code, order):
    x, out = np.arange(64 * 3, dtype="float32"), np.zeros(64, "float32")
    shim.Module(code).get_function("mirror")((1,), (64,), (x, out, np.int32(3)), order=order, shared_mem=512)
    return out, x.reshape(3, 64)[:, ::-1].sum(0)


@pytest.mark.parametrize("order", ORDERS)
def test_a_copy_is_there_when_it_was_waited_for(order):
    np.testing.assert_array_equal(*mirrored(MIRROR, order))


@pytest.mark.parametrize("k", range(3))
def test_a_wait_or_a_barrier_that_is_missing_is_noticed(k):
    assert shim.barriers(MIRROR) == 4
    broken = shim.without_barrier(MIRROR, k)
    assert any(not np.array_equal(*mirrored(broken, order)) for order in ORDERS)


@pytest.mark.parametrize("zeros", [0, 4, 16])
def test_what_is_not_copied_is_zero(zeros):
    x, out = np.arange(1, 5, dtype="float32"), np.zeros(4, "float32")
    function = shim.Module(MIRROR).get_function("filled")
    function((1,), (1,), (x if zeros < 16 else None, out, np.int32(0), np.int32(zeros)), shared_mem=16)
    np.testing.assert_array_equal(out, np.where(np.arange(4) < 4 - zeros // 4, x, 0))


def test_a_copy_that_is_not_aligned_is_an_error():
    function = shim.Module(MIRROR).get_function("filled")
    x, out = np.ones((2, 4), "float32")
    with pytest.raises(RuntimeError, match="copies 16 bytes"):
        function((1,), (1,), (x, out, np.int32(4), np.int32(0)), shared_mem=32)


def test_shared_memory_has_limits(monkeypatch):
    function = shim.Module(MIRROR).get_function("mirror")
    with pytest.raises(ValueError, match="shared memory"):
        function((1,), (1,), (np.ones(1, "float32"), np.ones(1, "float32"), np.int32(1)), shared_mem=228 << 10)
    fakecupy.install(monkeypatch)
    lib = array_module("cuda")
    x = lib.empty(4, dtype="float32")
    copied = lib.RawModule(code='extern "C" __global__ void leaky_relu(const float* x) {}', options=())
    with pytest.raises(AssertionError, match="50000"):  # which nobody has asked the driver for
        copied.get_function("leaky_relu")((1,), (1,), (x,), shared_mem=50_000)


def test_a_launch_asks_for_the_shared_memory_that_it_needs(monkeypatch):
    fakecupy.install(monkeypatch)
    asked = []

    class Function:
        max_dynamic_shared_size_bytes = 48 << 10

        def __call__(self, grid, block, args, shared_mem):
            asked.append((self.max_dynamic_shared_size_bytes, shared_mem))

    lib = array_module("cuda")
    monkeypatch.setattr(lib, "RawModule", lambda **_: type("Module", (), {"get_function": lambda *_: Function()})())
    for shared in (0, 1000, 90_000):
        launch("pointwise", "leaky_relu", "float32", (1,), (1,), shared=shared, ASKED=shared)
    assert asked == [(48 << 10, 0), (1000, 1000), (90_000, 90_000)]


def test_sanitizers_see_the_end_of_shared_memory():
    script = f"""
import numpy as np, shim
x, out = np.zeros(192, 'float32'), np.zeros(64, 'float32')
function = shim.Module({MIRROR!r}, sanitize=True).get_function("mirror")
for size in (512, 508):
    function((1,), (64,), (x, out, np.int32(3)), shared_mem=size)
    print("ran")
"""
    result = shim.run_sanitized(script)
    assert result.stdout.strip() == "ran"
    assert "heap-buffer-overflow" in result.stderr
