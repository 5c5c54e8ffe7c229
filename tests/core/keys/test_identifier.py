"""A call's key is what it was called with, however it was written down."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from idemkit.core.keys import Identifier, prefix
from idemkit.core.keys.binding import Binding

PREFIX = prefix("default", "app.answer", 1)


def answer(prompt: str, temperature: float = 0.0, *, client: object = None) -> None:
    """Stand for a call with a client that has no canonical form."""


def variadic(first: int, /, *rest: int, flag: bool = False, **options: int) -> None:
    """Take every kind of parameter."""


def charge(request_id: str, amount: int, client: object = None) -> None:
    """Stand for a call with a key of its own."""


def pair(function: Callable[..., Any], /, **selection: Any) -> Callable[..., tuple[bytes, bytes]]:
    """Return a function that tells key and fingerprint of a call."""
    identifier = Identifier(function, prefix=PREFIX, **selection)
    return lambda *args, **kwargs: identifier.identifier(args, kwargs)


def key_of(function: Callable[..., Any], /, **selection: Any) -> Callable[..., bytes]:
    """Return a function that tells the key of a call."""
    both = pair(function, **selection)
    return lambda *args, **kwargs: both(*args, **kwargs)[0]


def print_of(function: Callable[..., Any], /, **selection: Any) -> Callable[..., bytes]:
    """Return a function that tells the fingerprint of a call."""
    both = pair(function, **selection)
    return lambda *args, **kwargs: both(*args, **kwargs)[1]


# ------------------------------------------------------------------------------- binding

NAMES = ("a", "b", "c", "d", "e")


@st.composite
def signatures(draw: st.DrawFn) -> Signature:
    """Draw a signature with every kind of parameter."""
    kinds = sorted(draw(st.lists(st.sampled_from([0, 1, 3]), max_size=4)))
    required = draw(st.integers(0, 4))
    parameters = []
    for name, kind in zip(NAMES, kinds, strict=False):
        optional = draw(st.booleans()) if kind == 3 else len(parameters) >= required
        default = draw(st.integers(10, 19)) if optional else Parameter.empty
        parameters.append(Parameter(name, _KINDS[kind], default=default))
    if draw(st.booleans()):
        place = sum(kind < 3 for kind in kinds[: len(parameters)])
        parameters.insert(place, Parameter("rest", Parameter.VAR_POSITIONAL))
    if draw(st.booleans()):
        parameters.append(Parameter("options", Parameter.VAR_KEYWORD))
    return Signature(parameters)


_KINDS = (
    Parameter.POSITIONAL_ONLY,
    Parameter.POSITIONAL_OR_KEYWORD,
    Parameter.VAR_POSITIONAL,
    Parameter.KEYWORD_ONLY,
)


@given(
    signatures(),
    st.lists(st.integers(0, 9), max_size=4),
    st.dictionaries(st.sampled_from((*NAMES, "z")), st.integers(0, 9), max_size=4),
)
def test_binding_agrees_with_inspect(
    signature: Signature, args: list[int], kwargs: dict[str, int]
) -> None:
    """Values, defaults and refusals are those of `Signature.bind`."""

    def function(*_args: int, **_kwargs: int) -> None:
        """Pretend to have the signature."""

    # `bind` of older Pythons refuses what the language allows: f(a=1) of f(a=0, /, **options).
    fixed = {p.name for p in signature.parameters.values() if p.kind is p.POSITIONAL_ONLY}
    assume(not fixed & kwargs.keys())
    function.__signature__ = signature  # type: ignore[attr-defined]
    split = Binding(function).split(tuple(signature.parameters))
    assert outcome(lambda: bound(signature, args, kwargs)) == outcome(
        lambda: split(*args, **kwargs)[0]
    )


def bound(signature: Signature, args: list[int], kwargs: dict[str, int]) -> tuple[Any, ...]:
    """Bind with the standard library."""
    arguments = signature.bind(*args, **kwargs)
    arguments.apply_defaults()
    return tuple(arguments.arguments.values())


def outcome(call: Callable[[], Any]) -> Any:
    """Return what a call returns, or that it refused its arguments."""
    try:
        return call()
    except TypeError:
        return TypeError


@pytest.mark.parametrize(
    ("args", "kwargs"), [((), {}), ((1, 2, 3), {}), (("x",), {"prompt": "y"}), (("x",), {"z": 1})]
)
def test_wrong_arguments_raise_what_the_call_would(args: Any, kwargs: Any) -> None:
    """Whoever calls wrongly reads Python's own words."""
    with pytest.raises(TypeError) as expected:
        answer(*args, **kwargs)
    with pytest.raises(TypeError) as actual:
        key_of(answer)(*args, **kwargs)
    assert str(expected.value) == str(actual.value)


