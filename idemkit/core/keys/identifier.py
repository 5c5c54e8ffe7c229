"""Keys: which logical request a call is, told from its arguments.

A key is 16 bytes of BLAKE3 over canonical bytes: the operation (`prefix`), the names of the
arguments that count, and their values. The fingerprint of the payload is made likewise.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from blake3 import blake3

from .binding import Binding
from .canonical import FORMAT, CanonicalTypeError, canonical, digest, has_form
from .objects import class_name, is_opaque, qualified, state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Identifier", "Receiver", "Selection", "prefix"]

Receiver: TypeAlias = Literal["instance", "class"]
Selection: TypeAlias = "Sequence[str] | Callable[..., Any]"

_Values: TypeAlias = tuple[Any, ...]
_Names: TypeAlias = tuple[str, ...]

_SIZE = 16  # bytes of a digest


def prefix(namespace: str, operation: str, version: str | int) -> bytes:
    """Return the canonical bytes of an operation, with which each of its keys begins."""
    return canonical((FORMAT, namespace, operation, version))


class Identifier:
    """Tells the key and the fingerprint of a function's calls; built once, at decoration.

    Args:
        function: The function inside, or a `functools.partial` or bound method of it.
        prefix: What `prefix()` returns for the operation.
        key: The arguments that are the key, or a callable on the same arguments that returns it;
            `None` stands for all arguments.
        fingerprint: The arguments, or a callable, for the payload that must match when the key
            comes again. `None` stands for all other arguments if `key` names some, else for none.
            Names given here are left out of a key of all arguments.
        ignore: The arguments that are neither.
        receiver: What the first argument of a method is. The class counts in every key by its
            qualified name; an instance counts besides, like any other argument.

    Raises:
        TypeError: A name is no parameter or has two roles, or a bare string is no list of names.
    """

    # Filled by `__init__` and never changed; no dataclass, since nothing given is kept as it is.
    __slots__ = ("_first", "_key", "_name", "_payload", "_place", "_receiver", "_split")

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        prefix: bytes,
        key: Selection | None = None,
        fingerprint: Selection | None = None,
        ignore: Sequence[str] = (),
        receiver: Receiver | None = None,
    ) -> None:
        binding = Binding(function)
        keys, payload = _roles(binding, key, fingerprint, ignore)
        first = binding.names[:1] if receiver else ()
        others, payload_others = _without(keys, first), _without(payload, first)
        self._name = binding.name
        self._first = binding.names[0] if first else None
        self._receiver = receiver
        self._place = _place(first, keys, payload) if receiver == "instance" else None
        self._split = binding.split(first, others, payload_others)
        placed = first if self._place == "key" else ()
        self._key = _Digest(binding.name, "key", prefix, (*placed, *others), key, receiver=receiver)
        placed = first if self._place == "fingerprint" else ()
        names = (*placed, *payload_others)
        self._payload = (
            _Digest(binding.name, "fingerprint", prefix, names, fingerprint)
            if names or callable(fingerprint)
            else None
        )

    def identifier(
        self, args: _Values, kwargs: dict[str, Any], *, bucket: bytes | int | None = None
    ) -> tuple[bytes, bytes]:
        """Return the digests of a call's key and of its fingerprint, `b""` if it has none.

        Args:
            args: The positional arguments of the call, a method's receiver first.
            kwargs: The keyword arguments of the call.
            bucket: What else is in the key: the number of a time window, say.

        Raises:
            TypeError: The function does not take these arguments, or one of them has no
                canonical form.
        """
        first, chosen, payload = self._split(*args, **kwargs)
        if first:
            chosen, payload = self._received(first[0], chosen, payload)
        if self._key.choose is not None:
            chosen = (*chosen, self._key.choose(*args, **kwargs))
        head = self._key.head if bucket is None else self._key.head + canonical(bucket)
        try:
            # In place, not in a function of its own: another frame is 3 % of the whole.
            key = blake3(head + canonical(chosen)).digest(_SIZE)
        except CanonicalTypeError as error:
            raise TypeError(self._key.explanation(error)) from error
        return key, b"" if self._payload is None else self._payload.of(payload, args, kwargs)

    def _received(
        self, receiver: object, chosen: _Values, payload: _Values
    ) -> tuple[_Values, _Values]:
        cls = cast("type", receiver) if self._receiver == "class" else type(receiver)
        chosen = (*chosen, qualified(cls))
        if self._place is None:
            return chosen, payload
        identity = self._identity(receiver)
        if self._place == "key":
            return (identity, *chosen), payload
        return chosen, (identity, *payload)

    def _identity(self, receiver: object) -> object | None:
        """Return what tells an instance from others of its class: itself, or nothing."""
        cls = type(receiver)
        if has_form(cls):
            return receiver
        if is_opaque(cls) or state_of(receiver):
            raise TypeError(
                f"{self._name}() cannot tell one {class_name(cls)} from another; give the "
                f"class an __idempotency_key__() method, make it a dataclass, or pass "
                f"ignore=[{self._first!r}]"
            )
        return None


class _Digest:
    """Digests one role of a function's arguments: of those named, or of what a callable says."""

    __slots__ = ("_labels", "_name", "_role", "choose", "head")

    def __init__(
        self,
        name: str,
        role: str,
        prefix: bytes,
        names: _Names,
        selection: Selection | None,
        *,
        receiver: Receiver | None = None,
    ) -> None:
        self._name = name
        self._role = role
        self.choose = selection if callable(selection) else None
        self._labels = names + (("class",) if receiver else ())
        # The names count too: a parameter that changes its meaning changes its name. Digested
        # once, they and the operation cost a call no more than the hash of 16 bytes.
        self.head = digest(prefix, canonical((role, receiver, names, self.choose is not None)))

    def of(self, values: _Values, args: _Values, kwargs: dict[str, Any]) -> bytes:
        """Return the digest for one call's values."""
        if self.choose is not None:
            values = (*values, self.choose(*args, **kwargs))
        try:
            return blake3(self.head + canonical(values)).digest(_SIZE)
        except CanonicalTypeError as error:
            raise TypeError(self.explanation(error)) from error

    def explanation(self, error: CanonicalTypeError) -> str:
        """Return what is wrong with an argument or with a callable's result."""
        index, _, inside = error.where.removeprefix("[").partition("]")
        kind = class_name(error.kind)
        if int(index) == len(self._labels):
            at = f" at {inside}" if inside else ""
            return (
                f"{self._name}() the result of {self._role}={at} ({kind}) {error.reason}; return "
                f"values that have one, or give the class an __idempotency_key__() method"
            )
        name = self._labels[int(index)]
        at = f" at {name}{inside}" if inside else ""
        return (
            f"{self._name}() argument {name!r}{at} ({kind}) {error.reason}; pass "
            f"ignore=[{name!r}], choose key=..., or give the class an __idempotency_key__() method"
        )


