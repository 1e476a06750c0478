"""The shim that runs CUDA sources on the CPU: its barriers, shuffles, types and limits are those of CUDA."""

import re

import numpy as np
import pytest
import shim

ORDERS = ["forward", "backward", 1, 2]
on_cpu = pytest.mark.skipif(shim.compiler() is None, reason="needs g++")

SUMS = r"""
typedef REAL real;

__device__ real combine(real* held) {  /* __syncthreads(); in a comment is none */
    for (int half = blockDim.x / 2; half; half /= 2) {
        if (threadIdx.x < half) held[threadIdx.x] += held[threadIdx.x + half];
        __syncthreads();
    }
    return held[0];
}

// Every block writes the sum of its elements, plus that of their doubles, over each of them.
extern "C" __global__ void __launch_bounds__(MOST) block_sum(const real* __restrict__ x, real* out, long long n) {
    __shared__ __align__(16) real held[MOST];
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    real total = 0;
    for (int times = 1; times <= 2; times++) {
        held[threadIdx.x] = i < n ? times * x[i] : 0;
        __syncthreads();
        total += combine(held);
        __syncthreads();
    }
    if (i < n) out[i] = total;
}

extern "C" __global__ void twice(const real* x, real* out, long long n) {
    for (long long i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) out[i] = 2 * x[i];
}
"""

KERNELS = r"""
struct Line {
    float slope;
    int offset;
    double scale;
};
enum Kind { LINE, POINT };

template <int N>
__device__ inline int reversed_in_block(int value) {
    __shared__ int held[N];
    held[threadIdx.x] = value;
    __syncthreads();
    return held[blockDim.x - 1 - threadIdx.x];
}

template <class T>
__device__ T warp_sum(T value) {
#pragma unroll
    for (int d = 16; d; d /= 2) value += __shfl_down_sync(0xffffffffu, value, d);
    return value;
}

#define WARP_KERNEL(name, type) \
    extern "C" __global__ void name(const type* x, type* out) { \
        type sum = warp_sum(x[blockIdx.x * blockDim.x + threadIdx.x]); \
        if (threadIdx.x % 32 == 0) out[(blockIdx.x * blockDim.x + threadIdx.x) / 32] = sum; \
    }
WARP_KERNEL(warp_sums, float)
WARP_KERNEL(warp_sums_of_integers, long long)

extern "C" __global__ void shuffles(const int* x, int* out) {
    int value = x[threadIdx.x], n = blockDim.x;
    out[threadIdx.x] = __shfl_sync(~0u, value, 3);
    out[threadIdx.x + n] = __shfl_sync(~0u, value, 9, 8);
    out[threadIdx.x + 2 * n] = __shfl_up_sync(~0u, value, 2);
    out[threadIdx.x + 3 * n] = __shfl_down_sync(~0u, value, 3, 16);
    out[threadIdx.x + 4 * n] = __shfl_xor_sync(~0u, value, 5);
}

extern "C" __global__ void neighbours(int* x) {  // within a warp, without a barrier of the block
    int value = x[(threadIdx.x + 1) % 32];
    __syncwarp();
    x[threadIdx.x] = value;
}

extern "C" __global__ void reverse(int* x) { x[threadIdx.x] = reversed_in_block<64>(x[threadIdx.x]); }

extern "C" __global__ void garbage(float* out) {
    __shared__ float held[4];
    out[blockIdx.x] = held[0];
    __syncthreads();
    held[0] = 1;
}

extern "C" __global__ void line(const float4* x, float4* out, Line line, int n, Kind kind, bool bend, const void* any) {
    int i = threadIdx.x;
    if (i >= n) return;
    float4 v = __ldg(x + i);
    auto at = [&](float t) { return float(line.scale * (line.slope * t + line.offset)) + kind; };
    out[i] = make_float4(at(v.x), at(v.y), at(v.z), bend || any ? 0.0f : at(v.w));
}

extern "C" __global__ void addresses(float* const* rows, int n) {
    if (threadIdx.x < n) rows[threadIdx.x][0] = rsqrtf(4.0f) + __umulhi(1u << 31, 4);
}

extern "C" __global__ void where(unsigned* order, unsigned* position) {
    unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    unsigned i = block * blockDim.x * blockDim.y * blockDim.z + thread;
    order[position[0]++] = i;
}
"""

