"""What is done before anything heavy is loaded, in minigan's own program alone."""

import subprocess
import sys

import pytest

COUNT = "import os, sys; sys.argv[0] = {name!r}; import minigan; sys.exit(sum(map(is_open, range(3))))"
IS_OPEN = """
def is_open(number):
    try:
        return bool(os.fstat(number))
    except OSError:
        return False
"""


@pytest.mark.parametrize(("name", "count"), [("/usr/bin/minigan", 3), ("other", 1)])
def test_no_file_gets_the_number_of_a_closed_stream(name, count):
    program = f"import os\n{IS_OPEN}\n{COUNT.format(name=name)}"
    ended = subprocess.run(["bash", "-c", f'{sys.executable} -c "$0" >&- 2>&-', program])
    assert ended.returncode == count
