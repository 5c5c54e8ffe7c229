"""The programs that type checkers read do what they say at run time too."""

import asyncio
import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from idemkit import Done, NotDone, Unknown, operation
from idemkit.core.call import Call

# By name: mypy, which reads this folder file by file, would find the modules twice.
blocks, clients, functions, methods, mistakes, streams = (
    import_module(f"tests.typing.{name}")
    for name in ("blocks", "clients", "functions", "methods", "mistakes", "streams")
)

PROGRAMS = [
    program
    for module in (blocks, clients, functions, methods, streams)
    for name, program in vars(module).items()
    if name.startswith("check_")
]


@pytest.fixture(autouse=True)
def default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the programs have a default configuration of their own."""
    monkeypatch.delenv("IDEMKIT_STORE", raising=False)
    monkeypatch.setattr(operation, "_default", None)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_program_runs(program: Callable[..., Any]) -> None:
    """What type checkers accept works."""
    arguments = [methods.Assistant("formal")] * len(inspect.signature(program).parameters)
    result = program(*arguments)
    assert None is (asyncio.run(result) if inspect.iscoroutine(result) else result)


def test_mistakes_are_only_read() -> None:
    """The function that is called wrongly can be called rightly."""
    assert "xx" == mistakes.answer("x", size=2)


def test_hooks_of_the_programs() -> None:
    """What the checked options are set to can be called."""
    calls = [Call(name, "", "", b"") for name in "abc"]
    assert ([Done(1), NotDone, Unknown], "x: no", {"prompt.size": 1}) == (
        [functions.reconcile(call) for call in calls],
        functions.canned(ValueError("no"), "x"),
        functions.size("x"),
    )
