"""Captured steps on a CPU: a replay is the step it was made from, to the bit, and what cannot be replayed is played."""

import contextlib
import copy
import gc
import threading
import warnings

import numpy as np
import pytest

import minigan as mg
from minigan.capture import WARM_UP, Captured
from minigan.kernels import cpu_graph
from minigan.tensor import Tensor

RECORDED = WARM_UP + 2  # calls after which the next one is a replay


def points(n=64, dtype="float32"):
    return np.random.default_rng(0).standard_normal((n, 2)).astype(dtype)


def plane_game(**options):
    mg.random.seed(0)
    nn = mg.nn
    G = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 2))
    D = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
    optimizers = {
        "generator_optimizer": mg.optim.Adam(G.parameters(), 1e-2, (0.5, 0.999)),
        "discriminator_optimizer": mg.optim.Adam(D.parameters(), 1e-2, (0.5, 0.999)),
    }
    given = {"loss": mg.gan.losses.nonsaturating, "latent": mg.gan.normal_latent(2), **optimizers, **options}
    return mg.gan.ScoreGame(G, D, **given)


def numbers(losses):
    return {name: value.item() for name, value in losses.items()}


def state_of(game):
    return {key: t.numpy() for key, t in game.state.items()}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key], equal_nan=True) for key in a)


# --- what a replay gives --------------------------------------------------------------------------------------


def test_a_captured_function_gives_what_the_function_gives_and_is_not_called_any_more():
    calls = []
    w = mg.tensor([[1.0, 2.0], [3.0, 4.0]])

    def fn(x, power):
        calls.append(1)
        return {"y": x @ w, "total": mg.sum(x**power), "two": [power, (mg.mean(x),)], "w": w, "turned": w.T}

    step = mg.capture(fn)
    for k in range(RECORDED + 4):
        out = step(mg.tensor(np.full((1, 2), k), dtype="float32"), 2)
        assert out["y"].numpy().tolist() == [[4 * k, 6 * k]]
        assert out["total"].item() == 2 * k**2
        assert (out["two"][0], out["two"][1][0].item()) == (2, k)
        assert out["turned"].numpy().tolist() == [[1, 3], [2, 4]]
        assert (step.graph is not None) == (k + 1 >= RECORDED)
    assert len(calls) == RECORDED


def test_results_are_copies_that_outlive_the_next_replay():
    step = mg.capture(lambda x: (mg.sum(x), x * 2))
    results = [step(mg.full((3,), float(k))) for k in range(RECORDED + 4)]
    assert [total.item() for total, _ in results] == [3 * k for k in range(RECORDED + 4)]
    assert [twice.numpy()[0] for _, twice in results] == [2 * k for k in range(RECORDED + 4)]


def test_a_learning_rate_a_loaded_weight_and_a_step_are_read_where_they_lie():
    p = mg.nn.Parameter(mg.ones(2))
    optimizer = mg.optim.SGD([p], 0.5)
    step = mg.capture(lambda: optimizer.minimize(mg.sum(p)) or mg.sum(p))
    for k in range(RECORDED + 2):
        assert step().item() == pytest.approx(2 - (k + 1))
    assert step.graph is not None
    optimizer.lr = 0.0
    assert step().item() == step().item()
    p.copy_([5.0, 6.0])
    assert step().item() == 11
    assert optimizer.t.item() == RECORDED + 5


def parameters_of_kinds(kind):
    """Parameters that one kernel moves in more ways than one."""
    draw = np.random.default_rng(0).standard_normal
    if kind == "two types":
        return [mg.nn.Parameter(draw((3, 4)).astype(dtype)) for dtype in ("float32", "float64")]
    order = (0, 2, 1) if kind == "another order" else (2, 0, 1)
    turned = draw((3, 5, 4)).astype("float32").transpose(order)
    gaps = mg.nn.Parameter(np.zeros((4, 3), "float32"))
    gaps.data = draw((4, 6)).astype("float32")[:, ::2]
    return [mg.nn.Parameter(turned), mg.nn.Parameter(draw(4).astype("float32")), gaps]


@pytest.mark.parametrize("kind", ["two types", "another order", "a third order"])
@pytest.mark.parametrize("make", [mg.optim.SGD, mg.optim.RMSProp, mg.optim.Adam])
def test_a_replayed_optimizer_moves_each_parameter_however_it_lies(kind, make):
    played, replayed = parameters_of_kinds(kind), parameters_of_kinds(kind)
    begun = [p.numpy() for p in played]
    steps = []
    for params in (played, replayed):
        opt = make(params, 0.1)

        def fn(opt=opt, params=params):
            losses = [mg.sum(mg.square(p + 1)).astype("float64") for p in params]
            opt.minimize(sum(losses[1:], losses[0]))
            return losses[0]

        steps.append(fn if params is played else mg.capture(fn))
    for _ in range(RECORDED + 3):
        for step in steps:
            step()
    assert steps[1].graph is not None
    for before, ours, theirs in zip(begun, played, replayed, strict=True):
        assert (ours.numpy() != before).all()
        np.testing.assert_array_equal(theirs.numpy(), ours.numpy())


