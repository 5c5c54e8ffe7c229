"""The project's sessions: tests on every Python, and the gates a change has to pass."""

import os
import re
import sys
from pathlib import Path

import nox

PYTHONS = ["3.11", "3.12", "3.13"]
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
# A newer Python than we promise is tested too when it is the one that runs nox.
TESTED = [(python, deps) for python in PYTHONS for deps in ("newest", "lowest")]
TESTED += [] if HERE in PYTHONS else [(HERE, "newest")]
# The tests of a file stay together: a document's snippets build on each other.
PYTEST = ("pytest", "--numprocesses", "auto", "--dist", "loadfile")
# These have sessions of their own, with packages of their own.
NO_SDKS = ("--ignore", "tests/sdks")
CODE = ["idemkit", "tests", "examples", "benchmarks", "docs", "noxfile.py"]
PROJECT = nox.project.load_toml("pyproject.toml")

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
# A machine with one of the Pythons is enough to test on that one, whatever `CI` says.
nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "layers", "types", "docs", "coverage", "tests"]


def group(name: str) -> tuple[str, ...]:
    """Return the requirements of one dependency group."""
    return nox.project.dependency_groups(PROJECT, name)


def lower_bounds() -> list[str]:
    """Return `name==version` for every run-time requirement, at its lower bound."""
    project = PROJECT["project"]
    required = [project["dependencies"], *project["optional-dependencies"].values()]
    bounds = re.findall(r"'([\w.-]+)(?:\[\w+\])?>=([\w.]+)'", str(required))
    return [f"{name}=={version}" for name, version in bounds]


def install(session: nox.Session, group_name: str, *options: str) -> None:
    """Install the package from the tree, editable, with one dependency group."""
    session.install("--editable", ".[redis]", *group(group_name), *options)


def existing(paths: list[str]) -> list[str]:
    """Return the paths that are there."""
    return [path for path in paths if Path(path).exists()]


@nox.session
@nox.parametrize("python,deps", TESTED, ids=["-".join(pair) for pair in TESTED])
def tests(session: nox.Session, deps: str) -> None:
    """Run the tests on one Python, with the newest or the oldest supported dependencies."""
    oldest = Path(session.create_tmp(), "oldest.txt")
    oldest.write_text("\n".join(lower_bounds()) if deps == "lowest" else "", encoding="utf-8")
    install(session, "test", "--constraint", str(oldest))
    # One full run in CI does the work of the `coverage` session.
    in_ci, in_full = "CI" in os.environ, (session.python, deps) == (HERE, "newest")
    if in_ci and in_full and not session.posargs:
        measure(session)
        return
    # What plays on real leases and processes takes minutes and hardly depends on versions.
    brief = deps == "lowest" or (in_ci and not in_full)
    options = ("-m", "not slow") if brief else ()
    session.run(*PYTEST, *NO_SDKS, *options, *session.posargs)


@nox.session
@nox.parametrize("packages", ["sdks", "sdks-openai-2"], ids=["openai-3", "openai-2"])
def sdks(session: nox.Session, packages: str) -> None:
    """Run real SDKs of language models over the transports."""
    install(session, packages)
    # One of them would fetch a list of prices from the network.
    offline = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    session.run(*PYTEST, "tests/sdks", *session.posargs, env=offline)


@nox.session
def coverage(session: nox.Session) -> None:
    """Demand that the tests take every branch of the package and of themselves."""
    install(session, "test")
    measure(session)


def measure(session: nox.Session) -> None:
    """Run all tests and see which branches they take."""
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", *PYTEST, *NO_SDKS, *session.posargs)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting."""
    session.install(*group("lint"))
    paths = existing(CODE)
    session.run("ruff", "check", *paths)
    session.run("ruff", "format", "--check", *paths)


@nox.session
def layers(session: nox.Session) -> None:
    """Check that imports go downwards only."""
    install(session, "layers")
    # The cache does not notice a new module that an old import was waiting for.
    session.run("lint-imports", "--no-cache")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of the package, and what four checkers make of its public names."""
    install(session, "types")
    session.run("mypy")
    session.run("pyright", "--verifytypes", "idemkit", "--ignoreexternal")
    session.run("pyright")
    session.run("pyrefly", "check")
    session.run("ty", "check")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation without a warning; its snippets are among the tests."""
    install(session, "docs")
    session.run("sphinx-build", "-W", "--keep-going", "-E", "-q", "docs", "docs/_build")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure against the floors and rewrite the table of `docs/performance.md`."""
    install(session, "bench")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def chaos(session: nox.Session) -> None:
    """Torment the stores and judge what comes of it: `-- --minutes 2 --store all --seed 7`."""
    install(session, "test")
    session.run("python", "-m", "tests.chaos", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """Run the demo from an installed wheel, as the README does."""
    session.install(".[demo]")
    session.run("python", "examples/demo.py", *session.posargs)
