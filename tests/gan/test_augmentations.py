"""Changes of images: what NumPy makes of the same draws, by plain loops; derivatives; where they are left out."""

import numpy as np
import pytest
from systems import game as small_game
from watched_game import game

import minigan as mg
from minigan.errors import ShapeError
from minigan.gan import Batch, Moves, ScoreGame, Sight, Turn, augmentations, losses, warps
from minigan.gan.adaptive import Adaptive
from minigan.gan.augmentations import AUGMENTATIONS, augmented, varied
from minigan.processes import Part
from minigan.processes.part import meaning
from minigan.random import Stream
from minigan.tensor import Tensor

SHAPE = (12, 3, 8, 11)
ALL = tuple(AUGMENTATIONS)


def images(shape=SHAPE, dtype="float64"):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(dtype)


# --- the same by plain loops ------------------------------------------------------------------------------------------


def color(x, rng):
    n = len(x)
    brightness, saturation, contrast = (rng.uniform((n,), dtype="float64") for _ in range(3))
    y = x.copy()
    for k in range(n):
        y[k] += brightness[k] - 0.5
        grey = y[k].mean(0)
        y[k] = (y[k] - grey) * (2 * saturation[k]) + grey
        y[k] = (y[k] - y[k].mean()) * (contrast[k] + 0.5) + y[k].mean()
    return y


def translation(x, rng):
    n, _, h, w = x.shape
    down = rng.integers(3, n) - 1  # an eighth of 8, and of 11
    right = rng.integers(3, n) - 1
    y = np.zeros_like(x)
    for k in range(n):
        for i in range(h):
            for j in range(w):
                a, b = i + down[k], j + right[k]
                if 0 <= a < h and 0 <= b < w:
                    y[k, :, i, j] = x[k, :, a, b]
    return y


def cutout(x, rng):
    n = len(x)
    top, left = rng.integers(9, n) - 2, rng.integers(12, n) - 3  # the middles of 4 rows and of 6 columns
    y = x.copy()
    for k in range(n):
        y[k, :, max(top[k], 0) : top[k] + 4, max(left[k], 0) : left[k] + 6] = 0
    return y


def flip(x, rng):
    mirrored = rng.integers(2, len(x))
    return np.stack([image[..., ::-1] if m else image for image, m in zip(x, mirrored, strict=True)])


@pytest.mark.parametrize("plain", [color, translation, cutout, flip])
def test_each_is_what_plain_loops_make_of_the_same_draws(plain):
    x, name = images(), plain.__name__
    expected = plain(x, Stream(3))
    np.testing.assert_allclose(augmented(Tensor(x), (name,), Stream(3)).numpy(), expected, rtol=0, atol=1e-14)
    changed = np.abs(expected - x).max((1, 2, 3)) > 0
    assert changed.any()
    assert len({one.tobytes() for one in expected - x}) > 3, "each sample in a way of its own"


def test_several_are_done_one_after_the_other():
    x, rng = images(), Stream(5)
    expected = cutout(translation(color(x, rng), rng), rng)
    found = augmented(Tensor(x), ("color", "translation", "cutout"), Stream(5)).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


def at(image, i, j):
    """The value at a point between pixels, of an image that is reflected beyond its edge."""
    c, h, w = image.shape

    def reflected(k, size):
        k = abs(k) % (2 * size - 2)
        return k if k < size else 2 * size - 2 - k

    total, (a, b) = np.zeros(c), (int(np.floor(i)), int(np.floor(j)))
    for di, dj in ((0, 0), (0, 1), (1, 0), (1, 1)):
        share = (1 - abs(i - a - di)) * (1 - abs(j - b - dj))
        total += share * image[:, reflected(a + di, h), reflected(b + dj, w)]
    return total


def back(point, angle):
    """Whence a point, (down, right), comes that is turned to the left about (0, 0)."""
    (i, j), c, s = point, np.cos(angle), np.sin(angle)
    return c * i + s * j, c * j - s * i


def hue(image, angle):
    """Rodrigues' formula about the axis of greys."""
    axis = np.full(3, 3**-0.5)
    c, s = np.cos(angle), np.sin(angle)
    along = np.tensordot(axis, image, 1)
    return c * image + s * np.cross(axis, image, axisb=0, axisc=0) + (1 - c) * axis[:, None, None] * along


