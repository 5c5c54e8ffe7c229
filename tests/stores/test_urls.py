"""Tests of `idemkit.stores.urls`."""

import subprocess
import sys
from pathlib import Path

import pytest

from idemkit.stores import MemoryStore
from idemkit.stores.redis import RedisStore
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


@pytest.mark.parametrize(
    "url",
    [
        "memory://host",
        "memory://:1",
        "memory:///path",
        "memory://?size=5",
        "memory://?max_bytes=9&x=",
    ],
)
def test_memory_with_something_unknown(url: str) -> None:
    """What would be ignored is refused."""
    with pytest.raises(ValueError, match="takes no host and no path"):
        store_from_url(url)


@pytest.mark.parametrize(
    "option", ["max_bytes=", "max_bytes=many", "max_bytes=1.5", "max_bytes=0", "max_records=-1"]
)
def test_memory_with_a_wrong_size(option: str) -> None:
    """A size that is none is refused."""
    with pytest.raises(ValueError, match="whole and positive"):
        store_from_url(f"memory://?{option}")


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
    known = "known are memory, redis, rediss, unix, valkey, valkeys"
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
