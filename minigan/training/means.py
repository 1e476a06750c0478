"""What is said of the steps between two looks at a run."""

from ..viz import of_critic
from .record import SHOWN


class Means:
    """The means of the log's losses and scores."""

    def __init__(self) -> None:
        self.sums: dict[str, tuple[float, int]] = {}

    def add(self, row: dict[str, float]) -> None:
        """Count a row of the log."""
        for name, value in row.items():
            if of_critic(name)[0] in SHOWN:
                total, count = self.sums.get(name, (0.0, 0))
                self.sums[name] = total + value, count + 1

    def take(self) -> dict[str, float]:
        """The means by name, and begin anew."""
        means = {name: total / count for name, (total, count) in self.sums.items()}
        self.sums.clear()
        return means
