"""GANs with labels: what each player is told, what moves whom, and the example that draws the digit asked for."""

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
from minigan.gan import AuxiliaryGame, ConditionalGame, Moves, Sight, losses, penalties
from minigan.gan.conditional import share_right
from minigan.tensor import Tensor

MODELS = {"cgan28": ConditionalGame, "acgan28": AuxiliaryGame, "projection28": ConditionalGame}


def game(model, classes=4, device="cpu", **options):
    mg.random.seed(0)
    G, D = (player.to(device) for player in getattr(mg.models, model)(6, classes, width=2))
    settings = {
        "loss": losses.nonsaturating,
        "latent": mg.gan.uniform_latent(6),
        "generator_optimizer": mg.optim.Adam(G.parameters(), 1e-3),
        "discriminator_optimizer": mg.optim.Adam(D.parameters(), 1e-3),
    }
    return MODELS[model](G, D, classes=classes, **{**settings, **options})


def batches(k):
    rng = np.random.default_rng(k)
    return Tensor(rng.uniform(-1, 1, (6, 1, 28, 28)).astype("float32")), Tensor(rng.integers(0, 4, 6))


# --- networks ---------------------------------------------------------------------------------------------------


def test_parameter_counts():
    counts = {"cgan28": [381_601, 41_633], "acgan28": [381_601, 67_883], "projection28": [351_969, 165_985]}
    for name, expected in counts.items():
        assert [player.num_parameters() for player in getattr(mg.models, name)()] == expected


@pytest.mark.parametrize("model", MODELS)
def test_networks_fit_together_and_labels_matter(model):
    G, D = getattr(mg.models, model)(6, 4, width=2)
    z = mg.tensor(mg.random.Stream(0).uniform((3, 6), -1, 1))
    zeros, ones = mg.tensor([0, 0, 0]), mg.tensor([1, 1, 1])
    if model == "projection28":  # all classes begin with the same scale and shift
        mg.nn.init.normal_(G.norm1.bias.weight)
    images = G(z, zeros)
    assert images.shape == (3, 1, 28, 28)
    assert abs(images.numpy()).max() <= 1
    assert not np.allclose(images.numpy(), G(z, ones).numpy())
    if model == "acgan28":
        scores, logits = D(images)
        assert (scores.shape, logits.shape) == ((3, 1), (3, 4))
    else:
        assert D(images, zeros).shape == (3, 1)
        assert not np.allclose(D(images, zeros).numpy(), D(images, ones).numpy())


