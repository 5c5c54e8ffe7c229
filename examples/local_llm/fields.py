"""A reader of JSON objects that takes each member with a type and a range, or refuses."""

import json
from collections.abc import Collection, Iterator
from typing import NoReturn, Self, cast

from .errors import ApiError

__all__ = ["Fields"]

_JSON_TYPES: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
}


class Fields:
    """The members of a JSON object; `null` and a missing member both mean the default.

    Args:
        members: the parsed object.
        path: where it stands in the request body, for error messages.

    Raises:
        ApiError: it is no object (and so does each method, for a member that is wrong).
    """

    def __init__(self, members: object, *, path: str = "") -> None:
        """Check that it is an object."""
        if not isinstance(members, dict):
            raise _mistyped(members, path or None, expected="an object")
        self._members: dict[str, object] = members
        self._path = path

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def path(self, name: str) -> str:
        """Return where a member stands in the request body."""
        return f"{self._path}.{name}" if self._path else name

    def allow(self, names: frozenset[str]) -> None:
        """Refuse every member but these: to ignore one would be to lie about the answer."""
        for name in self._members:
            if name not in names:
                message = f"Unrecognized request argument supplied: {name}"
                raise ApiError(message, param=self.path(name), code="unknown_parameter")

    def get(self, name: str) -> object:
        """Return a member as it is, or None."""
        return self._members.get(name)

    def json(self, *but: str) -> str:
        """Return the object as JSON, without some members."""
        return json.dumps({name: self._members[name] for name in self if name not in but})

    def boolean(self, name: str, default: bool = False) -> bool:  # noqa: FBT001, FBT002 - a value
        """Return a boolean."""
        value = self.get(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        raise self.mistyped(name, expected="a boolean")

    def number(self, name: str, default: float, *, low: float, high: float) -> float:
        """Return a number between two bounds, both included."""
        value = self.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.mistyped(name, expected="a number")
        return float(self._bounded(name, value, low=low, high=high))

    def integer(self, name: str, default: int, *, low: int, high: int) -> int:
        """Return an integer between two bounds, both included."""
        value = self.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.mistyped(name, expected="an integer")
        return int(self._bounded(name, value, low=low, high=high))

    def text(self, name: str, default: str | None = None) -> str:
        """Return a string, which must be there if it has no default."""
        value = self.get(name)
        if value is None and default is not None:
            return default
        if isinstance(value, str):
            return value
        raise self.mistyped(name, expected="a string")

    def one_of(self, name: str, allowed: Collection[str], default: str | None = None) -> str:
        """Return a string that is one of a few."""
        value = self.text(name, default)
        if value not in allowed:
            self.refuse(name, f"must be one of {', '.join(sorted(allowed))}")
        return value

    def members(self, name: str) -> Self:
        """Return the members of an object, by default none."""
        value = self.get(name)
        return type(self)({} if value is None else value, path=self.path(name))

    def objects(self, name: str) -> list[Self]:
        """Return the objects of an array that must be there and hold something."""
        items = enumerate(self.items(name))
        return [type(self)(item, path=f"{self.path(name)}[{at}]") for at, item in items]

    def items(self, name: str) -> list[object]:
        """Return the members of an array that must be there and hold something."""
        value = self.get(name)
        if not isinstance(value, list):
            raise self.mistyped(name, expected="an array")
        if not value:
            self.refuse(name, "must not be empty")
        return cast("list[object]", value)

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the strings of an array, or a lone string as the only one of them."""
        value = self.get(name)
        if value is None:
            return ()
        members = cast("list[object]", value) if isinstance(value, list) else [value]
        strings = tuple(member for member in members if isinstance(member, str))
        if len(strings) < len(members):
            raise self.mistyped(name, expected="a string or an array of strings")
        return strings

    def mistyped(self, name: str, *, expected: str) -> ApiError:
        """Return the error for a member of the wrong type."""
        return _mistyped(self.get(name), self.path(name), expected=expected)

    def refuse(self, name: str, rule: str) -> NoReturn:
        """Refuse a member of the right type that breaks a rule."""
        path = self.path(name)
        message = f"Invalid value for '{path}': it {rule}."
        raise ApiError(message, param=path, code="invalid_value")

    def _bounded(self, name: str, value: float, *, low: float, high: float) -> float:
        # Written so that NaN, which compares false with everything, is out of bounds.
        if not low <= value <= high:
            self.refuse(name, f"must be between {low} and {high}")
        return value


def _mistyped(value: object, path: str | None, *, expected: str) -> ApiError:
    what = f"for '{path}'" if path else "of the request body"
    got = _JSON_TYPES[type(value)]
    message = f"Invalid type {what}: expected {expected}, but got {got} instead."
    return ApiError(message, param=path, code="invalid_type")
