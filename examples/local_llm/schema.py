"""JSON by schema: a text that fits a JSON Schema by construction, token by token."""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeAlias, cast
from uuid import UUID

from .errors import ApiError
from .generation import Sampled
from .tokenizer import split

__all__ = ["Composer", "Schema", "check_schema"]

Schema: TypeAlias = Mapping[str, Any]
Say: TypeAlias = Callable[[str], Iterator[Sampled]]

# What cannot be made by construction is refused: to ignore it would be to lie about the answer.
_BEYOND = frozenset(
    {
        "contains",
        "dependentRequired",
        "dependentSchemas",
        "else",
        "if",
        "not",
        "pattern",
        "patternProperties",
        "propertyNames",
        "then",
    }
)
_INVALID = "invalid_json_schema"
_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_DEEP = 5
_DEEPEST = 64
_SPAN = 100
_ANY: Schema = {"type": ["string", "integer", "boolean"]}
_DAYS = 20_000


class Composer:
    """One JSON text in the making.

    Args:
        root: the schema, checked.
        say: samples the text of a string, given the name of the member it is for.
        rng: chooses where the schema leaves a choice that is not text.
    """

    def __init__(self, root: Schema, *, say: Say, rng: Random) -> None:
        """Begin with nothing."""
        self._root = root
        self._say = say
        self._rng = rng
        self._writers: dict[str, Callable[[Schema, str, int], Iterator[Sampled]]] = {
            "array": self._array,
            "boolean": lambda *_: self._pick([True, False]),
            "integer": lambda schema, *_: self._number(schema, step=1),
            "null": lambda *_: _fixed("null"),
            "number": lambda schema, *_: self._number(schema, step=0.01),
            "object": self._object,
            "string": self._string,
        }

    def write(self) -> Iterator[Sampled]:
        """Yield the tokens of the text; those that the schema dictates have a probability of 1."""
        return self._value(self._root, "", 0)

    def _value(self, schema: Any, name: str, depth: int) -> Iterator[Sampled]:
        if depth > _DEEPEST:
            raise ApiError("The schema asks for an endless answer.", code=_INVALID)
        whole = _flatten(schema, self._root)
        options = whole.get("anyOf") or whole.get("oneOf")
        if "const" in whole:
            yield from _fixed(json.dumps(whole["const"]))
        elif "enum" in whole:
            yield from self._pick(whole["enum"])
        elif options:
            rest = {key: whole[key] for key in whole if key not in {"anyOf", "oneOf"}}
            yield from self._value({"allOf": [rest, self._option(options, depth)]}, name, depth + 1)
        else:
            kind = self._option(_kinds(whole), depth)
            yield from self._writers[kind](whole, name, depth)

    def _option(self, options: list[Any], depth: int) -> Any:
        if depth <= _DEEP:
            return self._rng.choice(options)
        # Deep down the way out is what a recursive schema must be given.
        return min(options, key=lambda option: _weight(_flatten(option, self._root)))

    def _pick(self, values: list[Any]) -> Iterator[Sampled]:
        return _fixed(json.dumps(self._rng.choice(values)), logprob=-math.log(len(values)))

    def _number(self, schema: Schema, *, step: float) -> Iterator[Sampled]:
        unit = schema.get("multipleOf", step)
        low, high = _bounds(schema, unit)
        least, most = math.ceil(low / unit - 1e-9), math.floor(high / unit + 1e-9)
        if least > most:
            raise ApiError("The schema asks for a number that does not exist.", code=_INVALID)
        count = self._rng.randint(least, most)
        number = count * unit if isinstance(unit, int) else round(count * unit, 10)
        return _fixed(json.dumps(number))

    def _string(self, schema: Schema, name: str, _: int) -> Iterator[Sampled]:
        known = _FORMATS.get(schema.get("format", ""))
        tokens = _fixed(known(self._rng)) if known else self._words(schema, name)
        yield from _fixed('"')
        for token in tokens:
            yield replace(token, text=json.dumps(token.text)[1:-1])
        yield from _fixed('"')

    def _words(self, schema: Schema, name: str) -> Iterator[Sampled]:
        most = schema.get("maxLength", math.inf)
        least = min(max(schema.get("minLength", 0), 1), most)
        length = 0
        while length < least:
            for token in self._say(name):
                left = None if most == math.inf else int(most) - length
                text = (token.text if length else token.text.lstrip())[:left]
                length += len(text)
                if text:
                    yield replace(token, text=text)

    def _array(self, schema: Schema, name: str, depth: int) -> Iterator[Sampled]:
        first = schema.get("prefixItems", [])
        least = max(schema.get("minItems", 0), len(first))
        usual = least if first or depth > _DEEP else least + self._rng.randint(not least, 2)
        size = min(usual, schema.get("maxItems", usual))
        seen: set[str] = set()
        yield from _fixed("[")
        for at in range(size):
            item = first[at] if at < len(first) else schema.get("items", _ANY)
            tokens = self._fresh(item, name, depth, seen if schema.get("uniqueItems") else None)
            if tokens is None:
                break
            yield from _fixed(", " if at else "")
            yield from tokens
        yield from _fixed("]")

    def _fresh(
        self, item: Any, name: str, depth: int, seen: set[str] | None
    ) -> Iterable[Sampled] | None:
        if seen is None:
            return self._value(item, name, depth + 1)
        for _ in range(_SPAN):
            tokens = list(self._value(item, name, depth + 1))
            text = "".join(token.text for token in tokens)
            if text not in seen:
                seen.add(text)
                return tokens
        return None

    def _object(self, schema: Schema, _: str, depth: int) -> Iterator[Sampled]:
        properties = cast("Schema", schema.get("properties", {}))
        required = schema.get("required", [])
        kept = {
            name: properties.get(name, _ANY)
            for name in [*properties, *(name for name in required if name not in properties)]
            if name in required or (depth <= _DEEP and self._rng.random() < 0.5)  # noqa: PLR2004
        }
        free = schema.get("additionalProperties", False if "properties" in schema else _ANY)
        if free is not False and not kept and depth <= _DEEP:
            kept = {f"key_{at}": free for at in range(1, self._rng.randint(2, 4))}
        yield from _fixed("{")
        for at, (name, member) in enumerate(kept.items()):
            yield from _fixed((", " if at else "") + json.dumps(name) + ": ")
            yield from self._value(member, name, depth + 1)
        yield from _fixed("}")


