"""Real-ESRGAN's degradations: kernels, resizes, noise and JPEG are what they are called, and each image has its own."""

import io
import math
from functools import partial

import fakecupy
import numpy as np
import pytest
from example_scripts import example
from fakecuda import counts
from PIL import Image
from replayed_game import replays_exactly

import minigan as mg
from minigan import data
from minigan.errors import ShapeError
from minigan.gan.translation import Restoration, degradation, making
from minigan.gan.translation.blurs import (
    BAND,
    SIZE,
    BlurDraws,
    _bessel,
    blurring,
    filtered,
    ringing,
    untouched,
)
from minigan.gan.translation.jpeg import compressed
from minigan.models import PixelDiscriminator, rrdbnet
from minigan.processes import Part
from minigan.processes.part import meaning
from minigan.random import Stream
from minigan.training import Settings


def pictures(n, side=32, channels=3):
    """Smooth images (n, channels, side, side) of levels, with a little noise."""
    rng = np.random.default_rng(n)
    clouds = data.clouds(n, side, 1).astype(float) + rng.normal(0, 6, (n, 3, side, side))
    return np.clip(np.rint(clouds), 0, 255)[:, :channels].astype(np.float32)


def uniform(n, columns, seed=0):
    return np.random.default_rng(seed).uniform(0, 1, (n, columns)).astype(np.float32)


def filter_draws(n, **fixed):
    draws = BlurDraws(*uniform(n, len(BlurDraws._fields)).T)
    return draws._replace(**{name: np.full(n, value, np.float32) for name, value in fixed.items()})


# --- JPEG -----------------------------------------------------------------------------------------------------------


def by_pillow(image, quality, halved):
    held = io.BytesIO()
    pixels = image.astype(np.uint8).transpose(1, 2, 0)
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    options = {} if pixels.shape[2] == 1 else {"subsampling": 2 if halved else 0}
    picture.save(held, "JPEG", quality=quality, **options)
    found = np.array(Image.open(held)).astype(float)
    return found[None] if found.ndim == 2 else found.transpose(2, 0, 1)


@pytest.mark.parametrize(("channels", "halved"), [(3, True), (3, False), (1, True)])
@pytest.mark.parametrize("side", [32, 41])
def test_jpeg_is_that_of_libjpeg(channels, halved, side):
    images, qualities = pictures(4, side, channels), np.array([10, 40, 75, 95])
    found = compressed(images, qualities, halved=halved)
    for image, quality, ours in zip(images, qualities.tolist(), found, strict=True):
        theirs = by_pillow(image, quality, halved)
        apart = np.abs(ours - theirs)  # where a coefficient was half-way, by the integers of libjpeg, there is a wave
        assert apart.mean() < 0.5
        assert np.quantile(apart, 0.95) <= 2
        assert np.abs(image - theirs).mean() > 6 * apart.mean()
    assert (found == np.rint(found)).all()


# --- kernels --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("about", [degradation.FIRST.blur, degradation.SECOND.blur])
def test_kernels_add_up_to_one_and_are_symmetric(about):
    draws = filter_draws(300)
    kernels = blurring(draws, about)
    np.testing.assert_allclose(kernels.sum((1, 2)), 1, rtol=1e-5)
    np.testing.assert_allclose(kernels, kernels[:, ::-1, ::-1], atol=1e-6)
    reach = 3 + np.floor(draws.size * 8).astype(int)
    for kernel, r in zip(kernels, reach, strict=True):
        assert not np.delete(kernel, np.arange(10 - r, 11 + r), 0).any()
    assert (kernels[draws.sinc >= about.sinc] >= 0).all()
    assert (kernels[draws.sinc < about.sinc].min((1, 2)) < 0).all()


def test_kernels_have_the_widths_that_are_drawn():
    along = np.arange(-10, 11)
    draws = filter_draws(40, sinc=1, kind=0.5, size=0.99, turn=0)  # Gaussian, two widths, along the axes
    kernels = blurring(draws, degradation.SECOND.blur)
    for axis, drawn in ((1, draws.first), (2, draws.second)):
        wide = drawn > 0.5
        deviation = np.sqrt((kernels.sum(axis) * along**2).sum(1))
        np.testing.assert_allclose(deviation[wide], (0.2 + 1.3 * drawn)[wide], rtol=2e-3)
    round_ = blurring(filter_draws(40, sinc=1, kind=0.2), degradation.FIRST.blur)
    np.testing.assert_allclose(round_, round_.transpose(0, 2, 1), atol=1e-6)
    flat = blurring(filter_draws(1, sinc=1, kind=0.9, first=1, size=0.99, side=0.9, power=1), degradation.FIRST.blur)
    q = (along**2 + along[:, None] ** 2) / 9
    np.testing.assert_allclose(flat[0], 1 / (1 + q**2) / (1 / (1 + q**2)).sum(), rtol=1e-4)