def test_a_replayed_convolution_of_sequences_learns(rng):
    nets = []
    for _ in "ab":
        mg.random.seed(0)
        nets.append(mg.nn.Conv1d(4, 6, 3, padding=1))

    def step(net):
        opt = mg.optim.SGD(net.parameters(), 0.1)

        def fn(x):
            loss = mg.mean(mg.square(net(mg.transpose(x, (0, 2, 1)))))
            opt.minimize(loss)
            return loss

        return fn

    played, replayed = step(nets[0]), mg.capture(step(nets[1]))
    for _ in range(RECORDED + 3):
        x = mg.tensor(rng.standard_normal((5, 7, 4)).astype("float32"))
        assert played(x).item() == replayed(x).item()
    assert replayed.graph is not None
    for ours, theirs in zip(*(net.parameters() for net in nets), strict=True):
        np.testing.assert_array_equal(theirs.numpy(), ours.numpy())


@pytest.mark.parametrize("which", ["written", "read"])
def test_an_array_that_is_another_one_is_noticed_and_the_step_recorded_again(which):
    p, frozen = mg.nn.Parameter(mg.ones(2)), mg.nn.Parameter(mg.ones(2))
    optimizer = mg.optim.SGD([p], 0.5)
    step = mg.capture(lambda: optimizer.minimize(mg.sum(p * frozen)) or mg.sum(p))
    for _ in range(RECORDED + 1):
        step()
    first = step.graph
    if which == "read":
        frozen.data = np.array([2.0, 2.0], "float32")
    p.data = np.array([5.0, 5.0], "float32") if which == "written" else p.data
    start, pace = p.numpy().sum(), frozen.numpy().sum() * 0.5
    for k in range(RECORDED + 1):
        assert step().item() == start - pace * (k + 1)
    assert step.graph not in (None, first)


def test_a_replay_makes_old_graphs_stale():
    p = mg.nn.Parameter(mg.ones(2))
    optimizer = mg.optim.SGD([p], 0.5)
    step = mg.capture(lambda: optimizer.minimize(mg.sum(p)) or mg.sum(p))
    for _ in range(RECORDED):
        step()
    y = mg.sum(p * p)
    step()
    with pytest.raises(mg.errors.GraphError, match=r"changed in place by SGD\.step"):
        mg.grad(y, p)


def test_a_step_that_returns_nothing_is_replayed_too():
    count, calls = mg.zeros(()), []

    def fn():
        calls.append(1)
        count.copy_(count + 1)

    step = mg.capture(fn)
    for _ in range(20):
        assert step() is None
    assert (count.item(), len(calls)) == (20, RECORDED)


def test_arguments_of_another_shape_are_played_after_one_warning_and_the_others_replayed():
    step = mg.capture(lambda x: mg.sum(x))
    for _ in range(RECORDED):
        step(mg.ones((2, 3)))
    with pytest.warns(RuntimeWarning, match=r"without being replayed.*\(2, 3\).*\(5, 3\)"):
        assert step(mg.ones((5, 3))).item() == 15
    assert step(mg.ones((4, 3))).item() == 12
    assert step(mg.ones((2, 3))).item() == 6


def test_while_somebody_observes_a_step_is_played():
    seen = []
    step = mg.capture(lambda x: mg.sum(x * 2))
    for k in range(RECORDED + 3):
        if k == RECORDED + 1:
            with mg.observe(lambda op, args, out, order: seen.append(op.name)):
                assert step(mg.ones(2)).item() == 4
        assert step(mg.ones(2)).item() == 4
    assert seen == ["multiply", "sum"]


def test_a_captured_step_within_another_is_a_part_of_it():
    inner = mg.capture(lambda x: x * 3)
    outer = mg.capture(lambda x: mg.sum(inner(x)))
    for k in range(RECORDED + 3):
        assert outer(mg.full((2,), float(k))).item() == 6 * k
    assert outer.graph is not None


def test_copies_begin_anew():
    step = Captured(lambda x: x + 1, name="more")
    for _ in range(RECORDED):
        step(mg.ones(1))
    other = copy.deepcopy(step)
    assert (other.graph, other.name, other.fn) == (None, "more", step.fn)


