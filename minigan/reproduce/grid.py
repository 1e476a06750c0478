"""Twenty-five Gaussians on a grid: the other half of PacGAN's first table."""

from .mixtures import COLUMNS, GRID, NOTES, PROTOCOLS, SOURCE, TRIAL, pictures, play, rows
from .table import Figure, Table

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
    short=PROTOCOLS["short"],
    full=PROTOCOLS["full"],
    trial=TRIAL,
    cell=play(GRID),
    pictures=pictures(GRID),
    notes=NOTES,
)
