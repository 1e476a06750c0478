"""Squared Euclidean distances of many samples to many others, one block of rows after another."""

import math
from collections.abc import Iterator

import numpy as np

from .finite import check_finite

BLOCK = 1 << 22  # distances held at a time: 16 MiB of float32


def squared_distances(queries: np.ndarray, pool: np.ndarray, own: bool = False) -> Iterator[tuple[slice, np.ndarray]]:
    """(rows, |q - p|^2 of those rows of `queries` (N, ...) to all of `pool` (M, ...)), >= 0: each (rows, M).

    A block is one matrix product, (q, |q|^2, 1) (-2 p, 1, |p|^2)^T, in float32, or in float64 if one of the two is; it
    is wrong by some 1e-7 (1e-16) of the largest |q|^2, seen from the pool's mean. `own` says that the queries are the
    pool: a sample's distance to itself is then infinite. The reader may write into a block.
    ShapeError if a square overflows.
    """
    dtype = np.result_type(queries.dtype, pool.dtype, np.float32)
    known = np.asarray(pool, dtype).reshape(len(pool), math.prod(pool.shape[1:]))
    centre = known.mean(0)
    known = known - centre  # squares of small numbers: what is common to all would only cost digits
    asked = known if own else np.asarray(queries, dtype).reshape(len(queries), known.shape[1]) - centre
    of_asked, of_known = (np.einsum("nd,nd->n", x, x) for x in (asked, known))
    check_finite("squared distances", of_asked, of_known)
    left = np.column_stack([asked, of_asked, np.ones_like(of_asked)])
    right = np.column_stack([-2 * known, np.ones_like(of_known), of_known]).T
    size = max(1, BLOCK // len(known))
    for start in range(0, len(left), size):
        rows = slice(start, min(start + size, len(left)))
        block = left[rows] @ right
        np.maximum(block, 0, out=block)
        if own:
            np.fill_diagonal(block[:, rows], np.inf)
        yield rows, block


def kth_squares(queries: np.ndarray, pool: np.ndarray, k: int = 1, own: bool = False) -> np.ndarray:
    """(N,) the squared distance of each query (N, d) to its k-th nearest sample of the pool (M, d); `own` as above.

    Which one that is takes k passes over the distances, each far faster than a partition of them: for a small k. How
    far it is is computed once more from the difference, so that a copy is at 0 and what is equally far ties.
    """
    found = np.empty(len(queries), np.result_type(queries.dtype, pool.dtype, np.float32))
    for rows, block in squared_distances(queries, pool, own):
        each = np.arange(len(block))
        for _ in range(k - 1):
            block[each, block.argmin(1)] = np.inf
        apart = np.subtract(queries[rows], pool[block.argmin(1)], dtype=found.dtype)
        found[rows] = np.einsum("nd,nd->n", apart, apart)
    return found
