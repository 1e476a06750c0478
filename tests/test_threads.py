"""The worker threads: shares in order, errors reach the caller, a fork and other threads do no harm."""

import multiprocessing
import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from minigan.kernels import cpu, threads


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
