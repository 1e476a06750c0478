"""The two things that pyproject.toml leaves open beside the version: the description, and where the repository is."""

from setuptools import setup

from building.description import description, repository
from building.sources import ROOT

setup(
    long_description=description(ROOT / "README.md", repository()),
    long_description_content_type="text/markdown",
    project_urls={"Repository": address} if (address := repository()) else {},
)