def test_function_without_signature_is_refused() -> None:
    """Some functions in C do not say what their parameters are."""
    with pytest.raises(TypeError, match=r"getattr\(\) does not say what its parameters are"):
        Binding(getattr)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (((1,), {}), ((), {"x": 1})),
        (((1,), {}), ((1, 2), {})),
        (((1,), {}), ((1,), {"y": 2})),
        (((), {"x": 1, "y": 3}), ((), {"y": 3, "x": 1})),
    ],
)
def test_one_call_has_one_key(one: Any, other: Any) -> None:
    """Position, keyword and default are three ways to write the same call."""

    def function(x: int, y: int = 2) -> None:
        """Take two arguments."""

    key = key_of(function)
    assert key(*one[0], **one[1]) == key(*other[0], **other[1])


def test_order_of_options_does_not_matter() -> None:
    """Keywords are taken in any order."""
    key = key_of(variadic)
    assert key(1, b=2, a=3) == key(1, a=3, b=2)


def test_arguments_of_a_variadic_function_stay_apart() -> None:
    """What goes into `*args` and into `**kwargs` is told from the rest."""
    key = key_of(variadic)
    calls = [key(1), key(1, 2), key(1, 2, 3), key(1, flag=True), key(1, first=2), key(1, a=2)]
    assert len(calls) == len(set(calls))


def test_partial_counts_what_it_bound() -> None:
    """Two partials of one function make different calls."""
    keys = [key_of(functools.partial(answer, prompt))("x") for prompt in ("a", "b")]
    assert keys[0] != keys[1]


def test_partial_is_the_call_it_makes() -> None:
    """A partial, even of a partial, has the key of the function inside."""
    outer = functools.partial(functools.partial(answer, "a"), temperature=1.0)
    assert key_of(answer)("a", 1.0) == key_of(outer)()


def test_bound_method_counts_its_instance() -> None:
    """What a method is bound to is its first argument."""
    keys = [key_of(Named(name).greet)("you") for name in ("a", "b")]
    assert keys[0] != keys[1]


# ----------------------------------------------------------------------------- selection


def test_all_arguments_are_the_key() -> None:
    """Without a selection nothing is left for the fingerprint."""
    assert b"" == print_of(answer)("a")


def test_ignored_argument_does_not_count() -> None:
    """A client may be anything."""
    key = key_of(answer, ignore=["client"])
    assert key("a", client=object()) == key("a", client=None)


def test_named_arguments_are_the_key() -> None:
    """The others do not change it."""
    key = key_of(charge, key=["request_id"], ignore=["client"])
    assert key("r-1", 5) == key("r-1", 6)


def test_named_argument_changes_the_key() -> None:
    """Another request is another key."""
    key = key_of(charge, key=["request_id"], ignore=["client"])
    assert key("r-1", 5) != key("r-2", 5)


def test_other_arguments_are_the_fingerprint() -> None:
    """Beside named keys the rest is the payload."""
    fingerprint = print_of(charge, key=["request_id"], ignore=["client"])
    assert fingerprint("r-1", 5) != fingerprint("r-1", 6)


def test_fingerprint_has_no_ignored_argument() -> None:
    """What is ignored is in neither."""
    fingerprint = print_of(charge, key=["request_id"], ignore=["client"])
    assert fingerprint("r-1", 5, object()) == fingerprint("r-2", 5)


