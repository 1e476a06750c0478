"""ProGAN's players against the same formulas in PyTorch, while a size fades in; and what else their parts promise."""

import numpy as np
import pytest
from parity import tensors
from torch_progan import act, conv, dense, their_image

import minigan as mg
from minigan.errors import ShapeError
from minigan.models.progan import GrowingDiscriminator, GrowingGenerator

torch = pytest.importorskip("torch")
F = torch.nn.functional
SIDE, BATCH = 16, 4


def their_scores(p, x, stage, share):
    h = act(conv(p, f"from_image.{stage}.0", x))
    for k in range(stage, 0, -1):
        h = F.avg_pool2d(act(conv(p, f"blocks.{k}.2", act(conv(p, f"blocks.{k}.0", h)))), 2)
        if k == stage:
            h = torch.lerp(act(conv(p, f"from_image.{k - 1}.0", F.avg_pool2d(x, 2))), h, share)
    spread = (h.var(0, correction=0) + 1e-8).sqrt().mean()
    h = torch.cat([h, spread.expand(len(h), 1, 4, 4)], 1)
    h = act(dense(p, "blocks.0.4", act(conv(p, "blocks.0.1", h)).flatten(1)))
    return dense(p, "blocks.0.6", h, 1)


@pytest.mark.parametrize(("level", "stage"), [(0.0, 0), (0.3, 1), (1.0, 1), (1.75, 2)])
def test_parity_of_both_players_and_of_a_penalised_step(level, stage):
    G, D = (player.to(dtype="float64") for player in mg.models.progan(SIDE, 5, channels=2, width=4))
    for player in (G, D):
        player.level.data.fill(level)
        player.level.written("test")
    theirs_g, theirs_d = tensors(G), tensors(D)
    rng, share = np.random.default_rng(0), level - (stage - 1)
    z, x = rng.normal(size=(BATCH, 5)), rng.normal(size=(BATCH, 2, 4 << stage, 4 << stage))

    image = G(mg.tensor(z), stage)
    expected = their_image(theirs_g, torch.tensor(z), stage, share)
    np.testing.assert_allclose(image.numpy(), expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    whole = G(mg.tensor(z)).numpy()
    np.testing.assert_array_equal(whole, image.numpy().repeat(4 >> stage, 2).repeat(4 >> stage, 3))

    loss = mg.mean(D(mg.tensor(x))) - mg.mean(D(image)) + 10 * mg.gan.penalties.r1(D, mg.tensor(x), image)
    real = torch.tensor(x, requires_grad=True)
    scores = their_scores(theirs_d, real, stage, share)
    (slope,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
    its = scores.mean() - their_scores(theirs_d, expected, stage, share).mean()
    its = its + 10 * slope.square().sum((1, 2, 3)).mean()
    assert loss.item() == pytest.approx(its.item(), rel=1e-10)
    for player, params in ((G, theirs_g), (D, theirs_d)):
        found = mg.grad(loss, player.parameters())
        told = torch.autograd.grad(its, list(params.values()), retain_graph=True, allow_unused=True)
        for name, ours, grad in zip(params, found, told, strict=True):
            grad = np.zeros(ours.shape) if grad is None else grad.numpy()
            np.testing.assert_allclose(ours.numpy(), grad, rtol=1e-8, atol=1e-9 * max(abs(grad).max(), 1), err_msg=name)


def test_gradients_of_any_order_through_what_fades_in():
    G, D = GrowingGenerator(8, 2, 1, 1), GrowingDiscriminator(8, 1, 1)
    for player in (G, D):
        player.to(dtype="float64").level.data.fill(0.4)
    rng = np.random.default_rng(1)
    mg.testing.gradcheck(lambda z: G(z, 1), [mg.tensor(rng.normal(size=(2, 2)))])
    mg.testing.gradcheck(D, [mg.tensor(rng.normal(size=(2, 1, 8, 8)))])


@pytest.mark.parametrize("side", [8, 28, 32, 48])
def test_shapes_of_each_size(side):
    G, D = mg.models.progan(side, 5, channels=3, width=2)
    assert G.num_parameters(buffers=True) == GrowingGenerator.held(side, 5, 3, 2) + 1  # its level
    z = mg.tensor(np.random.default_rng(0).normal(size=(4, 5)).astype("float32"))
    for stage, size in enumerate(D.sides):
        image = G(z, stage)
        assert image.shape == (4, 3, size, size)
        assert image.data.strides[1] == image.data.itemsize, "channels-last"
        assert D(image).shape == (4, 1)
    assert G(z).shape == (4, 3, side, side)
    with pytest.raises(ShapeError, match=r"GrowingDiscriminator: expected images of \[.*\] pixels, got \(4, 3, 9, 9\)"):
        D(mg.ones((4, 3, 9, 9)))
    with pytest.raises(ShapeError, match="a side of 4, 5, 6 or 7 times 2, 4, 8"):
        mg.models.progan(side + 1)
