"""What makes two requests one: the body by what its fields do, and whose request it is."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from json import JSONEncoder
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias
from urllib.parse import parse_qsl

from ..core.keys import canonical, digest, distinct, strict_decoder
from .profiles import profile

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from .profiles import Fields, Profile
    from .requests import Request

__all__ = ["Level", "decode", "identity", "whose"]

Level: TypeAlias = Literal["exact", "effect", "semantic"]

_DEEPEST: Final = 90
"""Levels of nesting; a little less than canonical bytes go down."""

# The order in which a schema names properties steers in which order a model writes them.
_SCHEMAS: Final = frozenset(
    {
        "_responseJsonSchema",
        "guided_json",
        "input_schema",
        "parameters",
        "parametersJsonSchema",
        "parameters_json_schema",
        "responseJsonSchema",
        "responseSchema",
        "response_json_schema",
        "response_schema",
        "schema",
    }
)
# Names that are those of a schema only there: at the top of a body, or in these members.
_SCHEMAS_AT_THE_TOP: Final = frozenset({"format", "json_schema"})
_SCHEMAS_WITHIN: Final = {
    "functionDeclarations": frozenset({"response"}),
    "function_declarations": frozenset({"response"}),
    "response_format": frozenset({"value"}),
    "structured_outputs": frozenset({"json"}),
}
# Gateways have credentials of their own. What tells two attempts apart, or what names the place of
# a prompt in a cache, is none, and that for a proxy is gone when the request arrives.
_CREDENTIAL: Final = re.compile(
    r"(?!x-stainless-|prompt-cache-|proxy-|.*(?:idempotency|cache)-key$)"
    r"(?:.*(?:authorization|credential).*|.*apikey|(?:.*-)?(?:key|token|auth|secret))"
)
# What is signed is signed anew for each attempt, with the same key.
_SIGNED: Final = re.compile(r"AWS4-\S+ +Credential=([^/,]+)/.*")
# The account that pays, and whom a gateway is to ask.
_ACCOUNTS: Final = (
    "anthropic-user-profile-id",
    "anthropic-workspace-id",
    "azureml-model-deployment",
    "helicone-target-url",
    "openai-organization",
    "openai-project",
    "x-goog-user-project",
    "x-portkey-config",
    "x-portkey-custom-host",
    "x-portkey-provider",
)
_SECRET: Final = re.compile(
    r"(?:(?:api|access|subscription)[-_]?)?key|(?:(?:api|access|auth|session)[-_]?)?token|auth"
    r"|(?:client[-_]?)?secret|sig|signature|x-(?:amz|goog)-(?:credential|security-token|signature)"
)
_FORMAT: Final = frozenset({"alt", "$alt"})


def identity(
    request: Request, level: Level = "effect", *, ignore: Collection[str] = ()
) -> object | None:
    """Return what a request with a JSON body asks, as a value that has canonical bytes.

    Two requests are one if these are equal: whatever the order of names, the layout and the way
    a number is written, and whether a documented default is sent. The order of names counts
    inside schemas, because it steers structured output.

    Args:
        request: What is about to be sent.
        level: What counts. `exact`: every field. `effect`: every field but the neutral ones, such
            as `user`; whoever has the answer to one request may hand out its bytes for the other.
            `semantic`: only what shapes the answer, be it streamed or not.
        ignore: Names at the top of the body that do not count besides.

    Returns:
        The value; None if the body is no JSON, or none that every reader takes for the same. What
        counts of such a body are its bytes.

    Raises:
        TypeError: `ignore` is one name instead of several.
        ValueError: There is no such level.
    """
    ignored = _several(ignore, "ignore")
    try:
        body = decode(request.body)
    except (RecursionError, ValueError):
        return None
    found = profile(request)
    if isinstance(body, dict):
        body = _counted(body, found.fields, level, ignored)
    return found.name, _marks(request, found, level), body


def whose(request: Request, *, credential: bool = True, headers: Collection[str] = ()) -> object:
    """Return where a request goes and on whose account, as a value that has canonical bytes.

    Credentials are told by the names of their headers: those of every gateway count, cookies
    never do. Of credentials, and of the headers that count besides, there is a digest only.

    Args:
        request: What is about to be sent.
        credential: Whether the credential counts; without it, callers with other keys of the
            same organization and project are one.
        headers: Names of more headers that count, such as that of a tenant.

    Raises:
        TypeError: `headers` is one name instead of several.
    """
    named = _several(headers, "headers")
    format_ = _FORMAT if profile(request).name == "gemini" else ()
    query, secrets = [], []
    for name, value in parse_qsl(request.query, keep_blank_values=True, errors="surrogateescape"):
        if _SECRET.fullmatch(name.lower()):
            secrets.append((name, value))
        elif name not in format_:
            query.append((name, value))
    secrets += [
        (name, _SIGNED.sub(r"\1", value))
        for name, value in request.headers
        if _CREDENTIAL.fullmatch(name)
    ]
    accounts = [("host", host) for host in request.foreign_hosts] + _fields(request, _ACCOUNTS)
    told = _fields(request, [name.lower() for name in named]), secrets if credential else []
    account = digest(b"credential", *(canonical(sorted(pairs)) for pairs in told))
    # The values of one name stay in their order.
    query.sort(key=itemgetter(0))
    return request.origin, request.segments, query, sorted(accounts), account


def _several(names: Collection[str], role: str) -> Collection[str]:
    if isinstance(names, str):  # a collection too, of letters
        message = f"{role}= takes a list of names: {role}=[{names!r}]"
        raise TypeError(message)
    return names


def decode(body: bytes) -> Any:
    """Return what a JSON body says, its schemas and odd numbers as bytes.

    Raises:
        ValueError: It is no JSON, is nested too deep, or says different things to its readers.
        RecursionError: It is nested much too deep.
    """
    said = _decode(body.decode())
    _seal(said, _SCHEMAS_AT_THE_TOP)
    # Rarely is there enough in a body for it to be too deep.
    if body.count(b"[") + body.count(b"{") > _DEEPEST and not _is_flat(said, _DEEPEST):
        raise ValueError("nested too deep")
    return said


def _fields(request: Request, names: Collection[str]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in request.headers if name in names]


def _is_flat(value: Any, depth: int) -> bool:
    if not depth:
        return False
    parts = value.values() if type(value) is dict else value
    return all(_is_flat(part, depth - 1) for part in parts if type(part) in {dict, list})


# ------------------------------------------------------------------------------ reading


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = distinct(pairs)
    _seal(members, _SCHEMAS)
    for name in _SCHEMAS_WITHIN.keys() & members.keys():
        parts = members[name]
        for part in parts if isinstance(parts, list) else (parts,):
            _seal(part, _SCHEMAS_WITHIN[name])
    return members


def _seal(members: Any, names: frozenset[str]) -> None:
    """Turn what stands under these names into bytes, in which the order of names counts."""
    if isinstance(members, dict) and not names.isdisjoint(members):
        for name in names.intersection(members):
            if isinstance(members[name], dict | list):
                members[name] = _write(members[name]).encode()


def _inside(written: bytes) -> list[Any]:
    # What was read holds no NaN, so nothing else is written so.
    return [math.nan, written.decode()]


_write: Final = JSONEncoder(separators=(",", ":"), default=_inside).encode


def _number(digits: str) -> int | float | bytes:
    """Return one value for one number, however it is written; its digits where none is exact."""
    try:
        exact, value = Decimal(digits), float(digits)
    except ArithmeticError:  # an exponent that no decimal has
        return digits.encode()
    if Decimal(repr(value)) != exact:
        return digits.encode()
    return int(exact) if value.is_integer() else value


# `int` refuses thousands of digits, and so such a body counts by its bytes.
_decode: Final = strict_decoder(integer=int, fraction=_number, members=_members)


# ------------------------------------------------------------------------------ counting


def _counted(
    body: dict[str, Any], fields: Fields | None, level: Level, ignore: Collection[str]
) -> dict[str, Any]:
    if fields is None:
        return {name: value for name, value in body.items() if name not in ignore}
    dropped = _dropped(fields, level).union(ignore)
    counted = {
        name: value
        for name, value in body.items()
        if value is not None and name not in dropped and not _is_default(fields, name, value)
    }
    return _unmarked(counted) if fields.marks and level != "exact" else counted


def _dropped(fields: Fields, level: Level) -> frozenset[str]:
    match level:
        case "exact":
            return frozenset()
        case "effect":
            return fields.neutral
        case "semantic":
            return fields.neutral | fields.effect | fields.representation
        case _:
            raise ValueError(f"level must be exact, effect or semantic, not {level!r}")


def _is_default(fields: Fields, name: str, value: Any) -> bool:
    # `1` is not `True`.
    return (
        name in fields.defaults
        and type(value) is type(fields.defaults[name])
        and value == fields.defaults[name]
    )


def _unmarked(value: Any) -> Any:
    """Return a value without its cache marks; schemas and what a tool was called with stay."""
    if isinstance(value, list):
        return [_unmarked(part) for part in value]
    if not isinstance(value, dict):
        return value
    return {
        name: part if name == "input" else _unmarked(part)
        for name, part in value.items()
        if name != "cache_control"
    }


def _marks(request: Request, found: Profile, level: Level) -> list[Any]:
    """Return what counts of a request beside its body."""
    flags = found.fields.flags if found.fields is not None else ()
    marks: list[Any] = [found.model]
    marks += [sorted(_names(request, flag)) for flag in flags]
    if found.name == "gemini":
        verb, query = found.operation.removeprefix("gemini."), parse_qsl(request.query)
        if level == "semantic":
            return [*marks, verb.replace("streamGenerate", "generate")]
        return [*marks, verb, *sorted(pair for pair in query if pair[0] in _FORMAT)]
    return marks


def _names(request: Request, flag: str) -> Iterator[str]:
    for line in request.values(flag):
        yield from (name for name in map(str.strip, line.split(",")) if name)
