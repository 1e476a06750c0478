"""One of several processes of MPI: plays systems with the others, and the first compares with playing alone.

mpiexec -n P python tests/support/mpi_systems.py ROUNDS [NAME ...]: a line for each system; 1 if one differs.
"""

import sys

import numpy as np
from systems import SYSTEMS, furthest, play

from minigan import ops, processes
from minigan.grad import grad
from minigan.tensor import Tensor


def plays_alike(name: str, rounds: int, group: processes.Group) -> bool:
    """Does the group end with the weights of one process, all with the same bits?"""
    game, mine, _ = play(SYSTEMS[name], rounds, group)
    states = group.everybodys(mine)
    if group.rank:
        return True
    _, alone, _ = play(SYSTEMS[name], rounds)
    off = furthest(game, alone, mine)
    alike = all(np.array_equal(state[k], mine[k]) for state in states for k in mine)
    print(f"{name}: {off:.1e}{'' if alike else ', not the same on all'}", flush=True)
    return off < 1e-12 and alike


def second_derivatives_fit(group: processes.Group) -> bool:
    """A critic with synchronised batch norm and a gradient penalty: its second derivative and a finite difference."""
    rng = np.random.default_rng(0)
    whole, weight, way = (
        rng.standard_normal((8 * group.size, 5)),
        rng.standard_normal((3, 5)),
        rng.standard_normal((3, 5)),
    )

    def slope(moved: float, order: int) -> float:
        """The first or second derivative along `way` of the penalty's mean over processes."""
        w, one, none = Tensor(weight + moved * way), Tensor(np.ones(3)), Tensor(np.zeros(3))
        x = Tensor(processes.part().take(whole))
        scores = ops.sum(ops.tanh(ops.sync_batch_norm(ops.linear(x, w), one, none, 1e-3)[0]), 1)
        value = ops.mean(ops.square(ops.lengths(grad(ops.sum(scores), x, create_graph=True), 1e-12) - 1))
        for _ in range(order):
            value = ops.sum(grad(value, w, create_graph=True) * Tensor(way))
        return ops.all_mean(value.detach()).item()

    with processes.using(group):
        for order in (1, 2):
            step = 1e-5
            found = (slope(step, order - 1) - slope(-step, order - 1)) / (2 * step)
            exact = slope(0.0, order)
            if abs(found - exact) > 1e-7 * max(1, abs(exact)):
                print(f"derivative {order}: {exact}, by a finite difference {found}", flush=True)
                return False
    return True


def main() -> int:
    rounds, names = int(sys.argv[1]), sys.argv[2:] or [*SYSTEMS]
    group = processes.world()
    assert group.size > 1, "to be started by mpiexec"
    fine = second_derivatives_fit(group)
    for name in names:
        fine = plays_alike(name, rounds, group) and fine
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