DIVERGING = r"""
extern "C" __global__ void leaves(int n) {
    if (threadIdx.x >= n) return;
    __syncthreads();
}
extern "C" __global__ void parts(int n) {
    if (threadIdx.x < n) {
        __syncthreads();
    } else {
        __syncthreads();
    }
}
extern "C" __global__ void meets(int n) {
    if (threadIdx.x < n) __syncthreads();
    else __syncwarp();
}
extern "C" __global__ void excluded(int n) { __syncwarp(1u); }
extern "C" __global__ void shuffles(float* out, int n) {
    if (threadIdx.x >= n) return;
    float sum = 1;
    sum += __shfl_xor_sync(~0u, sum, 1);
    out[threadIdx.x] = sum;
}
"""


def sums(code=SUMS, real="float"):
    return shim.Module(code, ("--std=c++17", f"-DREAL={real}", "-DMOST=256"))


@pytest.fixture(scope="module")
def kernels():
    return shim.Module(KERNELS)


@on_cpu
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("real", ["float", "double"])
def test_block_sums(real, order, rng):
    x = rng.integers(0, 100, 1000).astype("f4" if real == "float" else "f8")
    out = np.full_like(x, np.nan)
    sums(real=real).get_function("block_sum")((8,), (128,), (x, out, np.int64(1000)), order=order)
    expected = 3 * np.add.reduceat(x, np.arange(0, 1000, 128))
    np.testing.assert_array_equal(out, np.repeat(expected, 128)[:1000])


@on_cpu
def test_without_a_barrier_some_order_differs(rng):
    x = rng.integers(0, 100, 512).astype("f4")

    def run(code, order):
        out = np.full_like(x, np.nan)
        sums(code).get_function("block_sum")((2,), (256,), (x, out, np.int64(512)), order=order)
        return out

    assert shim.barriers(SUMS) == 3
    expected = run(SUMS, "forward")
    for k in range(3):
        mutant = shim.without_barrier(SUMS, k)
        assert shim.barriers(mutant) == 2
        assert any(not np.array_equal(run(mutant, order), expected) for order in ORDERS), k
    with pytest.raises(IndexError):
        shim.without_barrier(SUMS, 3)


@on_cpu
def test_only_kernels_that_wait_run_as_fibers(kernels):
    assert sums().get_function("block_sum").fibers
    assert not sums().get_function("twice").fibers
    names = [*re.findall(r"void (\w+)\(", KERNELS)[1:], "warp_sums", "warp_sums_of_integers"]
    fibers = {name for name in names if kernels.get_function(name).fibers}
    assert fibers == {*names} - {"line", "addresses", "where"}
    missed = kernels.get_function("neighbours")
    missed.fibers = False
    with pytest.raises(RuntimeError, match="neighbours: it waits for other threads"):
        missed((1,), (32,), (np.zeros(32, "i4"),))