def test_nothing_left_is_no_fingerprint() -> None:
    """If the key and what is ignored are all, there is no payload."""
    assert b"" == print_of(charge, key=["request_id", "amount"], ignore=["client"])("r", 1)


def test_order_of_key_names_does_not_matter() -> None:
    """The parameters have an order of their own."""
    names = ["request_id", "amount"]
    keys = [key_of(charge, key=key)("r", 1) for key in (names, names[::-1])]
    assert keys[0] == keys[1]


def test_key_callable_gets_the_arguments() -> None:
    """What it returns is the key."""
    key = key_of(charge, key=lambda request_id, **_: request_id.lower())
    assert key("R-1", amount=1) == key("r-1", amount=2)


def test_key_callable_has_no_fingerprint() -> None:
    """A callable says everything that counts."""
    assert b"" == print_of(charge, key=lambda request_id, *_: request_id)("r", 1)


def test_key_callable_may_have_a_fingerprint_by_names() -> None:
    """The payload can be named beside it."""
    fingerprint = print_of(charge, key=lambda request_id, *_: request_id, fingerprint=["amount"])
    assert fingerprint("r", 1) != fingerprint("r", 2)


def test_fingerprint_names_leave_the_key_of_all() -> None:
    """In the key they could never mismatch."""
    key = key_of(charge, fingerprint=["amount"])
    assert key("r", 1) == key("r", 2)


def test_fingerprint_names_replace_the_default() -> None:
    """Arguments in neither do not count."""
    fingerprint = print_of(charge, key=["request_id"], fingerprint=["amount"])
    assert fingerprint("r", 1, object()) == fingerprint("r", 1)


def test_fingerprint_callable_gets_the_arguments() -> None:
    """What it returns is the payload."""
    fingerprint = print_of(charge, key=["request_id"], fingerprint=lambda _, amount: amount // 10)
    assert (fingerprint("r", 11) == fingerprint("r", 12)) != (
        fingerprint("r", 11) == fingerprint("r", 22)
    )


def test_wrong_arguments_never_reach_a_key_callable() -> None:
    """The error names the guarded function, not the callable."""
    with pytest.raises(TypeError, match=r"charge\(\) missing 2 required positional arguments"):
        key_of(charge, key=lambda: None)()


def test_bucket_is_part_of_the_key() -> None:
    """The same call in another window is another key."""
    identifier = Identifier(answer, prefix=PREFIX).identifier
    keys = {identifier(("a",), {}, bucket=bucket)[0] for bucket in (None, 1, 2, b"1")}
    assert 4 == len(keys)


def test_bucket_leaves_the_fingerprint() -> None:
    """A payload is the same in every window."""
    identifier = Identifier(charge, prefix=PREFIX, key=["request_id"]).identifier
    prints = {identifier(("r", 1), {}, bucket=bucket)[1] for bucket in (None, 1, 2)}
    assert 1 == len(prints)


def test_prefix_tells_operations_apart() -> None:
    """Namespace, name and version each start afresh."""
    prefixes = [
        prefix("a", "b", 1),
        prefix("ab", "", 1),
        prefix("a", "b", 2),
        prefix("a", "b", "1"),
    ]
    keys = {Identifier(answer, prefix=one).identifier(("a",), {}) for one in prefixes}
    assert 4 == len(keys)


def test_names_of_arguments_count() -> None:
    """A parameter that changed its meaning has another name."""
    assert key_of(lambda a, b: (a, b))(1, 2) != key_of(lambda b, a: (b, a))(1, 2)


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (
            {"key": ["id"]},
            r"key=\['id'\]: charge\(\) has no such parameter; it has request_id, amount, client",
        ),
        ({"ignore": ["self"]}, r"ignore=\['self'\]: charge\(\) has no such parameter"),
        ({"fingerprint": ["x"]}, r"fingerprint=\['x'\]: charge\(\) has no such parameter"),
        (
            {"key": ["amount"], "ignore": ["amount"]},
            r"argument 'amount' stands in key= and in ignore=",
        ),
        (
            {"fingerprint": ["amount"], "ignore": ["amount"]},
            r"argument 'amount' stands in fingerprint= and in ignore=",
        ),
        ({"key": "amount"}, r"key= takes a list of names: key=\['amount'\]"),
        ({"ignore": "client"}, r"ignore= takes a list of names: ignore=\['client'\]"),
    ],
    ids=str,
)
def test_misuse_is_refused_at_decoration(selection: dict[str, Any], message: str) -> None:
    """A selection that cannot be meant says what to write instead."""
    with pytest.raises(TypeError, match=message):
        Identifier(charge, prefix=PREFIX, **selection)


