"""GAN-CLS: what players are told, what a step is to the last digit, replays, resumes, ranks; files and texts."""

from functools import partial

import numpy as np
import pytest
from parity import torch
from replayed_game import ROUNDS, replays_exactly
from resumed_game import continues_exactly, numbers

import minigan as mg
from minigan import data, export, nn
from minigan.command import cli
from minigan.data import Captioned
from minigan.errors import CheckpointError, DataError, ShapeError
from minigan.gan import TextGame, losses, penalties
from minigan.gan.text import other_captions
from minigan.latent import Space
from minigan.models import WordFeatures, gan_cls
from minigan.processes import Threads

F = torch.nn.functional
WORDS = ("a", "black", "grey", "white")
CAPTIONS = np.array([[1, 2, 0], [1, 3, 0], [1, 3, 2], [4, 0, 0]])[np.arange(40) % 4]
IMAGES = np.random.default_rng(0).integers(0, 256, (40, 1, 8, 8)).astype(np.uint8)
VALUES = Captioned(IMAGES, CAPTIONS)


def game(side=8, dtype="float32", window=1, average=True, width=2, lr=1e-3, **parts):
    with mg.random.using(mg.random.Stream(0)):
        G, D = gan_cls(len(WORDS), side, 5, width=width, features=6, told=3, window=window)
    adam = [mg.optim.Adam(player.to(dtype=dtype).parameters(), lr, (0.5, 0.999)) for player in (G, D)]
    ema = mg.optim.EMA(G, 0.9) if average else None
    latent = mg.gan.uniform_latent(5, dtype=dtype)
    optimizers = {"generator_optimizer": adam[0], "discriminator_optimizer": adam[1]}
    made = TextGame(G, D, latent=latent, **optimizers, ema=ema, words=WORDS, **parts)
    made.meet(VALUES)
    return made


GAMES = {
    "plain": game,
    "interpolated": partial(game, interpolate=1.0),
    "neighbours": partial(game, window=3),
    "no mismatch": partial(game, mismatch=0.0),
    "critic": partial(game, loss=losses.wasserstein, penalty=penalties.gradient_penalty, d_steps=2),
    "now and then": partial(game, penalty=penalties.r1, penalty_weight=0.5, penalty_every=2),
    "least squares": partial(game, loss=losses.lsgan, average=False),
}


def drawn(values=VALUES):
    return data.shuffled_batches(values, 4, flip=True)


@pytest.mark.parametrize("name", GAMES)
def test_replayed_it_plays_the_same(name):
    replays_exactly(GAMES[name], drawn, rounds=14 if name == "now and then" else ROUNDS)


@pytest.mark.parametrize("name", GAMES)
def test_resumed_it_goes_on_as_it_was(name):
    continues_exactly(*(GAMES[name]() for _ in range(3)), drawn())


@pytest.mark.parametrize("name", ["interpolated", "critic"])
def test_two_ranks_play_what_one_plays(name):
    def played(group=None):
        made = GAMES[name](dtype="float64")
        if group is not None:
            made.distribute(group)
        for k in range(3):
            rng = np.random.default_rng(k)
            batch = Captioned(
                mg.tensor(rng.uniform(-1, 1, (8, 1, 8, 8))), mg.tensor(CAPTIONS[rng.integers(40, size=8)])
            )
            shown = made.play(lambda k, batch=batch: batch)
        return numbers(made), {name: value.item() for name, value in shown.items()}

    alone, shown = played()
    for state, its in Threads(2).run(played):
        assert its == pytest.approx(shown, abs=1e-10)
        for key, value in state.items():
            if "exp_avg" not in key:
                np.testing.assert_allclose(value, alone[key], atol=1e-9, err_msg=key)


# --- a step ---------------------------------------------------------------------------------------------------------


