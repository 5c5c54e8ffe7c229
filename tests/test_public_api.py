"""What users import is there, under the promised names."""

import importlib
import inspect
from collections.abc import Iterator

import pytest

import idemkit
from idemkit import AsyncStream, Idempotency, Stream, errors
from idemkit.stream_surfaces import IdempotentStream, IdempotentStreamAsync
from idemkit.surfaces import Idempotent, IdempotentAsync

PROMISED = [
    "AsyncStream",
    "Done",
    "Idempotency",
    "NotDone",
    "Outcome",
    "Stream",
    "Unknown",
    "configure",
    "current",
    "errors",
    "idempotent",
    "side_effect",
    "step",
]
STREAM_FACES = (IdempotentStream, IdempotentStreamAsync)
SETTINGS = [
    ("store", None),
    ("namespace", "default"),
    ("ttl", 86_400),
    ("lease", 30),
    ("on_duplicate", "wait"),
    ("wait", None),
    ("on_abandoned", "retry"),
    ("on_store_error", "raise"),
    ("max_attempts", 5),
    ("max_run", None),
    ("max_bytes", 16 * 1024 * 1024),
    ("codec", None),
    ("near_cache", 0),
    ("durability", "default"),
]
OUTCOME = [
    "value",
    "kind",
    "key",
    "attempt",
    "recorded",
    "created_at",
    "expires_at",
    "origin",
    "error",
]


@pytest.mark.parametrize("name", PROMISED)
def test_promised_name_is_public(name: str) -> None:
    """`from idemkit import …` gives every promised name."""
    assert (True, True) == (name in idemkit.__all__, hasattr(idemkit, name))


def test_all_is_what_there_is() -> None:
    """`__all__` holds the promised names and the errors, and nothing else."""
    assert sorted({*PROMISED, *errors.__all__}) == sorted(idemkit.__all__)


@pytest.mark.parametrize("name", errors.__all__)
def test_errors_are_in_both_places(name: str) -> None:
    """Every error can be had from `idemkit` and from `idemkit.errors`."""
    assert getattr(errors, name) is getattr(idemkit, name)


def test_settings_of_idempotency() -> None:
    """The settings, their order and their defaults are as documented."""
    parameters = inspect.signature(Idempotency).parameters.values()
    assert SETTINGS == [(parameter.name, parameter.default) for parameter in parameters]


def test_settings_are_keyword_only() -> None:
    """Everything after the store is said by name."""
    _, *others = inspect.signature(Idempotency).parameters.values()
    assert {inspect.Parameter.KEYWORD_ONLY} == {parameter.kind for parameter in others}


def test_fields_of_an_outcome() -> None:
    """An outcome has the documented fields."""
    assert OUTCOME == [*inspect.signature(idemkit.Outcome).parameters]


@pytest.mark.parametrize("word", ["key", "outcome", "peek", "forget", "map"])
def test_words_of_a_decorated_function(word: str) -> None:
    """A decorated function has the promised words, which type checkers know too."""
    decorated = Idempotency().idempotent(lambda: 1)
    assert (True, True, True) == tuple(
        callable(getattr(face, word)) for face in (decorated, Idempotent, IdempotentAsync)
    )


@pytest.mark.parametrize("word", ["key", "outcome", "peek", "forget", "resume"])
def test_words_of_a_decorated_generator_function(word: str) -> None:
    """So has a decorated generator function, and it can go on after a cursor."""

    def items() -> Iterator[int]:
        yield 1

    decorated = Idempotency().idempotent(items)
    assert ([1], True, True, True) == (
        list(decorated()),
        *(callable(getattr(face, word)) for face in (decorated, *STREAM_FACES)),
    )


@pytest.mark.parametrize("word", ["close", "cursor", "key"])
def test_words_of_a_stream(word: str) -> None:
    """What a stream can be asked is there, on that of an asynchronous generator likewise."""
    there = {"close": "aclose"}.get(word, word)
    assert (True, True) == (hasattr(Stream, word), hasattr(AsyncStream, there))


@pytest.mark.parametrize(
    "word",
    [
        *("acancel", "aclose", "aforget", "aopen", "aresolve", "cancel", "close", "forget"),
        *("idempotent", "open", "operation", "resolve"),
    ],
)
def test_words_of_an_idempotency(word: str) -> None:
    """An `Idempotency` has the promised doors, and what settles by hand."""
    assert callable(getattr(Idempotency, word))


@pytest.mark.parametrize("word", ["attempt", "fence", "key", "kind", "replayed", "value"])
def test_words_of_a_block(word: str) -> None:
    """What a block's owner can ask is there before the block is entered."""
    assert hasattr(Idempotency().operation("shop.pay", key=5), word)


def test_parameters_of_operation() -> None:
    """A block's own parameters are as documented; all but the name are said by name."""
    name, *others = list(inspect.signature(Idempotency.operation).parameters.values())[1:]
    assert inspect.Parameter.POSITIONAL_ONLY is name.kind
    assert ["key", "payload", "version", "codec", "effects", "settings"] == [
        other.name for other in others
    ]


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("idemkit.codecs", "PickleCodec"),
        ("idemkit.codecs", "TypedCodec"),
        ("idemkit.stores", "MemoryStore"),
        ("idemkit.stores", "Store"),
        ("idemkit.stores.redis", "RedisStore"),
    ],
)
def test_other_promised_names(module: str, name: str) -> None:
    """What has a module of its own is found there, in its `__all__`."""
    found = importlib.import_module(module)
    assert (True, True) == (name in found.__all__, hasattr(found, name))
