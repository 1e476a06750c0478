"""Captured steps, on the stand-in for CuPy: a replay is the step it was made from, and what cannot be is refused."""

import contextlib
import gc
import sys
import threading

import fakecuda
import fakecupy
import fakepools
import numpy as np
import pytest
import shim
from cuda_games import batches, dcgan, wgan_gp
from fakecuda import counts, device

import minigan as mg
from minigan.capture import WARM_UP, Captured
from minigan.kernels import cuda_graph
from minigan.tensor import Tensor


@pytest.fixture
def cupy(monkeypatch):
    return fakecupy.install(monkeypatch)


def rounds(make, n, graphs):
    """(losses, final state, transfers and launches of each round) of a game from the same seed."""
    mg.random.seed(0)
    game = make("cuda", "float32")
    game.graphs = graphs
    source, losses, costs = batches("cuda"), [], []
    for _ in range(n):
        counts.clear()
        losses.append(game.play(source))
        costs.append((counts.syncs, counts.uploads, counts.launches, counts.graphs))
    values = [{name: value.item() for name, value in each.items()} for each in losses]
    return values, {key: t.numpy() for key, t in game.state.items()}, costs


@pytest.mark.parametrize("make", [dcgan, wgan_gp])
def test_twenty_rounds_replayed_are_twenty_rounds_played(make, cupy):
    played, played_state, played_costs = rounds(make, 20, graphs=False)
    replayed, replayed_state, costs = rounds(make, 20, graphs=True)
    assert replayed == played
    for key, value in played_state.items():
        assert np.array_equal(replayed_state[key], value), key
    epoch = 40 // 8
    for k, (syncs, uploads, launches, graphs) in enumerate(costs):
        assert (syncs, uploads) == (0, int(k % epoch == 0))  # a new order of the images at each epoch
        assert graphs == (2 if k >= WARM_UP else 0)
        if k > WARM_UP:
            assert launches <= 8  # the losses, copied out
    assert min(launches for _, _, launches, _ in played_costs) > 100  # how many exactly is held by test_launches.py


def test_batches_from_a_function_are_copied_into_the_graph(cupy):
    def losses(graphs):
        mg.random.seed(0)
        game, source = dcgan("cuda", "float32"), batches("cuda")
        game.graphs = graphs
        return [game.play(lambda k: Tensor(source.at(k)))["d_loss"].item() for _ in range(8)]

    assert losses(True) == losses(False)


def test_streamed_batches_are_those_that_live_on_the_device(cupy, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (11, 2, 5, 4)).astype("uint8")
    resident = mg.data.shuffled_batches(images, 3, seed=1, device="cuda")
    monkeypatch.setattr("minigan.data.batches.RESIDENT", images.nbytes - 1)
    streamed = mg.data.shuffled_batches(images, 3, seed=1, device="cuda")
    assert isinstance(streamed, mg.data.StreamedBatches)
    for k in (0, 1, 2, 3, 4, 9, 2):  # in order across an epoch, then elsewhere
        counts.clear()
        found = streamed.at(k)
        assert counts.uploads <= 2
        assert found.transpose(0, 2, 3, 1).flags.c_contiguous
        np.testing.assert_allclose(found.get(), resident.at(k).get(), rtol=1e-6)


