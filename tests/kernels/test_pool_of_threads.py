"""The threads of the compiled kernels: who works does not matter to a result, and nobody is left waiting."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import median

import compiled_variants
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import minigan as mg
from minigan.kernels import compiled_linear, threads, variants

pytestmark = pytest.mark.skipif(
    not compiled_variants.runnable(), reason="needs the compiled kernels: python -m building"
)

DRIVER = Path(compiled_variants.__file__).with_name("pool_of_threads.c")


@pytest.fixture(autouse=True)
def number_of_threads():
    yield
    mg.set_num_threads(None)


def factors(size=300):
    rng = np.random.default_rng(size)
    return (rng.standard_normal((size, size), dtype="float32") for _ in range(2))


@pytest.mark.skipif(shutil.which("gcc") is None or os.name != "posix", reason="needs gcc")
@pytest.mark.parametrize("sanitizer", ["thread", "address,undefined"])
def test_no_race_and_no_stray_access_is_found_by_sanitizers(sanitizer, tmp_path):
    program = tmp_path / "pool"
    sources = [str(DRIVER), str(variants.SOURCES / "threads.c")]
    flags = ["-O1", "-g", f"-fsanitize={sanitizer}", f"-I{variants.SOURCES}", "-lpthread"]
    subprocess.run(["gcc", "-std=gnu11", *sources, *flags, "-o", str(program)], check=True)
    arguments = ["no fork"] if sanitizer == "thread" else []
    ended = subprocess.run([str(program), *arguments], capture_output=True, text=True, timeout=300)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_same_number_of_threads_gives_the_same_bits_and_another_one_the_same_numbers():
    a, b = factors()
    results = []
    for n in (1, 2, 3, 8):
        mg.set_num_threads(n)
        first = compiled_linear.product(a, b)
        for _ in range(20):
            np.testing.assert_array_equal(compiled_linear.product(a, b), first)
        results.append(first)
    for other in results[1:]:
        np.testing.assert_allclose(other, results[0], rtol=0, atol=2e-6 * 300)


def test_callers_in_several_threads_get_what_they_would_alone():
    mg.set_num_threads(3)
    inputs = [list(factors(size)) for size in (200, 210, 220, 230)]
    expected = [compiled_linear.product(a, b) for a, b in inputs]
    wrong = []

    def call(k):
        for _ in range(50):
            if not np.array_equal(compiled_linear.product(*inputs[k]), expected[k]):
                wrong.append(k)

    callers = [threading.Thread(target=call, args=(k,)) for k in range(len(inputs))]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=60)
        assert not caller.is_alive()
    assert wrong == []


def _in_child(queue, a, b):
    queue.put(compiled_linear.product(a, b))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_starts_its_own_threads():
    mg.set_num_threads(3)
    a, b = factors()
    expected = compiled_linear.product(a, b)
    over = threading.Event()

    def keep_busy():  # the pool is held by another thread when the child is made
        while not over.is_set():
            compiled_linear.product(a, b)

    other = threading.Thread(target=keep_busy)
    other.start()
    try:
        context = multiprocessing.get_context("fork")
        for _ in range(5):
            queue = context.Queue()
            child = context.Process(target=_in_child, args=(queue, a, b))
            child.start()
            np.testing.assert_array_equal(queue.get(timeout=60), expected)
            child.join(timeout=60)
            assert child.exitcode == 0
    finally:
        over.set()
        other.join(timeout=60)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signals to a thread")
def test_an_interrupt_comes_after_the_kernel_and_leaves_all_as_it_was():
    mg.set_num_threads(3)
    a, b = factors()
    large = np.ones((1500, 1500), "float32")
    expected = compiled_linear.product(a, b)
    for delay in (0.0, 0.001, 0.01):
        main = threading.main_thread().ident
        timer = threading.Timer(delay, signal.pthread_kill, (main, signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012  it may come anywhere in here
            timer.start()
            while True:
                compiled_linear.product(large, large)
        np.testing.assert_array_equal(compiled_linear.product(a, b), expected)


COUNTED = """
import os, numpy as np, minigan as mg
from minigan.kernels import compiled_linear, library
from threadpoolctl import threadpool_limits
a = np.ones((300, 300), "float32")
counts = []
def count():
    compiled_linear.product(a, a)
    counts.append(len(os.listdir("/proc/self/task")))
with threadpool_limits(1, user_api="blas"):
    count()
mg.set_num_threads(1); count()
mg.set_num_threads(3); count()
mg.set_num_threads(2); count()
mg.set_num_threads(6); count()
print(*(n - counts[0] for n in counts))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts threads in /proc")
def test_as_many_threads_start_as_are_asked_for():
    ended = subprocess.run([sys.executable, "-c", COUNTED], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.split() == ["0", "0", "2", "2", "5"]


def test_the_number_follows_the_blas(monkeypatch):
    told = []
    before = threads._Compiled.tell
    monkeypatch.setattr(threads._Compiled, "told", 0)
    threads.tell_compiled(told.append)
    try:
        with threadpool_limits(1, user_api="blas"):
            compiled_linear.product(*factors())
            assert told[-1] == 1
        mg.set_num_threads(5)
        assert told[-1] == 5
        compiled_linear.product(*factors())
        assert told.count(5) == 1  # nothing is told twice
    finally:
        threads.tell_compiled(before)


MEMORY = """
import resource, threading, numpy as np, minigan as mg
from minigan.kernels import compiled_linear, library
mg.set_num_threads(2)
a = np.ones((700, 700), "float32")
def call():
    compiled_linear.product(a, a)
def rounds(n):
    for _ in range(n):
        others = [threading.Thread(target=call) for _ in range(3)]
        for other in others: other.start()
        for other in others: other.join()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = rounds(20)
print((rounds(150) - before) / 1024)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads kilobytes of memory")
def test_threads_that_come_and_go_leave_no_memory_behind():
    ended = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, timeout=120, check=True)
    assert float(ended.stdout) < 12  # megabytes; 150 rounds that each left one thread's scratch would leave 200


def _spin(over):
    while not over.is_set():
        sum(range(10_000))


@pytest.mark.slow
def test_a_busy_machine_is_not_made_slower_by_sharing():
    """Twice as many programs as cores: threads that wait for those that do not get a core would take many times."""
    context = multiprocessing.get_context("spawn")
    over = context.Event()
    others = [context.Process(target=_spin, args=(over,)) for _ in range(2 * threads.cores())]
    a, b = factors(400)
    times = {1: [], threads.cores(): []}
    try:
        for other in others:
            other.start()
        time.sleep(2)
        for _ in range(40):
            for n, taken in times.items():
                mg.set_num_threads(n)
                start = time.perf_counter()
                for _ in range(5):
                    compiled_linear.product(a, b)
                taken.append(time.perf_counter() - start)
    finally:
        over.set()
        for other in others:
            other.join()
    alone, shared = (median(taken) for taken in times.values())
    assert shared < 1.5 * alone
