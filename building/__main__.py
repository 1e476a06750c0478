"""Compile the kernels in this checkout: `python -m building`, or only some variants: `python -m building x86-64-v4`.

$CC names the compiler, $CFLAGS adds flags (`CFLAGS='-g -fsanitize=address,undefined'`).
"""

import argparse
import sys

from .compilers import STRICT, CompilerError, found
from .make import make
from .sources import LIBRARIES, variants


def main() -> int:
    names = [variant.name for variant in variants()]
    parser = argparse.ArgumentParser(prog="python -m building", description=__doc__)
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help=f"of {', '.join(names)}; all by default")
    options = parser.parse_args()
    if unknown := sorted(set(options.variants) - set(names)):
        parser.error(f"there is no variant {', '.join(unknown)} for this machine, only {', '.join(names)}")
    compiler = found()
    if compiler is None:
        print("there is no C compiler that works: install one, or `pip install ziglang`", file=sys.stderr)
        return 1
    chosen = [variant for variant in variants() if variant.name in (options.variants or names)]
    try:
        for path in make(compiler, chosen, LIBRARIES, flags=STRICT):
            print(path)
    except CompilerError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