@pytest.mark.skipif(shim.compiler() is None, reason="needs g++, to compile CUDA C for the CPU")
def test_a_whole_training_step_on_the_kernels_as_they_are_written(monkeypatch):
    def play(order):
        fakecupy.install(monkeypatch, library=None)  # no cuBLAS: every product is a kernel as well
        mg.random.seed(0)
        nn = mg.nn
        G = nn.Sequential(
            *(nn.Linear(4, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Unflatten(1, (2, 2, 2))),
            *(
                nn.ConvTranspose2d(2, 3, 4, 2, 1, bias=False),
                nn.BatchNorm2d(3),
            ),  # whose gradient would be rounding alone
            *(nn.LeakyReLU(0.2), nn.ConvTranspose2d(3, 1, 3)),
        ).to("cuda")
        D = nn.Sequential(
            *(nn.Conv2d(1, 4, 3, 2, 1), nn.LeakyReLU(0.2), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4, 1))
        ).to("cuda")
        game = mg.gan.ScoreGame(
            *(G, D),
            loss=mg.gan.losses.nonsaturating,
            penalty=mg.gan.penalties.gradient_penalty,
            latent=mg.gan.normal_latent(4),
            generator_optimizer=mg.optim.Adam(G.parameters(), 1e-3),
            discriminator_optimizer=mg.optim.RMSProp(D.parameters(), 1e-3),
            ema=mg.optim.EMA(G, 0.9),
        )
        images = np.random.default_rng(0).integers(0, 256, (12, 1, 6, 6)).astype("uint8")
        source = mg.data.Batches(images, 4, device="cuda")
        device.order = order
        try:
            losses = [game.play(source) for _ in range(WARM_UP + 2)]  # the last two are replays
        finally:
            device.order = None
        return [v.item() for each in losses for v in each.values()], {k: t.numpy() for k, t in game.state.items()}

    expected, expected_state = play(None)
    found, state = play("backward")
    assert found == pytest.approx(expected, rel=1e-4)
    for key, value in expected_state.items():
        np.testing.assert_allclose(state[key], value, rtol=1e-3, atol=1e-5, err_msg=key)


# --- mg.capture ------------------------------------------------------------------------------------------------


def test_a_captured_function_gives_what_the_function_gives(cupy):
    w = mg.tensor([[1.0, 2.0], [3.0, 4.0]], device="cuda")
    step = mg.capture(lambda x, power: {"y": x @ w, "total": mg.sum(x**power), "two": [power, (mg.mean(x),)]})
    for k in range(WARM_UP + 3):
        x = mg.tensor(np.full((1, 2), k), dtype="float32", device="cuda")
        out = step(x, 2)
        assert out["y"].numpy().tolist() == [[4 * k, 6 * k]]
        assert out["total"].item() == 2 * k**2
        assert out["two"][0] == 2
        assert out["two"][1][0].item() == k
    assert step.graph is not None


def test_results_outlive_the_next_replay(cupy):
    step = mg.capture(lambda x: (mg.sum(x), x * 2))
    results = [step(mg.full((3,), float(k), device="cuda")) for k in range(WARM_UP + 4)]
    assert [total.item() for total, _ in results] == [3 * k for k in range(WARM_UP + 4)]
    assert [twice.numpy()[0] for _, twice in results] == [2 * k for k in range(WARM_UP + 4)]


def test_what_a_step_changes_in_place_it_changes_at_each_replay(cupy):
    p = mg.nn.Parameter(mg.ones(2)).to("cuda")
    p = mg.nn.Parameter(p)
    optimizer = mg.optim.SGD([p], 0.5)
    step = mg.capture(lambda: optimizer.minimize(mg.sum(p)) or mg.sum(p))
    for k in range(WARM_UP + 3):
        assert step().item() == pytest.approx(2 - (k + 1))
    assert optimizer.t.item() == WARM_UP + 3
    optimizer.lr = 0.0  # read from the device, so it holds for replays too
    assert step().item() == step().item()


def test_a_replay_makes_old_graphs_stale(cupy):
    p = mg.nn.Parameter(mg.ones(2).to("cuda"))
    step = mg.capture(lambda: mg.optim.SGD([p], 0.5).minimize(mg.sum(p)) or mg.sum(p))
    for _ in range(WARM_UP + 1):
        step()
    y = mg.sum(p * p)
    step()
    with pytest.raises(mg.errors.GraphError, match=r"changed in place by SGD\.step"):
        mg.grad(y, p)


def test_an_argument_that_is_replaced_is_copied_from_then_on(cupy):
    step = mg.capture(lambda x: mg.sum(x))
    same = mg.ones(2, device="cuda")
    for _ in range(WARM_UP + 2):
        assert step(same).item() == 2
    for k in range(3 * WARM_UP):
        assert step(mg.full((2,), float(k), device="cuda")).item() == 2 * k
    assert step.graph is not None


