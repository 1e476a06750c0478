"""Arrays whose memory is used again: by whom, when, how much is held, and what may happen at any moment."""

import gc
import itertools
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import minigan as mg
from minigan.kernels import memory

SIDE = 256  # of a matrix of float32 that is large


@pytest.fixture(autouse=True)
def blocks(monkeypatch):
    """Blocks of this test's own."""
    own = memory._Memory()
    monkeypatch.setattr(memory, "_memory", own)
    return own


def where(x):
    return x.__array_interface__["data"][0]


def test_the_memory_of_an_array_is_used_again_when_its_last_view_has_died():
    x = memory.empty((SIDE, SIDE))
    place, view = where(x), x[3:].T
    del x
    other = memory.empty((SIDE, SIDE))
    assert where(other) != place
    del view
    again = memory.empty((SIDE * SIDE,), "int32")
    assert where(again) == place
    assert where(again) % 64 == 0


@pytest.mark.parametrize("shape", [(), (0, 4), (7,), (3, 5), (SIDE, SIDE), (2, SIDE, 3, SIDE)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "bool"])
def test_arrays_are_as_numpys_of_the_same_names(shape, dtype):
    for made, expected in (
        (memory.empty(shape, dtype), np.empty(shape, dtype)),
        (memory.zeros(shape, dtype), np.zeros(shape, dtype)),
        (memory.empty_like(np.empty(shape, "float32"), dtype), np.empty(shape, dtype)),
    ):
        assert (made.shape, made.dtype, made.strides) == (expected.shape, expected.dtype, expected.strides)
        assert made.flags.writeable
    assert not memory.zeros(shape, dtype).any()
    assert memory.empty(shape).dtype is np.dtype("float32")


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 3, 1, 2), (3, 2, 1, 0), (1, 0, 3, 2)])
@pytest.mark.parametrize("step", [1, 2, -1])
def test_an_array_like_another_has_its_axes_in_the_same_order_in_memory(axes, step):
    x = np.empty((4, 32, 33, 34), "float32").transpose(axes)[:, ::step]
    assert memory.empty_like(x).strides == np.empty_like(x).strides
    spread = np.broadcast_to(np.empty((1, 64, 1, 64), "float32").transpose(axes), (64, 64, 64, 64))
    assert memory.empty_like(spread).strides == np.empty_like(spread).strides


def test_no_more_is_held_than_was_in_use_at_once(blocks):
    rng = np.random.default_rng(0)
    alive = []
    for _ in range(2000):
        if alive and rng.random() < 0.5:
            alive.pop(rng.integers(len(alive)))
        else:
            alive.append(memory.empty(int(rng.integers(SIDE * SIDE, 20 * SIDE * SIDE))))
        blocks._sort_returned()
        places = sorted((where(x), x.base.size) for x in alive)
        assert all(a + size <= b for (a, size), (b, _) in itertools.pairwise(places))  # none lies in another
        assert blocks.in_use == sum(size for _, size in places)
        assert blocks.in_use + blocks.held() <= blocks.most
        assert sorted(blocks.waiting) == blocks.sizes
    alive.clear()
    mg.empty_cache()
    assert (blocks.in_use, blocks.held(), blocks.most) == (0, 0, 0)


def test_sizes_that_change_do_not_add_up(blocks):
    for size in range(1 << 20, 2 << 20, 10_000):
        x, y = memory.empty(size, "uint8"), memory.empty(size // 2, "uint8")
        del x, y
        assert blocks.most <= 1.2 * (size + size // 2)


def test_a_block_is_not_given_to_an_array_that_would_waste_it():
    size = 1 << 20
    x, y = memory.empty(size, "uint8"), memory.empty(size // 2, "uint8")
    place = where(x)
    del x, y
    assert where(memory.empty(size - size // 10, "uint8")) == place
    assert where(memory.empty(size // 2, "uint8")) != place


def test_an_array_that_is_kept_is_not_given_to_others():
    kept = [memory.zeros((SIDE, SIDE)) for _ in range(4)]
    for _ in range(100):
        memory.empty((SIDE, SIDE)).fill(1)
    assert not any(x.any() for x in kept)


def test_an_array_in_a_circle_gives_its_memory_back_when_it_is_collected():
    x = memory.empty((SIDE, SIDE))
    place = where(x)
    circle = [x]
    circle.append(circle)
    del x, circle
    gc.collect()
    assert where(memory.empty((SIDE, SIDE))) == place


def test_a_finalizer_may_ask_for_an_array_while_one_is_lent(blocks):
    class Asks:
        def __del__(self):
            found.append(memory.empty((SIDE, SIDE)))

    found = []
    x = memory.empty((SIDE, SIDE))
    with blocks.lock:
        circle = [Asks(), x]
        circle.append(circle)
        del circle, x
        gc.collect()
    assert len(found) == 1


def test_threads_do_not_share_what_is_in_use():
    wrong = []

    def work(value):
        for _ in range(300):
            x = memory.empty((SIDE, SIDE))
            x.fill(value)
            y = memory.empty((SIDE, SIDE))
            y.fill(-value)
            if (x != value).any():
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(float(k),)) for k in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_has_memory_of_its_own_even_if_the_lock_was_held():
    code = """
import os, threading
from minigan.kernels import memory
x = memory.empty(1 << 20); x.fill(1)
held = threading.Event()
def hold():
    with memory._memory.lock:
        held.set()
        threading.Event().wait(2)
threading.Thread(target=hold, daemon=True).start()
held.wait()
pid = os.fork()
if pid == 0:
    y = memory.empty(1 << 20); y.fill(2)
    del y
    memory.empty(1 << 20).fill(3)
    os._exit(0 if (x == 1).all() else 1)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60).stdout == "0\n"


def test_arrays_that_live_to_the_end_of_the_program_do_no_harm():
    code = (
        "from minigan.kernels import memory\nkept = memory.empty(1 << 20)\nclass A: pass\na = A(); a.a = a; a.x = kept"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