def all_of_ada(x, p, rng):
    """Pixel by pixel; the numbers of u and v are those of the order in which the changes are told."""
    n, channels, size, _ = x.shape
    u, v = rng.uniform((n, 21), dtype="float64"), rng.normal((n, 7), dtype="float64")
    y, middle, most = np.zeros_like(x), (size - 1) / 2, round(size / 8)
    turn = 1 - np.sqrt(1 - p)
    for k in range(n):
        happens = u[k, :13] < np.where(np.isin(np.arange(13), (4, 6)), turn, p)
        image = np.rot90(x[k], int(4 * u[k, 14]) if happens[1] else 0, (1, 2))
        if happens[0] and u[k, 13] < 0.5:
            image = image[:, :, ::-1]
        pixels = [int((2 * most + 1) * u[k, 15 + a]) - most if happens[2] else 0 for a in (0, 1)]
        large = 2 ** (0.2 * v[k, 0]) if happens[3] else 1
        high = 2 ** (0.2 * v[k, 1]) if happens[5] else 1
        first, second = (np.pi * (2 * u[k, at] - 1) if happens[which] else 0 for at, which in ((18, 4), (19, 6)))
        moved = [size / 8 * v[k, 2 + a] if happens[7] else 0 for a in (0, 1)]
        for i in range(size):
            for j in range(size):
                a, b = back((i - middle - moved[0], j - middle - moved[1]), second)
                a, b = back((a / high, b * high), first)
                y[k, :, i, j] = at(image, a / large - pixels[0] + middle, b / large - pixels[1] + middle)
        y[k] = (y[k] + (v[k, 4] / 5 if happens[8] else 0)) * (2 ** (v[k, 5] / 2) if happens[9] else 1)
        if happens[10] and u[k, 17] < 0.5:
            y[k] -= 2 * y[k].mean(0)
        if happens[11] and channels == 3:
            y[k] = hue(y[k], np.pi * (2 * u[k, 20] - 1))
        grey = y[k].mean(0)
        y[k] = grey + (y[k] - grey) * (2 ** v[k, 6] if happens[12] else 1)
    return y


@pytest.mark.parametrize("p", [0.3, 1.0])
@pytest.mark.parametrize("shape", [(24, 3, 8, 8), (6, 1, 9, 9)])
def test_all_of_ada_is_what_plain_loops_make_of_the_same_draws(p, shape):
    x = images(shape)
    expected = all_of_ada(x, p, Stream(2))
    found = varied(Tensor(x), mg.tensor(np.array(p)), Stream(2)).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def turned(x, angle):
    """Images turned by one angle, by plain loops."""
    (_, _, h, w), y = x.shape, np.zeros_like(x)
    for k, i, j in np.ndindex(len(x), h, w):
        a, b = back((i - (h - 1) / 2, j - (w - 1) / 2), angle[k])
        y[k, :, i, j] = at(x[k], a + (h - 1) / 2, b + (w - 1) / 2)
    return y


def test_rotation_and_scaling_are_what_plain_loops_make_of_the_same_draws():
    x = images()
    angle = np.pi * (2 * Stream(3).uniform((len(x),), dtype="float64") - 1)
    found = augmented(Tensor(x), ("rotation",), Stream(3)).numpy()
    np.testing.assert_allclose(found, turned(x, angle), rtol=0, atol=1e-12)
    large = 2 ** Stream(3).normal((len(x),), 0.0, 0.2, "float64")
    found = augmented(Tensor(x), ("scaling",), Stream(3)).numpy()
    for k, i, j in ((0, 0, 0), (5, 7, 10), (11, 4, 2)):
        expected = at(x[k], (i - 3.5) / large[k] + 3.5, (j - 5) / large[k] + 5)
        np.testing.assert_allclose(found[k, :, i, j], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 1e-5)])
def test_a_rotation_by_quarters_is_rot90(quarters, dtype, tolerance):
    x = images((2, 3, 9, 9), dtype)
    angle = np.full(2, quarters * np.pi / 2, dtype)
    found = warps.warped(Tensor(x), augmentations._rotated(angle, 9, 9)).numpy()
    np.testing.assert_allclose(found, np.rot90(x, quarters, (2, 3)), rtol=0, atol=tolerance)