def test_coroutine_function_is_no_key() -> None:
    """A key is told before anything is awaited."""

    async def key(*_: object) -> None:
        """Never run."""

    with pytest.raises(TypeError, match="key= takes a plain callable, not a coroutine function"):
        Identifier(charge, prefix=PREFIX, key=key)


def test_no_parameters_are_named_so() -> None:
    """The list of available names may be empty."""
    with pytest.raises(TypeError, match="it has none"):
        Identifier(lambda: None, prefix=PREFIX, key=["x"])


# ------------------------------------------------------------------------------- refusal

REMEDY = "pass ignore=['client'], choose key=..., or give the class an __idempotency_key__() method"


class Client:
    """Has no canonical form."""

    __module__ = "httpx"
    __qualname__ = "Client"


@pytest.mark.parametrize(
    ("client", "place"),
    [
        (Client(), "(httpx.Client)"),
        ([{"inner": Client()}], "at client[0]['inner'] (httpx.Client)"),
    ],
    ids=["itself", "inside"],
)
def test_argument_without_form_is_named(client: object, place: str) -> None:
    """The error says which argument, where in it, and what to do."""
    with pytest.raises(TypeError) as caught:
        key_of(answer)("a", client=client)
    assert f"answer() argument 'client' {place} has no canonical form; {REMEDY}" == str(
        caught.value
    )


def test_argument_of_the_fingerprint_is_named() -> None:
    """The payload needs a canonical form too."""
    with pytest.raises(TypeError, match=r"charge\(\) argument 'client' \(httpx.Client\)"):
        pair(charge, key=["request_id"])("r", 1, Client())


@pytest.mark.parametrize(
    ("result", "place"),
    [(Client(), "(httpx.Client)"), ([Client()], "at [0] (httpx.Client)")],
    ids=["itself", "inside"],
)
def test_result_of_a_callable_without_form_is_named(result: object, place: str) -> None:
    """The error points at the callable, not at an argument."""
    with pytest.raises(TypeError) as caught:
        key_of(charge, key=lambda *_: result)("r", 1)
    assert (
        f"charge() the result of key= {place} has no canonical form; return values that have "
        "one, or give the class an __idempotency_key__() method"
    ) == str(caught.value)


# ------------------------------------------------------------------------------- methods


@dataclass
class Named:
    """An instance told by its fields."""

    name: str

    def greet(self, other: str) -> None:
        """Stand for a guarded method."""


class Stateless:
    """An instance without state."""

    def greet(self, other: str) -> None:
        """Stand for a guarded method."""


class Heir(Stateless):
    """Another class with the same method."""


class Stateful(Stateless):
    """An instance with state that has no canonical form."""

    def __init__(self) -> None:
        self.client = Client()


class Slotted(Stateless):
    """An instance with state in a slot."""

    __slots__ = ("name",)


class Compiled(Exception):  # noqa: N818  # stands for any class with a base in C
    """An instance whose state Python cannot see."""

    def greet(self, other: str) -> None:
        """Stand for a guarded method."""


