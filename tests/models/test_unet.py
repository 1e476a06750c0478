"""U-Net GAN's discriminator: an image's score at each pixel, and each pixel's own."""

import numpy as np
import pytest

import minigan as mg
from minigan.gan import losses, penalties


def images(n=3, side=16):
    return mg.tensor(mg.random.Stream(1).uniform((n, 1, side, side), -1, 1, "float64"))


@pytest.mark.parametrize(("side", "classes"), [(16, 0), (28, 3), (64, 0)])
def test_an_image_has_a_score_and_so_has_each_pixel(side, classes):
    G, D = mg.models.unet(side, 8, channels=1, width=8, classes=classes, attention=side // 2)
    told = (mg.tensor(np.array([0, 2, 1])),) if classes else ()
    x = G(mg.tensor(mg.random.Stream(0).normal((3, 8))), *told)
    scores = D(x, *told).numpy()
    assert scores.shape == (3, 2, side, side)
    assert np.ptp(scores[:, 0], axis=(1, 2)).max() == 0
    assert scores[:, 1].std((1, 2)).min() > 1e-3
    assert np.abs(scores).max() < 5


def test_the_whole_image_decides_its_score_and_the_place_a_pixels():
    D = mg.models.unet(64, channels=1, width=4).discriminator.to(dtype="float64")
    x = images(2, 64).numpy()
    other = x.copy()
    other[:, :, :4, :4] = -other[:, :, :4, :4]
    before, after = (D(mg.tensor(a)).numpy() for a in (x, other))
    assert np.abs(after[:, 0] - before[:, 0]).min() > 1e-8
    moved = np.abs(after[:, 1] - before[:, 1])
    assert moved[:, :6, :6].mean() > 10 * moved[:, 32:, 32:].mean()


def test_losses_weigh_both_alike():
    D = mg.models.unet(16, channels=1, width=4, classes=2).discriminator.to(dtype="float64")
    labels = mg.tensor(np.array([0, 1, 1]))
    real, fake = (D(sign * images(), labels) for sign in (1.0, -1.0))
    for loss in (losses.hinge, losses.nonsaturating, losses.relativistic):
        both = [loss.discriminator(real[:, k : k + 1], fake[:, k : k + 1]).item() for k in (0, 1)]
        assert loss.discriminator(real, fake).item() == pytest.approx(sum(both) / 2)


def test_a_penalty_is_on_the_mean_of_an_images_scores():
    D = mg.models.unet(16, channels=1, width=4).discriminator.to(dtype="float64")
    x = images()
    of_mean = penalties.r1(lambda x: mg.mean(D(x), (1, 2, 3)), x, x)
    assert penalties.r1(D, x, x).item() == pytest.approx(of_mean.item())
    mg.testing.gradcheck(
        lambda w: penalties.r1(lambda x: mg.nn.functional_call(D, {"score.weight": w}, x), x, x),
        [mg.tensor(D.score.weight.numpy())],
        order=1,
    )
