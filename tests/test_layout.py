"""The house rules that no linter knows: names, sizes, imports and what must not be shipped."""

import __future__

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from statistics import median
from types import ModuleType

import pytest

import idemkit

ROOT = Path(__file__).parents[1]
SOURCES = sorted(ROOT.glob("idemkit/**/*.py"))
# What users import names from.
FACES = (
    "idemkit",
    "idemkit.errors",
    "idemkit.http",
    "idemkit.llm",
    "idemkit.protocol",
    "idemkit.stores",
    "idemkit.stores.redis",
    "idemkit.testing",
    "idemkit.testing.faults",
)
# What imports leave behind in a module's namespace: submodules, and the marks of `__future__`.
INCIDENTAL = (ModuleType, type(__future__.annotations))
FOLDERS = ("", "idemkit/**/", "tests/**/", "docs/**/", "examples/**/", "benchmarks/**/")
SHIPPED = sorted(
    path
    for folder in FOLDERS
    for suffix in ("json", "lua", "md", "py", "toml")
    for path in ROOT.glob(f"{folder}*.{suffix}")
)

LONGEST_MODULE = 400
LONGEST_FUNCTION = 25
USUAL_FUNCTION = 8
DEEPEST_NESTING = 3

# Imported by nobody who only writes `import idemkit`: each costs milliseconds or is an extra.
HEAVY = (
    "asyncio",
    "fastapi",
    "httpx",
    "httpx2",
    "numpy",
    "opentelemetry",
    "pydantic",
    "redis",
    "starlette",
)

MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:root|home|Users|work)/\w+")

Function = ast.FunctionDef | ast.AsyncFunctionDef
Block = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)


def relative(path: Path) -> str:
    """Return the path below the root, as the test's id."""
    return path.relative_to(ROOT).as_posix()


def functions() -> list[tuple[str, Function]]:
    """Return every function of the package with the place it stands at."""
    return [
        (f"{relative(path)}:{node.lineno} {node.name}", node)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, Function)
    ]


def body_lines(function: Function) -> int:
    """Count the lines of a body, its docstring aside."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def nesting(node: ast.AST) -> int:
    """Return how many blocks stand inside each other; `elif` is no deeper than its `if`."""
    depths = (
        nesting(child) + (isinstance(child, Block) and getattr(node, "orelse", None) != [child])
        for child in ast.iter_child_nodes(node)
    )
    return max(depths, default=0)


@pytest.mark.parametrize("name", FACES)
def test_all_lists_the_public_names(name: str) -> None:
    """`__all__` says what a module offers, no more and no less; submodules may be left out."""
    face = import_module(name)
    offered = {public for public in dir(face) if not public.startswith("_")}
    incidental = {public for public in offered if isinstance(getattr(face, public), INCIDENTAL)}
    incidental |= offered & {"TYPE_CHECKING", "Any"}
    promised = {public for public in face.__all__ if hasattr(face, public)}
    assert offered - incidental | promised == set(face.__all__)


def test_version_is_the_one_distributed() -> None:
    """`idemkit.__version__` is what `pyproject.toml` says."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == idemkit.__version__


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_module_is_short(path: Path) -> None:
    """A module holds one idea, which fits into four hundred lines."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_module_says_what_it_is(path: Path) -> None:
    """The first line of a module's docstring is a sentence."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert docstring.partition("\n\n")[0].endswith(".")


def test_functions_are_short() -> None:
    """No function needs more lines than a screen shows at a glance."""
    assert [] == [
        (place, body_lines(node))
        for place, node in functions()
        if body_lines(node) > LONGEST_FUNCTION
    ]


def test_most_functions_are_very_short() -> None:
    """The usual function is a handful of lines."""
    assert median(body_lines(node) for _, node in functions()) <= USUAL_FUNCTION


def test_functions_are_flat() -> None:
    """Blocks stand at most three deep inside each other."""
    assert [] == [place for place, node in functions() if nesting(node) > DEEPEST_NESTING]


def test_import_stays_cheap() -> None:
    """`import idemkit` loads no event loop, no client library and no telemetry."""
    program = "import idemkit, sys; print(*sys.modules, sep='\\n')"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    loaded = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    ).stdout.split()
    assert [] == [name for name in HEAVY if name in loaded]


def test_package_is_marked_as_typed() -> None:
    """Type checkers read the annotations of an installed idemkit."""
    assert (ROOT / "idemkit" / "py.typed").is_file()


@pytest.mark.parametrize("path", SHIPPED, ids=relative)
def test_no_path_of_a_machine_is_shipped(path: Path) -> None:
    """Nothing depends on where somebody's copy happens to lie."""
    assert [] == MACHINE_PATH.findall(path.read_text(encoding="utf-8"))