# --- memory ---------------------------------------------------------------------------------------------------


def test_results_that_live_at_once_do_not_overlap_and_the_arena_is_no_larger_than_it_must():
    rng = np.random.default_rng(0)
    for _ in range(50):
        n = int(rng.integers(1, 40))
        sizes = [int(size) for size in rng.integers(0, 5000, n)]
        lives = [(int(a), int(a + d)) for a, d in zip(rng.integers(0, 40, n), rng.integers(0, 20, n), strict=True)]
        places, size = cpu_graph.planned(sizes, lives)
        for i in range(n):
            assert places[i] % 64 == 0
            assert places[i] + sizes[i] <= size
            for j in range(i):
                apart = lives[i][1] < lives[j][0] or lives[j][1] < lives[i][0]
                assert apart or places[i] + sizes[i] <= places[j] or places[j] + sizes[j] <= places[i]
        most = max(
            sum(-(-s // 64) * 64 for s, (a, b) in zip(sizes, lives, strict=True) if a <= t <= b) for t in range(60)
        )
        assert most <= size <= 1.5 * most + 64


def test_a_chain_of_results_takes_two_places():
    assert cpu_graph.planned([640] * 9, [(k, k + 1) for k in range(9)]) == ([0, 640] * 4 + [0], 1280)


def test_replays_share_one_arena_that_goes_with_the_last_of_them(monkeypatch):
    monkeypatch.setattr(cpu_graph, "_arenas", {})
    small, large = (mg.capture(lambda x: mg.sum(mg.exp(x) * 2)) for _ in range(2))
    x, y = mg.ones(1000), mg.ones(4000)
    for _ in range(RECORDED + 1):
        assert small(x).item() == pytest.approx(2000 * np.e)
    for _ in range(RECORDED + 1):
        large(y)
    assert small.graph._memory is None  # it has let go of the smaller one
    assert small(x).item() == pytest.approx(2000 * np.e)
    assert small.graph._memory is large.graph._memory
    del small, large
    gc.collect()
    (arena,) = cpu_graph._arenas.values()
    assert arena._held() is None


# --- what cannot be replayed ------------------------------------------------------------------------------------

HELD = {"count": 0, "array": mg.zeros(2), "kept": None}


def reads_back(x):
    return x / float(mg.sum(x))


def makes_a_tensor_of_its_own(x):
    return x * mg.tensor(np.ones(2, "float32"))


def draws_from_the_default_stream(x):
    return x + Tensor(mg.random.default().uniform(2))


def draws_by_numpy(x):
    return x + Tensor(np.random.default_rng(0).random(2, dtype="float32"))


def counts_on_the_host(x):
    HELD["count"] += 1
    return x * HELD["count"]


def writes_around_the_door(x):
    HELD["count"] += 1
    HELD["array"].data[...] = HELD["count"]
    return x + HELD["array"]


def writes_at_its_end(x):
    y = x * HELD["array"]
    HELD["array"].data += 1
    return y


def does_more_from_call_to_call(x):
    HELD["count"] += 1
    for _ in range(HELD["count"]):
        x = x * 2
    return x


def keeps_what_it_makes(x):
    HELD["kept"] = x * 2
    return mg.sum(HELD["kept"])


REFUSED = {
    reads_back: "it reads an array .* back",
    makes_a_tensor_of_its_own: r"multiply reads an array \(2,\) float32 that is another one at each call",
    draws_from_the_default_stream: "uniform reads 3 at first, and 4 in the next call",
    draws_by_numpy: "another one at each call",
    counts_on_the_host: "multiply reads 4 at first, and 5 in the next call",
    writes_around_the_door: "changed in a way that is not recorded|changed by the step",
    writes_at_its_end: "changed in a way that is not recorded",
    does_more_from_call_to_call: "in the next call",
    keeps_what_it_makes: "multiply made is kept after the step",
}


@pytest.mark.parametrize("fn", REFUSED, ids=lambda fn: fn.__name__)
def test_what_cannot_be_replayed_is_played_after_one_warning_that_says_why(fn):
    def results(step):
        HELD.update(count=0, array=mg.zeros(2), kept=None)
        mg.random.seed(0)
        return [step(x).numpy().tolist() for _ in range(RECORDED + 3)]

    x = mg.tensor([1.0, 3.0])
    step = mg.capture(fn)
    expected = results(fn)
    with pytest.warns(RuntimeWarning, match=f"{fn.__name__} runs without being replayed: .*({REFUSED[fn]})") as told:
        found = results(step)
    assert found == expected
    assert len(told) == 1
    assert step.graph is None


def test_an_argument_that_would_be_changed_in_a_copy_is_changed_and_the_step_played():
    def change(x):
        x.copy_(x * 2)
        return mg.sum(x)

    step = mg.capture(change)
    for k in range(RECORDED + 2):
        x = mg.ones(2)
        with pytest.warns(RuntimeWarning, match="copy_ writes into") if k == WARM_UP else contextlib.nullcontext():
            assert step(x).item() == 4
        assert x.numpy().tolist() == [2, 2]


def test_an_error_of_the_step_is_raised_once_and_the_next_call_goes_on():
    """Whatever call it comes in: nothing is done twice."""
    for fails_at in range(1, RECORDED + 4):
        p = mg.nn.Parameter(mg.ones(2))
        optimizer, calls = mg.optim.SGD([p], 1.0), []

        def fn(x, p=p, optimizer=optimizer, calls=calls, fails_at=fails_at):
            calls.append(1)
            optimizer.minimize(mg.sum(p))
            if len(calls) == fails_at:
                raise ValueError("on purpose")
            return mg.sum(p) + mg.sum(x)

        step = mg.capture(fn)
        for k in range(1, RECORDED + 6):
            if k == fails_at and k <= RECORDED:
                with pytest.raises(ValueError, match="on purpose"):
                    step(mg.zeros(1))
            else:
                assert step(mg.zeros(1)).item() == 2 - 2 * k
        assert step.graph is not None


def test_an_error_in_a_replay_leaves_it_usable():
    table = mg.tensor([[1.0], [2.0]])
    step = mg.capture(lambda rows: mg.sum(table[rows] * 2))
    for _ in range(RECORDED + 1):
        assert step(mg.tensor([0, 1])).item() == 6
    with pytest.raises(IndexError):
        step(mg.tensor([0, 7]))
    assert step(mg.tensor([1, 1])).item() == 8


def test_threads_replay_one_after_the_other():
    wrong = []
    shared = mg.capture(lambda x: (x * 2 + 1, mg.sum(x)))

    def work(value):
        own = mg.capture(lambda x: mg.exp(x) * 0 + x)
        for k in range(200):
            x = mg.full((50, 50), float(value + k))
            twice, total = shared(x)
            if (twice.numpy() != 2 * (value + k) + 1).any() or total.item() != 2500.0 * (value + k):
                wrong.append(value)
            if (own(mg.full((50,), 0.5 * value)).numpy() != 0.5 * value).any():
                wrong.append(-value)

    threads = [threading.Thread(target=work, args=(v,)) for v in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert shared.graph is not None


# --- games ------------------------------------------------------------------------------------------------------


def test_a_game_is_replayed_by_itself_and_plays_the_same(recwarn):
    outcomes = []
    for graphs in (False, True):
        game, source = plane_game(ema=None), mg.data.Batches(points(), 16)
        game.graphs = graphs
        outcomes.append(([numbers(game.play(source)) for _ in range(30)], state_of(game)))
    assert outcomes[0][0] == outcomes[1][0]
    assert same(outcomes[0][1], outcomes[1][1])
    assert [turn.graph is not None for turn in game._turns[1].values()] == [True, True]
    assert not recwarn


def test_a_game_goes_on_with_a_loaded_state_another_rate_and_another_batch_size():
    def play(graphs):
        game, source, small = plane_game(), mg.data.Batches(points(), 16), mg.data.Batches(points(), 8)
        game.graphs = graphs
        losses = [numbers(game.play(source)) for _ in range(RECORDED + 2)]
        saved = state_of(game)
        losses += [numbers(game.play(source)) for _ in range(3)]
        game.load_state(saved)
        game.optimizers["generator"].lr = 0.5
        losses += [numbers(game.play(source)) for _ in range(3)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            losses += [numbers(game.play(small)) for _ in range(3)]
        losses += [numbers(game.play(source)) for _ in range(3)]
        return losses, state_of(game)

    (played, state), (replayed, other) = play(False), play(True)
    assert played == replayed
    assert same(state, other)


@pytest.mark.long
def test_memory_stays_flat_over_many_replayed_steps():
    import tracemalloc

    game, source = plane_game(), mg.data.Batches(points(), 4)
    for _ in range(100):
        game.play(source)
    gc.collect()
    tracemalloc.start()
    for _ in range(100):
        game.play(source)
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    for _ in range(200_000):
        game.play(source)
    tracemalloc.start()
    for _ in range(100):
        game.play(source)
    after = tracemalloc.get_traced_memory()[0]
    assert after <= before + 20_000
