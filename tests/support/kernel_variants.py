"""The definitions with which the CUDA sources are compiled, to see that each compiles."""


def variants(name, real):
    """The definitions with which a source is compiled: the largest tiles of each kind, which need most registers."""
    if name == "columns":
        plain = [{"PACK": pack} for pack in (1, 16 // (4 if real == "float" else 8))]
        return plain + [{"PACK": pack, "BF16": 1} for pack in (1, 8) if real == "float"]
    if name not in ("convolution", "product"):
        return [{}]
    size = 128 if name == "convolution" and real == "float" else 64
    along = {} if name == "convolution" else {"LEFT_ALONG": 1, "RIGHT_ALONG": 0}
    tile = {"TILE_M": size, "TILE_N": size, **along}
    return [tile, {**tile, "TF32": 1}] if real == "float" else [tile]