@on_cpu
@pytest.mark.parametrize("order", ORDERS)
def test_warps(order, kernels, rng):
    for name, dtype in (("warp_sums", "f4"), ("warp_sums_of_integers", "i8")):
        x = rng.integers(0, 2**20, (3, 4, 32)).astype(dtype)
        out = np.zeros((3, 4), dtype)
        kernels.get_function(name)((3,), (128,), (x, out), order=order)
        np.testing.assert_array_equal(out, x.sum(2))
    lanes = np.arange(32)
    out = np.zeros((5, 32), "i4")
    kernels.get_function("shuffles")((1,), (32,), (lanes.astype("i4"), out), order=order)
    np.testing.assert_array_equal(out[0], 3)
    np.testing.assert_array_equal(out[1], lanes // 8 * 8 + 1)
    np.testing.assert_array_equal(out[2], np.where(lanes < 2, lanes, lanes - 2))
    np.testing.assert_array_equal(out[3], np.where(lanes % 16 < 13, lanes + 3, lanes))
    np.testing.assert_array_equal(out[4], lanes ^ 5)
    x = lanes.astype("i4")
    kernels.get_function("neighbours")((1,), (32,), (x,), order=order)
    np.testing.assert_array_equal(x, np.roll(lanes, -1))


@on_cpu
@pytest.mark.parametrize("order", ORDERS)
def test_shared_memory_of_a_template_and_of_a_new_block(order, kernels):
    x = np.arange(64, dtype="i4")
    kernels.get_function("reverse")((1,), (64,), (x,), order=order)
    np.testing.assert_array_equal(x, np.arange(64)[::-1])
    out = np.zeros(3, "f4")
    kernels.get_function("garbage")((3,), (2,), (out,), order=order)
    assert np.isnan(out).all()


@on_cpu
@pytest.mark.parametrize("order", ORDERS)
def test_a_grid_has_every_thread_once(order, kernels):
    visited, position = np.zeros((3 * 2 * 2, 4 * 3 * 2), "u4"), np.zeros(1, "u4")
    kernels.get_function("where")((3, 2, 2), (4, 3, 2), (visited, position), order=order)
    np.testing.assert_array_equal(np.sort(visited, axis=None), np.arange(visited.size))
    assert np.array_equal(visited.ravel(), np.arange(visited.size)) == (order == "forward")
    assert np.array_equal(visited.ravel()[::-1], np.arange(visited.size)) == (order == "backward")


@on_cpu
def test_undefined_waits_are_errors():
    module = shim.Module(DIVERGING)

    def run(name, *args, block=(64,), **kwargs):
        module.get_function(name)((2,), block, args, **kwargs)

    for order in ORDERS:
        with pytest.raises(RuntimeError, match=r"leaves: .* thread \(0, 0, 0\) waits at __syncthreads.* has left"):
            run("leaves", np.int32(40), order=order)
        with pytest.raises(RuntimeError, match=r"parts: .* in line 8, but thread \(3, 0, 0\) .* in line 10"):
            run("parts", np.int32(3), order=order)
        with pytest.raises(RuntimeError, match=r"meets: .*__syncthreads in line 14, but .* waits at __syncwarp"):
            run("meets", np.int32(3), order=order)
        with pytest.raises(RuntimeError, match=r"excluded: .* calls __syncwarp, but mask 0x1 leaves it out"):
            run("excluded", np.int32(3), order=order)
        for name in ("leaves", "parts", "meets"):  # the fibers that were left in the middle begin anew
            run(name, np.int32(64), order=order)
        out = np.zeros(32, "f4")
        run("shuffles", out, np.int32(31), block=(32,), order=order)
        np.testing.assert_array_equal(out[:30], 2)
        assert np.isnan(out[30])  # its partner has left


@on_cpu
def test_structs_vectors_and_addresses(kernels, rng):
    line = np.array((2.0, 3, 0.5), [("slope", "f4"), ("offset", "i4"), ("scale", "f8")])
    x = rng.standard_normal((5, 4)).astype("f4")
    rest = (np.int32(5), np.uint32(0), np.bool_(False), None)
    for form in (line, line[()]):
        out = np.zeros((8, 4), "f4")
        kernels.get_function("line")((1,), (8,), (x, out, form, *rest))
        np.testing.assert_allclose(out[:5], x + 1.5, rtol=1e-6)
        assert not out[5:].any()
    rows = np.zeros((3, 2), "f4")
    places = np.array([row.ctypes.data for row in rows], "u8")
    kernels.get_function("addresses")((1,), (3,), (places, np.int32(3)))
    kernels.get_function("addresses")((1,), (3,), (np.uint64(places.ctypes.data), np.int32(1)))
    np.testing.assert_array_equal(rows, [[2.5, 0]] * 3)


@on_cpu
def test_arguments_have_exactly_the_types_of_the_kernel(kernels):
    twice, line = sums().get_function("twice"), kernels.get_function("line")
    x, n = np.zeros((2, 3, 4, 5), "f4"), np.int64(120)

    def call(*args, function=twice):
        function((1,), (32,), args)

    call(x.transpose(0, 2, 3, 1), x[1:], np.int64(0))
    for wrong in (120, 120.0, np.int32(120), np.uint64(120), np.float64(120), np.array(120), True):
        with pytest.raises(TypeError, match="twice: argument 2 must be a int64"):
            call(x, x, wrong)
    for wrong in (x.astype("f8"), x.view("i4"), x.astype(">f4"), x.tolist(), 0, np.int64(0), np.float32(0)):
        with pytest.raises(TypeError, match="twice: argument 1 must be an array of float32"):
            call(x, wrong, n)
    for wrong in (x[..., ::2], x[:, :2], x[::-1], np.broadcast_to(x[0], x.shape)):
        with pytest.raises(ValueError, match="argument 0 does not fill one block"):
            call(wrong, x, n)
    fixed = x.copy()
    fixed.flags.writeable = False
    call(fixed, x, n)
    with pytest.raises(ValueError, match="argument 1 is read-only"):
        call(x, fixed, n)
    with pytest.raises(TypeError, match="takes 3 arguments, not 2"):
        call(x, x)

    rest = (np.int32(5), np.uint32(0), np.bool_(False), None)
    short = np.zeros((), [("slope", "f4"), ("offset", "i4")])
    for wrong in (short, np.zeros(1, "V16"), np.float64(0), bytes(16)):
        with pytest.raises(TypeError, match="line: argument 2 must be a struct of 16 bytes"):
            call(x, x, wrong, *rest, function=line)
    with pytest.raises(ValueError, match="argument 0 must be aligned to 16 bytes"):
        call(x.reshape(-1)[1:], x, np.zeros((), "V16"), *rest, function=line)


@on_cpu
def test_launches_stay_within_cudas_limits():
    x = np.zeros(4, "f4")
    twice, block_sum = (sums().get_function(name) for name in ("twice", "block_sum"))
    sizes = [((0,), (32,)), ((1, 65536), (32,)), ((1, 1, 65536), (32,)), ((1,), (1025,)), ((1,), (32, 33))]
    for grid, block in [*sizes, ((1,), (0,)), ((1,), (1, 1, 65))]:
        with pytest.raises(ValueError, match="twice: "):
            twice(grid, block, (x, x, np.int64(4)))
    with pytest.raises(ValueError, match="more than 256 threads"):
        block_sum((1,), (512,), (x, x, np.int64(4)))
    for grid, block in [(1, (32,)), ((1,), 32), ((1,) * 4, (32,)), ((), (32,))]:
        with pytest.raises(TypeError, match="must be a tuple of one to three integers"):
            twice(grid, block, (x, x, np.int64(4)))
    for order in ("sideways", -1, 1.0, True):
        with pytest.raises(ValueError, match="order must be"):
            twice((1,), (32,), (x, x, np.int64(4)), order=order)


@on_cpu
def test_misuse_is_named():
    with pytest.raises(RuntimeError, match=r"kernels.cu:2:.*error"):
        shim.Module('\nextern "C" __global__ void broken(int n) { return m; }')
    with pytest.raises(ValueError, match="no kernel 'thrice'; there are block_sum, twice"):
        sums().get_function("thrice")
    with pytest.raises(ValueError, match="no extern"):
        shim.Module("__global__ void hidden() {}")
    with pytest.raises(ValueError, match="unknown option '-O3'"):
        shim.Module(SUMS, ("-O3",))
    with pytest.raises(RuntimeError, match="run_sanitized"):
        shim.Module(DIVERGING, sanitize=True)
    assert shim.Module(KERNELS)._library is shim.Module(KERNELS)._library


SANITIZED = r"""
import os

import numpy as np

import shim

SHARED_END = '''
extern "C" __global__ void shared_end(real* out) {
    __shared__ real held[8];
    real* p = held;
    p[threadIdx.x] = 1;
    __syncthreads();
    out[threadIdx.x] = p[7 - threadIdx.x];
}
'''
module = shim.Module(SUMS + SHARED_END, ("-DREAL=float", "-DMOST=64"), sanitize=True)
diverging = shim.Module(DIVERGING, sanitize=True)
x = shim.guarded(np.arange(100, dtype="f4").reshape(4, 25).T)
assert x.strides == (4, 100) and x[3, 2] == 53
out = shim.guarded(np.zeros(100, "f4"))


def run(name, blocks, threads, *args, order="forward", of=module):
    of.get_function(name)((blocks,), (threads,), args, order=order)


def reported(*args):
    child = os.fork()  # a report ends the process
    if child == 0:
        run(*args)
        os._exit(0)
    return os.waitpid(child, 0)[1] != 0


for order in ("forward", "backward", 1):
    run("block_sum", 2, 64, x, out, np.int64(100), order=order)
    assert out[0] == 3 * sum(range(64)) and out[99] == 3 * sum(range(64, 100))
    for count in (40, 64):  # fibers that were left in the middle begin anew
        try:
            run("leaves", 2, 64, np.int32(count), order=order, of=diverging)
        except RuntimeError:
            assert count == 40
run("shared_end", 1, 8, out)
assert reported("twice", 1, 64, x, out, np.int64(101))
assert reported("block_sum", 2, 64, x, out, np.int64(101))
assert reported("shared_end", 1, 9, out)
print("as expected")
"""


@on_cpu
def test_sanitizers_see_accesses_out_of_bounds():
    done = shim.run_sanitized(f"SUMS = r'''{SUMS}'''\nDIVERGING = r'''{DIVERGING}'''\n{SANITIZED}")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "as expected\n"
    for kernel in ("twice", "block_sum"):
        assert re.search(rf"heap-buffer-overflow(.*\n)+?.*in {kernel} \S*kernels\.cu:\d+", done.stderr), done.stderr
    assert re.search(r"kernels\.cu:\d+.*error: store to address \w+ with insufficient space", done.stderr), done.stderr
