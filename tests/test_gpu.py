"""On a CUDA device: ops, kernels, training steps and captured steps, each against what a CPU or a plain call gives."""

import fakecupy
import numpy as np
import pytest
from cuda_games import batches, dcgan, wgan_gp
from device_checks import check_op_to_second_order, check_training_step
from kernel_checks import EXAMPLES
from op_table import ROWS

import minigan as mg
from minigan.kernels import cublas, cuda_linear
from minigan.tensor import Tensor

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("gpu")]


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
    captured = [turn.graph is not None for turn in game._turns[1]] if graphs else []
    return losses, {key: t.numpy() for key, t in game.state.items()}, captured


@pytest.mark.parametrize("make", [dcgan, wgan_gp])
@pytest.mark.parametrize("precision", ["fp32", "tf32"])
def test_fifty_rounds_replayed_are_fifty_rounds_played(make, precision):
    mg.set_precision(precision)
    try:
        played, played_state, _ = rounds(make, 50, graphs=False)
        replayed, state, captured = rounds(make, 50, graphs=True)
    finally:
        mg.set_precision("fp32")
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


def test_memory_of_others_survives_replays():
    """What is freed while capturing must never be given to anybody but the graph."""
    x = mg.ones((512, 512), device="cuda")
    step = mg.capture(lambda: mg.sum(mg.exp(x * 0.1) @ x))
    expected = [step().item() for _ in range(5)][-1]
    others = [mg.full((512, 512), float(k), device="cuda") for k in range(20)]
    assert [step().item() for _ in range(5)] == [expected] * 5
    for k, other in enumerate(others):
        assert (other.numpy() == k).all()


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


def test_the_stand_in_is_not_left_behind():
    assert mg.backend.array_module("cuda").ndarray is not fakecupy.ndarray
