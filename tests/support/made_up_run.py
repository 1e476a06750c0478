"""The folder of a run that never ran: what a report reads, made up in milliseconds."""

import json

import numpy as np

import minigan as mg
from minigan import viz

SETTINGS = {
    "name": "train",
    "device": "cpu",
    "data": "digits",
    "batch_size": 16,
    "seed": 0,
    "extra": {"preset": "dcgan", "lr": 0.001, "penalty": None, "as_printed": False},
}
VERDICTS = ["healthy", "healthy", "watch", "failing"]
TITLES = ["Samples vary", "Samples vary", "The discriminator is winning", "Samples look alike"]
LEVELS = ["info", "info", "watch", "failing"]


def folder(path, rows=200, pictures=5, **settings):
    """`path`, holding config.json, a log.csv of so many rows, and pictures from step 0 to the last."""
    (path / "samples").mkdir(parents=True)
    config = {
        "settings": {**SETTINGS, **settings},
        "total_steps": 2 * rows,
        "images": {"count": 60000, "sha256": "0" * 64},
        "versions": {"minigan": mg.__version__, "python": "3.11"},
        "blas": [{"internal_api": "openblas", "version": "0.3", "architecture": "SkylakeX", "num_threads": 2}],
    }
    (path / "config.json").write_text(json.dumps(config))
    rng = np.random.default_rng(0)
    steps = np.arange(1, rows + 1)
    columns = {
        "step": steps,
        "d_loss": 1 + rng.random(rows),
        "g_loss": 2 + rng.random(rows),
        "d_real": rng.random(rows),
        "d_fake": rng.random(rows),
        "images_per_s": np.full(rows, 1234.5),
        "penalty": np.exp(-10 * steps / rows) + 1e-4,
    }
    lines = [",".join(map(str, row)) for row in zip(*(c.tolist() for c in columns.values()), strict=True)]
    (path / "log.csv").write_text("\n".join([",".join(columns), *lines]) + "\n")
    for k in range(pictures):
        images = rng.integers(0, 256, (4, 1, 8, 8), np.uint8)
        viz.save_png(viz.grid(images), path / "samples" / f"step_{k * rows // max(pictures - 1, 1):08d}.png")
    return path


def add_health(path, steps=(50, 100, 150, 200)):
    """Looks that go from healthy to failing; a number that is not finite at the second."""
    lines = [
        {
            "step": step,
            "numbers": {
                "diversity": 0.9 - 0.2 * k,
                "discriminator_grad": None if k == 1 else 0.5,
                "generator_grad": 3.0,
                "d_loss": 9.0,
            },
            "verdict": VERDICTS[k],
            "findings": [{"level": LEVELS[k], "title": TITLES[k], "explanation": f"as seen in step {step}"}],
        }
        for k, step in enumerate(steps)
    ]
    (path / "health.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def add_timings(path):
    """Two sessions of a minute each, 110 seconds of them accounted for, and one that was killed."""
    sessions = [
        {"started": "2025-01-01T10:00:00", "ended": "2025-01-01T10:01:00", "first": 0, "last": 100},
        {"started": "2025-01-01T11:00:00", "ended": "2025-01-01T11:01:00", "first": 100, "last": 200},
        {"started": "2025-01-01T12:00:00", "first": 200},
    ]
    spent = {"training": 90.0, "samples": 10.0, "checkpoints": 6.0, "health": 4.0}
    (path / "timings.json").write_text(json.dumps({**spent, "sessions": sessions}))