def test_kinds_are_as_likely_as_the_paper_has_them():
    about, n = degradation.FIRST.blur, 3000
    draws = filter_draws(n, turn=0.1, first=0.2, second=0.8, size=0.99)
    found = blurring(draws, about)
    rings = found.min((1, 2)) < -1e-4
    assert rings.mean() == pytest.approx(0.1, abs=0.02)
    smooth = found[~rings]
    long = np.abs(smooth - smooth.transpose(0, 2, 1)).max((1, 2)) > 1e-4
    assert long.mean() == pytest.approx(0.25 + 2 * 0.03, abs=0.03)
    corner = smooth[:, 0, 0] / smooth[:, 10, 10]  # a plateau ends as a power does
    assert (corner > 1e-5).mean() > 0.12


def test_sizes_and_qualities_are_drawn_between_their_bounds():
    draws = degradation.Draws(*uniform(4000, 8).T, filter=filter_draws(4000))
    for about, (low, high), (larger, smaller) in (
        (degradation.FIRST, (0.15, 1.5), (0.2, 0.7)),
        (degradation.SECOND, (0.3, 1.2), (0.3, 0.4)),
    ):
        scale = degradation._scale(draws, about)
        assert (scale > 1).mean() == pytest.approx(larger, abs=0.03)
        assert (scale < 1).mean() == pytest.approx(smaller, abs=0.03)
        assert low <= scale.min() < low + 0.01
        assert high - 0.01 < scale.max() <= high
        quality = degradation._quality(draws.quality, about.quality)
        assert (quality.min(), quality.max(), len(set(quality.tolist()))) == (30, 95, 66)


def test_sinc_filters_pass_what_is_slow_and_stop_what_is_fast():
    x = np.array([0.5, 3.0, 20.0, 44.0])
    np.testing.assert_allclose(_bessel(x), [0.2422684577, 0.3390589585, 0.0668331242, -0.0828033594], atol=1e-9)
    cutoff = np.array([0.0, 0.5, 1.0])
    kernels = ringing(np.full(3, 0.99), cutoff)
    along = np.arange(SIZE) - SIZE // 2
    for kernel, w in zip(kernels, math.pi * (1 + 2 * cutoff) / 3, strict=True):
        passed = [(kernel * np.cos(f * along)).sum() for f in (0.6 * w, min(1.5 * w, math.pi))]
        assert passed[0] == pytest.approx(1, abs=0.15)
        assert w == math.pi or abs(passed[1]) < 0.15
    single = untouched(kernels, np.array([True, False, True]))
    assert single[0, 10, 10] == single[0].sum() == 1
    assert (single[1] == kernels[1]).all()


