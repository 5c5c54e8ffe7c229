"""Every Python snippet of the README and the documentation is a test."""

from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser, SkipParser

# Where idemkit is installed, it is there already.
pytest_plugins = ["idemkit.testing.plugin"]

pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    # `**` would be one level.
    patterns=["README.md", "docs/*.md", "docs/*/*.md", "docs/*/*/*.md"],
).pytest()
