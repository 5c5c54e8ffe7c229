"""Binding: which parameters a call's arguments belong to, found out by Python's own machinery.

`inspect.Signature.bind` takes several microseconds. A function with the same parameters whose
body hands them back takes a tenth of one, and raises the very `TypeError` of a wrong call.
"""

from __future__ import annotations

import inspect
from functools import partial
from inspect import Parameter, Signature
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    Split = Callable[..., tuple[tuple[Any, ...], ...]]

__all__ = ["Binding"]


class Binding:
    """The parameters of a function, and what makes functions that sort its arguments.

    A `functools.partial` or a bound method stands for the function inside: what was bound before
    is bound again at each call, so that it counts like any other argument.

    Raises:
        TypeError: The function does not say what its parameters are.
    """

    __slots__ = ("_bound", "_keywords", "function", "name", "names", "signature")

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function: Callable[..., Any]
        self.function, self._bound, self._keywords = _opened(function)
        self.name: str = getattr(self.function, "__qualname__", type(self.function).__qualname__)
        try:
            self.signature: Signature = inspect.signature(self.function)
        except ValueError as error:
            raise TypeError(f"{self.name}() does not say what its parameters are") from error
        self.names: tuple[str, ...] = tuple(self.signature.parameters)

    def split(self, *groups: Collection[str]) -> Split:
        """Return a function of the same arguments that returns one tuple of values per group.

        Defaults are applied; the values of a group stand in the order of the parameters.
        """
        sorter = _compiled(self.signature, [self.ordered(group) for group in groups])
        sorter.__name__ = sorter.__qualname__ = self.name
        if self._bound or self._keywords:
            return partial(sorter, *self._bound, **self._keywords)
        return sorter

    def ordered(self, names: Collection[str]) -> tuple[str, ...]:
        """Return those names in the order of the parameters."""
        return tuple(name for name in self.names if name in names)


def _opened(
    function: Any,
) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    match function:
        case partial():
            inner, bound, keywords = _opened(function.func)
            return inner, bound + function.args, keywords | function.keywords
        case MethodType():
            return function.__func__, (function.__self__,), {}
        case _:
            return function, (), {}


def _compiled(signature: Signature, groups: Iterable[tuple[str, ...]]) -> FunctionType:
    parameters = signature.parameters.values()
    bare = Signature([_bare(parameter) for parameter in parameters])
    body = "".join(f"({''.join(f'{name},' for name in group)})," for group in groups)
    # Only names that `inspect` found to be identifiers come into this text.
    sorter: FunctionType = eval(f"lambda {str(bare)[1:-1]}: ({body})", {})  # noqa: S307
    defaults = [p for p in parameters if p.default is not Parameter.empty]
    sorter.__defaults__ = tuple(p.default for p in defaults if p.kind is not Parameter.KEYWORD_ONLY)
    sorter.__kwdefaults__ = {
        p.name: p.default for p in defaults if p.kind is Parameter.KEYWORD_ONLY
    }
    return sorter


def _bare(parameter: Parameter) -> Parameter:
    default = parameter.default if parameter.default is Parameter.empty else None
    return parameter.replace(annotation=Parameter.empty, default=default)