@pytest.mark.parametrize("columns", [[14, 9, 3], [BAND, 31, 1], [2 * BAND + 6, 40, 5]])
def test_each_image_is_filtered_by_its_own_kernel_and_reflected_where_it_ends(columns, rng):
    x = rng.uniform(0, 255, (3, 2, 12, columns[0]))
    kernels = rng.uniform(0, 1, (3, SIZE, SIZE))
    sides = np.array([12, 7, 1]), np.array(columns)
    found = filtered(x, sides, kernels)
    assert found.shape == x.shape
    for image, kernel, ours, height, width in zip(x, kernels, found, *sides, strict=True):
        padded = np.pad(image[:, :height, :width], ((0, 0), (10, 10), (10, 10)), mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(padded, (SIZE, SIZE), (1, 2))
        np.testing.assert_allclose(ours[:, :height, :width], np.einsum("chwij,ij->chw", windows, kernel), rtol=1e-10)


# --- sizes and noise ------------------------------------------------------------------------------------------------


def resized(x, old, new, room, mode):
    sides = [tuple(np.array([size]) for size in each) for each in (old, new)]
    return degradation._resized(x, *sides, room, np.array([(mode + 0.5) / 3]))[0, :, : new[0], : new[1]]


@pytest.mark.parametrize("new", [(5, 13), (11, 7), (9, 8)])
@pytest.mark.parametrize(("mode", "name"), list(enumerate(["area", "bilinear", "bicubic"])))
def test_what_counts_of_an_image_is_resized_as_an_image_of_that_size(mode, name, new, rng):
    x = rng.uniform(0, 255, (1, 3, 12, 10))
    expected = mg.interpolate(mg.tensor(x[:, :, :9, :8]), new, mode=name).numpy()[0]
    np.testing.assert_allclose(resized(x, (9, 8), new, (16, 14), mode), expected, rtol=1e-9)


def test_noise_has_the_deviation_that_is_drawn():
    n, shape = 4, (4, 3, 64, 64)
    x = np.full(shape, 100.0, np.float32)
    x[:, :, :, ::2] = 101  # two levels: Poisson numbers of mean 0.8
    noise = Stream(0).normal(shape), Stream(1).uniform(shape)
    draws = degradation.Draws(*uniform(n, 8).T, filter=filter_draws(n))
    draws = draws._replace(gaussian=np.array([0, 0, 0.9, 0.9]), strength=np.array([0, 1, 0, 0.02]))
    draws = draws._replace(grey=np.array([0, 0.9, 0, 0.9]))
    found = degradation._noisy(x, *noise, draws, degradation.FIRST) - x
    assert found[:2].std((1, 2, 3)) == pytest.approx([1, 30], rel=0.04)
    poisson = 255 / 2 * np.sqrt(100.5 / 255 * 2)
    assert found[2:].std((1, 2, 3)) == pytest.approx([0.05 * poisson, (0.05 + 0.02 * 2.95) * poisson], rel=0.03)
    assert [bool(np.ptp(each, 0).any()) for each in found] == [False, True, False, True]


@pytest.mark.parametrize(("different", "power"), [(1, 1), (2, 2), (3, 4), (129, 256), (256, 256)])
def test_poisson_numbers_have_their_mean_and_deviation(different, power):
    levels = np.resize(np.arange(256 - different, 256), (1, 1, 256, 512)).astype(np.float64)
    even = Stream(2).uniform(levels.shape, dtype="float64")
    apart = degradation._poisson(levels, even)
    counts = (apart + levels) * power / 255
    np.testing.assert_allclose(counts, np.rint(counts), atol=1e-9)
    assert counts.min() >= 0
    standard = apart * power / 255 / np.sqrt(levels * power / 255 + 1e-9)
    assert standard.mean() == pytest.approx(0, abs=0.02)
    assert standard[levels > 0].std() == pytest.approx(1, abs=0.02)


# --- all of it ------------------------------------------------------------------------------------------------------


def made(images, seed=0, name="degraded"):
    return making(name)(mg.tensor(images / 127.5 - 1), Stream(seed)).numpy()


@pytest.mark.parametrize("channels", [1, 3])
def test_they_are_small_images_of_256_levels_the_same_each_time(channels):
    images = pictures(6, 32, channels)
    found = made(images)
    assert (found.shape, found.dtype) == ((6, channels, 8, 8), np.float32)
    levels = (found.astype(float) + 1) * 127.5
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-3)
    assert np.abs(found).max() <= 1
    assert (found == made(images)).all()
    assert (found != made(images, 1)).any()
    assert made(images[:, :, :24], name="degraded:2").shape == (6, channels, 12, 16)


def test_each_image_is_degraded_in_its_own_way_and_stays_what_it_is():
    images = pictures(1, 32).repeat(12, 0)
    found = made(images)
    assert len({image.tobytes() for image in found}) == 12
    small = mg.interpolate(mg.tensor(images[:1] / 127.5 - 1), scale_factor=0.25, mode="area").numpy()
    apart = np.abs(found - small).mean((1, 2, 3))
    assert (apart > 0.01).all()
    assert np.median(apart) < 0.5 * np.abs(small - small.mean()).mean() + 0.15


def test_ranks_share_a_batch_of_them():
    images = pictures(4, 16)
    whole = made(images, name="degraded:2")
    for part in (Part(0, 2), Part(1, 2)):
        with meaning(part):
            np.testing.assert_allclose(made(part.take(images), name="degraded:2"), part.take(whole), atol=1 / 127)


