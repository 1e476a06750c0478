"""A CUDA graph: what a function asks a device to do, recorded once, and from then on launched whole."""

from collections.abc import Callable
from typing import Any

from .. import backend


class Graph:
    """work() recorded and not executed; `result` is what it returned, in arrays that each launch fills.

    Memory that is freed while it is recorded is not handed to anybody but this graph.
    """

    def __init__(self, work: Callable[[], Any]) -> None:
        cupy = backend.array_module("cuda")
        self._pool = cupy.cuda.MemoryPool()
        stream = cupy.cuda.Stream(non_blocking=True)
        with stream, cupy.cuda.using_allocator(self._pool.malloc), backend.capturing():
            stream.begin_capture()
            try:
                self.result = work()
            except BaseException:
                _abandon(stream)
                raise
            self.graph = stream.end_capture()

    refused = ""  # what cannot be captured is an error here

    def fits(self) -> bool:
        """True: whose arrays they are, is not known here."""
        return True

    def launch(self) -> None:
        """Have the device do it once more."""
        self.graph.launch()


def _abandon(stream: Any) -> None:
    """End a capture that has failed; that it has is known already."""
    try:
        stream.end_capture()
    except Exception:  # CUDA says that the capture was invalidated
        return
