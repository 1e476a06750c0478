"""A run of 200 000 steps: memory, the time of a step, open files and threads are at its end what they were early on."""

import json
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_run import rows

PROGRAM = """
import json, os, sys, threading
import numpy as np
import minigan as mg
from minigan import data, training
from minigan.gan import ScoreGame, losses, normal_latent

STEPS, seen = int(sys.argv[2]), {}

def look(step):
    pages = int(open("/proc/self/statm").read().split()[1])
    seen[step] = {
        "memory": pages * os.sysconf("SC_PAGE_SIZE"),
        "files": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
    }

def build(settings):
    mg.random.seed(0)
    G, D = mg.models.mlp2d(2, width=8)
    return ScoreGame(
        G, D, loss=losses.nonsaturating, latent=normal_latent(2),
        generator_optimizer=mg.optim.Adam(G.parameters(), 1e-4),
        discriminator_optimizer=mg.optim.Adam(D.parameters(), 1e-4),
    )

def draw(game, samples, path):
    look(game.rounds)
    path.write_bytes(b"no picture")

def nothing(*args, **kwargs):
    pass

mg.viz.save_gif = nothing
settings = training.Settings(name="toy", out=sys.argv[1], steps=STEPS, batch_size=16, sample_every=STEPS // 10)
samples = data.Samples(mg.data.gaussians_ring(16 * STEPS // 40)[0], None, "ring")
status = training.run(build, settings, load=lambda settings, limit: samples, picture=draw)
json.dump({"status": status, "seen": seen}, open(sys.argv[1] + ".json", "w"))
"""


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc, which Linux has")
def test_a_long_run_stays_as_it_was(tmp_path):
    steps, out = 200_000, tmp_path / "run"
    subprocess.run([sys.executable, "-c", PROGRAM, str(out), str(steps)], check=True, timeout=1200)
    found = json.loads(Path(f"{out}.json").read_text())
    assert found["status"] == 0
    seen = {int(step): look for step, look in found["seen"].items()}
    assert set(seen) == set(range(0, steps + 1, steps // 10))
    early, end = seen[steps // 5], seen[steps]
    assert end["memory"] < early["memory"] + 8 * 2**20
    assert (end["files"], end["threads"]) == (early["files"], early["threads"])
    log = rows(out)
    assert [int(row["step"]) for row in log] == list(range(1, steps + 1))
    rates = [float(row["images_per_s"]) for row in log]
    tenth = steps // 10
    assert statistics.median(rates[-tenth:]) > 0.7 * statistics.median(rates[tenth : 2 * tenth])
