"""Pages that compute in the browser: one that draws with a generator, and one of a game in the plane to watch."""

from .film import Film, Frame, Scene, frame
from .generator import write as write_generator
from .plane import write as write_plane
