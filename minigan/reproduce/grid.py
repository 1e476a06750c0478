"""Twenty-five Gaussians on a grid: the other half of PacGAN's first table."""

from .mixtures import COLUMNS, FULL, GRID, NOTES, SOURCE, pictures, play, rows
from .table import Figure, Protocol, Table

TABLE = Table(
    name="grid",
    title="Twenty-five Gaussians on a grid",
    source=SOURCE,
    about="A generator of two numbers of noise learns a mixture of 25 Gaussians of deviation 0.05 at "
    "{-4, -2, 0, 2, 4}^2. The plain GAN leaves a third of them out. A discriminator that sees several samples at once "
    "sees whether they are all alike, and its generator reaches nearly all.",
    columns=COLUMNS,
    rows=rows(
        {
            "GAN": (Figure(17.3, 0.8), Figure(94.8, 0.7), Figure(0.70, 0.07)),
            "PacGAN2": (Figure(23.8, 0.7), Figure(91.3, 0.8), Figure(0.13, 0.04)),
            "PacGAN3": (Figure(24.6, 0.4), Figure(94.2, 0.4), Figure(0.06, 0.02)),
            "PacGAN4": (Figure(24.8, 0.2), Figure(93.6, 0.6), Figure(0.04, 0.01)),
            "unrolled 5": (Figure(23.6, None, "elsewhere"), Figure(16.0, None, "elsewhere")),
        }
    ),
    short=Protocol({**FULL, "steps": 12_000, "width": 200, "d_width": 100, "lr": 4e-4}, 3),
    full=Protocol(FULL, 10),
    trial={"steps": 20, "batch_size": 8, "width": 8, "d_width": 8, "looks": 2, "drawn": 100},
    cell=play(GRID),
    pictures=pictures(GRID),
    notes=NOTES,
)