@pytest.mark.parametrize("angle", [0.3, 1.0, 2.5])
def test_how_exact_a_rotation_is(angle):
    """A plane stays one; a smooth image is off by at most an eighth of the second difference along each axis."""
    i, j = np.meshgrid(np.arange(33.0) - 16, np.arange(33.0) - 16, indexing="ij")
    a, b = back((i, j), angle)
    inside = np.abs(a) + np.abs(b) < 16
    for image, allowed in (
        (lambda i, j: 2 * i - 3 * j, 1e-12),
        (lambda i, j: np.sin(0.4 * i) * np.cos(0.5 * j), 0.052),
    ):
        x = np.tile(image(i, j), (1, 1, 1, 1))
        found = warps.warped(Tensor(x), augmentations._rotated(np.array([angle]), 33, 33)).numpy()[0, 0]
        assert np.abs(found - image(a, b))[inside].max() < allowed


def test_images_of_one_row_are_turned_within_themselves():
    x = images((3, 2, 1, 5))
    x[2] = 7.0
    found = warps.warped(Tensor(x), augmentations._rotated(np.array([0.0, np.pi, 0.4]), 1, 5)).numpy()
    np.testing.assert_allclose(found, np.stack([x[0], x[1, :, :, ::-1], x[2]]), atol=1e-13)


def test_a_turn_of_hue_keeps_greys_the_mean_of_channels_and_the_distance_from_it():
    x = Tensor(images((5, 3, 4, 4)))
    angle = Tensor(np.linspace(-3, 3, 5).reshape(5, 1, 1, 1))
    one = mg.ones((), dtype="float64")
    found = augmentations._hued(x, angle, one)
    grey = mg.mean(x, 1, keepdims=True)
    np.testing.assert_allclose(mg.mean(found, 1, keepdims=True).numpy(), grey.numpy(), atol=1e-15)
    lengths = [mg.square(image - grey).sum(1).numpy() for image in (x, found)]
    np.testing.assert_allclose(*lengths, atol=1e-14)
    third = augmentations._hued(x, one * (2 * np.pi / 3), one).numpy()
    np.testing.assert_allclose(third, x.numpy()[:, [2, 0, 1]], atol=1e-15)  # red becomes green, green blue
    assert np.array_equal(augmentations._hued(x, 0 * angle, one).numpy(), x.numpy())


def test_at_a_probability_of_nothing_nothing_is_changed():
    for dtype in ("float32", "float64"):
        x = images((9, 3, 8, 8), dtype)
        found = varied(Tensor(x), mg.tensor(np.array(0.0, dtype)), Stream(0)).numpy()
        assert found.dtype == dtype
        assert np.array_equal(found, x)


def test_a_probability_is_how_often():
    x = np.tile(images((1, 3, 8, 8)), (4000, 1, 1, 1))
    found = varied(Tensor(x), mg.tensor(np.array(0.05)), Stream(0)).numpy()
    untouched = (np.abs(found - x).max((1, 2, 3)) == 0).mean()
    # mirroring, quarters and light count half, three quarters and half of the time; whole pixels 8 times of 9; the two
    # turns are one change
    expected = 0.95**8 * (1 - 0.025) ** 2 * (1 - 0.0375) * (1 - 0.05 * 8 / 9)
    assert untouched == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("p", [0.0, 0.4, 1.0])
def test_named_changes_may_be_done_with_a_probability_each(p):
    x, rng = images(), Stream(6)
    expected = x
    for change in (color, cutout):
        changed = change(expected, rng)
        expected = np.where(rng.uniform((len(x), 1, 1, 1), dtype="float64") < p, changed, expected)
    adaptive = Adaptive(0.6, 100, 0.0, mg.zeros((), dtype="float64"))
    adaptive.p.copy_(p)
    found = adaptive.varied(Tensor(x), ("color", "cutout"), Stream(6)).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)
    assert np.array_equal(found, x) == (p == 0)


# --- derivatives, memory, draws ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*ALL, "ada"])
def test_derivatives_to_second_order(name):
    x = Tensor(images((3, 2, 6, 6)))

    def changed(x):
        if name == "ada":
            return mg.square(varied(x, mg.tensor(np.array(0.8)), Stream(1)))
        return mg.square(augmented(x, (name,), Stream(1)))

    mg.testing.gradcheck(changed, [x], order=2)


