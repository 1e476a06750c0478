"""A child process that serves one library: requests as lines of JSON, answered one by one until there are no more.

python -m gpu_steps.worker LIBRARY measure|rehearse        (run in benches/)

Of several processes that mpiexec has started the first is given the requests, and all do what they ask for.
"""

import importlib
import json
import math
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from minigan import processes

ROOT = str(Path(__file__).parents[2]) + "/"
TRACED = 3000  # characters of a traceback that are worth keeping


def traced() -> str:
    """The end of the traceback of the exception that is handled, paths from the root of the checkout."""
    return traceback.format_exc().replace(ROOT, "")[-TRACED:]


def plain(value: Any) -> Any:
    """`value` as JSON can hold it: numbers that are not finite become text."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def answer(requests: Any, line: str) -> dict[str, Any]:
    """What the request in this line comes to."""
    request, arguments = json.loads(line)
    try:
        return {"result": plain(getattr(requests, request)(**arguments))}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}\n{traced()}"}


def told(lines: Iterable[str]) -> Iterator[str]:
    """The requests that the first process is given, for each."""
    group = processes.world()
    given = iter(lines)
    while line := group.same(next(given, "") if group.rank == 0 else ""):
        yield line
    group.ended()


def main() -> None:
    library, purpose = sys.argv[1:]
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints is no answer
    requests = importlib.import_module(f".{library}_requests", __package__).Requests(purpose == "rehearse")
    for line in told(sys.stdin):
        answered = json.dumps(answer(requests, line))
        if processes.world().rank == 0:
            print(answered, file=answers, flush=True)


if __name__ == "__main__":
    main()