class Reference:
    """The players of `gan_cls` and a step of GAN-CLS with GAN-INT, as a PyTorch program writes them."""

    def __init__(self, made):
        self.g, self.d = (
            {name: torch.tensor(t.numpy()) for name, t in p.state_dict().items()} for p in made.players.values()
        )

    def told(self, w, features):
        return F.leaky_relu(features @ w["compress.0.weight"].T + w["compress.0.bias"], 0.2)

    def text(self, w, captions):
        rows = [w["text.embedding.weight"][[k for k in row if k]].mean(0) for row in captions.tolist()]
        return torch.stack(rows)

    def draw(self, z, features):
        w = {name.removeprefix("network."): t for name, t in self.g.items()}
        h = torch.cat([z, self.told(w, features)], 1) @ w["0.weight"].T + w["0.bias"]
        h = h.reshape(len(z), -1, 4, 4)
        for norm, up in ((2, 4), (5, 7)):
            h = F.batch_norm(h, None, None, w[f"{norm}.weight"], w[f"{norm}.bias"], training=True)
            h = F.conv_transpose2d(F.relu(h), w[f"{up}.weight"], w[f"{up}.bias"], 2, 1)
        return torch.tanh(h)

    def score(self, x, features):
        w = self.d
        for k in (0, 2):
            x = F.leaky_relu(F.conv2d(x, w[f"body.{k}.weight"], w[f"body.{k}.bias"], 2, 1), 0.2)
        told = self.told(w, features)[:, :, None, None].expand(-1, -1, 4, 4)
        h = F.conv2d(torch.cat([x, told], 1), w["score.0.weight"], w["score.0.bias"])
        return F.leaky_relu(h, 0.2).flatten(1) @ w["score.3.weight"].T + w["score.3.bias"]

    def step(self, weights, loss):
        """Adam's first step of all that is learnt."""
        learnt = [t for name, t in weights.items() if "running" not in name and "num_batches" not in name]
        optimizer = torch.optim.Adam(learnt, 1e-3, (0.5, 0.999))
        for t, slope in zip(learnt, torch.autograd.grad(loss, learnt), strict=True):
            t.grad = slope
        optimizer.step()

    def play(self, x, right, wrong, z):
        for w in (self.g, self.d):
            for name, t in w.items():
                t.requires_grad_("running" not in name and "num_batches" not in name)
        with torch.no_grad():
            fake = self.draw(z[0], self.text(self.g, right))
        real, unfit, of_fake = (
            self.score(images, self.text(self.d, texts)) for images, texts in ((x, right), (x, wrong), (fake, right))
        )
        d_loss = F.softplus(-real).mean() + 0.5 * (F.softplus(unfit).mean() + F.softplus(of_fake).mean())
        self.step(self.d, d_loss)
        g_loss = F.softplus(-self.score(self.draw(z[1], self.text(self.g, right)), self.text(self.d, right))).mean()
        middle = [(self.text(w, right) + self.text(w, wrong)) / 2 for w in (self.g, self.d)]
        between = F.softplus(-self.score(self.draw(z[1], middle[0]), middle[1])).mean()
        self.step(self.g, g_loss + 0.7 * between)
        return {"d_loss": d_loss, "g_loss": g_loss, "between": between, "d_wrong": torch.sigmoid(unfit).mean()}


def test_a_step_is_that_of_the_paper_to_the_ninth_digit(rng):
    made = game(16, "float64", interpolate=0.7, average=False)
    reference = Reference(made)
    x = rng.uniform(-1, 1, (6, 1, 16, 16))
    right = np.array([[1, 2, 0], [1, 2, 0], [4, 0, 0], [1, 3, 2], [1, 2, 0], [1, 2, 0]])
    wrong = right[[2, 2, 3, 4, 2, 2]]  # the next that differs, after the last the first
    z = [torch.tensor(made.latent(6, made.stream("noise").at(k)).numpy()) for k in range(2)]
    expected = reference.play(torch.tensor(x), right, wrong, z)
    batch = Captioned(mg.tensor(x), mg.tensor(right))
    found = made.play(lambda k: batch)
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(value.item(), rel=1e-9, abs=1e-9), name
    for player, weights in (("generator", reference.g), ("discriminator", reference.d)):
        for name, t in made.players[player].state_dict().items():
            if "running" not in name and "num_batches" not in name:
                theirs = weights[name].detach().numpy()
                np.testing.assert_allclose(t.numpy(), theirs, rtol=0, atol=1e-9, err_msg=f"{player} {name}")


def test_captions_of_others_are_others(rng):
    like = mg.zeros(())
    for _ in range(20):
        captions = rng.integers(0, 2, (7, 2))
        found, differs = other_captions(mg.tensor(captions), like)
        for i, row in enumerate(found.numpy()):
            later = [captions[(i + k) % 7] for k in range(7)]
            expected = next((each for each in later if (each != captions[i]).any()), captions[i])
            assert (row == expected).all()
        assert bool(differs.item()) == (len({tuple(row) for row in captions}) > 1)
    found, differs = other_captions(mg.tensor(np.full((4, 2), 3)), like)
    assert (found.numpy() == 3).all()
    assert (differs.item(), differs.dtype) == (0, np.float32)


