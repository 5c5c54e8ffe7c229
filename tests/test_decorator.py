"""`@idempotent` takes every kind of callable, keeps what it looks like, and refuses mistakes."""

import asyncio
import functools
import gc
import inspect
import pickle
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from idemkit import IdemkitWarning, Idempotency, idempotent, operation
from idemkit.codecs import TypedCodec
from idemkit.options import Options
from idemkit.stores import MemoryStore
from idemkit.testing import FaultyStore


@pytest.fixture
def idem() -> Idempotency:
    """Return an `Idempotency` of the test's own."""
    return Idempotency()


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process have no default configuration yet, and no names in use there."""
    monkeypatch.delenv("IDEMKIT_STORE", raising=False)
    monkeypatch.setattr(operation, "_default", None)


@idempotent
def at_module_level(text: str, *, size: int = 1) -> list[str]:
    """Stand for any function of an application."""
    return [text] * size


def plain(text: str) -> str:
    """Stand for a function that others decorate."""
    return text


async def coroutine_function(text: str) -> str:
    """Stand for a coroutine function, likewise."""
    return text


@dataclass(frozen=True)
class Assistant:
    """Something callable with a state that has a canonical form."""

    system: str

    def __call__(self, text: str) -> str:
        """Answer."""
        return f"{self.system} {text}"

    def answer(self, text: str) -> str:
        """Answer likewise."""
        return f"{self.system} {text}"

    @classmethod
    def family(cls, text: str) -> str:
        """Answer for all."""
        return f"{cls.__name__} {text}"


class AsyncAssistant:
    """Something that answers later."""

    async def __call__(self, text: str) -> str:
        """Answer."""
        return text


# ---------------------------------------------------------------------------- looks


def test_name_and_docstring_stay() -> None:
    """A decorated function goes by the original's name."""
    assert ("at_module_level", __name__, "Stand for any function of an application.") == (
        at_module_level.__name__,
        at_module_level.__module__,
        at_module_level.__doc__,
    )


def test_function_of_a_module_runs() -> None:
    """A bare decorator at module level just works."""
    assert ["x", "x"] == at_module_level("x", size=2)


def test_signature_stays() -> None:
    """A decorated function has the original's parameters."""
    assert "(text: str, *, size: int = 1) -> list[str]" == str(inspect.signature(at_module_level))


@pytest.mark.parametrize("function", [plain, coroutine_function])
def test_colour_stays(idem: Idempotency, function: Callable[..., Any]) -> None:
    """A coroutine function stays one, and no other becomes one."""
    decorated = idem.idempotent(function)
    assert inspect.iscoroutinefunction(function) == inspect.iscoroutinefunction(decorated)


def test_original_is_at_hand(idem: Idempotency) -> None:
    """Tests can reach the body."""
    assert plain is idem.idempotent(plain).__wrapped__


def test_decorated_function_is_a_function(idem: Idempotency) -> None:
    """Nobody who inspects it is surprised."""
    assert inspect.isfunction(idem.idempotent(plain))


def test_decorated_function_is_pickled_by_name() -> None:
    """A process pool can be sent a decorated function of a module."""
    name = "idemkit_application_of_a_test"
    module = types.ModuleType(name)
    sys.modules[name] = module
    try:
        exec("from idemkit import idempotent\n@idempotent\ndef f(): ...", vars(module))  # noqa: S102
        assert module.f is pickle.loads(pickle.dumps(module.f))  # noqa: S301
    finally:
        del sys.modules[name]


# ---------------------------------------------------------------------------- kinds


def test_partial_counts_what_was_bound(idem: Idempotency) -> None:
    """Arguments bound beforehand are in the key, and the operation has the function's name."""
    first = idem.idempotent(functools.partial(plain, "a"))
    second = idem.idempotent(functools.partial(plain, text="b"))
    assert ["a", "b", f"{__name__}.plain@1"] == [
        first(),
        second(),
        first.key().rpartition(":")[0],
    ]


def test_partial_keeps_name_and_signature(idem: Idempotency) -> None:
    """A partial looks like the function inside, without what is bound."""
    decorated = idem.idempotent(functools.partial(coroutine_function, "a"))
    assert ("coroutine_function", "() -> str", True) == (
        decorated.__name__,
        str(inspect.signature(decorated)),
        inspect.iscoroutinefunction(decorated),
    )


