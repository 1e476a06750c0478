"""Work spread over processes that compute one job at a time, until all is done or somebody says to stop.

They are processes of this machine, or those that mpiexec or srun started beside this one. Each gets signals as any
program does: Ctrl-C reaches all of them, and one that gets a signal itself says so, and the others stop too.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any, Protocol

from .launcher import launched, separate
from .machine import cores
from .mpi import connecting
from .signals import INTERRUPTED, STOPPING, kept_from_children

WATCH = 0.3  # seconds between looks at other processes
STOP = 1  # the tag of the message that says so
Asked = Callable[[], bool]
Done = Callable[[float], None]
# compute(job, stopped, done): its result, or None if it ended because `stopped()` said so, which it asks as often as
# it likes, or because of a signal; `done` takes the share that is done. What is not this process's must be picklable.
Compute = Callable[[Any, Asked, Done], Any]


def usual_processes(threads: int, device: str) -> int:
    """How many processes of so many threads keep this machine's cores at work; a GPU is one process's."""
    return 1 if device == "cuda" else max(cores() // threads, 1)


class Workers(Protocol):
    """So many processes that wait for jobs."""

    count: int

    def submit(self, worker: int, compute: Compute, k: int, job: Any) -> Future[Any]:
        """Have that worker compute the k-th job."""

    def share(self, k: int) -> float:
        """How much of the k-th job is done, as far as it is told."""

    def renew(self, worker: int) -> None:
        """Put another process in the place of one that ended."""

    def stop(self) -> None:
        """Tell those that compute to stop."""

    def close(self) -> None:
        """Tell all of them to stop, and wait until they have."""


def spread(
    workers: Workers,
    compute: Compute,
    jobs: Sequence[Any],
    *,
    collect: Callable[[int, Any], None],
    lost: Callable[[int, BrokenProcessPool], Any],
    stopped: Asked,
    look: Callable[[float], None],
) -> bool:
    """Have the jobs computed, the first ones first; True if it was a worker that ended it, which got a signal.

    `collect(k, result)` takes the result of the k-th job, `lost(k, error)` gives one for a job whose process ended
    without a word. Some times a second `look` is told how many jobs are done, and parts of jobs. What a job raises, or
    `lost` does, stops the others, which save what they have, and is raised.
    """
    waiting, free = deque(enumerate(jobs)), list(range(workers.count))
    running: dict[Future[Any], tuple[int, int]] = {}
    finished, ended = 0.0, False
    try:
        while waiting or running:
            while waiting and free:
                (k, job), worker = waiting.popleft(), free.pop(0)
                running[workers.submit(worker, compute, k, job)] = k, worker
            done, _ = wait(running, WATCH, FIRST_COMPLETED)
            for future in done:
                k, worker = running.pop(future)
                free.append(worker)
                try:
                    result = future.result()
                except BrokenProcessPool as error:
                    workers.renew(worker)
                    result = lost(k, error)
                if result is None:
                    finished += workers.share(k)
                    ended = ended or not stopped()
                else:
                    finished += 1
                    collect(k, result)
            look(finished + sum(workers.share(k) for k, _ in running.values()))
            if ended or stopped():
                waiting.clear()
                workers.stop()
    finally:
        workers.close()
    return ended


# --- processes of this machine ----------------------------------------------------------------------------------


class Processes:
    """So many processes of this machine, each started with its first job; one that dies takes no other with it."""

    def __init__(self, count: int, jobs: int) -> None:
        self.count = min(count, jobs)
        self.context = multiprocessing.get_context("spawn")  # a fork would take threads and locks along
        # without locks: a process that is killed would keep one
        self.stopping, self.shares = (self.context.Array("d", n, lock=False) for n in (1, max(jobs, 1)))
        self.pools: list[Executor] = [self._pool() for _ in range(self.count)]

    def _pool(self) -> Executor:
        return ProcessPoolExecutor(1, self.context, _begin_process, (self.stopping, self.shares))

    def submit(self, worker: int, compute: Compute, k: int, job: Any) -> Future[Any]:
        """Have that process compute the k-th job; another one, if it ended meanwhile."""
        with kept_from_children():  # Ctrl-C would kill a process that is just starting
            try:
                return self.pools[worker].submit(_compute, compute, k, job)
            except BrokenProcessPool:
                self.renew(worker)
                return self.pools[worker].submit(_compute, compute, k, job)

    def share(self, k: int) -> float:
        """How much of the k-th job is done."""
        return float(self.shares[k])

    def renew(self, worker: int) -> None:
        """Put another process in the place of one that ended."""
        self.pools[worker].shutdown()
        self.pools[worker] = self._pool()

    def stop(self) -> None:
        """Tell those that compute to stop."""
        self.stopping[0] = 1.0

    def close(self) -> None:
        """Tell all of them to stop, and wait until they have."""
        self.stop()
        for pool in self.pools:
            pool.shutdown()


class _Worker:
    """What a process knows that computes jobs for another one."""

    def __init__(self, told: Asked, tell: Callable[[int, float], None]) -> None:
        self.told = told  # was it told to stop?
        self.tell = tell  # takes a job's number, and the share of it that is done
        self.received: list[int] = []
        self.busy = False
        for number in STOPPING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda number, frame: self.received.append(number))
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)  # those that came since it was started come now

    def stopped(self) -> bool:
        """Is the work to end?"""
        return bool(self.received) or self.told()

    def compute(self, compute: Compute, k: int, job: Any) -> Any:
        """The k-th job's result; None if it was told to stop."""
        self.busy = True
        try:
            with separate():
                return None if self.stopped() else compute(job, self.stopped, partial(self.tell, k))
        finally:
            self.busy = False


