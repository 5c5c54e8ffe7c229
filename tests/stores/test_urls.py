"""Tests of `idemkit.stores.urls`."""

import subprocess
import sys
from pathlib import Path

import pytest

from idemkit.stores import MemoryStore
from idemkit.stores.redis import RedisStore
from idemkit.stores.sqlite import SQLiteStore
from idemkit.stores.urls import store_from_url

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("url", "max_bytes", "max_records"),
    [
        ("memory://", 256 * 1024 * 1024, None),
        ("memory:///", 256 * 1024 * 1024, None),
        ("memory://?max_bytes=1000", 1000, None),
        ("memory://?max_records=5", 256 * 1024 * 1024, 5),
        ("memory://?max_bytes=1000&max_records=5", 1000, 5),
    ],
)
def test_memory(url: str, max_bytes: int, max_records: int | None) -> None:
    """A URL says how much a memory store may keep."""
    store = store_from_url(url)
    assert isinstance(store, MemoryStore)
    assert (max_bytes, max_records) == (store.max_bytes, store.max_records)


def test_each_memory_is_a_store_of_its_own() -> None:
    """The same URL twice is two stores."""
    assert store_from_url("memory://") is not store_from_url("memory://")


@pytest.mark.parametrize("url", ["memory://host", "memory://:1", "memory:///path"])
def test_memory_with_a_place(url: str) -> None:
    """There is no memory but the process's own, so a host or a path is refused."""
    with pytest.raises(ValueError, match="takes no host and no path"):
        store_from_url(url)


@pytest.mark.parametrize(
    "options", ["size=5", "max_bytes=9&x=", "max_bytes=", "max_bytes=many", "max_bytes=1.5"]
)
def test_memory_with_something_unknown(options: str) -> None:
    """What would be ignored is refused, and what there is is named."""
    with pytest.raises(ValueError, match="memory:// takes of options max_bytes, max_records, not"):
        store_from_url(f"memory://?{options}")


def test_sqlite_with_a_fragment() -> None:
    """Two paths that differ after a `#` are not taken for one file."""
    with pytest.raises(ValueError, match="write it as %23"):
        store_from_url("sqlite:///calls#a.db")


@pytest.mark.parametrize("option", ["max_bytes=0", "max_records=-1"])
def test_memory_with_a_limit_that_is_none(option: str) -> None:
    """What the store itself refuses comes with the URL."""
    with pytest.raises(ValueError, match=rf"'memory://\?{option}': max_bytes must be at least"):
        store_from_url(f"memory://?{option}")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///records.db", "records.db"),
        ("sqlite:///folder/records.db", "folder/records.db"),
        ("sqlite:////var/lib/records.db", "/var/lib/records.db"),
        ("sqlite:///a%20b%3Fc.db", "a b?c.db"),
    ],
)
def test_sqlite(url: str, path: str) -> None:
    """Three slashes come before a relative path, four before an absolute one; nothing opens yet."""
    store = store_from_url(url)
    assert isinstance(store, SQLiteStore)
    assert str(Path(path).absolute()) == store.path


def test_sqlite_with_options() -> None:
    """A URL says how much a file may hold, and how long to wait for others."""
    store = store_from_url("sqlite:///a.db?max_bytes=70000&max_records=5&timeout=0.5")
    assert isinstance(store, SQLiteStore)
    assert (70_000, 5, 0.5) == (*store._budget, store._timeout)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite://a.db", "sqlite://host/a.db"])
def test_sqlite_without_a_path(url: str) -> None:
    """A slash too few would be another file, so it is refused, with the right way to say it."""
    with pytest.raises(ValueError, match=rf"three slashes .* four .*, not '{url}'"):
        store_from_url(url)


@pytest.mark.parametrize("option", ["size=5", "max_bytes=", "max_records=many", "timeout=soon"])
def test_sqlite_with_something_unknown(option: str) -> None:
    """What would be ignored is refused, and what there is is named."""
    with pytest.raises(ValueError, match="takes of options max_bytes, max_records, timeout, not"):
        store_from_url(f"sqlite:///a.db?{option}")


@pytest.mark.parametrize("option", ["max_bytes=0", "max_records=-1", "timeout=0"])
def test_sqlite_with_a_limit_that_is_none(option: str) -> None:
    """What the store itself refuses comes with the URL."""
    with pytest.raises(ValueError, match=rf"'sqlite:///a\.db\?{option}': .* must be positive"):
        store_from_url(f"sqlite:///a.db?{option}")


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:6379/0",
        "rediss://127.0.0.1",
        "valkey://127.0.0.1",
        "valkeys://127.0.0.1",
        "unix:///run/redis.sock",
    ],
)
def test_redis(url: str) -> None:
    """Redis and Valkey have one store; nothing connects yet."""
    assert isinstance(store_from_url(url), RedisStore)


@pytest.mark.parametrize("scheme", ["redis+cluster", "redis+sentinel"])
def test_topology_that_is_not_supported_yet(scheme: str) -> None:
    """It is known, and said to come, rather than taken for a slip of the pen."""
    with pytest.raises(ValueError, match="not supported yet"):
        store_from_url(f"{scheme}://127.0.0.1")


@pytest.mark.parametrize(
    ("url", "scheme"),
    [("mongodb://host", "mongodb"), ("", ""), ("memory", ""), ("memory:", ""), ("host:6379", "")],
)
def test_unknown_scheme(url: str, scheme: str) -> None:
    """The error names what was asked for, and what there is."""
    known = "known are memory, sqlite, redis, rediss, unix, valkey, valkeys"
    with pytest.raises(ValueError, match=f"scheme '{scheme}'; {known}"):
        store_from_url(url)


def test_url_is_not_repeated_in_an_error() -> None:
    """It may hold a password."""
    with pytest.raises(ValueError, match="scheme 'postgres'") as caught:
        store_from_url("postgres://user:secret@host")
    assert "secret" not in str(caught.value)


PROGRAM = """
import sys

class Missing:
    def find_spec(name, path=None, target=None):
        if name == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing)

from idemkit.stores.urls import store_from_url
try:
    store_from_url("redis://127.0.0.1")
except ModuleNotFoundError as error:
    print(error.name, error, sep="|", end="")
"""


def without(missing: str) -> str:
    """Return what is said, in a process of its own, when a module is missing."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(missing=missing)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_redis_is_not_installed() -> None:
    """The error says what to install."""
    extra = 'pip install "idemkit-toolkit[redis]"'
    assert f"redis|Redis and Valkey need an extra: {extra}" == without("redis")


def test_something_else_is_not_installed() -> None:
    """Another module that is missing is not blamed on the extra."""
    expected = "redis.exceptions|No module named 'redis.exceptions'"
    assert expected == without("redis.exceptions")