def _roles(
    binding: Binding,
    key: Selection | None,
    fingerprint: Selection | None,
    ignore: Sequence[str],
) -> tuple[_Names, _Names]:
    """Return the names that are the key and those that are the fingerprint."""
    keys = _named(binding, "key", key)
    payload = _named(binding, "fingerprint", fingerprint)
    ignored = _named(binding, "ignore", ignore)
    for role, names in (("key", keys), ("fingerprint", payload)):
        for name in names:
            if name in ignored:
                raise TypeError(
                    f"{binding.name}() argument {name!r} stands in {role}= and in ignore=; "
                    f"it can be one of them"
                )
    counted = _without(binding.names, ignored)
    if key is None:
        return _without(counted, payload), payload
    if fingerprint is None and not callable(key):
        return keys, _without(counted, keys)
    return keys, payload


def _named(binding: Binding, role: str, selection: Selection | None) -> _Names:
    """Return the names a selection lists in the order of the parameters, a callable none."""
    if isinstance(selection, str):
        raise TypeError(f"{role}= takes a list of names: {role}=[{selection!r}]")
    if inspect.iscoroutinefunction(selection):
        raise TypeError(f"{role}= takes a plain callable, not a coroutine function")
    if selection is None or callable(selection):
        return ()
    for name in selection:
        if name not in binding.names:
            raise TypeError(
                f"{role}=[{name!r}]: {binding.name}() has no such parameter; "
                f"it has {', '.join(binding.names) or 'none'}"
            )
    return binding.ordered(selection)


def _without(names: _Names, others: _Names) -> _Names:
    return tuple(name for name in names if name not in others)


def _place(first: _Names, keys: _Names, payload: _Names) -> Literal["key", "fingerprint"] | None:
    if first and first[0] in keys:
        return "key"
    return "fingerprint" if first and first[0] in payload else None
