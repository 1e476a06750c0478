"""One turn of a game by itself, drawing as it would in a round."""

import minigan as mg


def take(game, turn, drawn, *, noise=0, number=0):
    """What the turn of that name returns for what was drawn, with these counters of noise and turns."""
    with mg.random.using(game.stream(turn.removesuffix("_turn")).at(number)) as rng:
        return getattr(game, turn)(mg.gan.Batch(drawn, noise, number, rng))
