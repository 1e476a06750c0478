"""What a game needs of its device's memory: counted without changing the game, and true."""

import subprocess
import sys
from pathlib import Path

import fakecupy
import fakepools
import numpy as np
import pytest
from cuda_games import batches, dcgan, wgan_gp
from games_by_name import game_and_batches, on_points
from launches import without_arithmetic

import minigan as mg
from minigan.gan import MemoryNeed, ScoreGame, Sight, losses, memory_needed, normal_latent
from minigan.gan.footprint import plainly_fits
from minigan.kernels import cublas, cuda_conv, headroom
from minigan.tensor import Tensor

GB = 1e9


def tiny(*, norm=True, **options):
    """A game on points whose activations are most of what it needs."""
    mg.random.seed(0)
    normed = [mg.nn.BatchNorm1d(64)] if norm else []
    G = mg.nn.Sequential(mg.nn.Linear(3, 64), *normed, mg.nn.ReLU(), mg.nn.Linear(64, 2))
    pack = options["sight"].pack if "sight" in options else 1
    D = mg.nn.Sequential(mg.nn.Linear(2 * pack, 64), mg.nn.LeakyReLU(0.2), mg.nn.Linear(64, 1))
    return on_points(G, D, **options)


def points(n):
    return mg.data.Batches(np.random.default_rng(0).normal(size=(n, 2)).astype("float32"), n)


def peak_of_a_round(game, source):
    """As a watch sees a round of the whole batch."""
    game.graphs = False
    game.play(source)
    with headroom.watching(game.step.device) as watch:
        game.play(source)
        return watch.most()


def test_the_game_is_the_one_before():
    game, twin, source = tiny(), tiny(), points(64)
    for played in (game, twin):
        played.play(source)
    memory_needed(game, source)
    for _ in range(6):  # which are replayed from the fourth on
        found, expected = game.play(source), twin.play(source)
        assert {k: v.item() for k, v in found.items()} == {k: v.item() for k, v in expected.items()}
    assert all(np.array_equal(t.numpy(), twin.state[k].numpy()) for k, t in game.state.items())
    assert game.rounds == twin.rounds == 7


@pytest.mark.parametrize("name", ["dcgan28", "wgan_gp28"])
def test_the_count_of_smaller_rounds_is_the_peak_of_a_larger_one(name):
    game, source = game_and_batches(name, 64)
    need = memory_needed(game, source)
    assert need.fixed + 64 * need.sample == pytest.approx(peak_of_a_round(game, source), rel=0.05)
    assert need.state == sum(t.data.nbytes for t in game.state.values())
    assert need.data >= 64 * 784


@pytest.fixture
def cupy(monkeypatch):
    """The stand-in, which counts what is allocated and does no arithmetic."""
    fake = fakecupy.install(monkeypatch)
    with without_arithmetic():
        yield fake


def convolving(device, dtype):
    """A game whose convolution takes far more memory for its windows than for what it makes of them."""
    nn = mg.nn
    G = nn.Sequential(nn.Linear(8, 784), nn.Unflatten(1, (1, 28, 28))).to(device, dtype)
    first, second = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
    D = nn.Sequential(first, nn.LeakyReLU(0.2), second, nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(16 * 784, 1))
    return ScoreGame(
        G,
        D.to(device, dtype),
        loss=losses.nonsaturating,
        latent=normal_latent(8),
        generator_optimizer=mg.optim.Adam(G.parameters(), 1e-3),
        discriminator_optimizer=mg.optim.Adam(D.parameters(), 1e-3),
    )


@pytest.mark.parametrize("make", [dcgan, wgan_gp, convolving])
def test_the_same_on_a_gpu(make, cupy):
    game, source = make("cuda", "float32"), batches("cuda", count=64, batch=64)
    game.graphs = False
    need = memory_needed(game, source)
    pool = cupy.get_default_memory_pool()
    before = pool.used_bytes()
    pool.peak = 0
    game.play(source)
    assert need.fixed + 64 * need.sample == pytest.approx(pool.peak - before, rel=0.02)
    assert need.training(64) == pytest.approx(pool.peak - before + need.state + headroom.SCRATCH, rel=0.02)


def test_windows_are_counted_as_they_are_cut_into_slabs(cupy, monkeypatch):
    """The windows of a few images fill a slab: larger batches take no more for them."""
    monkeypatch.setattr(cuda_conv, "FORCED", "im2col")
    game, source = convolving("cuda", "float32"), batches("cuda", count=128, batch=128)
    whole = memory_needed(game, source)
    monkeypatch.setattr(cuda_conv, "SLAB", 4 << 20)
    cut = memory_needed(game, source)
    windows = 784 * 16 * 9 * 4  # bytes of an image's
    assert whole.sample > cut.sample + windows / 2
    pool = cupy.get_default_memory_pool()
    game.graphs, before, pool.peak = False, pool.used_bytes(), 0
    game.play(source)
    assert cut.fixed + 128 * cut.sample == pytest.approx(pool.peak - before, rel=0.02)


