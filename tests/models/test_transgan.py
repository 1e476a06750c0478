"""TransGAN's networks: what looks at what, in which order, and how much they hold."""

from math import erf

import numpy as np
import pytest

import minigan as mg
from minigan.errors import ShapeError
from minigan.models.transgan import TransformerBlock, gelu


def noise(n, dim, dtype="float32"):
    return mg.tensor(mg.random.Stream(0).normal((n, dim), dtype=dtype))


@pytest.mark.parametrize(
    ("side", "sizes"), [(28, [7, 14, 28]), (32, [8, 16, 32]), (16, [8, 16]), (48, [12, 24, 48]), (22, [11, 22])]
)
def test_players_fit_together_at_any_size(side, sizes):
    G, D = mg.models.transgan(side, 6, channels=1, width=4, depth=1)
    assert G.sizes == sizes
    assert G.dims == [4 * 4**k for k in range(len(sizes))][::-1]
    images = G(noise(5, 6))
    assert images.shape == (5, 1, side, side)
    assert np.abs(images.numpy()).max() <= 1
    assert images.numpy().std(0).mean() > 0.05, "the noise arrives"
    scores = D(images)
    assert scores.shape == (5, 1)
    assert np.abs(scores.numpy()).max() < 5


@pytest.mark.parametrize("sizes", [(32, 256, 3, 16, 2), (28, 7, 1, 8, 3), (16, 5, 3, 4, 1)])
def test_how_much_a_generator_holds_is_known_beforehand(sizes):
    G = mg.models.TransGenerator(*sizes)
    assert G.num_parameters() == G.held(*sizes)


def test_tokens_look_at_their_own_cell(rng):
    block = TransformerBlock(4, 4, 2, True).to(dtype="float64")
    x = rng.standard_normal((1, 16, 4))
    before = block(mg.tensor(x)).numpy()
    moved = x.copy()
    moved[0, 6] += 1  # row 1, column 2: the cell of rows 0 and 1, columns 2 and 3
    changed = np.abs(block(mg.tensor(moved)).numpy() - before).max(2).reshape(4, 4) > 1e-9
    np.testing.assert_array_equal(np.argwhere(changed), [[0, 2], [0, 3], [1, 2], [1, 3]])
    whole = TransformerBlock(4, 4, 4, True).to(dtype="float64")
    changed = np.abs(whole(mg.tensor(moved)).numpy() - whole(mg.tensor(x)).numpy()).max(2) > 1e-9
    assert changed.all()


def test_a_generator_keeps_places_apart_from_one_size_to_the_next():
    """A token's four quarters lie where it lay: with attention and mlps silenced a place moves its own pixels alone."""
    G = mg.models.transgan(16, 6, channels=1, width=4, depth=1)[0]
    for block in [m for m in G.modules() if isinstance(m, TransformerBlock)]:
        for layer in (block.attention.out_proj, block.narrower):
            mg.nn.init.zeros_(layer.weight)
    before = G(noise(1, 6)).numpy()[0, 0]
    places = G.places[0].numpy()
    places[0, 8 * 2 + 5] += 1
    G.places[0].copy_(places)
    moved = np.abs(G(noise(1, 6)).numpy()[0, 0] - before) > 1e-7
    assert np.argwhere(moved).min(0).tolist() == [4, 10]
    assert np.argwhere(moved).max(0).tolist() == [5, 11]


def test_gelu_is_x_times_the_normal_distribution():
    x = np.linspace(-4, 4, 41)
    exact = [v * (1 + erf(v / 2**0.5)) / 2 for v in x]
    np.testing.assert_allclose(gelu(mg.tensor(x)).numpy(), exact, atol=1e-3)


def test_gradcheck_of_a_block(rng):
    block = TransformerBlock(4, 4, 2, False, rng=mg.random.Stream(1)).to(dtype="float64")
    mg.testing.gradcheck(block, [mg.tensor(rng.standard_normal((2, 16, 4)))], rtol=1e-4)


def test_what_does_not_fit_is_refused():
    for side in (13, 6, 30):
        with pytest.raises(ShapeError, match=f"transgan: expected a side of 7 to 13 times 2, 4, 8, .*, got {side}"):
            mg.models.transgan(side)
    with pytest.raises(ShapeError, match=r"generator_width: expected a multiple of 4, which .* heads .* got 6"):
        mg.models.transgan(generator_width=6)
