"""Tests of `idemkit.testing.plugin`: the fixtures, and that they cost nobody anything."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from idemkit import Idempotency, idempotent, operation
from idemkit.testing import plugin

pytest_plugins = ["pytester"]

CONFTEST = 'pytest_plugins = ["idemkit.testing.plugin"]'

ROOT = Path(__file__).parents[2]


@idempotent(name="plugin.answer")
def answer(prompt: str) -> list[str]:
    """Answer, as a user's module does that was imported long before its tests."""
    return [prompt.upper()]


@pytest.mark.usefixtures("idempotency")
@pytest.mark.parametrize("_run", [1, 2])
def test_each_test_starts_with_an_empty_memory(_run: int) -> None:
    """What one test has recorded the next one does not know."""
    assert "executed" == answer.outcome("hello").kind


def test_bare_decorator_uses_the_fixture(idempotency: Idempotency) -> None:
    """For the length of a test it is the default."""
    answer("hello")
    assert (idempotency, 1) == (operation.default(), len(idempotency.store))  # type: ignore[arg-type]


def test_default_is_restored(pytester: pytest.Pytester) -> None:
    """After the test the default is what it was, and a fixture of the user's own may say so."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(
        """
        import pytest
        from idemkit import operation

        @pytest.fixture
        def before():
            default = operation.default()
            yield
            assert operation.default() is default

        def test_default(before, idempotency):
            assert operation.default() is idempotency
        """
    )
    pytester.runpytest().assert_outcomes(passed=1)


CHECKED = {
    "a result that differs fails its test": (
        "returned builtins.int, but replays as builtins.str",
        {"failed": 1},
        "answer()",
    ),
    "so does one whose error was caught, afterwards": (
        "returned builtins.int, but replays as builtins.str",
        {"passed": 1, "errors": 1},
        "with pytest.raises(AssertionError): answer()",
    ),
    "and one that was changed, afterwards": (
        "operation given returned what is now *'x', 'y'*, but replays as *'x'*",
        {"passed": 1, "errors": 1},
        "given().append('y')",
    ),
    "a test that is well passes": ("", {"passed": 1}, "assert given() == given()"),
}


@pytest.mark.parametrize(("line", "outcomes", "body"), CHECKED.values(), ids=CHECKED)
def test_replay_check(
    pytester: pytest.Pytester, line: str, outcomes: dict[str, int], body: str
) -> None:
    """A test that asks for the check fails where a duplicate would get something else."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(
        f"""
        import pytest
        from idemkit import idempotent

        class Lossy:
            name = "lossy"
            def encode(self, value): return str(value).encode()
            def decode(self, body): return body.decode()

        @idempotent(codec=Lossy(), name="answer")
        def answer():
            return 7

        @idempotent(name="operation given")
        def given() -> list[str]:
            return ["x"]

        def test_it(idempotency, replay_check):
            {body}
        """
    )
    result = pytester.runpytest("-p", "no:cacheprovider")
    result.assert_outcomes(**outcomes)
    result.stdout.fnmatch_lines(f"*{line}*")


INSTALLED = {
    "METADATA": "Metadata-Version: 2.1\nName: somebody-s-idemkit\nVersion: 1\n",
    "entry_points.txt": "[pytest11]\nidemkit.testing.plugin = idemkit.testing.plugin\n",
}


@pytest.mark.slow
@pytest.mark.parametrize(("installed", "named"), [(True, False), (False, True), (True, True)])
def test_plugin_is_registered_once(pytester: pytest.Pytester, installed: bool, named: bool) -> None:
    """Installed, named in a conftest, or both: it is one plugin."""
    pytester.makeconftest(CONFTEST if named else "")
    pytester.makepyfile("def test_it(idempotency): pass")
    folder = pytester.mkdir("somebody_s_idemkit-1.dist-info")
    for name, text in INSTALLED.items() if installed else ():
        (folder / name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{pytester.path}"},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert ["1 passed"] == re.findall("1 passed", done.stdout)


def test_plugin_is_named_after_its_module() -> None:
    """That is what makes an entry point and a conftest speak of the same plugin."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"pytest11": {plugin.__name__: plugin.__name__}} == project["entry-points"]


@pytest.mark.parametrize(
    ("module", "spared"),
    [
        ("plugin", "idemkit.testing.replays"),
        ("plugin", "idemkit.testing.faults"),
        ("plugin", "idemkit.testing.contract"),
        ("faults", "pytest"),
        ("clock", "pytest"),
    ],
)
def test_module_is_cheap(module: str, spared: str) -> None:
    """Whoever does not ask for a tool does not load it."""
    program = f"import sys, idemkit.testing.{module}; print({spared!r} in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert "False" == done.stdout.strip()