def test_replays_have_memory_of_their_own(cupy):
    """What a run takes, with a look at it between: the pool that everybody shares, and that of the graphs."""
    game, source = dcgan("cuda", "float32"), batches("cuda", batch=32)
    need = memory_needed(game, source)
    assert need.replayed
    cupy.get_default_memory_pool().free_all_blocks()
    before = fakepools.Memory.taken
    for _ in range(5):
        game.play(source)
    mg.gan.rehearsal.gradient_norms(game, source)
    taken = fakepools.Memory.taken - before - cublas.WORKSPACE  # that of graphs, which libraries' part holds
    assert need.training(32) - headroom.SCRATCH == pytest.approx(taken, rel=0.03)


def test_any_batch_can_be_asked_for():
    """A source of few samples says what many would need."""
    asked = memory_needed(tiny(), points(16), batch=512)
    true = memory_needed(tiny(), points(512))
    assert asked.training(512) == pytest.approx(true.training(512), rel=0.05)


def test_what_a_round_holds_grows_with_its_batch_alone():
    need = memory_needed(tiny(), points(512))
    activations = 64 * 4  # bytes of a hidden layer, for each sample
    assert 4 * activations < need.sample < 100 * activations
    assert need.fixed < 100_000


@pytest.mark.parametrize("size", [1, 2, 3, 7, 97])
def test_batches_of_any_size(size):
    assert memory_needed(tiny(norm=False), points(size)).sample > 0


@pytest.mark.parametrize(("pack", "size"), [(2, 10), (3, 96), (5, 40), (64, 64)])
def test_batches_that_must_split_into_packs(pack, size):
    assert memory_needed(tiny(sight=Sight(pack=pack)), points(size)).sample > 0


def test_a_game_that_cannot_be_played_says_why():
    with pytest.raises(mg.errors.ShapeError, match="does not split into packs of 7"):
        memory_needed(tiny(sight=Sight(pack=7)), points(64))


def least_sample(batches):
    """Memory of a sample, at least: what another thread asks for while rounds are played counts too."""
    return min(memory_needed(tiny(), batches).sample for _ in range(3))


def test_batches_may_be_a_function_pairs_or_named():
    real = mg.random.Stream(5).normal((512, 2))
    expected = least_sample(points(512))
    assert least_sample(lambda k: Tensor(real)) == pytest.approx(expected, rel=0.1)
    labels = np.zeros(512, "int64")
    assert least_sample(lambda k: (real, labels)) == pytest.approx(expected, rel=0.1)
    assert least_sample(lambda k: (real, None)) == pytest.approx(expected, rel=0.1)


def test_the_largest_batch_fits_and_is_nearly_the_largest():
    need = MemoryNeed("cpu", int(0.1 * GB), int(GB), 0.2 * GB, 2e6, True)
    for free in (1 * GB, 7.5 * GB, 79.1 * GB):
        found = need.largest_batch(free)
        assert need.training(found) <= free < need.training(found + found // 16 + 1)
        tight = need.largest_batch(free, tight=True)
        assert need.least(tight) <= free < need.least(tight + tight // 16 + 1)
    assert need.largest_batch(0.3 * GB) == 0
    assert need.total(64) == need.training(64) + 1.1 * GB


def test_what_is_plainly_small():
    game = tiny()
    assert plainly_fits(game, (2,), 64)
    assert not plainly_fits(game, (2,), 1 << 40)


TRUE = """
import sys
from pathlib import Path
from games_by_name import game_and_batches, on_points
from peak_memory import peak
import minigan as mg
from minigan.gan.rehearsal import gradient_norms

game, source = game_and_batches(sys.argv[1], int(sys.argv[2]))
game.graphs = sys.argv[3] == "True"
mg.empty_cache()
Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is taken
before = peak()
gradient_norms(game, source)
for _ in range(6):
    game.play(source)
gradient_norms(game, source)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is set back by Linux alone")
@pytest.mark.parametrize("graphs", [False, True])
@pytest.mark.parametrize(
    ("name", "size"),
    [
        *[pytest.param(name, 512, marks=pytest.mark.slow) for name in ("dcgan28", "wgan_gp28")],
        *[pytest.param(name, size, marks=pytest.mark.long) for name, size in (("dcgan64", 64), ("sndcgan", 128))],
    ],
)
def test_the_count_is_what_a_process_takes(name, size, graphs):
    support = Path(__file__).parents[1] / "support"
    arguments = [sys.executable, "-c", TRUE, name, str(size), str(graphs)]
    taken = int(subprocess.run(arguments, cwd=support, capture_output=True, text=True, check=True).stdout)
    game, source = game_and_batches(name, size)
    game.graphs = graphs
    counted = memory_needed(game, source).training(size)
    assert 0.93 * taken < counted < 1.3 * taken, (counted, taken)


def test_a_game_that_never_does_all_is_named():
    class Idle(ScoreGame):
        def variant(self, turn, rounds):
            return 1

    G, D = mg.nn.Linear(3, 2), mg.nn.Linear(2, 1)
    game = on_points(G, D)
    game.__class__ = Idle
    with pytest.raises(mg.errors.ShapeError, match=r"Idle\.variant: expected 0 for all turns of some round, got none"):
        memory_needed(game, lambda k: mg.zeros((8, 2)))
