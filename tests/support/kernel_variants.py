"""The definitions with which the CUDA sources are compiled, to see that each compiles."""

from minigan.kernels.tiles import Tile


def variants(name, real):
    """The definitions with which a source is compiled: the largest tiles of each kind, which need most registers."""
    if name == "columns":
        plain = [{"PACK": pack} for pack in (1, 16 // (4 if real == "float" else 8))]
        return plain + [{"PACK": pack, "BF16": 1} for pack in (1, 8) if real == "float"]
    if name not in ("convolution", "product"):
        return [{}]
    along = {} if name == "convolution" else {"LEFT_ALONG": 1, "RIGHT_ALONG": 0}
    small, large = Tile(64, 64), Tile(128, 128, 4)
    kinds = [small.defines("fp32", (1, 1))]
    if real == "float" and name == "convolution":
        kinds += [large.defines(precision, (4, 4)) for precision in ("fp32", "tf32")]
        kinds += [Tile(64, 64, 4).defines("bf16", (4, 4)), Tile(128, 64).defines("tf32", (1, 1))]
    elif real == "float":
        kinds += [small.defines(precision, (1, 1)) for precision in ("tf32", "bf16")]
    return [kind | along for kind in kinds]


PLAIN = [Tile(64, 64), Tile(128, 64), Tile(128, 128)]  # of convolutions in float32
LARGE = [Tile(128, 128, 4, depth, stages) for depth, stages in ((32, 3), (16, 4), (16, 3), (16, 2))]
ALIGNED = [Tile(64, 64, 4, 32), Tile(128, 64, 4, 16, 4), *LARGE]  # on tensor cores, where groups of four are moved
SINGLE = [Tile(64, 64, 8, 32), Tile(128, 64)]  # and where single elements are
ROUNDED = ("tf32", "bf16")


def all_variants(name, real):
    """Every set of definitions with which a source can be compiled."""
    if name not in ("convolution", "product"):
        return variants(name, real)
    rounded = ROUNDED if real == "float" else ()
    if name == "product":
        ways = [{"LEFT_ALONG": left, "RIGHT_ALONG": right} for left in (0, 1) for right in (0, 1)]
        return [Tile(64, 64).defines(precision, (1, 1)) | way for precision in ("fp32", *rounded) for way in ways]
    if real == "double":
        return [PLAIN[0].defines("fp32", (1, 1))]
    single = [(tile, packs) for tile in SINGLE for packs in ((1, 1), (1, 4), (4, 1))]
    tiles = [(tile, (4, 4)) for tile in ALIGNED] + single
    plain = [tile.defines("fp32", (1, 1)) for tile in PLAIN]
    return plain + [tile.defines(precision, packs) for precision in rounded for tile, packs in tiles]


def shared(defines):
    """Bytes of shared memory that a kernel of these definitions is given at most, beside its own arrays."""
    if "STAGES" not in defines:
        return 0
    tile = Tile(*(defines[key] for key in ("TILE_M", "TILE_N", "WARPS", "DEPTH", "STAGES")))
    along_the_sum = tile == LARGE[0]  # which only the forward face has, where no row has a gap
    return tile.shared((along_the_sum, along_the_sum))
