"""The house rules that no linter knows: names, sizes, imports and what must not be shipped."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(ROOT.glob("idemkit/**/*.py"))
SHALLOW = len(("idemkit", "package", "module.py"))
# What users import: no part of the core, and of a package within a package only its face.
PUBLIC = [
    path
    for path in SOURCES
    if "core" not in path.parts
    and (path.name == "__init__.py" or len(path.relative_to(ROOT).parts) <= SHALLOW)
]
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
HEAVY = ("asyncio", "httpx", "httpx2", "numpy", "opentelemetry", "pydantic", "redis", "starlette")

MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:root|home|Users|work)/\w+")

Function = ast.FunctionDef | ast.AsyncFunctionDef
Block = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)


def relative(path: Path) -> str:
    """Return the path below the root, as the test's id."""
    return path.relative_to(ROOT).as_posix()


def module_name(path: Path) -> str:
    """Return the dotted name of a module of the package."""
    return relative(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def defined_names(body: list[ast.stmt], *, with_imports: bool) -> Iterator[str]:
    """Yield the names that the top level of a module defines or, if asked to, re-exports."""
    for node in body:
        match node:
            case ast.FunctionDef(name) | ast.AsyncFunctionDef(name) | ast.ClassDef(name):
                yield name
            case ast.Assign(value=ast.Call(func=ast.Name("ParamSpec" | "TypeVar"))):
                pass
            case ast.Assign(targets=[ast.Name(name)]) | ast.AnnAssign(target=ast.Name(name)):
                yield name
            case ast.ImportFrom(names=names, level=1) if with_imports:
                yield from (alias.asname or alias.name for alias in names)
            case ast.If(test=ast.Name("TYPE_CHECKING")) if with_imports:
                yield from defined_names(node.body, with_imports=True)
            case _:
                pass


def public_names(path: Path) -> set[str]:
    """Return the names a module offers by not hiding them behind an underscore."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = defined_names(tree.body, with_imports=path.name == "__init__.py")
    return {name for name in names if not name.startswith("_")}


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


@pytest.mark.parametrize("path", PUBLIC, ids=relative)
def test_all_lists_the_public_names(path: Path) -> None:
    """`__all__` says what the module offers, no more and no less."""
    assert public_names(path) == set(import_module(module_name(path)).__all__)


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
