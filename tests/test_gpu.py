"""On a CUDA device: ops, kernels, training steps and captured steps, each against what a CPU or a plain call gives."""

import gc

import fakecupy
import numpy as np
import pytest
from cuda_games import batches, dcgan, wgan_gp
from cuda_references import bfloat16, from_bfloat16
from device_checks import check_op_to_second_order, check_training_step
from kernel_checks import EXAMPLES
from kernel_comparisons import faces
from op_table import ROWS

import minigan as mg
from minigan.errors import MissingExtra
from minigan.kernels import PRECISIONS, cpu, cublas, cuda, cuda_conv, cuda_graph, cuda_linear, geometry, headroom
from minigan.ops import collective
from minigan.processes import ALONE, NCCLGroup
from minigan.tensor import Tensor

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("gpu")]


@pytest.fixture(params=PRECISIONS)
def precision(request):
    """Each precision, as it is set while the test runs."""
    mg.set_precision(request.param)
    yield request.param
    mg.set_precision("fp32")


@pytest.mark.parametrize(("name", "k"), ROWS)
def test_op_to_second_order(name, k, rng):
    check_op_to_second_order(name, k, rng)


@pytest.mark.parametrize("name", EXAMPLES)
def test_kernels_against_their_references(name):
    for example in EXAMPLES[name]:
        example("gpu")


@pytest.mark.parametrize("make", [dcgan, wgan_gp])
def test_a_training_step(make):
    check_training_step(make)


def rounds(make, n, graphs):
    mg.random.seed(0)
    game, source = make("cuda", "float32"), batches("cuda")
    game.graphs = graphs
    losses = [{name: value.item() for name, value in game.play(source).items()} for _ in range(n)]
    captured = [turn.graph is not None for turn in game._turns[1].values()] if graphs else []
    return losses, {key: t.numpy() for key, t in game.state.items()}, captured


@pytest.mark.parametrize("make", [dcgan, wgan_gp])
def test_fifty_rounds_replayed_are_fifty_rounds_played(make, precision):
    played, played_state, _ = rounds(make, 50, graphs=False)
    replayed, state, captured = rounds(make, 50, graphs=True)
    assert all(captured)
    assert replayed == played
    for key, value in played_state.items():
        assert np.array_equal(state[key], value), key


def test_products_by_cublas_and_by_our_own_kernel():
    cupy = mg.backend.array_module("cuda")
    handle = cublas.find(cupy)
    assert handle is not None, "no cuBLAS library was found"
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(shape).astype("float32") for shape in ((3, 130, 70), (3, 70, 200)))
    out = cupy.empty((3, 130, 200), dtype="float32")
    for run in (handle.product, cuda_linear.own_product):
        out.fill(0)
        run(cupy.asarray(a), cupy.asarray(b), out)
        np.testing.assert_allclose(out.get(), a.astype("float64") @ b, rtol=1e-4, atol=1e-4)


SIZES = [(130, 200, 70), (64, 1, 100), (1, 64, 100), (100, 7, 1), (64, 10, 8192), (4096, 64, 800), (128, 128, 128)]
ROUNDING = {"fp32": 1e-5, "tf32": 5e-3, "bf16": 2e-2}  # of a sum of k products, in units of the root of k or 4


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("leading", [(), (3,)], ids=["one product", "a batch"])
def test_a_bias_in_the_epilogue_is_the_bias_that_is_added(dtype, leading, precision):
    """With a transposed operand; then with biases at an odd place and into rows that lie apart, too."""
    cupy, rng = mg.backend.array_module("cuda"), np.random.default_rng(0)
    exactly = 1e-12 if dtype == "float64" else ROUNDING[precision]
    alike = 1e-12 if dtype == "float64" else ROUNDING["tf32" if precision == "tf32" else "fp32"]
    for m, n, k in SIZES:
        shapes = [(*leading, *shape) for shape in ((m, k), (n, k), (m, n + 3))]
        a, b, wide = (cupy.asarray(rng.standard_normal(shape).astype(dtype)) for shape in shapes)
        bias = cupy.asarray(rng.standard_normal(n + 1).astype(dtype))
        b = b.swapaxes(-1, -2)
        for shift, into in ((bias[:n], None), (bias[1:], None), (bias[1:], wide[..., :n])):
            fused = cuda_linear.product(a, b, shift, out=into).get()
            exact = a.get().astype("float64") @ b.get() + shift.get()
            added = (cuda_linear.product(a, b) + shift).get()
            np.testing.assert_allclose(fused, exact, rtol=0, atol=exactly * max(k, 16) ** 0.5, err_msg=f"{m, n, k}")
            np.testing.assert_allclose(fused, added, rtol=0, atol=alike * max(k, 16) ** 0.5, err_msg=f"{m, n, k}")
            again = cuda_linear.product(a, b, shift, out=into).get()
            assert np.array_equal(fused, again)


