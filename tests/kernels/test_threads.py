"""The worker threads: shares in order, errors reach the caller, a fork and other threads do no harm."""

import contextlib
import functools
import multiprocessing
import queue
import signal
import threading
import time
import weakref

import numpy as np
import pytest
from interrupts import interrupted_at
from threadpoolctl import threadpool_info, threadpool_limits

import minigan as mg
from minigan.kernels import cpu, geometry, threads


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_parts_cover_the_range_in_order():
    for n in (1, 2, 3, 7, 100):
        parts = threads.share(lambda part: part, n)
        assert [i for part in parts for i in range(part.start, part.stop)] == list(range(n))
    assert threads.share(lambda part: part, 10, worthwhile=False) == [slice(0, 10)]
    assert threads.share(lambda part: part, 0) == [slice(0, 0)]


def test_the_blas_is_given_back_its_threads():
    before = blas_threads()
    threads.share(lambda part: part, 8)
    assert blas_threads() == before

    def fail(part):
        raise ZeroDivisionError(part)

    with pytest.raises(ZeroDivisionError):
        threads.share(fail, 8)
    assert blas_threads() == before


def test_the_number_of_threads_can_be_set_and_follows_the_blas(rng):
    x, w = (rng.standard_normal(shape).astype("float32") for shape in ((64, 32, 12, 12), (64, 32, 5, 5)))
    s = geometry.convolution("conv2d", x.shape, w.shape, 1, 0, 1, 1)
    try:
        results = []
        for n in (1, 2, 3):
            mg.set_num_threads(n)
            assert mg.get_num_threads() == n
            results.append([cpu.conv(x, w, s), cpu.conv_weight(x, cpu.conv(x, w, s), s), cpu.sum(x, (0, 2, 3), False)])
        for found in results[1:]:
            for a, b in zip(results[0], found, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * abs(a).max())
    finally:
        mg.set_num_threads(None)
    with threadpool_limits(1, user_api="blas"):
        assert mg.get_num_threads() == 1
    for wrong in (0, -1, 1.5, float("nan"), "2"):
        with pytest.raises(ValueError, match=f"got {wrong}"):
            mg.set_num_threads(wrong)


def test_within_a_block_so_many_threads_compute():
    before = threads.get_num_threads()
    with threads.limited(1):
        assert threads.get_num_threads() == 1
        assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}
    assert threads.get_num_threads() == before


def test_an_error_in_one_part_leaves_no_part_running():
    running = []

    def fail(part):
        running.append(part)
        if part.start == 0:
            raise ZeroDivisionError(part)
        running.remove(part)

    for _ in range(20):
        running.clear()
        with pytest.raises(ZeroDivisionError):
            threads.share(fail, 8)
        assert [part.start for part in running] == [0]


def test_scratch_memory_is_each_threads_own_and_aligned():
    first = threads.scratch("test", (3, 5), "float32")
    assert first.ctypes.data % 64 == 0
    assert threads.scratch("test", (2, 2), "float64").ctypes.data == first.ctypes.data
    others = []
    other = threading.Thread(target=lambda: others.append(threads.scratch("test", (3, 5), "float32")))
    other.start()
    other.join()
    assert not np.may_share_memory(first, others[0])


def product():
    a = np.ones((300, 300), "float32")
    return float(cpu.matmul(a, a).sum())


def test_callers_in_several_threads_do_not_block_each_other():
    before = blas_threads()
    results = []
    callers = [threading.Thread(target=lambda: results.extend(product() for _ in range(20))) for _ in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=60)
    assert results == [300.0**3] * 120
    assert blas_threads() == before


def _in_child(queue):
    queue.put(product())


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_starts_its_own_threads():
    product()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(queue,))
    child.start()
    assert queue.get(timeout=60) == 300.0**3
    child.join(timeout=60)
    assert child.exitcode == 0


# --- Ctrl-C, wherever it comes ------------------------------------------------------------------------------------


