"""A game of three players on two domains, whose batches are named tuples: what a new game says, and what it gets."""

from typing import Any, NamedTuple

import fakecupy
import numpy as np
import pytest
from replayed_game import replays_exactly
from tiny_run import newest, settings, without_clock

import minigan as mg
from minigan import data, nn, training
from minigan.gan import Game, Turn, losses, normal_latent


class Domains(NamedTuple):
    """What belongs to each of two domains."""

    day: Any
    night: Any


class Couple(nn.Module):
    """z to a pair of images: what they have in common, and a head for each domain."""

    def __init__(self):
        self.trunk = nn.Sequential(nn.Linear(4, 12), nn.BatchNorm1d(12), nn.ReLU())
        self.day = nn.Sequential(nn.Linear(12, 48), nn.Tanh(), nn.Unflatten(1, (3, 4, 4)))
        self.night = nn.Sequential(nn.Linear(12, 48), nn.Tanh(), nn.Unflatten(1, (3, 4, 4)))

    def forward(self, z):
        common = self.trunk(z)
        return Domains(self.day(common), self.night(common))


class CoupledGame(Game):
    """One generator draws pairs, a discriminator for each domain judges its half (CoGAN: Liu and Tuzel 2016)."""

    def __init__(self, generator, discriminators, *, lr=1e-2, seed=0):
        players = {"generator": generator, **discriminators._asdict()}
        self.discriminators = discriminators
        self.latent = normal_latent(4)
        super().__init__(
            players,
            {name: mg.optim.Adam(player.parameters(), lr) for name, player in players.items()},
            [Turn("discriminators_turn"), Turn("generator_turn", fresh_batch=False)],
            seed=seed,
            ema=mg.optim.EMA(generator, 0.5),
        )

    def discriminators_turn(self, batch):
        """Each tells its domain's samples from its half of the fakes."""
        with mg.no_grad():
            fakes = self.players["generator"](self.noise(batch))
        shown = {}
        for name, D, real, fake in zip(Domains._fields, self.discriminators, batch.drawn, fakes, strict=True):
            loss = losses.hinge.discriminator(D(real), D(fake))
            self.optimizers[name].minimize(loss)
            shown[f"d_{name}"] = loss.detach()
        return shown

    def generator_turn(self, batch):
        """Both halves are to pass."""
        fakes = self.players["generator"](self.noise(batch))
        loss = sum(losses.hinge.generator(D(fake)) for D, fake in zip(self.discriminators, fakes, strict=True))
        self.optimizers["generator"].minimize(loss)
        self.average()
        return {"g_loss": loss.detach()}

    def sample(self, n, *, stream="samples", at=0):
        """Images of the first domain."""
        return super().sample(n, stream=stream, at=at).day


def game(device="cpu", seed=0):
    mg.random.seed(seed)
    critics = Domains(*(nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.Dropout(0.2), nn.Linear(8, 1)) for _ in "ab"))
    generator = Couple().to(device)
    return CoupledGame(generator, Domains(*(D.to(device) for D in critics)), seed=seed)


def images(count, seed):
    return np.random.default_rng(seed).integers(0, 256, (count, 3, 4, 4)).astype(np.uint8)


TWO_DOMAINS = data.Samples(Domains(images(40, 0), images(56, 1)), None, "two domains", paired=False)


def run(out, **options):
    return training.run(
        lambda chosen: game(seed=chosen.seed),
        settings(out, batch_size=8, **{"sample_every": 4, **options}),
        load=lambda chosen, limit: TWO_DOMAINS,
    )


