"""InfoGAN: the code's bounds in closed form, who moves, and the example that sorts digits by itself."""

import math

import fakecupy
import numpy as np
import pytest
from cuda_games import losses_without_waiting
from example_scripts import example
from moved_parameters import movable
from replayed_game import replays_exactly
from resumed_game import continues_exactly, numbers
from single_turn import take

import minigan as mg
from minigan.gan import InfoGame, LatentCode, Sight, losses, penalties
from minigan.tensor import Tensor

CODE = LatentCode(noise=3, categories=4, continuous=2)


def game(device="cpu", **options):
    mg.random.seed(0)
    G, D = (player.to(device) for player in mg.models.infogan28(CODE.dim, CODE.read, width=1))
    settings = {
        "code": CODE,
        "loss": losses.nonsaturating,
        "generator_optimizer": mg.optim.Adam(G.parameters(), 1e-3),
        "discriminator_optimizer": mg.optim.Adam(D.parameters(), 1e-3),
    }
    return InfoGame(G, D, **{**settings, **options})


def batches(k):
    return Tensor(np.random.default_rng(k).uniform(-1, 1, (6, 1, 28, 28)).astype("float32"))


def test_parameter_counts():
    G, D = mg.models.infogan28()
    assert (G.num_parameters(), D.num_parameters()) == (6_652_481, 6_692_173)
    G, D = mg.models.infogan28(9, 6, width=2)
    images = G(mg.zeros((3, 9)) + 0.5)
    scores, reading = D(images)
    assert (images.shape, scores.shape, reading.shape) == ((3, 1, 28, 28), (3, 1), (3, 6))
    assert abs(mg.models.infogan28(width=8).generator[3].weight.numpy().std() / 0.02 - 1) < 0.02


def test_a_code_is_noise_a_category_and_numbers():
    z = CODE(2000, mg.random.Stream(0)).numpy()
    assert (z.shape, z.dtype) == ((2000, 9), np.float32)
    assert (z[:, 3:7].sum(1) == 1).all()
    assert set(np.unique(z[:, 3:7])) == {0, 1}
    np.testing.assert_allclose(z[:, 3:7].mean(0), 0.25, atol=0.05)
    for rest in (z[:, :3], z[:, 7:]):
        assert -1 <= rest.min() < -0.95
        assert 0.95 < rest.max() <= 1
    joined = CODE.join(z[:, :3], z[:, 3:7].argmax(1), z[:, 7:])
    assert np.array_equal(joined.numpy(), z)
    with pytest.raises(mg.errors.ShapeError, match=r"\(\(2, 3\), \(2,\), \(2, 5\)\)"):
        CODE.join(np.zeros((2, 3)), np.zeros(2, int), np.zeros((2, 5)))


def test_bounds_in_closed_form():
    z = CODE(50, mg.random.Stream(0))
    sure = 40 * z[:, 3:7]
    bound, of_codes = CODE.information(z, mg.concatenate([sure, z[:, 7:]], 1))
    assert bound.item() == pytest.approx(math.log(4), rel=1e-6)  # everything there is to know
    assert of_codes.item() == pytest.approx(2 * (math.log(2) - 0.5 * math.log(2 * math.pi)), rel=1e-6)
    bound, worse = CODE.information(z, mg.concatenate([0 * sure, z[:, 7:] + 0.5], 1))
    assert bound.item() == pytest.approx(0, abs=1e-6)  # nothing
    assert worse.item() == pytest.approx(of_codes.item() - 0.5 * 2 * 0.25, rel=1e-5)
    with pytest.raises(mg.errors.ShapeError, match=r"z is \(50, 9\), the reading \(50, 5\)"):
        CODE.information(z, mg.zeros((50, 5)))


def test_bounds_to_second_order_and_as_pytorch_has_them(rng):
    z = Tensor(CODE(4, mg.random.Stream(1)).numpy().astype("float64"))
    reading = Tensor(rng.standard_normal((4, 6)))
    for k in (0, 1):
        mg.testing.gradcheck(lambda r, k=k: CODE.information(z, r)[k], reading)
    torch = pytest.importorskip("torch")
    logits, mean = torch.tensor(reading.numpy()[:, :4]), torch.tensor(reading.numpy()[:, 4:])
    category, codes = torch.tensor(z.numpy()[:, 3:7]), torch.tensor(z.numpy()[:, 7:])
    first = math.log(4) - torch.nn.functional.cross_entropy(logits, category.argmax(1)).item()
    second = 2 * math.log(2) + torch.distributions.Normal(mean, 1.0).log_prob(codes).sum(1).mean().item()
    got = [bound.item() for bound in CODE.information(z, reading)]
    assert got == pytest.approx([first, second], rel=1e-12)