def test_cublaslt_adds_the_bias_of_every_float32_product_of_matrices(precision):
    """Without an algorithm, as vectors may be, a bias is a launch of its own, which is right and slower."""
    cupy = mg.backend.array_module("cuda")
    lt = cublas.find(cupy)._lt
    assert lt is not None, "no cuBLASLt was found"
    for m, n, k in SIZES:
        cuda_linear.product(cupy.ones((m, k), "float32"), cupy.ones((n, k), "float32").T, cupy.ones(n, "float32"))
    found = {gemm: plan for (gemm, _), plan in lt._plans.items() if gemm.result.kind == 0}
    matrices = [gemm for gemm in found if min(gemm.rows, gemm.columns, gemm.depth) > 1]
    without = [gemm for gemm in matrices if found[gemm] is None]
    assert matrices
    assert not without, f"{len(without)} of {len(matrices)} kinds: {without}"


def test_captured_products_are_those_that_were_called(precision):
    rng = np.random.default_rng(0)
    x, w, b = (mg.tensor(rng.standard_normal(s).astype("float32"), device="cuda") for s in ((96, 200), (50, 200), 50))
    image, kernel = (
        mg.tensor(rng.standard_normal(s).astype("float32"), device="cuda") for s in ((8, 16, 12, 12), (24, 16, 4, 4))
    )
    shift = mg.tensor(rng.standard_normal(24).astype("float32"), device="cuda")
    step = mg.capture(lambda: (mg.ops.linear(x, w, b), mg.conv2d(image, kernel, shift, stride=2, padding=1)))
    played = [[y.numpy() for y in step()] for _ in range(3)]
    replayed = [[y.numpy() for y in step()] for _ in range(3)]
    assert step.graph is not None
    for found in (*played[1:], *replayed):
        for ours, theirs in zip(found, played[0], strict=True):
            assert np.array_equal(ours, theirs)


def test_products_in_bf16_are_those_of_rounded_operands():
    cupy, rng = mg.backend.array_module("cuda"), np.random.default_rng(0)
    shapes = [((96, 200), (200, 50)), ((3, 70, 33), (3, 33, 17)), ((1, 7), (7, 1)), ((64, 4096), (4096, 64))]
    try:
        mg.set_precision("bf16")
        for pair in shapes:
            a, b = (rng.standard_normal(shape).astype("float32") for shape in pair)
            bias = rng.standard_normal(b.shape[-1]).astype("float32")
            found = cuda_linear.product(*map(cupy.asarray, (a, b, bias))).get()
            exact = [from_bfloat16(bfloat16(x)).astype("float64") for x in (a, b)]
            np.testing.assert_allclose(found, exact[0] @ exact[1] + bias, rtol=0, atol=1e-5 * a.shape[-1] ** 0.5)
    finally:
        mg.set_precision("fp32")


@pytest.mark.parametrize("way", cuda_conv.WAYS)
def test_convolutions_of_each_precision_are_near_those_of_float64(way, precision, monkeypatch):
    monkeypatch.setattr(cuda_conv, "FORCED", way)
    s = geometry.convolution("conv", (16, 32, 17, 16), (48, 32, 4, 4), (2, 2), 1, (1, 1), 1)
    rng = np.random.default_rng(0)
    x, w, y = (rng.standard_normal(shape).astype("float32") for shape in (s.x, s.w, s.y))
    found = faces(cuda, *(mg.tensor(a, device="cuda").data for a in (x, w, y)), s)
    for a, b in zip(found, faces(cpu, *(a.astype("float64") for a in (x, w, y)), s), strict=True):
        assert np.linalg.norm(a.get() - b) < {"fp32": 1e-5, "tf32": 3e-3, "bf16": 8e-3}[precision] * np.linalg.norm(b)