@pytest.fixture
def workers(monkeypatch):
    """Fresh ones, and three threads to share work."""
    fresh = threads._Workers(3)
    monkeypatch.setattr(threads, "_workers", fresh)
    return fresh


def squares():
    return threads.share(lambda part: [i * i for i in range(part.start, part.stop)], 40, per_thread=2)


def within():
    return threads.alone(squares)


def failing():
    def fail(part):
        raise ZeroDivisionError(part)

    with contextlib.suppress(ZeroDivisionError):
        threads.share(fail, 40)


def counted():
    threads.set_num_threads(None)
    try:
        return threads.get_num_threads()
    finally:
        threads._workers.asked = 3


def kept():
    return threads.scratch("interrupted", (5, 7), "float32").fill(1)


@pytest.mark.parametrize("action", [squares, within, failing, counted, kept])
def test_an_interrupt_anywhere_leaves_all_as_it_was(action, workers):
    before = blas_threads()
    expected = squares()  # helpers have started, libraries are known
    helpers = list(workers.helpers)
    action()
    k = 1
    while interrupted_at(action, k, threads):
        workers.asked = 3
        assert blas_threads() == before, k
        assert (workers.holders, workers.before, workers.helpers) == (set(), [], helpers), k
        others = threading.Thread(target=workers.locked, args=(list,))
        others.start()
        others.join(timeout=60)
        assert not others.is_alive(), k  # nobody holds the lock
        if k % 10 == 0:
            assert squares() == expected, k
        k += 1
    assert k > 25
    assert squares() == expected
    threads.set_num_threads(None)
    assert threads.get_num_threads() == max(1, min([threads.cores(), *before]))


def test_an_interrupt_leaves_no_helper_at_work(workers):
    """The caller's part is interrupted while the others' are running: it waits for those, and they take no more."""
    running, taken, both = [], [], threading.Barrier(3)

    def part(mine):
        taken.append(mine)
        running.append(mine)
        both.wait(timeout=60)
        if threading.current_thread() is threading.main_thread():
            running.remove(mine)
            raise KeyboardInterrupt
        time.sleep(0.05)
        running.remove(mine)

    with pytest.raises(KeyboardInterrupt):
        threads.share(part, 60)
    assert running == []
    assert len(taken) == 3


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signals to a thread")
def test_an_interrupt_that_comes_while_the_caller_waits_waits_too(workers):
    """A real one: the caller has no part left, a helper is still at work."""
    running, taken = [], threading.Event()

    def part(mine):
        if threading.current_thread() is threading.main_thread():
            taken.wait(timeout=60)
            return
        running.append(mine)
        taken.set()
        time.sleep(0.05)  # the caller waits by now
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        time.sleep(0.05)
        running.remove(mine)

    workers.asked, before = 2, blas_threads()
    with pytest.raises(KeyboardInterrupt):
        threads.share(part, 2, per_thread=1)
    assert running == []
    assert blas_threads() == before
    assert (workers.holders, workers.before) == (set(), [])


def test_an_interrupt_while_helpers_start_counts_those_that_did(monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(threads, "_help", lambda waiting: over.wait(60))
    k, workers = 1, threads._Workers(3)
    while interrupted_at(functools.partial(workers.start, 2), k, threads):
        assert all(helper.is_alive() for helper in workers.helpers), k
        assert workers.lock.acquire(blocking=False)
        workers.lock.release()
        workers.start(2)
        assert len(workers.helpers) == 2, k
        k, workers = k + 1, threads._Workers(3)
    assert k > 25
    over.set()


def test_a_helper_that_comes_late_finds_nothing_to_do_and_holds_nothing():
    job = threads._Job(lambda part: part, [slice(0, 1)], helpers=1)
    held = weakref.ref(task := (lambda part: np.ones(3)))
    job.task = task
    del task
    waiting = queue.SimpleQueue()
    assert len(job.run(waiting)[0]) == 3
    job.end()
    assert held() is None
    late = threading.Thread(target=waiting.get().help)
    late.start()
    late.join(timeout=60)
    assert not late.is_alive()
    assert job.results == []