def test_a_run_of_it_resumes_bit_by_bit(tmp_path):
    assert run(tmp_path / "whole", steps=17) == 0
    assert run(tmp_path / "parts", steps=8) == 0
    assert run(tmp_path / "parts", steps=17, resume=True) == 0
    whole, parts = (newest(tmp_path / name) for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert {name.split(".")[0] for name in whole} == {
        *("generator", "day", "night", "ema", "step"),
        *("generator_optimizer", "day_optimizer", "night_optimizer"),
    }
    assert all(np.array_equal(array, parts[name]) for name, array in whole.items())
    assert without_clock(tmp_path / "whole") == without_clock(tmp_path / "parts")
    looks = training.record.read_looks(tmp_path / "whole", [])
    assert looks == training.record.read_looks(tmp_path / "parts", [])
    assert {"day_grad", "night_grad", "generator_grad", "distance"} <= set(looks[-1].numbers)
    assert (tmp_path / "whole" / "report.html").stat().st_size > 1000


def test_other_data_in_either_domain_are_refused(tmp_path, monkeypatch):
    run(tmp_path, steps=5)
    other = TWO_DOMAINS._replace(values=TWO_DOMAINS.values._replace(night=images(56, 2)))
    monkeypatch.setattr(f"{__name__}.TWO_DOMAINS", other)
    with pytest.raises(mg.errors.CheckpointError, match="sha256 was"):
        run(tmp_path, steps=9, resume=True)


def test_each_player_moves_in_its_own_turn_alone():
    played, batches = game(), data.shuffled_batches(TWO_DOMAINS.values, 8, paired=False)
    movers = {"discriminators_turn": {"day", "night"}, "generator_turn": {"generator"}}
    for turn, expected in movers.items():
        played.schedule = [Turn(turn)]
        before = {name: [p.numpy() for p in player.parameters()] for name, player in played.players.items()}
        shown = played.play(batches)
        moved = {
            name
            for name, player in played.players.items()
            if any((p.numpy() != old).any() for p, old in zip(player.parameters(), before[name], strict=True))
        }
        assert moved == expected
        assert all(value.shape == () for value in shown.values())


@pytest.mark.parametrize("resident", [True, False])
def test_captured_or_not_it_plays_the_same(resident, monkeypatch):
    fakecupy.install(monkeypatch)

    def played(device, graphs):
        one = game(device)
        one.graphs = graphs
        source = data.shuffled_batches(TWO_DOMAINS.values, 8, paired=False, device=device)
        found = [one.play(source if resident else source.at) for _ in range(7)]
        if graphs:
            assert all(turn.graph is not None for turn in one._turns[1].values())
        return [{name: value.item() for name, value in each.items()} for each in found]

    replayed = played("cuda", True)
    assert replayed == played("cuda", False)
    for ours, theirs in zip(replayed, played("cpu", False), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-5)


def test_batches_that_are_none_are_refused_by_name():
    full, empty = mg.zeros((4, 3, 4, 4)), mg.zeros((0, 3, 4, 4))
    for batch in (Domains(empty, empty), Domains(full, empty)):
        with pytest.raises(mg.errors.ShapeError, match=r"discriminators_turn: cannot train on an empty batch \(0, 3"):
            game().play(lambda k, batch=batch: batch)
    for batch, told in (
        ([full], "a list"),
        ({"day": full}, "a dict"),
        ((full, full, full), "a tuple"),
        (None, "a None"),
    ):
        with pytest.raises(
            mg.errors.ShapeError, match=f"a pair .samples, labels. or a named tuple of arrays, got {told}"
        ):
            game().play(lambda k, batch=batch: batch)
    with pytest.raises(mg.errors.ShapeError, match="got a tuple in one"):
        game().play(lambda k: Domains((full, full), full))


def test_games_that_cannot_be_are_refused_by_name():
    class Old(CoupledGame):
        def generator_turn(self, state, batch):
            return {}

    class Nameless(CoupledGame):
        sampling_network = Game.sampling_network

        def __init__(self, generator):
            Game.__init__(self, {"G": generator}, {"G": mg.optim.SGD(generator.parameters())}, [Turn("generator_turn")])

    critics = Domains(nn.Linear(48, 1), nn.Linear(48, 1))
    with pytest.raises(mg.errors.ShapeError, match=r"Old\.generator_turn: a turn is given a batch alone .*'batch'"):
        Old(Couple(), critics)
    with pytest.raises(mg.errors.ShapeError, match=r"with names of their own, got \['step', 'ema', 'step'\]"):
        Game({"step": Couple()}, {}, [Turn("generator_turn")])
    with pytest.raises(mg.errors.ShapeError, match="expected players, and optimizers, with names of their own"):
        Game({}, {}, [])
    with pytest.raises(NotImplementedError, match="Nameless has no latent"):
        Nameless(Couple()).sample(2)
    with pytest.raises(mg.export.NotDescribed, match=r"Nameless has no .* it draws no samples of noise"):
        mg.export.of_game(Nameless(Couple()))


def test_replayed_turns_are_the_turns():
    sources = Domains(*(data.Batches(images(40, k), 8, stream=f"{k}") for k in range(2)))
    replays_exactly(game, lambda: data.Together(sources))