def test_memory_of_others_survives_replays():
    """What is freed while capturing must never be given to anybody but the graph."""
    x = mg.ones((512, 512), device="cuda")
    step = mg.capture(lambda: mg.sum(mg.exp(x * 0.1) @ x))
    expected = [step().item() for _ in range(5)][-1]
    others = [mg.full((512, 512), float(k), device="cuda") for k in range(20)]
    assert [step().item() for _ in range(5)] == [expected] * 5
    for k, other in enumerate(others):
        assert (other.numpy() == k).all()


def test_what_a_game_needs_is_what_it_takes():
    """The pool that everybody shares and that of the graphs, after rounds and a look at them."""
    cupy = mg.backend.array_module("cuda")
    shared = cuda_graph._shared(cupy)
    pools = [cupy.get_default_memory_pool(), shared._pool]
    game, source = dcgan("cuda", "float32"), batches("cuda", count=1024, batch=1024)
    need = mg.gan.memory_needed(game, source)
    gc.collect()
    for pool in pools[: 1 if shared.users else 2]:
        pool.free_all_blocks()
    before = sum(pool.total_bytes() for pool in pools)
    for _ in range(6):
        game.play(source)
    mg.gan.rehearsal.gradient_norms(game, source)
    taken = sum(pool.total_bytes() for pool in pools) - before
    assert all(turn.graph is not None for turn in game._turns[1].values())
    assert 0.85 * taken < need.training(1024) < 1.3 * taken + headroom.SCRATCH, (need, taken)
    assert 0 < need.largest_batch(headroom.free("cuda")) < 1 << 24


def test_streamed_batches(monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (1000, 3, 64, 64)).astype("uint8")
    resident = mg.data.Batches(images, 128, device="cuda")
    streamed = mg.data.StreamedBatches(images, 128)
    for k in range(30):
        np.testing.assert_allclose(streamed.at(k).get(), resident.at(k).get(), rtol=1e-6)


def test_augmented_batches_are_those_of_the_cpu():
    images = np.random.default_rng(0).integers(0, 256, (50, 3, 20, 24)).astype("uint8")
    here, there = (mg.data.Batches(images, 16, device=device, flip=True, crop=3) for device in ("cpu", "cuda"))
    step = mg.tensor(0, device="cuda").data
    draw = mg.capture(lambda: Tensor(there.at(step)))
    for k in range(9):
        there.prepare(k)
        step[...] = k
        for found in (there.at(k).get(), draw().numpy()):
            np.testing.assert_allclose(found, here.at(k), rtol=1e-6)


def test_random_draws_have_the_cpus_integers():
    step = mg.tensor(7, device="cuda")
    on_cpu, on_gpu = mg.random.Stream(1, "a").at(7), mg.random.Stream(1, "a").at(step)
    assert np.array_equal(on_gpu.integers(1000, 100).get(), on_cpu.integers(1000, 100))
    np.testing.assert_allclose(on_gpu.normal(1001).get(), on_cpu.normal(1001), rtol=1e-4, atol=1e-5)
    assert Tensor(on_gpu.uniform(8)).device == "cuda"


def test_sums_over_gpus_in_a_communicator_of_one():
    """Called, and in a graph: each gives back what there is, in memory that stays where it is."""
    try:
        group = NCCLGroup(ALONE)
    except MissingExtra as missing:
        pytest.skip(str(missing))
    for dtype in ("float16", "float32", "float64", "int64", "uint8"):
        values = np.arange(5003).astype(dtype)
        for call in (group.sum, group.max, group.broadcast, group.gather):
            found = call(mg.tensor(values, device="cuda").data).get()
            assert np.array_equal(found, values[None] if call == group.gather else values)

    def work(x):
        return collective._all_mean(x * 2, group), collective._all_gather(x, group), collective._broadcast(x, group, 0)

    x = mg.tensor(np.arange(12.0).reshape(4, 3), device="cuda")
    step = mg.capture(work)
    for _ in range(9):
        x.data += 1
        expected = x.numpy()
        twice, *same = (y.numpy() for y in step(x))
        assert np.array_equal(twice, 2 * expected)
        assert all(np.array_equal(y, expected) for y in same)
    assert step.graph is not None


def test_the_stand_in_is_not_left_behind():
    assert mg.backend.array_module("cuda").ndarray is not fakecupy.ndarray
