"""What a translator is told besides an image reaches what it makes."""

import numpy as np
import pytest

import minigan as mg
from minigan import models, nn


def test_inpainting_draws_in_holes_alone(rng):
    x = rng.uniform(-1, 1, (2, 3, 4, 4)).astype(np.float32)
    x[:, -1] = -1
    x[0, -1, 1:3, 2:] = 1
    draws = nn.Sequential(nn.Conv2d(3, 2, 1, rng=mg.random.Stream(0)))
    made = models.Inpainting(draws)(mg.tensor(x)).numpy()
    expected = np.where(x[:, -1:] == 1, draws(mg.tensor(x)).numpy(), x[:, :-1])
    np.testing.assert_allclose(made, expected, atol=1e-6)
    assert (made[1] == x[1, :-1]).all()


@pytest.mark.parametrize("border", [nn.ZeroPad2d, nn.ReflectionPad2d])
def test_a_class_is_told_by_edges_where_zeros_continue_the_image(border, rng):
    size = {"width": 4, "blocks": 1, "border": border}
    G = models.WithClass(models.resnet_translator(1 + 3, 1, **size, rng=mg.random.Stream(0)), 3)
    x = mg.tensor(np.repeat(rng.standard_normal((1, 1, 16, 16), dtype=np.float32), 3, 0))
    apart = np.ptp(G(x, mg.tensor(np.arange(3))).numpy(), axis=0).max()
    assert (apart > 1e-4) == (border is nn.ZeroPad2d)