def test_a_step_whose_parameters_moved_elsewhere_is_captured_again(cupy):
    p = mg.nn.Parameter(mg.ones(2).to("cuda"))
    optimizer = mg.optim.SGD([p], 0.5)
    step = mg.capture(lambda: optimizer.minimize(mg.sum(p)) or mg.sum(p))
    for _ in range(WARM_UP + 1):
        step()
    first = step.graph
    p.data = cupy.asarray(np.array([5.0, 5.0], "float32"))
    for k in range(WARM_UP + 1):
        assert step().item() == 10 - (k + 1)
    assert step.graph not in (None, first)


def test_graphs_can_be_turned_off(cupy):
    calls = []
    step = Captured(lambda: calls.append(1) or mg.ones((), device="cuda"), enabled=False)
    for _ in range(6):
        step()
    assert len(calls) == 6


def test_arguments_of_another_shape_run_without_a_graph_after_one_warning(cupy):
    step = mg.capture(lambda x: mg.sum(x))
    for _ in range(WARM_UP + 1):
        step(mg.ones((2, 3), device="cuda"))
    with pytest.warns(RuntimeWarning, match=r"without a CUDA graph.*\(2, 3\).*\(5, 3\)"):
        assert step(mg.ones((5, 3), device="cuda")).item() == 15
    assert step(mg.ones((4, 3), device="cuda")).item() == 12  # no second warning
    assert step(mg.ones((2, 3), device="cuda")).item() == 6  # which is replayed


# --- memory -------------------------------------------------------------------------------------------------------


def private():
    """The pool of graphs."""
    return cuda_graph._shared(sys.modules["cupy"])._pool


def test_graphs_lie_in_the_same_memory(cupy):
    """What a second one needs as long as it is recorded lies where the first one's lay."""

    def temporaries(x):
        return mg.sum(((x * 2 + 1) * 3 + 1) * x)

    x = mg.ones((1 << 16,), device="cuda")
    sizes = []
    steps = [mg.capture(temporaries) for _ in range(4)]
    for step in steps:
        found = [step(x).item() for _ in range(WARM_UP + 2)]
        assert found == [10 << 16] * (WARM_UP + 2)
        sizes.append(private().total_bytes())
    assert x.data.nbytes < sizes[0] <= sizes[-1] < sizes[0] + 4 * 512
    for step in reversed(steps):
        assert step(x).item() == 10 << 16


def test_memory_of_graphs_that_are_gone_is_given_back(cupy):
    for n in (1 << 16, 1 << 10):
        step = mg.capture(lambda x: x * 2 + 1)
        for _ in range(WARM_UP + 1):
            step(mg.ones((n,), device="cuda"))
        assert step.graph is not None
        total = private().total_bytes()
        del step
        gc.collect()
    assert total < 1 << 16


def test_what_calls_lay_in_is_free_before_a_graph_needs_memory(cupy):
    step = mg.capture(lambda x: mg.sum(x * 2 + 1))
    x = mg.ones((1 << 16,), device="cuda")
    for _ in range(WARM_UP):
        step(x)
    pool = cupy.get_default_memory_pool()
    assert pool.free_bytes() >= x.data.nbytes
    step(x)
    assert step.graph is not None
    assert pool.free_bytes() < x.data.nbytes


def test_a_capture_that_finds_no_memory_leaves_other_graphs_theirs(cupy, monkeypatch):
    """CuPy's own pool would free what it holds and try again: memory into which the graph before it writes."""
    x = mg.ones((1 << 16,), device="cuda")
    before = mg.capture(lambda x: mg.sum(x * 2 + 1))
    large = mg.capture(lambda x: [x + k for k in range(20)])
    for _ in range(WARM_UP + 1):
        assert before(x).item() == 3 << 16
    for _ in range(WARM_UP):
        large(x)
    held = private().total_bytes()
    pool = cupy.get_default_memory_pool()
    pool.free_all_blocks()
    monkeypatch.setattr(fakepools.Memory, "size", fakepools.Memory.taken + 12 * x.data.nbytes)
    refused = "runs without a CUDA graph: MemoryError: no memory for a graph"
    with pytest.warns(RuntimeWarning, match=refused), pytest.raises(MemoryError):
        large(x)
    assert private().total_bytes() >= held
    assert before(x).item() == 3 << 16


