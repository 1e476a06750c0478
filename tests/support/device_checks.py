"""What must hold on a CUDA device, or on the stand-in for one: ops and training steps against those of the CPU."""

import numpy as np
import pytest
from op_table import TABLE

import minigan as mg
from minigan.tensor import Tensor


def check_op_to_second_order(name, k, rng):
    """A row of the op table gives on the device what it gives on the CPU, and its gradients are right there."""
    row = TABLE[name][k]
    arrays = row.make(rng)
    inputs = [mg.tensor(a, device="cuda") for a in arrays]
    y = row.fn(*inputs)
    assert y.device == ("cpu" if name == "to" else "cuda")
    np.testing.assert_allclose(y.numpy(), row.fn(*map(mg.tensor, arrays)).numpy(), rtol=1e-12, atol=1e-12)
    if row.differentiable and name != "to":
        mg.testing.gradcheck(row.fn, inputs)


def check_training_step(make):
    """Two rounds of a game that make(device, dtype) builds leave the same losses and weights on both devices."""
    on_cpu, cpu_state = play("cpu", make, "float64")
    on_cuda, cuda_state = play("cuda", make, "float64")
    for ours, theirs in zip(on_cuda, on_cpu, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-9)
    for key, value in cpu_state.items():
        np.testing.assert_allclose(cuda_state[key], value, rtol=1e-6, atol=1e-9, err_msg=key)


def play(device, make, dtype, steps=2, batch=8):
    """Losses and weights after a few rounds of a game on `device`."""
    mg.random.seed(0)
    game = make(device, dtype)
    results = []
    for _ in range(steps):
        images = np.random.default_rng(len(results)).integers(0, 256, (batch, 1, 28, 28)).astype("uint8")
        batches = mg.data.Batches(images, batch, device=device)
        results.append({k: v.item() for k, v in game.play(lambda k, b=batches: Tensor(b.at(k)).astype(dtype)).items()})
    return results, {k: t.numpy() for k, t in game.state.items()}
