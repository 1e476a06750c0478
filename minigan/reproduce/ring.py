"""Eight Gaussians on a ring: PacGAN's first table."""

from .mixtures import COLUMNS, NOTES, PROTOCOLS, RING, SOURCE, TRIAL, pictures, play, rows
from .table import Figure, Table

TABLE = Table(
    name="ring",
    title="Eight Gaussians on a ring",
    source=SOURCE,
    about="A generator of two numbers of noise learns a mixture of eight narrow Gaussians (deviation 0.01 on a circle "
    "of radius 1). The plain GAN leaves some out. A discriminator that sees several samples at once sees whether they "
    "are all alike, and its generator reaches them all.",
    columns=COLUMNS,
    rows=rows(
        {
            "GAN": (Figure(6.3, 0.5), Figure(98.2, 0.2), Figure(0.45, 0.09)),
            "PacGAN2": (Figure(7.9, 0.1), Figure(95.6, 2.0), Figure(0.07, 0.03)),
            "PacGAN3": (Figure(7.8, 0.1), Figure(97.7, 0.3), Figure(0.10, 0.02)),
            "PacGAN4": (Figure(7.8, 0.1), Figure(95.9, 1.4), Figure(0.07, 0.02)),
            "unrolled 5": (Figure(7.6, None, "elsewhere"), Figure(35.6, None, "elsewhere")),
        }
    ),
    short=PROTOCOLS["short"],
    full=PROTOCOLS["full"],
    trial=TRIAL,
    cell=play(RING),
    pictures=pictures(RING),
    notes=NOTES,
)
