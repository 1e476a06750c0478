"""Which tile of our own convolution is fastest on this GPU, beside the way by cuBLAS, for each layer of two DCGANs.

    python benches/tiles.py                   some 60 s; a table, and all figures in results/tiles.json
    python benches/tiles.py --rehearse        the same on a machine without a GPU; measures nothing

The tiles are those of TF32 and bf16; in float32 the two ways are compared. Each result is held against a product in
float64. minigan's own choice is `_tile` in minigan/kernels/cuda_conv.py.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

BENCHES = Path(__file__).resolve().parent
sys.path[:0] = [str(BENCHES.parent)]  # this checkout's minigan, installed or not

from gpu_steps import clocks, layers_minigan, stand_in  # noqa: E402  found through the line above
from gpu_steps.checks import TOLERANCES  # noqa: E402  likewise
from gpu_steps.clocks import Clock  # noqa: E402  likewise
from gpu_steps.layers import FACES, Layer, distinct  # noqa: E402  likewise
from gpu_steps.plan import PRECISIONS, workload  # noqa: E402  likewise

import minigan as mg  # noqa: E402  likewise
from minigan import backend  # noqa: E402  likewise
from minigan.kernels import cuda_conv, launch  # noqa: E402  likewise
from minigan.kernels.tiles import Tile  # noqa: E402  likewise

TILES = [
    *[Tile(128, 128, 4, 32, 3), Tile(128, 128, 4, 16, 3), Tile(128, 128, 4, 16, 4), Tile(128, 64, 4, 16, 4)],
    *[Tile(64, 64, 4, 32, 3), Tile(128, 128, 8, 32, 3)],
]
NARROW_TILES = [Tile(128, 64, 8, 16, 3), Tile(64, 64, 8, 32, 3)]  # where channels are moved one by one
PACKS = [(4, 4), (1, 4), (4, 1)]  # of the faces of the layers: images of three channels, and all others


def layers(rehearse: bool) -> list[Layer]:
    """The convolutions of the DCGANs; a transposed one has the faces of the plain one, in another order."""
    works = [workload(name, rehearse) for name in ("dcgan64", "dcgan128")]
    return [layer for layer in distinct(works) if layer.kind == "conv" or (layer.kind != "linear" and layer.x[2] == 1)]


def compile_all() -> None:
    """Compile every kernel that will be asked for, on all cores."""

    def compiled(tile: Tile, precision: str, packs: tuple[int, int]) -> None:
        backend.array_module("cuda").zeros(1)  # so that this thread, too, has a context on the device
        launch.kernel("convolution", "conv", "float32", tile.shared((True, True)), **tile.defines(precision, packs))

    wanted = [(tile, "tf32", PACKS[0]) for tile in TILES] + [(tile, "bf16", PACKS[0]) for tile in TILES]
    wanted += [(tile, "tf32", packs) for tile in NARROW_TILES for packs in PACKS]
    with ThreadPoolExecutor() as pool:
        list(pool.map(compiled, *zip(*wanted, strict=True)))


def ways(layer: Layer) -> Iterator[tuple[str, str, Tile | None]]:
    """(name, precision, tile) of everything that is compared."""
    wide = layer.x[1] % 4 == 0 and layer.y[1] % 4 == 0
    for precision in PRECISIONS:
        yield f"{precision} im2col", precision, None
    yield "fp32 implicit", "fp32", Tile(128, 128)
    for precision, tiles in (("tf32", TILES if wide else NARROW_TILES), ("bf16", TILES if wide else [])):
        yield from ((f"{precision} " + "{}x{} w{} d{} s{}".format(*astuple(tile)), precision, tile) for tile in tiles)


def measure(clock: Clock, layer: Layer, seconds: float) -> dict[str, dict[str, dict[str, Any]]]:
    """By face and way: milliseconds, and the error relative to the norm of the result in float64."""
    faces = layers_minigan.convolution(layer).faces
    few = replace(layer, x=(2, *layer.x[1:]), y=(2, *layer.y[1:]))
    few_faces = layers_minigan.convolution(few).faces
    with patch.object(layers_minigan, "noise", lambda n, plain=layers_minigan.noise: plain(n).astype("float64")):
        exact_faces = layers_minigan.convolution(few).faces
    found: dict[str, dict[str, dict[str, Any]]] = {face: {} for face in FACES}
    for face, timed, checked, exact in zip(FACES, faces, few_faces, exact_faces, strict=True):
        with patch.object(cuda_conv, "FORCED", "im2col"):
            expected = exact()
        for name, precision, tile in ways(layer):
            chosen = lambda *_, tile=tile: tile
            forced = patch.object(cuda_conv, "FORCED", "im2col" if tile is None else "implicit")
            tiles = patch.object(cuda_conv, "_tile", cuda_conv._tile if precision == "fp32" else chosen)
            mg.set_precision(precision)
            try:
                with forced, tiles:
                    error = float(((checked() - expected) ** 2).sum() / (expected**2).sum()) ** 0.5
                    ms = clocks.kernel(clock, layers_minigan.graphed, timed, seconds)
                found[face][name] = {"milliseconds": ms, "error": error, "wrong": error > TOLERANCES[precision]}
            except Exception as problem:  # of one way: the others are still worth knowing
                found[face][name] = {"problem": f"{type(problem).__name__}: {problem}"}
    mg.set_precision("fp32")
    return found


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Microseconds and TFLOP/s, the fastest first."""
    for row in rows:
        for face in FACES:
            times = {name: f for name, f in row["times"][face].items() if "milliseconds" in f}
            yield f"{row['layer']}, {face}"
            for name, f in sorted(times.items(), key=lambda item: item[1]["milliseconds"]):
                us, rate = f["milliseconds"] * 1e3, row["gflop"] / f["milliseconds"]
                error = f"error {f['error']:.1e}{'  WRONG' if f['wrong'] else ''}"
                yield f"    {name:26} {us:8.1f} us {rate:7.1f} TFLOP/s  {error}"
            yield from (f"    {name:26} {f['problem']}" for name, f in row["times"][face].items() if "problem" in f)


def main() -> int:
    """The exit status: 0 if every result was right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--json", type=Path, default=BENCHES / "results" / "tiles.json", metavar="PATH", help="where figures are kept"
    )
    parser.add_argument("--seconds", type=float, default=55, help="after which no other layer is begun (default: 55)")
    parser.add_argument("--rehearse", action="store_true", help="tiny sizes on a stand-in, nothing kept")
    args = parser.parse_args()
    if args.rehearse:
        stand_in.install()
    elif backend.cuda_problem():
        print(backend.cuda_problem(), file=sys.stderr)
        return 1
    start = time.monotonic()
    compile_all()
    print(f"compiled in {time.monotonic() - start:.0f} s")
    clock, rows = clocks.CupyClock(), []
    for layer in layers(args.rehearse):
        if time.monotonic() - start > args.seconds:
            print(f"no time was left for {layer.title}")
            continue
        times = measure(clock, layer, 0.001 if args.rehearse else 0.005)
        rows.append({"layer": layer.title, "gflop": layer.flops / 1e9, "times": times})
        if not args.rehearse:
            args.json.write_text(json.dumps(rows, indent=1))
    results = [f for row in rows for face in row["times"].values() for f in face.values()]
    right = sum("problem" not in f and not f["wrong"] for f in results)
    if not args.rehearse or right < len(results):
        print(*table(rows), sep="\n")
    print(f"{right} of {len(results)} results were right, {time.monotonic() - start:.0f} s")
    return int(right < len(results))


if __name__ == "__main__":
    sys.exit(main())