def test_where_all_captions_are_the_same_none_is_wrong():
    batch = Captioned(mg.tensor(data.scaled(IMAGES[:4])), mg.tensor(CAPTIONS[[1, 1, 1, 1]]))
    shown = [made.play(lambda k: batch) for made in (game(), game(mismatch=0.0))]
    assert shown[0]["d_loss"].item() == pytest.approx(shown[1]["d_loss"].item(), rel=1e-6)
    assert shown[0]["g_loss"].item() == pytest.approx(shown[1]["g_loss"].item(), rel=1e-5)


def test_a_game_learns_what_words_mean():
    """White squares are called white, black ones black: soon what is drawn is as bright as its caption says."""
    images = np.array([0, 255], np.uint8).repeat(32 * 64).reshape(64, 1, 8, 8)
    values = Captioned(images, np.array([[1, 2], [1, 4]]).repeat(32, 0))
    made = game(width=8, lr=5e-3)
    batches = data.shuffled_batches(values, 16)
    for _ in range(150):
        made.play(batches)
    z = made.latent(8, mg.random.Stream(0))
    black, white = (made.generate(z, mg.tensor(np.array([text] * 8))).numpy() for text in ([1, 2], [1, 4]))
    assert white.mean() > black.mean() + 1


# --- what players are told ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [1, 3])
def test_a_text_is_its_words_and_with_a_window_their_order(window, rng):
    features = WordFeatures(4, 6, window, rng=mg.random.Stream(1))
    tokens = mg.tensor(np.array([[1, 2, 3, 0], [3, 2, 1, 0], [1, 2, 4, 0], [0, 0, 0, 0]]))
    found = features(tokens).numpy()
    assert found.shape == (4, 6)
    longer = features(mg.tensor(np.pad(tokens.numpy(), ((0, 0), (0, 3))))).numpy()
    np.testing.assert_allclose(longer, found, atol=1e-6)
    assert np.allclose(found[0], found[1], atol=1e-6) == (window == 1)
    assert not np.allclose(found[0], found[2], atol=1e-3)
    assert (found[3] == 0).all()
    if window == 1:
        np.testing.assert_allclose(found[0], features.embedding.weight.numpy()[1:4].mean(0), rtol=1e-5)
    given = mg.tensor(rng.standard_normal((2, 6)).astype(np.float32))
    assert features(given) is given
    with pytest.raises(ShapeError, match=r"expected tokens \(N, L\) or features \(N, 6\), got float32 \(2, 5\)"):
        features(given[:, :5])


def test_scores_of_several_texts_are_those_of_each(rng):
    G, D = gan_cls(4, 28, 5, width=2, features=6, told=3)
    x = mg.tensor(rng.uniform(-1, 1, (3, 1, 28, 28)).astype(np.float32))
    texts = [mg.tensor(rng.integers(0, 5, (3, 2))) for _ in range(2)]
    both = D(x, *texts)
    for scores, text in zip(both, texts, strict=True):
        assert scores.shape == (3, 1)
        assert (scores.numpy() == D(x, text).numpy()).all()
    assert not np.allclose(both[0].numpy(), both[1].numpy())
    z = mg.zeros((3, 5))
    assert G(z, texts[0]).shape == (3, 1, 28, 28)
    with pytest.raises(ShapeError, match=r"gan_cls: expected a side of 4, 5, 6 or 7 times 2, 4, 8, ... pixels, got 30"):
        gan_cls(4, 30)


def test_what_it_cannot_be_given_is_named():
    with pytest.raises(ShapeError, match="TextGame: relativistic compares fakes with real samples"):
        game(loss=losses.relativistic)
    with pytest.raises(ShapeError, match="TextGame: mismatch"):
        game(mismatch=1.0)
    with pytest.raises(ShapeError, match="expected batches of images and their captions, got a Tensor"):
        game().play(lambda k: mg.zeros((4, 1, 8, 8)))
    with pytest.raises(ShapeError, match="expected samples with captions, got ndarray"):
        game().meet(IMAGES)
    with pytest.raises(ShapeError, match="depend on each other: BatchNorm2d, the captions of others"):
        game().accumulate(2)
    untold = game()
    del untold._met
    with pytest.raises(ShapeError, match="has met no captions"):
        untold.sample(1)
    assert any("nothing limits how steep" in doubt for doubt in game(loss=losses.wasserstein).doubts())