def test_the_projection_is_an_inner_product():
    D = mg.models.projection28(6, 4, width=2).discriminator.eval()
    x, labels = mg.tensor(mg.random.Stream(0).uniform((5, 1, 28, 28), -1, 1)), mg.tensor([3, 0, 1, 1, 2])
    h, e = D.body(x).numpy(), D.embedding.weight.numpy()
    assert h.shape == (5, 8)
    expected = h @ D.score.weight.numpy().T + D.score.bias.numpy() + (h * e[labels.numpy()]).sum(1, keepdims=True)
    np.testing.assert_allclose(D(x, labels).numpy(), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(mg.errors.ShapeError, match=r"one label for each of \(5, 1, 28, 28\), got \(2,\)"):
        D(x, labels[:2])


@pytest.mark.parametrize("model", ["cgan28", "projection28"])
def test_a_penalty_runs_through_a_labelled_critic_to_second_order(model):
    D = getattr(mg.models, model)(6, 3, width=1).discriminator.to(dtype="float64").eval()
    rng = np.random.default_rng(0)
    real, fake = (Tensor(rng.uniform(-1, 1, (2, 1, 28, 28))) for _ in range(2))
    labels = mg.tensor([2, 0])
    name, weight = D.named_parameters()[-2]

    def penalty(w):
        def critic(x):
            return mg.nn.functional_call(D, {name: w}, x, labels)

        return penalties.gradient_penalty(critic, real, fake, rng=mg.random.Stream(0)) + mg.mean(critic(real))

    mg.testing.gradcheck(penalty, weight, rtol=1e-5)


def test_one_hot():
    assert mg.models.one_hot(mg.tensor([2, 0]), 3).numpy().tolist() == [[0, 0, 1], [1, 0, 0]]
    with pytest.raises(mg.errors.DTypeError, match=r"got float32 \(2,\)"):
        mg.models.one_hot(mg.tensor([1.0, 2.0]), 3)


# --- games ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_each_turn_moves_its_own_player_and_all_of_it(model):
    g = game(model)
    real, labels = batches(0)
    g.discriminator.eval()  # so that spectral norm's vectors stay
    for turn, mover in (("discriminator_turn", "discriminator"), ("generator_turn", "generator")):
        before = numbers(g)
        take(g, turn, (real, labels))
        changed = {key for key, value in numbers(g).items() if not np.array_equal(value, before[key])}
        movers = {f"{mover}.{name}" for name in movable(g.players[mover])}
        others = {f"{n}.{name}" for n in g.players if n != mover for name, _ in g.players[n].named_parameters()}
        assert movers <= changed
        assert not others & changed


@pytest.mark.parametrize("model", MODELS)
def test_resuming_is_exact(model):
    continues_exactly(game(model), game(model), game(model, seed=0), batches)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("loss", ["hinge", "relativistic_average", "wasserstein"])
def test_any_loss_and_penalty(model, loss):
    g = game(model, loss=losses.LOSSES[loss], penalty=penalties.gradient_penalty, sight=Sight(instance_noise=0.1))
    shown = g.play(batches)
    assert {"d_loss", "g_loss", "penalty"} <= set(shown)
    assert all(np.isfinite(value.item()) for value in shown.values())


def test_both_players_are_told_the_labels_of_the_batch():
    g = game("cgan28", loss=losses.wasserstein)
    real, labels = batches(0)
    z = g.latent(6, g.stream("noise").at(0))
    with mg.no_grad():
        fake = g.generator(z, labels)
        d_real, d_fake = (mg.mean(g.discriminator(x, labels)).item() for x in (real, fake))
    shown = take(g, "discriminator_turn", (real, labels))
    assert (shown["d_real"].item(), shown["d_fake"].item()) == pytest.approx((d_real, d_fake), rel=1e-5)
    assert shown["d_loss"].item() == pytest.approx(d_fake - d_real, abs=1e-6)


def test_the_auxiliary_classifier_adds_its_cross_entropies():
    def cross_entropy(logits, labels):
        return np.mean([np.log(np.exp(row).sum()) - row[label] for row, label in zip(logits, labels, strict=True)])

    plain, weighted = (game("acgan28", class_weight=w) for w in (0.0, 2.0))
    real, labels = batches(0)
    with mg.no_grad():
        fake = plain.generator(plain.latent(6, plain.stream("noise").at(0)), labels)
        of_real, of_fake = (plain.discriminator(x)[1].numpy() for x in (real, fake))
    ce = cross_entropy(of_real, labels.numpy()) + cross_entropy(of_fake, labels.numpy())
    d = [take(g, "discriminator_turn", (real, labels)) for g in (plain, weighted)]
    assert d[1]["d_loss"].item() - d[0]["d_loss"].item() == pytest.approx(2 * ce, rel=1e-4)
    assert d[0]["right_real"].item() == pytest.approx((of_real.argmax(1) == labels.numpy()).mean())
    plain, weighted = (game("acgan28", class_weight=w) for w in (0.0, 2.0))
    g = [take(each, "generator_turn", (real, labels))["g_loss"].item() for each in (plain, weighted)]
    assert g[1] - g[0] == pytest.approx(2 * cross_entropy(of_fake, labels.numpy()), rel=1e-4)


def test_players_that_move_at_once():
    g = game("acgan28", schedule=[mg.gan.Turn("simultaneous_turn")])
    apart = game("acgan28")
    real, labels = batches(0)
    at_once = take(g, "simultaneous_turn", (real, labels))
    one = take(apart, "discriminator_turn", (real, labels))
    assert at_once["d_loss"].item() == pytest.approx(one["d_loss"].item(), rel=1e-5)


def test_share_right():
    assert share_right(mg.tensor([[0.0, 1], [2, 1], [3, 4], [0, 9]]), mg.tensor([1, 0, 0, 1])).item() == 0.75


def test_samples_take_the_classes_in_turn():
    g = game("cgan28")
    drawn = g.sample(6)
    z = g.latent(6, g.stream("samples").at(0))
    assert np.array_equal(drawn.numpy(), g.generate(z, mg.tensor([0, 1, 2, 3, 0, 1])).numpy())
    assert not np.array_equal(drawn.numpy(), g.generate(z, mg.tensor([1, 1, 2, 3, 0, 1])).numpy())
    assert g.generator.training


def test_what_does_not_go_with_labels_is_named():
    for switch in ({"pack": 2}, {"replay": 8}, {"joint_batches": True}):
        with pytest.raises(mg.errors.ShapeError, match=f"{next(iter(switch))}.: {next(iter(switch.values()))}"):
            game("acgan28", sight=Sight(**switch))
    with pytest.raises(mg.errors.ShapeError, match=r"'unroll': 1\}"):
        game("acgan28", moves=Moves(unroll=1))
    with pytest.raises(mg.errors.ShapeError, match=r"ConditionalGame: a batch \(6, 1, 28, 28\) came without labels"):
        game("cgan28").play(lambda k: batches(k)[0])
    with pytest.raises(mg.errors.ShapeError, match=r"AuxiliaryGame: class_weight: .* >= 0, got nan"):
        game("acgan28", class_weight=np.nan)


@pytest.mark.parametrize("model", ["acgan28", "projection28"])
def test_captured_turns_are_the_turns(model, monkeypatch):
    fakecupy.install(monkeypatch)
    images, labels = mg.data.digits(40)

    def losses_of(graphs):
        source = mg.data.Batches(images, 8, labels=labels, device="cuda")
        return losses_without_waiting(game(model, classes=10, device="cuda"), source, graphs=graphs)

    assert losses_of(True) == losses_of(False)


# --- the example ------------------------------------------------------------------------------------------------

conditional = example("conditional")


@pytest.mark.parametrize(
    "options", ["--model cgan", "--model acgan", "--model projection --loss wasserstein --penalty r1"]
)
def test_a_dry_run_trains_and_measures(options, capsys):
    assert conditional.main(arguments=["--dry-run", "--width", "2", *options.split()]) == 0
    said = capsys.readouterr().out
    assert "2 steps" in said
    assert "\naccuracy: 0." in said


def test_images_without_labels_are_refused(tmp_path, capsys):
    from PIL import Image

    Image.new("L", (28, 28)).save(tmp_path / "a.png")
    assert conditional.main(arguments=["--dry-run", "--data", str(tmp_path), "--batch-size", "1"]) == 1
    assert "have no labels, and ConditionalGame learns from labels" in capsys.readouterr().err


def test_the_picture_has_a_row_for_each_class(tmp_path):
    from PIL import Image

    g = game("cgan28", classes=10)
    conditional.picture(g, None, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as opened:
        assert opened.size == (2 * 302, 2 * 302)
        tiles = np.asarray(opened)[::2, ::2]
    z = g.latent(10, g.stream("samples").at(0))
    third_row = g.generate(z, mg.tensor([3] * 10)).numpy()
    expected = mg.viz.to_uint8(third_row)[5, 0]
    top, left = 2 + 3 * 30, 2 + 5 * 30
    np.testing.assert_allclose(tiles[top : top + 28, left : left + 28].astype(int), expected.astype(int), atol=1)


@pytest.mark.parametrize("model", MODELS)
def test_replayed_turns_are_the_turns(model):
    replays_exactly(lambda: game(model), lambda: batches)
