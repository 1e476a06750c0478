"""Whose rows are whose: draws, batches of every kind, and games that take them."""

import numpy as np
import pytest
from games_by_name import on_points
from PIL import Image
from systems import SYSTEMS, batches, built, play

from minigan import data, nn, processes, random
from minigan.errors import ShapeError
from minigan.processes import WHOLE, Part, Threads
from minigan.processes.part import meaning
from minigan.random import Stream
from minigan.tensor import Tensor

PARTS = [Part(0, 2), Part(1, 2), Part(2, 4)]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    "draw",
    [
        lambda s, n: s.normal((n, 3)),
        lambda s, n: s.uniform((n, 2, 2), -1, 1, "float64"),
        lambda s, n: s.integers(7, n),
        lambda s, n: s.normal((n,), dtype="float16"),
    ],
)
def test_a_stream_draws_this_parts_rows_of_the_whole(part, draw):
    stream = Stream(3, "a name").at(5)
    whole = [draw(stream, 8), draw(stream, 8)]
    with meaning(part):
        mine = Stream(3, "a name").at(5)
        for expected in whole:  # a second draw begins where the whole one ended
            assert np.array_equal(draw(mine, 8 // part.count), part.take(expected))


def test_numbers_words_and_what_is_drawn_whole_are_the_same_for_all():
    def drawn():
        stream = Stream(1)
        with processes.whole():
            rows = stream.normal((4, 2))
        return [stream.normal(), stream.words(5), stream.permutation(6), rows]

    with meaning(Part(1, 2)):
        mine = drawn()
    for a, b in zip(mine, drawn(), strict=True):
        assert np.array_equal(a, b)


def sources(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (20, 1, 6, 5)).astype("uint8")
    for k, image in enumerate(np.random.default_rng(1).integers(0, 256, (12, 9, 9, 3)).astype("uint8")):
        Image.fromarray(image).save(tmp_path / f"{k}.png")
    return {
        "images": data.Batches(images, 8, seed=1),
        "labels": data.Batches(images, 8, labels=np.arange(20), seed=1),
        "augmented": data.Batches(images, 8, flip=True, crop=1),
        "points": data.Batches(np.arange(40, dtype="float32").reshape(20, 2), 8),
        "folder": data.FolderBatches(tmp_path, 8, 8, flip=True),
    }


@pytest.mark.parametrize("kind", ["images", "labels", "augmented", "points", "folder"])
def test_a_source_gives_this_parts_rows_of_each_batch(kind, tmp_path):
    """Over two epochs, going from part to part and back to the whole."""
    source = sources(tmp_path)[kind]

    def drawn(k):
        found = source.at(k)
        return found if isinstance(found, tuple) else (found,)

    whole = {k: [np.array(a) for a in drawn(k)] for k in range(5)}
    for part in [*PARTS, WHOLE]:
        with meaning(part):
            for k, expected in whole.items():
                for mine, all_rows in zip(drawn(k), expected, strict=True):
                    assert np.array_equal(mine, part.take(all_rows))


def test_each_reads_its_own_pictures_only(tmp_path, monkeypatch):
    source = sources(tmp_path)["folder"]
    read, plain = [], source._picture
    monkeypatch.setattr(source, "_picture", lambda index: read.append(index) or plain(index))
    with meaning(Part(1, 4)):
        source.at(0)
    for future in (each for batch in source._waiting.values() for each in batch):
        future.result()
    assert len(read) == 3 * 2, "two rows of a batch and of the two that are read ahead"


def test_a_batch_that_does_not_split_is_refused():
    source = data.Batches(np.zeros((20, 1, 4, 4), "uint8"), 10)
    with meaning(Part(0, 4)), pytest.raises(ShapeError, match="a batch of 10 does not split into 4 equal parts"):
        source.at(0)


def test_a_game_draws_from_a_source_and_from_a_function_alike():
    """What a function gives is the whole batch, of which a process takes its rows."""
    points = np.random.default_rng(0).standard_normal((64, 2)).astype("float32")

    def played(drawn, group=None):
        with random.using(Stream(0)):
            nets = [nn.Sequential(nn.Linear(i, 8), nn.Tanh(), nn.Linear(8, o)) for i, o in ((3, 2), (2, 1))]
        made = on_points(*nets)
        if group:
            made.distribute(group)
        for _ in range(6):
            made.play(drawn)
        return made.state["generator.0.weight"].numpy()

    alone = played(data.Batches(points, 16))
    kinds = [lambda: data.Batches(points, 16), lambda: data.Batches(points, 16).at]
    for by_source, by_function in Threads(4).run(lambda group: [played(drawn(), group) for drawn in kinds]):
        assert np.array_equal(by_source, by_function)
        np.testing.assert_allclose(by_source, alone, rtol=1e-4, atol=1e-6)


def test_samples_do_not_depend_on_the_group():
    system = SYSTEMS["batch norm, EMA"]
    alone, *_ = play(system, 3)
    for together, *_ in Threads(2).run(lambda group: play(system, 3, group)):
        np.testing.assert_allclose(together.sample(5).numpy(), alone.sample(5).numpy(), atol=1e-12)


def test_local_batch_norm_is_another_game_whose_ranks_hold_the_same_state():
    system = SYSTEMS["batch norm, EMA"]

    def of_rank(group):
        with_local = built(system)
        with_local.distribute(group, sync_norm=False)
        drawn = batches(system)
        for _ in range(4):
            with_local.play(drawn)
        return {k: t.numpy().copy() for k, t in with_local.state.items()}

    _, synchronised, _ = play(system, 4)
    first, second = Threads(2).run(of_rank)
    assert all(np.array_equal(first[k], second[k]) for k in first)
    assert np.abs(first["generator.1.running_var"] - synchronised["generator.1.running_var"]).max() > 1e-3


def test_groups_of_a_minibatch_deviation_that_would_be_torn_are_refused():
    system = SYSTEMS["minibatch deviation, penalty"]
    with pytest.raises(ShapeError, match=r"does not split into groups of 4 on each of 16 parts"):
        Threads(16).run(lambda group: play(system, 1, group))


def test_a_batch_of_tensors_may_hold_none():
    rows = Tensor(np.arange(8.0))

    def of_rank(group):
        made = built(SYSTEMS["batch norm, EMA"])
        seen = []
        made.discriminator_turn = lambda batch: seen.append(batch.drawn) or {}
        made.generator_turn = lambda batch: {}
        made.distribute(group)
        made.play(lambda k: (rows, None))
        return seen[0]

    for rank, (mine, nothing) in enumerate(Threads(2).run(of_rank)):
        assert nothing is None
        assert np.array_equal(mine.numpy(), rows.numpy()[rank::2])
