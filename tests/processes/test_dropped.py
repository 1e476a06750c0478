"""Every sum over processes is needed: a copy of the package without it no longer plays what one process plays."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import minigan

PACKAGE = Path(minigan.__file__).parent
SUPPORT = Path(__file__).parent.parent / "support"

DROPPED = [  # (file, what is there, what is left of it, the system that notices)
    (
        "optim/optimizers.py",
        "self.step(ops.averaged(grad(loss, self.params)))",
        "self.step(grad(loss, self.params))",
        "f-GAN",
    ),
    ("gan/game.py", "zip(losses, ops.averaged([*losses.values()]), strict=True)", "losses", "f-GAN"),
    ("gan/score.py", "return ops.averaged(slopes), told", "return slopes, told", "consensus"),
    ("gan/score.py", "pull = ops.averaged(", "pull = list(", "consensus"),
    ("gan/score.py", "grads = ops.averaged([*d_grads, *g_grads])", "grads = [*d_grads, *g_grads]", "one pass"),
    (
        "gan/score.py",
        "grads = ops.averaged(grad(loss, params, create_graph=True))",
        "grads = grad(loss, params, create_graph=True)",
        "unrolled",
    ),
    ("gan/bigan.py", "(ops.averaged(grad(loss, o.params)) for", "(grad(loss, o.params) for", "BiGAN"),
    ("gan/losses.py", "return batch_logsumexp(", "from ..ops import logsumexp; return logsumexp(", "softmax"),
    (
        "gan/losses.py",
        "real - batch_logsumexp(fake)",
        "real - __import__('minigan').logsumexp(fake)",
        "dual contrastive, approximated R1 and R2",
    ),
    ("gan/slicing.py", "ops.batch_mean(weights)", "ops.mean(weights)", "direction"),
    ("gan/losses.py", "upper - batch_mean(lower)", "upper - mean(lower)", "relativistic average LSGAN"),
    ("gan/losses.py", "lower - batch_mean(upper)", "lower - mean(upper)", "relativistic average LSGAN"),
    ("gan/penalties.py", "sqrt(batch_var(real))", "sqrt(__import__('minigan').var(real))", "DRAGAN"),
    ("gan/penalties.py", "all_sum(sum(square(slopes)))", "sum(square(slopes))", "the printed penalty of CS231n"),
    ("gan/dynamics.py", "everybodys = all_gather(fake)", "everybodys = fake", "replay"),
    ("gan/energy.py", "codes = ops.all_gather(codes)", "pass", "EBGAN"),
    ("gan/energy.py", "imbalance = ops.all_mean(", "imbalance = (", "BEGAN"),
    ("gan/semi.py", "ops.batch_mean(real, 0)", "ops.mean(real, 0)", "semi-supervised"),
    ("gan/semi.py", "ops.batch_mean(fake, 0)", "ops.mean(fake, 0)", "semi-supervised"),
    ("gan/semi.py", "chosen = part.take(Tensor(", "chosen = (Tensor(", "semi-supervised"),
    ("nn/norm.py", "ops.sync_batch_norm(", "ops.batch_norm(", "batch norm, EMA"),
    ("nn/norm.py", "x.size // channels * processes.statistics().size", "x.size // channels", "batch norm, EMA"),
    (
        "ops/synchronised.py",
        "parts = group.gather(xp(x).ascontiguousarray(own))",
        "parts = own[None]",
        "batch norm, EMA",
    ),
    (
        "ops/synchronised.py",
        "_sync_grad(g * by, x, stats, _all_mean(sums * by, group), group)",
        "_sync_grad(g * by, x, stats, sums * by, group)",
        "batch norm, EMA",
    ),
    (
        "ops/synchronised.py",
        "slope = _all_mean(_channel_dot(h, _sync_grad(g, x, stats, means, group)), group)",
        "slope = _channel_dot(h, _sync_grad(g, x, stats, means, group))",
        "gradient penalty through batch norm",
    ),
    (
        "ops/synchronised.py",
        "_all_mean(_sync_sums(h, x, stats, group), group)",
        "_sync_sums(h, x, stats, group)",
        "gradient penalty through batch norm",
    ),
    ("random.py", "if part.count == 1 or not sizes:", "if True:", "gradient penalty, two critic turns"),
    ("data/batches.py", "processes.part().take(order[", "(order[", "rows of a source"),
    ("gan/game.py", "return mapped(_rows(drawn, part), ", "return mapped(drawn, ", "f-GAN"),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The package, to be changed."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(PACKAGE, folder / "minigan", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def alike(copy, *names):
    paths = os.pathsep.join([str(copy), str(SUPPORT)])
    environment = os.environ | {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, SUPPORT / "dropped.py", *names]
    return subprocess.run(command, env=environment, cwd=copy, capture_output=True, timeout=120).returncode == 0


@pytest.mark.slow
def test_a_copy_plays_what_the_package_plays(copy):
    assert alike(copy, *dict.fromkeys(name for *_, name in DROPPED))


@pytest.mark.slow
@pytest.mark.parametrize(("file", "there", "left", "system"), DROPPED)
def test_without_one_of_them_it_is_noticed(copy, file, there, left, system):
    path = copy / "minigan" / file
    text = path.read_text()
    assert text.count(there) == 1
    path.write_text(text.replace(there, left))
    try:
        assert not alike(copy, system)
    finally:
        path.write_text(text)
