"""A penalty in every k-th round, k times as much: what is computed when, and that a run of such rounds is exact."""

import numpy as np
import pytest
from games_by_name import on_points
from replayed_game import replays_exactly
from resumed_game import continues_exactly

import minigan as mg
from minigan import nn
from minigan.gan import Moves, Turn, alternate, memory_needed, penalties
from minigan.gan.rehearsal import gradient_norms

SCHEDULES = {
    "in turn": alternate(),
    "two of D": alternate(2),
    "at once": [Turn("simultaneous_turn")],
    "one pass": [Turn("one_pass_turn")],
}


def game(penalty=penalties.r1, every=3, **options):
    mg.random.seed(0)
    G = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    D = nn.Sequential(nn.Linear(2, 8), nn.Softplus(), nn.Linear(8, 1))
    return on_points(G, D, penalty=penalty, penalty_weight=0.5, penalty_every=every, **options)


def points(k):
    return mg.tensor(np.random.default_rng(k).normal(size=(8, 2)).astype("float32"))


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_a_round_in_three_has_three_times_the_penalty_and_the_others_none(schedule):
    lazy = game(schedule=schedule)
    for k in range(7):
        twins = {weight: game(schedule=schedule, every=1) for weight in (1.5, 0.0)}
        for weight, twin in twins.items():
            twin.load_state(lazy.state)
            twin.penalty_weight = weight
        shown = {name: value.item() for name, value in lazy.play(points).items()}
        twin = twins[0.0 if k % 3 else 1.5]
        told = {name: value.item() for name, value in twin.play(points).items()}
        assert ("penalty" in shown) == (k % 3 == 0)
        assert shown == pytest.approx({name: told[name] for name in shown}, rel=1e-6)
        for name, value in twin.state.items():
            np.testing.assert_allclose(lazy.state[name].numpy(), value.numpy(), rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_both_ways_of_a_turn_are_replayed_and_a_resumed_game_goes_on(schedule):
    played = replays_exactly(lambda: game(every=2, schedule=schedule), lambda: points, rounds=14)
    ways = [sum(at == k for at, _ in played._turns[1]) for k in range(len(schedule))]
    assert ways == [1 if turn.name == "generator_turn" else 2 for turn in schedule]
    continues_exactly(*(game(schedule=schedule) for _ in range(3)), points)


@pytest.mark.parametrize("penalty", penalties.PENALTIES.values(), ids=penalties.PENALTIES)
def test_every_penalty(penalty):
    replays_exactly(lambda: game(penalty, every=2), lambda: points, rounds=14)


def test_a_game_without_a_penalty_has_one_way_to_play():
    played = game(None)
    for _ in range(4):
        assert "penalty" not in played.play(points)
    assert [way for _, way in played._turns[1]] == [0, 0]
    memory_needed(played, points)


def test_imagined_steps_have_the_penalty_of_their_round():
    lazy, plain = game(every=2, moves=Moves(unroll=1)), game(None, moves=Moves(unroll=1))
    lazy.graphs = plain.graphs = False
    lazy.play(points)
    plain.load_state(lazy.state)
    for one in (lazy, plain):
        one.play(points)
    np.testing.assert_array_equal(lazy.generator[0].weight.numpy(), plain.generator[0].weight.numpy())


def test_what_is_measured_of_a_game_is_measured_with_its_penalty():
    """Whatever its next round is: the memory of a run that is resumed between two penalties."""
    fresh, between = game(), game()
    between.play(points)
    assert between.variant(between.schedule[0], between.rounds)
    seen = []
    for one in (fresh, between):
        one.penalty = lambda critic, real, fake, rng: seen.append(1) or penalties.r1(critic, real, fake)
        memory_needed(one, points)
        assert seen
        seen.clear()
    assert between.rounds == 1
    assert set(gradient_norms(between, points)) == {"generator", "discriminator"}
    assert not seen


def test_a_period_is_a_whole_number_of_rounds():
    for every in (0, 1.5):
        with pytest.raises(
            mg.errors.ShapeError, match=rf"ScoreGame: penalty_every: expected an integer >= 1, got {every}"
        ):
            game(every=every)