def test_bound_method_counts_its_object(idem: Idempotency) -> None:
    """Bound methods of two objects are two calls."""
    answers = [idem.idempotent(Assistant(name).answer)("x") for name in ("a", "b", "a")]
    assert ["a x", "b x", "a x"] == answers


def test_bound_class_method_counts_its_class(idem: Idempotency) -> None:
    """Class methods of two classes are two calls."""

    class Other(Assistant):
        pass

    assert ["Assistant x", "Other x"] == [
        idem.idempotent(Assistant.family)("x"),
        idem.idempotent(Other.family)("x"),
    ]


def test_callable_object_counts_its_state(idem: Idempotency) -> None:
    """Callable objects of two states are two calls."""
    answers = [idem.idempotent(Assistant(name))("x") for name in ("a", "b")]
    assert ["a x", "b x"] == answers


def test_partial_of_a_callable_object(idem: Idempotency) -> None:
    """A partial of a callable object counts its state too."""
    answers = [idem.idempotent(functools.partial(Assistant(name), "x"))() for name in ("a", "b")]
    assert ["a x", "b x"] == answers


def test_asynchronous_callable_object(idem: Idempotency) -> None:
    """An object whose call is a coroutine function is one."""
    decorated = idem.idempotent(AsyncAssistant())
    assert ("x", True) == (asyncio.run(decorated("x")), inspect.iscoroutinefunction(decorated))


def test_lambda(idem: Idempotency) -> None:
    """A lambda is a function."""
    assert 3 == idem.idempotent(lambda: 3)()


def test_built_in_function(idem: Idempotency) -> None:
    """What says its name and its parameters needs no Python inside."""
    assert 3 == idem.idempotent(len)([1, 2, 3])


def test_wrapped_function_has_the_inner_parameters(idem: Idempotency) -> None:
    """What `functools.wraps` passes through counts by the names of the parameters inside."""

    @functools.wraps(plain)
    def outer(*args: Any, **kwargs: Any) -> Any:
        return plain(*args, **kwargs)

    decorated = idem.idempotent(outer)
    assert (decorated.key("x"), "x") == (decorated.key(text="x"), decorated(text="x"))


def test_cached_function(idem: Idempotency) -> None:
    """What something compiled wraps is a function with a name."""
    assert "x" == idem.idempotent(functools.cache(plain))("x")


@pytest.mark.parametrize(
    ("thing", "complaint"),
    [
        (Assistant, "Assistant is a class"),
        (functools.partial(Assistant, "a"), "Assistant is a class"),
        (5, "not int objects"),
        ([].append, "not builtin_function_or_method objects"),
        (functools.partialmethod(plain), "not partialmethod objects"),
    ],
    ids=["class", "partial of a class", "number", "method of a list", "partial method"],
)
def test_what_is_no_function_is_refused(idem: Idempotency, thing: Any, complaint: str) -> None:
    """What cannot be told apart, or not be called, cannot be guarded."""
    with pytest.raises(TypeError, match=complaint):
        idem.idempotent(thing)


def test_builtin_without_parameters_is_refused(idem: Idempotency) -> None:
    """A function that does not say what it takes has no calls that could be told apart."""
    with pytest.raises(TypeError, match="does not say what its parameters are"):
        idem.idempotent(max)


def test_store_of_the_wrong_colour_is_refused() -> None:
    """That nobody could await the store is found out at decoration."""
    idem = Idempotency(FaultyStore(MemoryStore(), "async"))
    with pytest.raises(TypeError, match="serves asynchronous callers only"):
        idem.idempotent(plain)


# ---------------------------------------------------------------------------- names


def test_main_module_of_a_spawned_worker_is_the_parents(idem: Idempotency) -> None:
    """A worker that knows the main module by another name shares its keys."""

    def job() -> None: ...

    job.__module__, job.__qualname__ = "__mp_main__", "job"
    assert "__main__.job" == idem.idempotent(job).key().rpartition("@")[0]


def test_two_functions_of_one_default_name_clash(idem: Idempotency) -> None:
    """Two lambdas in one function would share their results."""
    first = idem.idempotent(lambda: 1)
    with pytest.raises(ValueError, match="pass name="):
        idem.idempotent(lambda: 2)
    assert 1 == first()