def check_schema(schema: object, *, param: str) -> Schema:
    """Refuse a schema that is none, or that no answer is known to fit.

    Raises:
        ApiError: it uses a keyword that is not understood, or refers to nothing.
    """
    if not isinstance(schema, dict):
        raise ApiError(f"Invalid schema in '{param}': it must be an object.", param=param)
    root = cast("dict[str, Any]", schema)
    waiting: list[Any] = [root]
    seen: list[int] = []
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict) and id(node) not in seen:
            seen.append(id(node))
            waiting += _inside(_checked(cast("dict[str, Any]", node), root, param))
    return root


def _checked(node: dict[str, Any], root: Schema, param: str) -> dict[str, Any]:
    kinds = node.get("type", [])
    unknown = {*([kinds] if isinstance(kinds, str) else kinds)} - _TYPES
    if beyond := sorted(node.keys() & _BEYOND | unknown):
        message = f"Invalid schema in '{param}': '{beyond[0]}' is not supported."
        raise ApiError(message, param=param, code=_INVALID)
    if "$ref" in node:
        try:
            _resolve(node["$ref"], root)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            message = f"Invalid schema in '{param}': nothing is at '{node['$ref']}'."
            raise ApiError(message, param=param, code=_INVALID) from error
    return node


def _inside(node: dict[str, Any]) -> Iterator[Any]:
    for name in ("properties", "$defs", "definitions"):
        yield from node.get(name, {}).values()
    for name in ("anyOf", "oneOf", "allOf", "prefixItems"):
        yield from node.get(name, [])
    yield from (node.get("items"), node.get("additionalProperties"))


def _resolve(reference: str, root: Schema) -> Any:
    found: Any = root
    for step in reference.removeprefix("#").split("/")[1:]:
        found = found[step.replace("~1", "/").replace("~0", "~")]
    return found


def _flatten(schema: Any, root: Schema) -> dict[str, Any]:
    if not isinstance(schema, dict):
        return dict(_ANY)
    own = cast("dict[str, Any]", schema)
    parts = [_flatten(part, root) for part in own.get("allOf", [])]
    if "$ref" in own:
        parts.append(_flatten(_resolve(own["$ref"], root), root))
    merged: dict[str, Any] = {}
    for part in [*parts, {key: own[key] for key in own if key not in {"$ref", "allOf"}}]:
        properties = {**merged.get("properties", {}), **part.get("properties", {})}
        required = [*merged.get("required", []), *part.get("required", [])]
        merged |= part
        merged |= {"properties": properties} if properties else {}
        merged |= {"required": required} if required else {}
    return merged


def _kinds(schema: Schema) -> list[str]:
    kind = schema.get("type")
    if isinstance(kind, list):
        return cast("list[str]", kind)
    if kind:
        return [kind]
    if "properties" in schema:
        return ["object"]
    return ["array"] if "items" in schema else list(_ANY["type"])


def _weight(schema: Schema) -> int:
    kinds = _kinds(schema)
    if "enum" in schema or "const" in schema or "null" in kinds:
        return 0
    return 1 + sum(kind in {"object", "array"} for kind in kinds)


def _bounds(schema: Schema, unit: float) -> tuple[float, float]:
    lows = [schema[key] for key in ("minimum",) if key in schema]
    lows += [schema["exclusiveMinimum"] + unit / 2] if "exclusiveMinimum" in schema else []
    highs = [schema[key] for key in ("maximum",) if key in schema]
    highs += [schema["exclusiveMaximum"] - unit / 2] if "exclusiveMaximum" in schema else []
    high = min(highs) if highs else max(lows, default=0) + _SPAN * unit * (100 if unit < 1 else 1)
    return max(lows) if lows else min(0, high - _SPAN * unit), high


def _fixed(text: str, *, logprob: float = 0.0) -> Iterator[Sampled]:
    for at, piece in enumerate(split(text)):
        yield Sampled(text=piece, token=piece, logprob=0.0 if at else logprob)


def _moment(rng: Random) -> datetime:
    return datetime(2000, 1, 1, tzinfo=UTC) + timedelta(
        days=rng.randrange(_DAYS), seconds=rng.randrange(86_400)
    )


_FORMATS: dict[str, Callable[[Random], str]] = {
    "date": lambda rng: _moment(rng).date().isoformat(),
    "date-time": lambda rng: _moment(rng).isoformat(),
    "time": lambda rng: _moment(rng).timetz().isoformat(),
    "duration": lambda rng: f"P{rng.randint(1, 30)}D",
    "email": lambda rng: f"person{rng.randrange(1000)}@example.com",
    "uri": lambda rng: f"https://example.com/{rng.randrange(1000)}",
    "ipv4": lambda rng: f"192.0.2.{rng.randint(1, 254)}",
    "uuid": lambda rng: str(UUID(int=rng.getrandbits(128), version=4)),
}
