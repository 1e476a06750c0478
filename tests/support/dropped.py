"""Do two ranks that are threads still play what one plays? python dropped.py NAME ...: 0 if they do, 1 if not."""

import sys

import numpy as np
from system_parts import BATCH, IMAGES
from systems import SYSTEMS, furthest, play

from minigan.data import Batches
from minigan.processes import Part, Threads
from minigan.processes.part import meaning


def rows_alike() -> bool:
    source = Batches(IMAGES, BATCH)
    whole = source.at(1)
    with meaning(Part(1, 2)):
        return np.array_equal(source.at(1), whole[1::2])


def alike(name: str) -> bool:
    if name == "rows of a source":
        return rows_alike()
    game, alone, losses = play(SYSTEMS[name], 4)
    for _, state, found in Threads(2).run(lambda group: play(SYSTEMS[name], 4, group)):
        if furthest(game, alone, state) > 1e-12 or max(abs(found[k] - losses[k]) for k in losses) > 1e-9:
            return False
    return True


if __name__ == "__main__":
    sys.exit(0 if all(map(alike, sys.argv[1:])) else 1)