def test_samples_are_of_captions_that_were_met():
    made = game()
    z, captions = made.inputs(30, "samples", 0)
    assert (z.shape, captions.shape) == ((30, 5), (30, 3))
    assert {tuple(row) for row in captions.numpy()} == {tuple(row) for row in CAPTIONS}
    assert (made.inputs(30, "samples", 0)[1].numpy() == captions.numpy()).all()
    assert (made.inputs(30, "samples", 1)[1].numpy() != captions.numpy()).any()
    assert mg.gan.memory_needed(made, drawn()).sample > 0


# --- a generator file -----------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path):
    made = game(window=3)
    for _ in range(2):
        made.play(drawn())
    return export.save_of_game(tmp_path / "generator.safetensors", made), made


def test_a_file_knows_its_words(file):
    path, made = file
    loaded = export.load_generator(path)
    assert loaded.texts.vocabulary == data.Vocabulary(WORDS, 3)
    assert (loaded.texts.captions == made.met).all()
    tokens = loaded.texts.vocabulary.tokens(["a black", "white"])
    z = made.latent(2, mg.random.Stream(3))
    np.testing.assert_array_equal(loaded.generate(z, tokens).numpy(), made.generate(z, mg.tensor(tokens)).numpy())
    assert loaded.sample(5).shape == (5, 1, 8, 8)
    assert (loaded.sample(5).numpy() == loaded.sample(5).numpy()).all()
    for wrong in (np.zeros(2, np.int64), np.zeros((3, 3), np.int64)):
        with pytest.raises(ShapeError, match=r"Generator: expected captions \(2, length\)"):
            loaded.generate(z, wrong)
    with pytest.raises(DataError, match="expected tokens from 0 to 4"):
        loaded.generate(z, np.full((2, 3), 5))
    with pytest.raises(ShapeError, match="this generator is told texts: `minigan sample --text` draws of it"):
        Space(loaded)


@pytest.mark.parametrize(
    "change", [{"words": []}, {"words": [1, 2, 3, 4]}, {"captions": [[9]]}, {"captions": []}, {"captions": "a"}]
)
def test_a_file_that_lies_about_its_words_is_refused(file, change):
    about = export.description(export.load_generator(file[0]))
    about["texts"] |= change
    weights = export.load_generator(file[0]).network.state_dict()
    with pytest.raises((CheckpointError, ShapeError, DataError)):
        export.from_description(about, {name: t.numpy() for name, t in weights.items()})


def test_texts_are_drawn_from_the_command_line(file, tmp_path, capsys):
    path, _ = file
    out = tmp_path / "drawn.npy"
    line = ["sample", str(path), "--n", "4", "--out", str(out)]
    assert cli.main([*line, "--text", "a black", "--text", "White!"]) == 0
    loaded = export.load_generator(path)
    tokens = loaded.texts.vocabulary.tokens(["a black", "white"] * 2)
    np.testing.assert_array_equal(np.load(out), loaded.sample(4, labels=tokens).numpy())
    assert cli.main(line) == 0
    capsys.readouterr()
    for words, told in (
        (["--text", "a red one"], "'a red one': 'red' is no word that is known; the words are a, black, grey, white"),
        (["--labels", "1"], "is told texts: --text"),
        (["--truncation", "0.5"], "is told texts"),
    ):
        assert cli.main([*line, *words]) == 1
        assert told in capsys.readouterr().err
    plain = export.Generator(nn.Sequential(nn.Linear(5, 4), nn.Unflatten(1, (1, 2, 2))), mg.gan.normal_latent(5))
    export.save_generator(tmp_path / "plain.safetensors", plain)
    assert cli.main(["sample", str(tmp_path / "plain.safetensors"), "--text", "a black"]) == 1
    assert "is told no texts" in capsys.readouterr().err


def test_noise_without_what_lies_far_out_goes_with_texts_too():
    made = game()
    made.latent = mg.gan.normal_latent(5)
    generator = export.of_game(made)
    near = generator.truncated(0.5)
    assert np.abs(near.latent(50, mg.random.Stream(0)).numpy()).max() <= 0.5
    assert near.sample(3).shape == (3, 1, 8, 8)


def test_without_words_no_file_can_tell(tmp_path):
    made = game()
    made.words = ()
    with pytest.raises(export.NotDescribed, match="it was not told which `words` its tokens are"):
        export.save_of_game(tmp_path / "generator.safetensors", made)