class KeyedAssistant(Stateful):
    """An instance that says what identifies it."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key

    def __idempotency_key__(self) -> str:
        return self.key


def greeting(receiver: object, **selection: Any) -> tuple[bytes, bytes]:
    """Return key and fingerprint of the same greeting by a receiver."""
    method: Any = inspect.getattr_static(receiver, "greet")
    return pair(method, receiver="instance", **selection)(receiver, "you")


DIFFERENT_RECEIVERS = {
    "fields": (Named("a"), Named("b")),
    "keys": (KeyedAssistant("a"), KeyedAssistant("b")),
    "classes": (Stateless(), Heir()),
}


@pytest.mark.parametrize("case", DIFFERENT_RECEIVERS)
def test_different_receivers_have_different_keys(case: str) -> None:
    """Two assistants with different prompts never share an answer."""
    one, other = DIFFERENT_RECEIVERS[case]
    assert greeting(one)[0] != greeting(other)[0]


SAME_RECEIVERS = {
    "fields": (Named("a"), Named("a")),
    "keys": (KeyedAssistant("a"), KeyedAssistant("a")),
    "no state": (Stateless(), Stateless()),
}


@pytest.mark.parametrize("case", SAME_RECEIVERS)
def test_equal_receivers_have_one_key(case: str) -> None:
    """Instances that cannot be told apart make the same calls."""
    one, other = SAME_RECEIVERS[case]
    assert greeting(one) == greeting(other)


def slotted() -> Slotted:
    """Return an instance with a filled slot."""
    value = Slotted()
    value.name = "a"
    return value


@pytest.mark.parametrize("make", [Stateful, slotted, Compiled], ids=lambda make: make.__name__)
def test_stateful_receiver_is_refused(make: Callable[[], object]) -> None:
    """The error offers every way out."""
    with pytest.raises(TypeError, match=r"greet\(\) cannot tell one .* from another") as caught:
        greeting(make())
    assert str(caught.value).endswith(
        "give the class an __idempotency_key__() method, make it a dataclass, "
        "or pass ignore=['self']"
    )


def test_field_of_a_receiver_without_form_is_named() -> None:
    """What is wrong inside an instance is told like for any argument."""
    with pytest.raises(TypeError, match=r"argument 'self' at self\.name \(httpx.Client\)"):
        greeting(Named(Client()))  # type: ignore[arg-type]


def test_ignored_receiver_counts_by_its_class() -> None:
    """Any state will do then."""
    assert greeting(Stateful(), ignore=["self"]) == greeting(Stateful(), ignore=["self"])


def test_class_of_an_ignored_receiver_counts() -> None:
    """Methods of two classes never share."""
    keys = {greeting(one, ignore=["self"])[0] for one in (Stateful(), Stateless())}
    assert 2 == len(keys)


def test_receiver_is_in_the_fingerprint_beside_named_keys() -> None:
    """It is one of all the other arguments."""
    prints = [greeting(Named(name), key=["other"]) for name in "ab"]
    assert (prints[0][0] == prints[1][0]) != (prints[0][1] == prints[1][1])


def test_named_receiver_is_in_the_key() -> None:
    """It may be named like any argument."""
    keys = {greeting(Named(name), key=["self", "other"]) for name in "ab"}
    assert 2 == len(keys)


def test_key_callable_gets_the_receiver() -> None:
    """It decides what of an instance counts; the class counts anyhow."""
    keys = [greeting(one, key=lambda _, other: other)[0] for one in (Stateful(), Heir())]
    assert keys[0] != keys[1]


def test_class_receiver_counts_by_its_name() -> None:
    """A classmethod of a subclass makes calls of its own."""
    key = key_of(Stateless.greet, receiver="class")
    assert key(Stateless, "you") != key(Heir, "you")


def test_class_receiver_is_no_payload() -> None:
    """A class has its place in the key alone."""
    assert b"" == print_of(Stateless.greet, receiver="class", key=["other"])(Stateless, "you")


# ------------------------------------------------------------------------------- pinned


def test_keys_are_those_of_format_1() -> None:
    """Records in stores outlive releases: a new key needs a new `FORMAT`."""
    digests = pair(charge, key=["request_id"])("r-1", 5)
    expected = (
        "485efedd3c36b6535646ed8c8c97f246",
        "da982789719050982a55566c1bf46f1f",
    )
    assert expected == tuple(digest.hex() for digest in digests)