def test_a_graph_waits_for_the_one_that_another_stream_launched(cupy, monkeypatch):
    waited = []
    monkeypatch.setattr(fakecuda.Stream, "wait_event", lambda stream, event: waited.append(stream))
    steps = [mg.capture(lambda x: mg.sum(x * 2)) for _ in range(2)]
    x = mg.ones((3,), device="cuda")
    for step in steps:
        for _ in range(WARM_UP + 1):
            step(x)
    assert not waited
    other = cupy.cuda.Stream(non_blocking=True)
    with other:
        assert steps[0](x).item() == 6
        assert steps[1](x).item() == 6
    assert waited == [other]


def test_what_a_graph_reads_is_not_written_while_another_stream_launches_it(cupy, monkeypatch):
    before = []  # each wait
    monkeypatch.setattr(fakecuda.Stream, "wait_event", lambda stream, event: before.append(counts.launches))
    step = mg.capture(lambda x: mg.sum(x * 2))
    *xs, last = (mg.ones((3,), device="cuda") for _ in range(WARM_UP + 2))
    for x in xs:
        step(x)
    counts.clear()
    with cupy.cuda.Stream(non_blocking=True):
        step(last)
    assert before == [0]
    assert counts.launches > 0  # the copy of the argument


def test_no_thread_launches_a_graph_until_results_of_another_are_copied(cupy, monkeypatch):
    """They lie where others' results come and go."""
    steps = [mg.capture(lambda x: x * 2) for _ in range(2)]
    x = mg.ones((3,), device="cuda")
    for step in steps:
        for _ in range(WARM_UP + 1):
            step(x)
    copied = []
    module = sys.modules["minigan.capture"]  # the package has a function of that name
    other = threading.Thread(target=steps[1], args=(x,))
    copy = module._unpacked

    def slowly(*packed):
        thread = threading.current_thread()
        if thread is not other:
            other.start()
            other.join(0.3)
        copied.append(thread)
        return copy(*packed)

    monkeypatch.setattr(module, "_unpacked", slowly)
    steps[0](x)
    other.join()
    assert copied == [threading.current_thread(), other]


# --- what cannot be captured ------------------------------------------------------------------------------------


def reads_back(x):
    return x / float(mg.sum(x))


def sends(x):
    return x * mg.tensor(np.ones(2, "float32"), device="cuda")


def goes_through_cupys_cublas(x):
    return mg.einsum("i,ij->j", x, mg.ones((2, 2), device="cuda"))


def draws_by_the_host(x):
    return x + Tensor(mg.random.Stream(0).at(3).uniform(2, device="cuda"))


def test_an_argument_of_the_host_that_changes_is_not_frozen(cupy):
    """A replay would not see it change, so there is none."""
    step = mg.capture(lambda g, c: (g * 2, c * 2))
    g = mg.tensor([1.0], device="cuda")
    with pytest.warns(RuntimeWarning, match=r"an argument \(\) on the cpu is another array at each call"):
        found = [step(g, mg.tensor(float(k)))[1].item() for k in range(6)]
    assert found == [0, 2, 4, 6, 8, 10]


REFUSED = {
    reads_back: "ndarray.item",
    sends: "cannot be copied to cuda within a captured step",
    goes_through_cupys_cublas: "cuBLAS",
    draws_by_the_host: "would be the same in every replay",
}


@pytest.mark.parametrize("fn", REFUSED, ids=lambda fn: fn.__name__)
def test_what_cannot_be_captured_runs_without_a_graph_after_one_warning(fn, cupy):
    step = mg.capture(fn)
    x = mg.tensor([1.0, 3.0], device="cuda")
    expected = fn(x).numpy()
    for _ in range(WARM_UP):
        step(x)
    with pytest.warns(RuntimeWarning, match=f"{fn.__name__} runs without a CUDA graph: .*{REFUSED[fn]}"):
        found = step(x)
    assert np.array_equal(found.numpy(), expected)
    assert np.array_equal(step(x).numpy(), expected)
    assert step.graph is None
    assert device.tape is None  # the capture was ended