@pytest.mark.parametrize("name", [*ALL, "ada"])
def test_float32_and_channels_last_stay_and_so_do_gradients(name):
    memory = np.ascontiguousarray(images((4, 3, 8, 8), "float32").transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    x, p = Tensor(memory), mg.tensor(np.array(0.9, "float32"))
    y = varied(x, p, Stream(0)) if name == "ada" else augmented(x, (name,), Stream(0))
    slope = mg.grad(mg.sum(mg.square(y)), x)
    for t in (y, slope):
        assert t.dtype == np.float32
        assert t.data.transpose(0, 2, 3, 1).flags.c_contiguous


def test_rows_of_a_batch_are_changed_as_they_are_in_the_whole():
    x, p = images((8, 1, 8, 8)), mg.tensor(np.array(0.7))
    for change in (
        lambda x: augmented(x, ALL, Stream(4)),
        lambda x: augmented(x, ALL, Stream(4), p),
        lambda x: varied(x, p, Stream(4)),
    ):
        whole = change(Tensor(x)).numpy()
        for index in range(2):
            with meaning(Part(index, 2)):
                rows = change(Tensor(x[index::2])).numpy()
            np.testing.assert_array_equal(rows, whole[index::2])


# --- in a game --------------------------------------------------------------------------------------------------------


REAL = Tensor(images((6, 1, 8, 8)))


def change_of(augment, played, x, rng):
    if played.view.adaptive is not None:
        return played.view.adaptive.varied(x, played.sight.changes, rng)
    return augmented(x, augmentations.names("", augment), rng)


@pytest.mark.parametrize("augment", ["color,translation,cutout", "flip", "ada", "ada:color,cutout"])
def test_both_players_turns_see_changed_samples_and_the_generator_learns_through_the_change(augment):
    played = game(sight=Sight(augment=augment))
    if played.view.adaptive is not None:
        played.view.adaptive.p.copy_(0.7)
    G, D = played.generator, played.discriminator
    z = played.latent(6, Stream(0))
    played.noise = lambda batch: z
    fake = G(z)
    with mg.random.using(Stream(7)) as rng:
        played.discriminator_turn(Batch(REAL, 0, 0, rng))
    again = Stream(7)
    for seen, sample in zip(D.seen, (REAL, fake), strict=True):
        expected = change_of(augment, played, sample, again).numpy()
        np.testing.assert_array_equal(seen.numpy(), expected)
        assert np.abs(expected - sample.numpy()).max() > 0.01
    D.seen.clear()
    changed = change_of(augment, played, fake, Stream(8))
    slopes = mg.grad(losses.nonsaturating.generator(D(changed)), G.parameters())
    before = [p.numpy().copy() for p in G.parameters()]
    D.seen.clear()
    with mg.random.using(Stream(8)) as rng:
        played.generator_turn(Batch(REAL, 0, 0, rng))
    np.testing.assert_array_equal(D.seen[0].numpy(), changed.numpy())
    for p, was, slope in zip(G.parameters(), before, slopes, strict=True):
        np.testing.assert_allclose(p.numpy(), was - slope.numpy(), rtol=1e-12, atol=1e-15)


def test_in_one_pass_too():
    played = game([Turn("one_pass_turn")], sight=Sight(augment="color,translation,cutout"))
    G, D = played.generator, played.discriminator
    z = played.latent(6, Stream(0))
    played.noise = lambda batch: z
    rng, fake = Stream(7), G(z)
    augmented(REAL, ("color", "translation", "cutout"), rng)
    changed = augmented(fake, ("color", "translation", "cutout"), rng)
    slopes = mg.grad(losses.nonsaturating.generator(D(changed)), G.parameters())
    before = [p.numpy().copy() for p in G.parameters()]
    with mg.random.using(Stream(7)) as rng:
        played.one_pass_turn(Batch(REAL, 0, 0, rng))
    for p, was, slope in zip(G.parameters(), before, slopes, strict=True):
        np.testing.assert_allclose(p.numpy(), was - slope.numpy(), rtol=1e-10, atol=1e-14)


def test_samples_of_the_game_are_not_changed():
    plain, changed = game(), game(sight=Sight(augment="color"))
    assert np.array_equal(plain.sample(4).numpy(), changed.sample(4).numpy())


# --- how often --------------------------------------------------------------------------------------------------------


def learnt(batches, target=0.6, images=400, undecided=0.0):
    adaptive = Adaptive(target, images, undecided, mg.zeros((), dtype="float64"))
    found = []
    for scores in batches:
        adaptive.learn(mg.tensor(np.array(scores)), len(scores))
        found.append(adaptive.p.item())
    return found


def test_the_probability_moves_by_the_mean_sign_of_real_scores_in_every_fourth_turn():
    sure, unsure = [5.0, 0.1, 9.0, 2.0, -1.0], [3.0, -0.2, -1.0, -5.0, 0.0]  # mean signs 0.6 and -0.4
    step = 4 * 5 / 400
    assert learnt([sure] * 12, target=0.5) == pytest.approx([0] * 3 + [step] * 4 + [2 * step] * 4 + [3 * step])
    assert learnt([unsure] * 4) == [0.0] * 4, "never below 0"
    assert learnt([sure] * 8, images=20, target=0.5)[-1] == 1.0, "never above 1"
    up_and_down = learnt([sure] * 4 + [unsure] * 4, target=0.0)
    assert up_and_down[3] == pytest.approx(step)
    assert up_and_down[7] == pytest.approx(0, abs=1e-15)
    mixed = learnt([sure, sure, sure, unsure], target=0.34)  # 0.35 over the four
    assert mixed[-1] == pytest.approx(step)
    assert learnt([sure, sure, sure, unsure], target=0.36)[-1] == 0.0


@pytest.mark.parametrize("seen", [{"augment": "ada"}, {"augment": "ada:diffusion"}, {"augment": "", "pseudo": True}])
@pytest.mark.parametrize("pack", [1, 2])
def test_the_probability_moves_by_images_however_they_are_packed(seen, pack):
    played = small_game(losses.hinge, seen={"ada_target": -0.9, "ada_images": 400, "pack": pack, **seen})
    drawn = np.random.default_rng(0).uniform(-1, 1, (8, *played.sample(1).shape[1:]))
    for _ in range(4):
        shown = played.play(lambda k: Tensor(drawn))
    assert shown["augment_p"].item() == pytest.approx(4 * 8 / 400)


def test_the_sign_is_that_of_the_distance_from_the_undecided_score():
    scores = [0.6, 0.7, 0.4, 0.3]
    assert learnt([scores] * 4, target=-0.1, undecided=0.5)[-1] > 0
    assert learnt([scores] * 4, target=0.1, undecided=0.5)[-1] == 0
    assert learnt([scores] * 4, target=0.9, undecided=0.0)[-1] > 0


@pytest.mark.parametrize(
    "name", ["minimax", "nonsaturating", "lsgan", "lsgan_signed", "hinge", "likelihood", "boundary"]
)
def test_where_neither_side_is_known_d_scores_the_undecided(name):
    """If real samples and fakes are the same, D's loss is least there."""
    loss = losses.LOSSES[name]
    same = mg.tensor(np.array([loss.undecided]))
    slope = mg.grad(loss.discriminator(same, same), same).item()
    assert slope == pytest.approx(0, abs=1e-12)
    for other in (loss.undecided - 0.1, loss.undecided + 0.1):
        other = mg.tensor(np.array([other]))
        assert loss.discriminator(other, other).item() >= loss.discriminator(same, same).item()


def test_only_turns_of_the_discriminator_move_it():
    played = game(sight=Sight(augment="ada", ada_target=-0.99), moves=Moves(unroll=2))
    shown = played.play(lambda k: REAL)
    assert shown["augment_p"].item() == 0.0
    assert played.state["augment.count"].item() == 1
    rounds = [played.play(lambda k: REAL)["augment_p"] for _ in range(7)]
    step = 4 * 6 / 500_000
    as_it_was = [p.item() for p in rounds]  # read only now
    assert as_it_was == pytest.approx([0, 0, step, step, step, step, 2 * step])


# --- fakes that D is told are real -----------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
def test_fakes_of_other_noise_take_the_place_of_real_samples(p):
    played = game(sight=Sight(pseudo=True))
    played.view.adaptive.p.copy_(p)
    D, z = played.discriminator, played.latent(6, Stream(0))
    played.noise = lambda batch: z
    again = Stream(7)
    others = played.generator(played.latent(6, again)).numpy()
    exchanged = again.uniform((6, 1, 1, 1), dtype="float64") < p
    expected = np.where(exchanged, others, REAL.numpy())
    fake = played.generator(z)
    step = mg.grad(losses.nonsaturating.discriminator(D(Tensor(expected)), D(fake)), D.parameters())
    before = [w.numpy().copy() for w in D.parameters()]
    D.seen.clear()
    with mg.random.using(Stream(7)) as rng:
        played.discriminator_turn(Batch(REAL, 0, 0, rng))
    np.testing.assert_array_equal(D.seen[0].numpy(), expected)
    np.testing.assert_array_equal(D.seen[1].numpy(), fake.numpy())
    assert exchanged.sum() == {0.0: 0, 1.0: 6}.get(p, exchanged.sum())
    for w, was, slope in zip(D.parameters(), before, step, strict=True):
        np.testing.assert_allclose(w.numpy(), was - slope.numpy(), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("turn", "unroll"),
    [("simultaneous_turn", 0), ("shared_turn", 0), ("one_pass_turn", 0), ("generator_turn", 2), ("shared_turn", 2)],
)
def test_the_generator_learns_nothing_through_them(turn, unroll):
    """Whatever they are: its step is that of a game in which D is shown them as real samples."""
    steps = []
    for pseudo in (True, False):
        played = game([Turn(turn)], losses.minimax, sight=Sight(pseudo=pseudo), moves=Moves(unroll=unroll))
        z = played.latent(6, Stream(0))
        played.noise = lambda batch, z=z: z
        drawn = REAL
        if pseudo:
            played.view.adaptive.p.copy_(1.0)
        else:
            drawn = Tensor(played.generator(played.latent(6, Stream(7))).numpy())
        with mg.random.using(Stream(7)) as rng:
            getattr(played, turn)(Batch(drawn, 0, 0, rng))
        steps.append([p.numpy() for player in played.players.values() for p in player.parameters()])
    for one, other in zip(*steps, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15)


def test_they_go_by_the_probability_of_ada_and_with_every_other_change():
    both = game(sight=Sight(pseudo=True, augment="color", ada_images=24, ada_target=-0.99))
    rounds = [both.play(lambda k: REAL) for _ in range(5)]
    assert [shown["augment_p"].item() for shown in rounds] == pytest.approx([0, 0, 0, 1, 1])
    with pytest.raises(ShapeError, match=r"augment ada and pseudo go by .* and the wasserstein loss has none"):
        small_game(losses.wasserstein, seen={"pseudo": True})


# --- what is refused --------------------------------------------------------------------------------------------------


def test_what_is_no_change_is_refused():
    for wrong in ("colour", "color,color", "color,", ",", "ada,color", "ada:ada", "adacolor", "ada:color:flip"):
        with pytest.raises(
            ShapeError, match=r"Sight: augment \(ada, ada:changes or changes\): expected some of color, t"
        ):
            Sight(augment=wrong)
    with pytest.raises(ShapeError, match="Sight: augment: expected changes after ada:, got 'ada:'"):
        Sight(augment="ada:")
    assert augmentations.names("", "color+cutout") == augmentations.names("", "color,cutout") == ("color", "cutout")
    for options in ({"ada_target": 1.0}, {"ada_target": np.nan}, {"ada_images": 0}):
        with pytest.raises(ShapeError, match=f"Sight: {next(iter(options))}: expected"):
            Sight(augment="ada", **options)


@pytest.mark.parametrize("name", ["wasserstein", "lab_printed", "relativistic", "softmax", "kl"])
def test_a_loss_without_a_level_between_real_and_fake_cannot_adapt(name):
    G = mg.nn.Linear(1, 1)
    parts = dict.fromkeys(("generator_optimizer", "discriminator_optimizer"), mg.optim.SGD(G.parameters(), 0.1))
    parts |= {"loss": losses.LOSSES[name], "latent": mg.gan.normal_latent(1), "sight": Sight(augment="ada")}
    with pytest.raises(ShapeError, match=f"neither real nor fake, and the {name} loss has none"):
        ScoreGame(G, G, **parts)


def test_points_are_no_images_and_quarters_are_of_squares():
    with pytest.raises(ShapeError, match=r"augment: expected images \(N, C, H, W\), got samples of shape \(4, 2\)"):
        augmented(mg.zeros((4, 2)), ("color",), Stream(0))
    with pytest.raises(ShapeError, match=r"images are turned by quarters, so they are square, got \(2, 1, 8, 9\)"):
        varied(mg.zeros((2, 1, 8, 9)), mg.zeros(()), Stream(0))