def test_wrappers_of_two_functions_clash_too(idem: Idempotency) -> None:
    """What a common decorator made of two functions is told apart by the functions inside."""

    def logged(function: Callable[..., Any]) -> Callable[..., Any]:
        return functools.wraps(function)(lambda *args: function(*args))  # noqa: PLW0108 - a wrapper

    first = idem.idempotent(logged(lambda: 1))
    with pytest.raises(ValueError, match="pass name="):
        idem.idempotent(logged(lambda: 2))
    assert 1 == first()


def test_explicit_names_may_be_shared(idem: Idempotency) -> None:
    """A name that was given is shared on purpose."""
    shared = [idem.idempotent(name="job")(function) for function in (lambda: 1, lambda: 2)]
    assert [1, 1] == [function() for function in shared]


def test_other_configurations_have_other_names(idem: Idempotency) -> None:
    """A default name is in use on one `Idempotency` only."""
    first, second = idem.idempotent(lambda: 1), Idempotency().idempotent(lambda: 2)
    assert [1, 2] == [first(), second()]


def closure(idem: Idempotency, price: int) -> Callable[[], int]:
    """Return a function over a captured value."""

    @idem.idempotent
    def inner() -> int:
        return price

    return inner


def test_closure_over_other_values_warns(idem: Idempotency) -> None:
    """Captured variables are in no key, and the warning names them and the function's line."""
    first = closure(idem, 1)
    with pytest.warns(IdemkitWarning, match="other values of price") as caught:
        second = closure(idem, 2)
    assert ([1, 1], __file__) == ([first(), second()], caught[0].filename)


def test_closure_over_the_same_values_is_the_same(idem: Idempotency) -> None:
    """The same function once more is no accident."""
    first = closure(idem, 1)
    assert closure(idem, 1)() == first()


def test_redefinition_of_what_is_gone_is_allowed(idem: Idempotency) -> None:
    """A module that runs again leaves its old functions as garbage."""
    first = idem.idempotent(lambda: 1)
    first()
    first.itself = first  # a cycle, as between a module and its functions
    del first
    assert 1 == idem.idempotent(lambda: 2)()


def test_redefinition_of_what_was_collected_is_allowed(idem: Idempotency) -> None:
    """What was collected already has freed its name."""
    first = idem.idempotent(lambda: 1)
    first()
    del first
    gc.collect()
    assert 1 == idem.idempotent(lambda: 2)()


# ---------------------------------------------------------------------------- options


