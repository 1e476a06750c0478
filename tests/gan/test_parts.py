"""A batch in parts is the whole one, or refused with what would make it another."""

from functools import partial

import numpy as np
import pytest
from systems import CUT, ICR, SYSTEMS, System, batches, built, decoding, furthest, game
from translation_systems import cyclegan, pix2pix

from minigan.errors import ShapeError
from minigan.gan import losses, penalties
from minigan.processes import Threads

L, P = losses, penalties
FREE = {"norm": False}
plain = partial(game, g_norm=False)
ALIKE = {
    "gradient penalty, noise": lambda: plain(L.wasserstein, how=FREE | {"noise": True}, penalty=P.gradient_penalty),
    "lazy R1, EMA": lambda: plain(L.hinge, how=FREE, penalty=P.r1, penalty_every=3, average=True),
    "packs, instance noise": lambda: plain(L.nonsaturating, how=FREE, seen={"pack": 2, "instance_noise": 0.2}),
    "minibatch deviation": lambda: plain(L.relativistic, how=FREE | {"stddev": True}),
    "augmented": lambda: plain(L.nonsaturating, how=FREE, seen={"augment": "color,translation,cutout,flip"}),
    "consistency": lambda: plain(L.nonsaturating, how=FREE, regularisers=ICR),
    "cutmix, orthogonal": lambda: plain(L.nonsaturating, how={"pixels": True}, regularisers=CUT, penalty=P.r1),
    "reconstruction": lambda: decoding(norm=False),
    "latent optimisation": lambda: plain(L.hinge, how=FREE, moves={"latent_optimisation": 0.9}),
    "approximated R1 and R2, diffused": lambda: plain(
        L.relativistic, how=FREE, penalty=P.approximated_r1_r2, seen={"augment": "diffusion"}
    ),
    "clipped weights": lambda: plain(L.wasserstein, how=FREE, moves={"clip": 0.05}),
    "pairs, by the distance alone": lambda: pix2pix(norm=False, adversarial=0.0),
    "two domains": lambda: cyclegan(norm=False, g_norm=False, pool=0),
    "noisy labels, joint": lambda: plain(L.noisy_labels(L.minimax, 0.9, 0.1), how=FREE, seen={"joint_batches": True}),
}
COUPLED = {  # by what says so
    "BatchNorm1d": "batch norm, EMA",
    "the relativistic_average loss": "one pass",
    "the penalty dragan": "DRAGAN",
    "the penalty cs231n_printed": "the printed penalty of CS231n",
    "spectral norm": "spectral norm",
    "the dual_contrastive loss": "dual contrastive, approximated R1 and R2",
    "the weights of san": "direction",
    "replay": "replay",
    "the probability of ada or pseudo": "ada",
    "the averages of lecam": "LeCam",
    "the average of path lengths": "path lengths",
    "top_k": "top-k",
    "unroll": "unrolled",
    "consensus": "consensus",
    "a shared_turn": "shared fakes",
    "pull_away": "EBGAN",
    "the balance of BEGAN": "BEGAN",
    "feature matching": "semi-supervised",
    "earlier fakes": "CycleGAN",
    "a discriminator that moves within the turn": "pix2pix",
}


def played(system, parts, group=None, rounds=6):
    made = built(system)
    if group is not None:
        made.distribute(group)
    made.accumulate(parts)
    drawn = batches(system)
    for _ in range(rounds):
        last = made.play(drawn)
    state = {k: t.numpy().copy() for k, t in made.state.items()}
    return made, state, {k: t.item() for k, t in last.items()}


@pytest.mark.parametrize("name", ALIKE)
def test_parts_are_the_whole_batch(name):
    system = System(ALIKE[name])
    whole, alone, its_losses = played(system, 1)
    for parts in (2, 4):
        _, state, found = played(system, parts)
        assert furthest(whole, alone, state) < 1e-12
        assert found == pytest.approx(its_losses, abs=1e-12)


@pytest.mark.parametrize(
    "name", ["gradient penalty, noise", "packs, instance noise", "minibatch deviation", "augmented", "reconstruction"]
)
def test_parts_of_several_processes_are_the_whole_batch(name):
    system = System(ALIKE[name])
    whole, alone, _ = played(system, 1)
    for _, state, _ in Threads(2).run(lambda group: played(system, 2, group)):
        assert furthest(whole, alone, state) < 1e-12


@pytest.mark.parametrize(("why", "name"), COUPLED.items())
def test_what_couples_samples_is_refused_by_its_name(why, name):
    made = built(SYSTEMS[name])
    with pytest.raises(ShapeError, match=f"in 2 parts is not the whole one .*{why}"):
        made.accumulate(2)
    made.accumulate(1)


def test_a_step_is_one_message_and_the_optimizer_moves_once():
    system = System(ALIKE["lazy R1, EMA"])

    def of_rank(group):
        sums, plain_sum = [], group.sum
        group.sum = lambda array: sums.append(array.size) or plain_sum(array)
        made, _, _ = played(system, 4, group, rounds=1)
        return sums, [int(o.t.item()) for o in made.optimizers.values()]

    for sums, steps in Threads(2).run(of_rank):
        assert len(sums) == 4, "of each turn the gradients, and its losses"
        assert steps == [1, 1]


def test_after_an_error_the_game_is_played_whole_again():
    made = built(System(ALIKE["clipped weights"]))
    made.accumulate(2)
    with pytest.raises(ShapeError, match="a batch of 7 does not split into 2 equal parts"):
        made.play(lambda k: np.zeros((7, 1, 6, 6)))
    assert all(optimizer.collect is None for optimizer in made.optimizers.values())
    assert made.follows is None
