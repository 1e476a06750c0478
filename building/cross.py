"""The wheels of every platform, built on one machine: `python -m building.cross [--outdir dist] [TAG ...]`.

Needs `pip install -e '.[cross]'`: ziglang, whose compiler makes code for each system, and setuptools.
"""

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path

from .backend import wheel
from .compilers import CompilerError, Zig, zig
from .make import make
from .platforms import PLATFORMS
from .sources import variants


def main() -> int:
    tags = [platform.tag for platform in PLATFORMS]
    parser = argparse.ArgumentParser(prog="python -m building.cross", description=__doc__)
    parser.add_argument("tags", nargs="*", metavar="TAG", help=f"of {', '.join(tags)}; all by default")
    parser.add_argument("--outdir", type=Path, default=Path("dist"), help="where the wheels go (%(default)s)")
    options = parser.parse_args()
    if unknown := sorted(set(options.tags) - set(tags)):
        parser.error(f"no platform {', '.join(unknown)}; there are {', '.join(tags)}")
    if zig() is None:
        parser.error("there is no ziglang here: pip install ziglang")
    options.outdir.mkdir(parents=True, exist_ok=True)
    for platform in PLATFORMS:
        if platform.tag in (options.tags or tags):
            with tempfile.TemporaryDirectory() as folder:
                try:
                    make(Zig(platform.target), variants(platform.machine), Path(folder), system=platform.system)
                except CompilerError as error:
                    print(error, file=sys.stderr)
                    return 1
                with contextlib.redirect_stdout(sys.stderr):  # where setuptools may tell of each file
                    name = wheel(options.outdir, Path(folder), platform.tag)
                print(options.outdir / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