_worker: _Worker


def _compute(compute: Compute, k: int, job: Any) -> Any:
    return _worker.compute(compute, k, job)


def _begin_process(stopping: Any, shares: Any) -> None:
    """What a process of this machine does first."""
    global _worker
    _worker = _Worker(lambda: bool(stopping[0]), shares.__setitem__)
    threading.Thread(target=_end_with_parent, args=(stopping,), daemon=True).start()


def _end_with_parent(stopping: Any) -> None:
    """End this process once the one that started it is gone, however it ended: nobody waits for it any more."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        stopping[0] = 1.0
        while _worker.busy:
            time.sleep(WATCH)
        os._exit(INTERRUPTED)


# --- those that a launcher started ------------------------------------------------------------------------------


class Launched:
    """The processes that mpiexec or srun started beside this one. If one of them dies, the launcher ends them all."""

    def __init__(self, executor: Executor, comm: Any) -> None:
        self.count = comm.size - 1
        self.executor = executor
        self.comm = comm
        self.stopping = False

    def submit(self, worker: int, compute: Compute, k: int, job: Any) -> Future[Any]:
        """Have one that is free compute the k-th job."""
        return self.executor.submit(_compute, compute, k, job)

    def share(self, k: int) -> float:
        """Nothing is told of a job before it is done."""
        return 0.0

    def renew(self, worker: int) -> None:
        """Nothing: there is no other process."""

    def stop(self) -> None:
        """Tell those that compute to stop: each gets one message, whoever asks for it, and however often."""
        if not self.stopping:
            self.stopping = True
            for rank in range(1, self.comm.size):
                self.comm.send(None, rank, STOP)

    def close(self) -> None:
        """Tell all of them to stop; whoever started them waits until they have."""
        self.stop()


def led(program: Callable[[Launched | None], int]) -> int:
    """program(workers), the workers being the processes that a launcher started beside this one, None if there is none.

    In those it is not called: they compute what they are given until it ends, and 0 is returned. MissingExtra if a
    launcher started several processes and there is no MPI, ProcessError if that does not connect them.
    """
    count = launched()
    if count == 1:
        return program(None)
    everybody = connecting(count).COMM_WORLD
    from mpi4py.futures import MPICommExecutor

    comm = everybody.Dup()  # for what is said beside the jobs
    if comm.rank > 0:
        _begin_launched(comm)
    with MPICommExecutor(everybody) as entered:  # the others are in here until the first one leaves
        executor: Any = entered
        if executor is not None:
            workers = Launched(executor, comm)
            try:
                with separate():  # nothing of it is to be divided among all: they get whole jobs
                    return program(workers)
            finally:
                workers.close()
    comm.recv(source=0, tag=STOP)
    return 0


def _begin_launched(comm: Any) -> None:
    """What a process that a launcher started does first, unless it is the one that gives jobs."""
    global _worker
    asked, told = 0.0, False

    def stop() -> bool:
        nonlocal asked, told
        if not told and time.monotonic() - asked > WATCH:
            asked, told = time.monotonic(), comm.iprobe(source=0, tag=STOP)
        return told

    _worker = _Worker(stop, lambda k, share: None)