def test_on_a_gpu(monkeypatch):
    cupy = fakecupy.install(monkeypatch)
    images, stream = pictures(3, 16) / 127.5 - 1, Stream(3)
    found = making("degraded:2")(mg.tensor(images).to("cuda"), Stream(3))
    assert isinstance(found.data, cupy.ndarray)
    apart = np.abs(found.numpy() - making("degraded:2")(mg.tensor(images), stream).numpy())
    assert np.quantile(apart, 0.9) < 1.5 / 127.5


def test_what_cannot_be_degraded_is_named():
    for shape in ((1, 3, 10, 8), (1, 2, 8, 8)):
        with pytest.raises(ShapeError, match=r"degraded: expected images \(N, 1 or 3, H, W\) of sides that 4 divides"):
            made(np.zeros(shape, np.float32))


def realesrgan(device="cpu"):
    with mg.random.using(Stream(0)):
        G, D = rrdbnet(2, width=4, blocks=1, growth=2).to(device), PixelDiscriminator(width=4).to(device)
    adam = [mg.optim.Adam(player.parameters(), 1e-3) for player in (G, D)]
    parts = {"make": making("degraded:2"), "adversarial": 0.1}
    game = Restoration(G, D, generator_optimizer=adam[0], discriminator_optimizer=adam[1], **parts)
    game.meet(pictures(8, 16).astype(np.uint8))
    return game


def test_sources_of_many_images_are_made_a_few_at_a_time():
    game, images = realesrgan(), mg.tensor(pictures(70, 8) / 127.5 - 1)
    found = game.sources_of(images).numpy()
    parts = [game.make(images[a:b], game.stream("sources").at(k)).numpy() for k, a, b in ((0, 0, 64), (1, 64, 70))]
    assert (found == np.concatenate(parts)).all()
    assert game.sources_of(images[:0]).shape == (0, 3, 4, 4)


def test_a_game_that_degrades_is_replayed():
    images = pictures(12, 16).astype(np.uint8)
    replays_exactly(realesrgan, partial(data.Batches, images, 3))


def test_it_is_replayed_on_a_gpu_and_nothing_waits(monkeypatch):
    fakecupy.install(monkeypatch)
    images = pictures(12, 16).astype(np.uint8)

    def losses(graphs):
        game = realesrgan("cuda")
        game.graphs = graphs
        source, found = data.Batches(images, 3, device="cuda"), []
        for _ in range(7):
            counts.clear()
            found.append(game.play(source))
            assert counts.syncs == 0
        assert (counts.graphs > 0) == graphs
        return [{name: value.item() for name, value in each.items()} for each in found]

    assert losses(graphs=True) == losses(graphs=False)


def test_a_critic_scores_each_pixel_by_more_than_it():
    """The authors' network has 4 376 897 weights of 64 maps."""
    assert PixelDiscriminator().num_parameters() == 4_376_897
    D = PixelDiscriminator(1, 4)
    x = mg.tensor(np.random.default_rng(0).uniform(-1, 1, (2, 1, 48, 40)).astype(np.float32))
    assert D(x).shape == (2, 1, 48, 40)
    slope = mg.grad(D(x)[0, 0, 20, 20].sum(), x).numpy()
    assert not slope[1].any()
    assert np.ptp(np.flatnonzero(slope[0, 0].any(1))) > 30
    with pytest.raises(ShapeError, match=r"sides that 8 divides, got \(1, 3, 20, 16\)"):
        PixelDiscriminator()(mg.zeros((1, 3, 20, 16)))


@pytest.mark.parametrize(("words", "named"), [("", "degraded"), ("--sources small", "small")])
def test_the_program_makes_the_sources_of_its_system(words, named):
    module = example("super_resolution")
    line = f"--data nowhere --system realesrgan --side 16 --factor 2 --width 4 --blocks 1 {words}".split()
    game = module.build(Settings.parsed(module.options(), line, "super_resolution"))
    x = mg.tensor(pictures(2, 16) / 127.5 - 1)
    expected = making(f"{named}:2")(x, game.stream("sources").at(0)).numpy()
    assert (game.sources_of(x).numpy() == expected).all()
    assert (game.pixel, game.adversarial) == (1.0, 0.1)
    assert isinstance(game.discriminator, PixelDiscriminator)