def test_both_losses_want_the_code_to_be_read():
    plain, informed = (game(category_weight=a, code_weight=b) for a, b in ((0.0, 0.0), (1.0, 0.1)))
    z = plain.latent(6, plain.stream("noise").at(0))
    with mg.no_grad():
        a, b = (v.item() for v in CODE.information(z, plain.discriminator(plain.generator(z))[1]))
    plain, informed = (game(category_weight=a, code_weight=b) for a, b in ((0.0, 0.0), (1.0, 0.1)))
    for turn, loss in (("discriminator_turn", "d_loss"), ("generator_turn", "g_loss")):
        plain, informed = (game(category_weight=v, code_weight=w) for v, w in ((0.0, 0.0), (1.0, 0.1)))
        shown = [take(g, turn, batches(0)) for g in (plain, informed)]
        assert shown[1][loss].item() - shown[0][loss].item() == pytest.approx(-a - 0.1 * b, rel=1e-3)
        if loss == "d_loss":
            assert shown[0]["information"].item() == pytest.approx(a, rel=1e-3)
            mse = 2 * (math.log(2) - 0.5 * math.log(2 * math.pi)) - b
            assert shown[0]["code_error"].item() == pytest.approx(mse, rel=1e-4)


def test_the_reader_moves_with_the_discriminator_and_the_generator_alone():
    g = game()
    for turn, mover in (("discriminator_turn", "discriminator"), ("generator_turn", "generator")):
        before = numbers(g)
        take(g, turn, batches(0))
        changed = {key for key, value in numbers(g).items() if not np.array_equal(value, before[key])}
        for name, player in g.players.items():
            parameters = {f"{name}.{key}" for key, _ in player.named_parameters()}
            must = {f"{name}.{key}" for key in movable(player)}
            assert must <= changed if name == mover else not parameters & changed
        assert (mover == "discriminator") == ("discriminator.reading.3.weight" in changed)


def test_resuming_is_exact():
    shown = continues_exactly(game(), game(), game(), batches)
    assert list(shown) == ["d_loss", "d_real", "d_fake", "information", "code_error", "g_loss"]


@pytest.mark.parametrize("options", [{"loss": losses.hinge, "penalty": penalties.r1}, {"loss": losses.relativistic}])
def test_other_losses(options):
    shown = game(**options).play(batches)
    assert all(np.isfinite(value.item()) for value in shown.values())
    with pytest.raises(mg.errors.ShapeError, match="InfoGame: each sample has a label or code"):
        game(**options, sight=Sight(pack=2))


@pytest.mark.parametrize("name", ["category_weight", "code_weight"])
def test_a_weight_out_of_range_is_refused(name):
    with pytest.raises(mg.errors.ShapeError, match=f"InfoGame: {name}: expected a finite number >= 0, got -1"):
        game(**{name: -1})


def test_reading_leaves_the_game_alone():
    g = game()
    g.play(batches)
    before = numbers(g)
    reading = g.read(batches(0), chunk=4)
    assert reading.shape == (6, 6)
    assert np.array_equal(reading.numpy(), g.read(batches(0), chunk=4).numpy())
    np.testing.assert_allclose(reading.numpy(), g.read(batches(0)).numpy(), rtol=1e-4, atol=1e-6)
    assert all(np.array_equal(value, before[key]) for key, value in numbers(g).items())
    assert g.discriminator.training


def test_captured_turns_are_the_turns(monkeypatch):
    fakecupy.install(monkeypatch)
    images = mg.data.digits(40)[0]

    def losses_of(graphs):
        return losses_without_waiting(game(device="cuda"), mg.data.Batches(images, 8, device="cuda"), graphs=graphs)

    assert losses_of(True) == losses_of(False)


def test_a_dry_run_trains_and_measures(capsys, tmp_path):
    infogan = example("infogan")
    assert infogan.main(arguments=["--dry-run", "--width", "1"]) == 0
    said = capsys.readouterr().out
    assert all(f"\n{name}: " in said for name in ("purity", "digits_found", "information", "test_purity"))
    mg.random.seed(0)
    G, D = mg.models.infogan28(74, 12, width=1)
    g = InfoGame(
        *(G, D),
        code=infogan.CODE,
        loss=losses.nonsaturating,
        generator_optimizer=mg.optim.Adam(G.parameters()),
        discriminator_optimizer=mg.optim.Adam(D.parameters()),
    )
    infogan.picture(g, None, tmp_path / "step_1.png")
    assert {p.name for p in tmp_path.iterdir()} == {"step_1.png", "c2_step_1.png"}
    one, other = infogan.along(g, 0), infogan.along(g, 1)
    assert one.shape == (100, 1, 28, 28)
    assert not np.allclose(one[0], one[9])  # the code changes along a row
    assert not np.allclose(one[0], one[10])  # the category from row to row
    assert not np.allclose(one, other)


def test_replayed_turns_are_the_turns():
    replays_exactly(game, lambda: batches)
