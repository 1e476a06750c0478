"""A run's page, served as `minigan watch` serves it."""

import contextlib
import threading

from minigan.command.watch import Server


@contextlib.contextmanager
def serving(path):
    with Server(path) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
