"""The text the model learns from: prose paragraphs of the standard library's own docstrings."""

import ast
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

__all__ = ["MODULES", "docstrings", "paragraphs"]

# A fixed list bounds the build time and keeps the text the same on every machine with the same
# Python: these modules say most in whole sentences for the time it takes to parse them.
MODULES = (
    "_pydecimal",
    "_pyio",
    "bdb",
    "codecs",
    "configparser",
    "datetime",
    "difflib",
    "doctest",
    "functools",
    "heapq",
    "inspect",
    "ipaddress",
    "os",
    "pdb",
    "platform",
    "random",
    "shelve",
    "shutil",
    "smtplib",
    "socket",
    "socketserver",
    "ssl",
    "statistics",
    "subprocess",
    "tempfile",
    "textwrap",
    "threading",
    "traceback",
    "turtle",
    "typing",
    "uuid",
    "wave",
    "weakref",
)

_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

# Starts like a sentence, ends like one, and holds neither doctests nor tables nor signatures.
_PROSE = re.compile(r"[A-Z][a-z' ][^>|=_`*\\]{38,}[.!]")


def docstrings(source: str) -> Iterator[str]:
    """Yield every docstring of one module's source, outermost first."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, _DOCUMENTED) and (text := ast.get_docstring(node)):
            yield text


def paragraphs(root: Path | None = None) -> Iterator[str]:
    """Yield the prose paragraphs of `MODULES`, in a fixed order, each on one line of ASCII.

    Args:
        root: directory that holds the modules; by default this Python's standard library.
    """
    folder = Path(sysconfig.get_path("stdlib")) if root is None else root
    files = [path for name in MODULES if (path := folder / f"{name}.py").is_file()]
    for path in files:
        for docstring in docstrings(path.read_text(encoding="utf-8")):
            for block in docstring.split("\n\n"):
                line = " ".join(block.split())
                if line.isascii() and _PROSE.fullmatch(line):
                    yield line
