"""Pages that compute in the browser: one that draws with a generator. Each is one file, and loads nothing."""

from .generator import write as write_generator