async def asynchronous(*_: object) -> None:
    """Stand for a hook that wants to be awaited."""


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"tll": 5}, "no option 'tll'; did you mean 'ttl'?"),
        ({"zzz": 5}, "no option 'zzz'$"),
        ({"ttl": "5"}, "ttl must be seconds or a timedelta, not str"),
        ({"ttl": asynchronous}, "ttl=.* is a coroutine function"),
        ({"key": "text"}, r"key=\['text'\]"),
        ({"key": ["txet"]}, "no such parameter; it has text"),
        ({"key": ["text"], "ignore": ["text"]}, "'text' stands in key= and in ignore="),
        ({"fingerprint": ["txet"]}, "no such parameter"),
        ({"ignore": "text"}, "takes a list of names"),
        ({"name": 5}, "name must be a non-empty string, not 5"),
        ({"name": ""}, "name must be a non-empty string, not ''"),
        ({"window": "5"}, "window must be seconds"),
        ({"lease": True}, "lease must be seconds"),
        ({"record": 5}, "record must be callable, and 5 is not"),
        ({"record": asynchronous}, "record=.* is a coroutine function"),
        ({"record_errors": LookupError}, r"record_errors=\[LookupError\]"),
        ({"record_errors": [5]}, "record_errors must be a sequence of exception classes"),
        ({"fallback": asynchronous}, "fallback=.* is a coroutine function"),
        ({"fallback": AsyncAssistant()}, "fallback=.*AsyncAssistant.* is a coroutine function"),
        ({"on_abandoned": asynchronous}, "on_abandoned=.* is a coroutine function"),
        ({"effects": [5]}, "effects must be callable, and 5 is not"),
        ({"effects": plain}, r"effects=\[plain\]"),
        ({"effects": [asynchronous]}, "effects=.* is a coroutine function"),
        ({"attributes": 5}, "attributes must be callable"),
        ({"codec": TypedCodec}, "codec must be an object"),
        ({"codec": 5}, r"codec must be an object .* not 5"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_option_of_the_wrong_type(
    idem: Idempotency, options: dict[str, Any], complaint: str
) -> None:
    """What cannot be meant is a `TypeError` at decoration."""
    with pytest.raises(TypeError, match=complaint):
        idem.idempotent(**options)(plain)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"ttl": -1}, "ttl must be at least 0 s"),
        ({"ttl": float("inf")}, "ttl must be at least 0 s and finite"),
        ({"lease": 0.5}, "lease must be at least 1 s"),
        ({"window": 0}, "window must be at least 0.001 s"),
        ({"max_run": timedelta(seconds=-1)}, "max_run must be at least 0 s"),
        ({"wait": -1}, "wait must be at least 0 s"),
        ({"stale_if_error": -1}, "stale_if_error must be at least 0 s"),
        ({"on_duplicate": "ignore"}, "on_duplicate must be one of 'wait', 'reject'"),
        ({"on_abandoned": "ignore"}, "on_abandoned must be one of 'retry', 'raise'"),
        ({"on_store_error": "ignore"}, "on_store_error must be one of 'raise', 'run'"),
        ({"durability": "hoped"}, "durability must be one of"),
        ({"max_attempts": 0}, "max_attempts must be a positive whole number"),
        ({"max_bytes": 1.5}, "max_bytes must be a positive whole number"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_option_out_of_range(idem: Idempotency, options: dict[str, Any], complaint: str) -> None:
    """What makes no sense is a `ValueError` at decoration."""
    with pytest.raises(ValueError, match=complaint):
        idem.idempotent(**options)(plain)


@pytest.mark.parametrize("hook", ["fallback", "on_abandoned"])
def test_coroutine_functions_take_asynchronous_hooks(idem: Idempotency, hook: str) -> None:
    """What is called where somebody can await may be a coroutine function."""
    options: dict[str, Any] = {hook: asynchronous, "effects": [asynchronous]}
    assert "x" == asyncio.run(idem.idempotent(**options)(coroutine_function)("x"))


def test_every_option_is_described() -> None:
    """The table of options is the one that the documentation promises."""
    assert {
        "attributes",
        "codec",
        "durability",
        "effects",
        "fallback",
        "fingerprint",
        "ignore",
        "key",
        "lease",
        "max_attempts",
        "max_bytes",
        "max_run",
        "name",
        "on_abandoned",
        "on_disconnect",
        "on_duplicate",
        "on_store_error",
        "record",
        "record_errors",
        "stale_if_error",
        "ttl",
        "version",
        "wait",
        "window",
    } == set(Options.__annotations__)


# ---------------------------------------------------------------------------- calls


def test_wrong_arguments_are_the_functions_own_error(idem: Idempotency) -> None:
    """A call that the function would refuse is refused with the function's name."""
    with pytest.raises(TypeError, match=r"plain\(\).*unexpected keyword argument 'size'"):
        idem.idempotent(plain)(size=5)


def test_argument_without_canonical_form_is_refused(idem: Idempotency) -> None:
    """An argument that cannot be told from others is named."""
    with pytest.raises(TypeError, match=r"argument 'text'.*ignore=\['text'\]"):
        idem.idempotent(plain)(object())


# ---------------------------------------------------------------------------- the default


@pytest.mark.usefixtures("fresh")
def test_bare_decorator_uses_this_process() -> None:
    """Without a configuration the process's own memory keeps what is done."""
    runs: list[int] = []

    @idempotent
    def bare() -> None:
        runs.append(1)

    assert (None, None, [1]) == (bare(), bare(), runs)


@pytest.mark.usefixtures("fresh")
def test_configuration_after_decoration_takes_hold() -> None:
    """A bare function follows the default that is in force when it is called."""
    runs: list[str] = []

    @idempotent(name="bare")
    def bare() -> int:
        runs.append("run")
        return len(runs)

    seen = [bare(), bare()]
    for _ in range(2):
        operation.set_default(Idempotency())
        seen += [bare(), bare()]
    assert [1, 1, 2, 2, 3, 3] == seen


@pytest.mark.usefixtures("fresh")
def test_bare_decorator_asks_for_nothing_before_the_first_call() -> None:
    """Decoration makes no store: `configure` may still come."""
    idempotent(name="bare")(plain)
    assert operation._default is None


@pytest.mark.usefixtures("fresh")
def test_bare_functions_share_their_names() -> None:
    """Default names clash on the default configuration as well."""

    def twin() -> int:
        return 1

    first = idempotent(twin)
    with pytest.raises(ValueError, match="two different functions"):

        @idempotent
        def twin() -> None: ...

    assert 1 == first()
