"""What resuming a game has to keep: everything."""

import numpy as np


def numbers(game):
    """The state of the game as arrays by name."""
    return {name: t.numpy() for name, t in game.state.items()}


def continues_exactly(whole, first, second, batches):
    """Four rounds of `whole` are two of `first` and, from its state, two of `second`; the losses of the fourth."""
    for _ in range(4):
        expected = {name: loss.item() for name, loss in whole.play(batches).items()}
        assert all(map(np.isfinite, expected.values())), expected
    for _ in range(2):
        first.play(batches)
    second.load_state(numbers(first))
    for _ in range(2):
        found = {name: loss.item() for name, loss in second.play(batches).items()}
    assert found == expected
    ours, theirs = numbers(whole), numbers(second)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not np.array_equal(ours[name], theirs[name])] == []
    return found
