"""A child process for each variant, started while nothing is timed: importing a library takes seconds."""

from typing import Any

from .children import Child, ChildError
from .plan import VARIANTS, variant


class Crew:
    """One child for each variant by its name, replaced when it fails."""

    def __init__(self, rehearse: bool) -> None:
        self.rehearse = rehearse
        self.children = {name: self._child(name) for name in VARIANTS}

    def _child(self, name: str) -> Child:
        return Child(variant(name).library, name, self.rehearse)

    def start(self, name: str, request: str, /, **arguments: Any) -> None:
        """Send a request, whose answer `finish` waits for."""
        self.children[name].start(request, **arguments)

    def finish(self, name: str, limit: float) -> Any:
        """The answer to the request sent last; ChildError if there is none within so many seconds."""
        try:
            return self.children[name].finish(limit)
        except ChildError:
            self.children[name].close()
            self.children[name] = self._child(name)
            raise

    def ask(self, name: str, request: str, limit: float, /, **arguments: Any) -> Any:
        """The answer to this request."""
        self.start(name, request, **arguments)
        return self.finish(name, limit)

    def close(self) -> None:
        """End all of them."""
        for child in self.children.values():
            child.close()
