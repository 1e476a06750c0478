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
    kinds = [small.defines(None)]
    if real == "float" and name == "convolution":
        kinds += [large.defines(None), large.defines((4, 4)), Tile(128, 64).defines((1, 1))]
    elif real == "float":
        kinds += [small.defines((1, 1))]
    return [kind | along for kind in kinds]
