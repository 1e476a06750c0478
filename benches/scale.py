"""What several processes are worth: measured here, and worked out for machines that were not at hand.

    python benches/scale.py                    scaling and sums on this machine, then the model: 6 minutes
    python benches/scale.py --json FILE        the figures too
    python benches/scale.py --model            the model alone, which plays each game once to count its messages

Needs MPI: pip install -e '.[mpi]'. On one machine two processes share what one has, so that scaling shows what the
sums and the waiting cost; whether more machines are worth their network, the model says, whose assumptions it prints.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from steps.machine import blas_in_use

import minigan as mg
from minigan.processes import Group, Threads, world
from minigan.system.machine import processor

PINS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
SIZES = (1, 1024, 16_384, 262_144, 1_048_576, 6_600_000)  # float32 numbers of a sum
ROUNDS, WARM_UP = 12, 4


# --- games ----------------------------------------------------------------------------------------------------------


def dcgan28() -> Any:
    """The DCGAN of CS231n for 28 x 28 images."""
    return mg.models.dcgan28(96), (1, 28, 28)


def dcgan64() -> Any:
    """DCGAN for 64 x 64 images, width 64."""
    return mg.models.dcgan(side=64, channels=3, width=64, z_dim=96), (3, 64, 64)


def dcgan_25m() -> Any:
    """The same for 64 x 64, so wide that the generator has 25 million parameters."""
    return mg.models.dcgan(side=64, channels=3, width=184, z_dim=96), (3, 64, 64)


class Workload(NamedTuple):
    """A game, and what a round of it takes on one H100 in float32: milliseconds at a batch, measured or scaled."""

    make: Callable[[], Any]
    batch: int
    gpu_ms: float
    known: str


GAMES = {
    "DCGAN 28": Workload(dcgan28, 128, 2.07, "measured"),
    "DCGAN 64": Workload(dcgan64, 128, 11.29, "measured"),
    "DCGAN 64, G of 25 million": Workload(dcgan_25m, 128, 11.29 * 8.3, "that of DCGAN 64 times the operations, 8.3"),
}


def game_of(workload: Workload, batch: int) -> tuple[Any, Any]:
    """(the game, its batches of so many images)."""
    with mg.random.using(mg.random.Stream(0)):
        (G, D), shape = workload.make()
    made = mg.gan.ScoreGame(
        G,
        D,
        loss=mg.gan.losses.nonsaturating,
        latent=mg.gan.uniform_latent(96),
        generator_optimizer=mg.optim.Adam(G.parameters(), 2e-4, (0.5, 0.999)),
        discriminator_optimizer=mg.optim.Adam(D.parameters(), 2e-4, (0.5, 0.999)),
    )
    images = np.random.default_rng(0).integers(0, 256, (batch, *shape)).astype("uint8")
    return made, mg.data.Batches(images, batch)


# --- measured -------------------------------------------------------------------------------------------------------


def children(processes: int, threads: int, *arguments: Any) -> dict[str, Any]:
    """What the first of so many processes of this program prints, each with so many threads."""
    given = {k: v for k, v in os.environ.items() if k not in PINS}
    limits = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MINIGAN_NUM_THREADS")}
    command = [sys.executable, __file__, "--child", *map(str, arguments)]
    launcher = ["mpiexec", "-n", str(processes)] if processes > 1 else []
    done = subprocess.run([*launcher, *command], env=given | limits, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(launcher + command)}:\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def a_round(name: str, batch: int, threads: int) -> dict[str, Any]:
    """Milliseconds of a round, and of its sums: medians, in the process that calls it with the others."""
    mg.set_num_threads(threads)
    group = world()
    game, batches = game_of(GAMES[name], batch)
    game.distribute(group)
    rounds, sums = [], []
    for k in range(WARM_UP + ROUNDS):
        begun, before = time.perf_counter(), group.seconds
        game.play(batches)["d_loss"].item()
        if k >= WARM_UP:
            rounds.append(1e3 * (time.perf_counter() - begun))
            sums.append(1e3 * (group.seconds - before))
    return {"ms": statistics.median(rounds), "sums_ms": statistics.median(sums), "rank": group.rank}


def sums() -> dict[str, Any]:
    """Microseconds of a sum of float32 numbers, by how many: medians."""
    group, found = world(), {}
    for size in SIZES:
        array, times = np.ones(size, np.float32), []
        for _ in range(60 if size < 1e5 else 15):
            group.any(False)  # all begin together
            begun = time.perf_counter()
            group.sum(array)
            times.append(1e6 * (time.perf_counter() - begun))
            array[...] = 1
        found[str(size)] = statistics.median(times)
    return {"us": found, "rank": group.rank}


SPLITS = [  # (what it shows, processes, threads of each, times the batch)
    ("one process of one thread", 1, 1, 1),
    ("one process of two threads", 1, 2, 1),
    ("two processes of one thread", 2, 1, 1),
    ("two processes, twice the batch", 2, 1, 2),
    ("four processes on two cores", 4, 1, 1),
]


def scaling(name: str, turns: int) -> list[dict[str, Any]]:
    """A row for each way to split a round over processes and threads, taken in turns."""
    batch = GAMES[name].batch
    taken: dict[str, list[dict[str, Any]]] = {what: [] for what, *_ in SPLITS}
    for _ in range(turns):
        for what, processes, threads, times in SPLITS:
            taken[what].append(children(processes, threads, "round", name, batch * times, threads))
    rows = []
    for what, processes, threads, times in SPLITS:
        ms, sums_ms = (statistics.median(row[key] for row in taken[what]) for key in ("ms", "sums_ms"))
        about = {"what": what, "processes": processes, "threads": threads, "batch": batch * times}
        rows.append({**about, "ms": ms, "sums_ms": sums_ms, "images_per_s": 1e3 * batch * times / ms})
    return rows


# --- the model ------------------------------------------------------------------------------------------------------


class Traffic(NamedTuple):
    """What one process sends in a round: messages, and bytes of the two gradients and of all else."""

    messages: int
    gradients: int
    rest: int


def traffic(name: str) -> Traffic:
    """Counted while two ranks, which are threads, play a round of a small batch."""

    def of_rank(group: Group) -> Traffic:
        sizes: list[int] = []

        def counting(method: Callable[..., Any]) -> Callable[..., Any]:
            return lambda array, *more: sizes.append(array.nbytes) or method(array, *more)

        for method in ("sum", "max", "gather", "broadcast"):
            setattr(group, method, counting(getattr(group, method)))
        game, batches = game_of(GAMES[name], 4)
        game.graphs = False
        game.distribute(group)
        game.play(batches)
        weights = [sum(p.data.nbytes for p in o.params) for o in game.optimizers.values()]
        assert all(n in sizes for n in weights), "the gradients of each player are one message"
        return Traffic(len(sizes), sum(weights), sum(sizes) - sum(weights))

    return Threads(2).run(of_rank)[0]


class Network(NamedTuple):
    """A machine that was not at hand: how many processes, bytes a second of each, seconds a message."""

    name: str
    processes: int
    bytes_per_s: float
    latency: float
    cpu: bool = False


NETWORKS = [
    Network("8 GPUs, NVLink", 8, 200e9, 20e-6),
    Network("64 nodes of 8 GPUs, 400 Gb/s a GPU", 512, 40e9, 80e-6),
    Network("64 nodes, CPUs, 25 Gb/s", 64, 3e9, 200e-6, cpu=True),
    Network("64 nodes, CPUs, 1 Gb/s", 64, 0.12e9, 500e-6, cpu=True),
]
OVERLAPPED = 0.7  # the part of the gradients' bytes that a backward pass could hide, sent in buckets as they are made


def model(cpu_ms: dict[str, float]) -> list[dict[str, Any]]:
    """Efficiency of weak scaling, t / (t + sums), where each process has the batch that is measured.

    A sum of S bytes over P processes takes a + 2 (P - 1) / P S / B. With overlap the gradients' share is hidden behind
    the backward passes, half of a round, as far as it fits there.
    """
    rows = []
    for name, workload in GAMES.items():
        found = traffic(name)
        for network in NETWORKS:
            ms = cpu_ms.get(name) if network.cpu else workload.gpu_ms
            if ms is None:
                continue
            per_byte = 2 * (network.processes - 1) / network.processes / network.bytes_per_s
            latency = 1e3 * network.latency * found.messages
            bandwidth = 1e3 * per_byte * (found.gradients + found.rest)
            hidden = min(OVERLAPPED * 1e3 * per_byte * found.gradients, ms / 2)
            rows.append(
                {
                    "game": name,
                    "network": network.name,
                    "messages": found.messages,
                    "megabytes": (found.gradients + found.rest) / 1e6,
                    "computing_ms": ms,
                    "latency_ms": latency,
                    "bandwidth_ms": bandwidth,
                    "efficiency": ms / (ms + latency + bandwidth),
                    "with_overlap": ms / (ms + latency + bandwidth - hidden),
                }
            )
    return rows


# --- shown ----------------------------------------------------------------------------------------------------------


def show(found: dict[str, Any]) -> None:
    """Tables, in Markdown."""
    for name, rows in found.get("scaling", {}).items():
        print(f"\n{name}, batch {GAMES[name].batch}, medians of {ROUNDS} rounds, taken in turns\n")
        print("| | batch | ms a round | of which sums | images/s |\n|---|---:|---:|---:|---:|")
        for row in rows:
            share = f"{row['sums_ms']:.1f} ({row['sums_ms'] / row['ms']:.0%})" if row["processes"] > 1 else ""
            print(f"| {row['what']} | {row['batch']} | {row['ms']:.0f} | {share} | {row['images_per_s']:.0f} |")
    if "sums" in found:
        print("\nSums of float32 numbers, microseconds\n")
        counts = list(found["sums"])
        print(f"| numbers | {' | '.join(f'{n} processes' for n in counts)} |\n|---:|{'---:|' * len(counts)}")
        for size in SIZES:
            cells = [f"{found['sums'][n][str(size)]:,.0f}" for n in counts]
            print(f"| {size:,} | {' | '.join(cells)} |")
    print("\nThe model, weak scaling: each process computes the batch that was measured\n")
    print("| game | on | messages, MB | computing ms | latency ms | bandwidth ms | efficiency | with overlap |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for row in found["model"]:
        times = " | ".join(f"{row[k]:.3g}" for k in ("computing_ms", "latency_ms", "bandwidth_ms"))
        print(
            f"| {row['game']} | {row['network']} | {row['messages']}, {row['megabytes']:.1f} | {times} | "
            f"{row['efficiency']:.0%} | {row['with_overlap']:.0%} |"
        )


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--json", type=Path, help="write the figures there")
    p.add_argument("--model", action="store_true", help="the model alone")
    p.add_argument("--turns", type=int, default=3, help="how often each split is measured (default: 3)")
    p.add_argument("--child", nargs="*", help=argparse.SUPPRESS)
    chosen = p.parse_args()
    if chosen.child:
        what, *rest = chosen.child
        found = sums() if what == "sums" else a_round(rest[0], int(rest[1]), int(rest[2]))
        if found.pop("rank") == 0:
            print(json.dumps(found))
        return
    blas = blas_in_use()
    found: dict[str, Any] = {"date": time.strftime("%Y-%m-%d"), "processor": processor(), "blas": blas}
    print(f"{found['processor']}; {'; '.join(blas)}")
    if not chosen.model:
        if shutil.which("mpiexec") is None:
            sys.exit("needs MPI: pip install -e '.[mpi]'")
        found["scaling"] = {name: scaling(name, chosen.turns) for name in ("DCGAN 28",)}
        found["sums"] = {n: children(int(n), 1, "sums")["us"] for n in ("2", "4")}
    first = {name: rows[0]["ms"] for name, rows in found.get("scaling", {}).items()}
    found["model"] = model(first)
    show(found)
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