def test_many_arrays_are_joined_within_a_graph(cupy):
    parts = [mg.tensor(np.full((2, 3), k, "float32"), device="cuda") for k in range(20)]
    step = mg.capture(lambda: mg.concatenate(parts))
    results = [step().numpy() for _ in range(5)]
    assert step.graph is not None
    np.testing.assert_array_equal(results[-1], np.repeat(np.arange(20.0), 2)[:, None] * np.ones(3))


def test_an_argument_that_would_be_changed_in_a_copy_is_refused(cupy):
    def change(x):
        x.copy_(x * 2)
        return mg.sum(x)

    step = mg.capture(change)
    for k in range(WARM_UP + 3):
        x = mg.ones(2, device="cuda")
        with pytest.warns(RuntimeWarning, match="copy_ writes into") if k == WARM_UP else contextlib.nullcontext():
            assert step(x).item() == 4
        assert x.numpy().tolist() == [2, 2]


def test_an_error_of_the_step_itself_is_raised(cupy):
    calls = []

    def fails_later(x):
        calls.append(1)
        return x @ x if len(calls) > WARM_UP else mg.sum(x)

    step = mg.capture(fails_later)
    x = mg.ones((2, 3), device="cuda")
    for _ in range(WARM_UP):
        step(x)
    with pytest.warns(RuntimeWarning, match="inner sizes differ"), pytest.raises(mg.errors.ShapeError):
        step(x)


def test_a_baked_step_count_is_noticed(cupy):
    """Comparing replays with plain calls, as above, catches a number of the host that a graph has kept."""

    class Careless(mg.optim.SGD):
        def step(self, grads):
            self.steps = getattr(self, "steps", 0) + 1
            super().step([g * (1 / self.steps) for g in grads])

    def careless(device, dtype):
        game = dcgan(device, dtype)
        game.optimizers["discriminator"] = Careless(game.discriminator.parameters(), 1e-3)
        return game

    played, _, _ = rounds(careless, WARM_UP + 3, graphs=False)
    replayed, _, _ = rounds(careless, WARM_UP + 3, graphs=True)
    assert replayed[: WARM_UP + 1] == played[: WARM_UP + 1]
    assert replayed != played


def test_memory_that_others_might_be_given_is_noticed(cupy, monkeypatch):
    monkeypatch.setattr(cupy.cuda, "using_allocator", lambda malloc: contextlib.nullcontext())
    step = mg.capture(lambda x: mg.sum(x * 2))
    x = mg.ones(2, device="cuda")
    for _ in range(WARM_UP):
        step(x)
    with pytest.warns(RuntimeWarning, match="pool that everybody shares"):
        step(x)


def test_the_stand_in_refuses_what_cuda_refuses_while_capturing(cupy):
    x = cupy.asarray(np.ones(3, "float32"))
    for refused, error in (
        (lambda: x.get(), RuntimeError),
        (lambda: bool(x[0]), RuntimeError),
        (lambda: cupy.asarray(np.ones(3)), RuntimeError),
        (lambda: x @ x, NotImplementedError),
        (lambda: cupy.dot(x, x), NotImplementedError),
    ):
        stream, pool = cupy.cuda.Stream(non_blocking=True), cupy.cuda.MemoryPool()
        with stream, cupy.cuda.using_allocator(pool.malloc):
            stream.begin_capture()
            with pytest.raises(error):
                refused()
            with contextlib.suppress(fakecuda.CUDARuntimeError):
                stream.end_capture()
    with pytest.raises(RuntimeError, match="null stream"):
        cupy.cuda.Stream.null.begin_capture()


def test_a_capture_on_the_stand_in_executes_nothing(cupy):
    x = cupy.asarray(np.ones(3, "float32"))
    stream, pool = cupy.cuda.Stream(), cupy.cuda.MemoryPool()
    with stream, cupy.cuda.using_allocator(pool.malloc):
        stream.begin_capture()
        x += 1
        graph = stream.end_capture()
    assert x.get().tolist() == [1, 1, 1]
    graph.launch()
    graph.launch()
    assert x.get().tolist() == [3, 3, 3]
