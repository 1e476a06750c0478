"""What is done before anything heavy is loaded, in minigan's own program alone."""

import subprocess
import sys

COUNT = "import os, sys; sys.argv[0] = {name!r}; import {module}; sys.exit(sum(map(is_open, range(3))))"
IS_OPEN = """
def is_open(number):
    try:
        return bool(os.fstat(number))
    except OSError:
        return False
"""


def open_streams(name, module):
    """How many of the three standard streams are open in a program of that name, started without two, by a module."""
    program = f"import os\n{IS_OPEN}\n{COUNT.format(name=name, module=module)}"
    return subprocess.run(["bash", "-c", f'{sys.executable} -c "$0" >&- 2>&-', program]).returncode


def test_no_file_gets_the_number_of_a_closed_stream():
    assert open_streams("/usr/bin/minigan", "minigan") == 3
    # a Python may leave a library's file open there, by itself
    assert open_streams("other", "minigan") == open_streams("other", "ctypes, numpy") < 3
