"""Results come back as exactly what they were, as fresh copies, from bytes of every version."""

import datetime as dt
import functools
import io
import json
import math
import struct
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import KW_ONLY, InitVar, dataclass, field
from decimal import Decimal
from enum import Enum, Flag, IntEnum, auto
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Generic, NamedTuple, TypedDict, TypeVar
from uuid import UUID, uuid1
from zoneinfo import ZoneInfo

import attrs
import msgspec
import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idemkit.core.codecs import DecodeError, EncodeError, TypedCodec, codec_for

PINNED = Path(__file__).with_name("fixtures") / "records_v1.json"
T = TypeVar("T")


class Color(Enum):
    """A plain enumeration with an alias."""

    __module__ = "app"
    RED = "red"
    CRIMSON = "red"  # noqa: PIE796


class Level(IntEnum):
    """Members that equal integers."""

    __module__ = "app"
    LOW = 1


class Access(Flag):
    """Members that combine."""

    __module__ = "app"
    READ = auto()
    WRITE = auto()


class Usage(NamedTuple):
    """A tuple with names."""

    prompt: int
    completion: int = 0


class Row(TypedDict):
    """A dict whose values have types."""

    color: Color


@dataclass(frozen=True)
class Cat:
    """A class whose instances meet those of another in one place of a set."""

    def __hash__(self) -> int:
        return 1


@dataclass(frozen=True)
class Dog(Cat):
    """The other one."""

    __hash__ = Cat.__hash__


@dataclass
class Reply:
    """A plain dataclass."""

    text: str
    score: float = 0.0
    tags: list[str] = field(default_factory=list)


@dataclass
class LongReply(Reply):
    """A class below another one."""

    pages: int = 1


@dataclass(frozen=True, slots=True)
class Frozen:
    """A dataclass without a `__dict__`."""

    number: int
    inner: "Frozen | None" = None


@dataclass
class Derived:
    """A dataclass whose constructor does more than assign."""

    seed: InitVar[int]
    _: KW_ONLY
    name: str
    total: int = field(init=False, default=0)

    def __post_init__(self, seed: int) -> None:
        """Keep what the field list does not show."""
        self.total = seed * 2
        self.seen = [seed]


@dataclass
class Box(Generic[T]):
    """A generic dataclass."""

    item: T


@attrs.define
class Account:
    """An attrs class with a private name and a converter."""

    _owner: str = attrs.field(converter=str.upper)
    limit: int = 3


@attrs.frozen(cache_hash=True)
class Hashed:
    """An attrs class that keeps its hash."""

    name: str


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A Struct whose constructor counts."""

    x: int
    y: int = 0

    def __post_init__(self) -> None:
        """Move the point, as a badly behaved constructor does."""
        msgspec.structs.force_setattr(self, "y", self.y + 1)


class Loose(msgspec.Struct, dict=True):
    """A Struct that takes further attributes."""

    x: int


class Inner(pydantic.BaseModel):
    """A model inside another one."""

    color: Color


class Message(pydantic.BaseModel):
    """A model with everything that validation would get wrong a second time."""

    model_config = pydantic.ConfigDict(extra="allow", populate_by_name=True)
    text: str = pydantic.Field(alias="content")
    inner: Inner | None = None
    amount: float = 0.0
    _secret: list[int] = pydantic.PrivateAttr(default_factory=lambda: [7])

    @pydantic.field_validator("text")
    @classmethod
    def shout(cls, text: str) -> str:
        """Change the text each time it is validated."""
        return text + "!"


class Page(pydantic.BaseModel, Generic[T]):
    """A generic model."""

    items: list[T]


@pydantic.dataclasses.dataclass
class Checked:
    """A dataclass with validation."""

    count: int


MODELS = (
    Color | Level | Access | Usage | Row | Reply | Frozen | Derived | Box[int] | Account | Hashed
    | Point | Loose | Message | Page[Reply] | Checked
)  # fmt: skip


def model_codec() -> TypedCodec:
    """Return a codec that knows all classes of this module."""
    return TypedCodec(MODELS)


def described(value: Any) -> Any:  # noqa: C901, PLR0911
    """Return the types and parts of a value, so that `==` sees every difference."""
    kind = type(value)
    match value:
        case float():
            return kind, struct.pack(">d", value)
        case complex():
            return kind, described(value.real), described(value.imag)
        case Decimal():
            return kind, value.as_tuple()
        case dt.datetime() | dt.time():
            zone = type(value.tzinfo), repr(value.tzinfo)
            return kind, value.replace(tzinfo=None), value.fold, zone
        case set() | frozenset():
            return kind, sorted(map(repr, map(described, value)))
        case dict():
            return kind, [(described(key), described(item)) for key, item in value.items()]
        case list() | tuple():
            return kind, [described(item) for item in value]
        case np.ndarray():
            return kind, value.dtype, value.shape, value.tobytes()
        case Enum() | np.generic():
            return kind, repr(value)
        case _ if kind.__module__ in (__name__, "app"):
            return kind, described(object.__getstate__(value))
        case _:
            return kind, value


def round_trip(value: Any) -> Any:
    """Return what a replay of a value is."""
    codec = model_codec()
    return codec.decode(codec.encode(value))


BUILT_IN = [
    None,
    True,
    False,
    0,
    1,
    -(2**63),
    2**64 - 1,
    2**64,
    -(10**40),
    1.0,
    -0.0,
    math.nan,
    -math.inf,
    "",
    "text",
    "naïve ☃",
    "lone \udc80",
    b"",
    b"\x00\xff",
    bytearray(b"ab"),
    1j,
    complex(-0.0, math.nan),
    Decimal("1.10"),
    Decimal("-0E+7"),
    Decimal("sNaN12"),
    [],
    (),
    set(),
    frozenset(),
    {},
    [1, "a", [None, {"a": b"b"}]],
    (1, (2.0, [3])),
    {1, "a", None},
    frozenset({(1, 2), frozenset({3})}),
    {"b": 1, "a": 2},
    {1: "a", 2.5: "b", None: (), (1, "x"): {}},
    {"\udc80": 2**70},
    [2**64, "ok"],
    dt.date(1, 1, 1),
    dt.datetime(2024, 2, 29, 1, 2, 3, 4),  # noqa: DTZ001
    dt.datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
    dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
    dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=-3, microseconds=5), "X")),
    dt.time(23, 59, 59, 999999, fold=1),
    dt.time(1, tzinfo=dt.timezone(dt.timedelta(minutes=90))),
    dt.timedelta(days=-1, microseconds=1),
    dt.UTC,
    ZoneInfo("Asia/Tokyo"),
    UUID(int=5),
    uuid1(),
    PurePosixPath("a/../b"),
    PureWindowsPath("C:/x"),
    Path(),
    np.float64(1.5),
    np.bool_(1),
    np.int8(-3),
    np.str_("ab"),
    np.datetime64("2024-01-01T00:00", "ns"),
    np.array(5),
    np.arange(6, dtype=">i2").reshape(2, 3),
    np.zeros((0, 3), dtype=np.complex64),
    np.array(["a", "bcd"]),
]


@pytest.mark.parametrize(
    "value", BUILT_IN, ids=[f"{index}-{type(v).__name__}" for index, v in enumerate(BUILT_IN)]
)
def test_built_in_value_needs_no_annotation(value: Any) -> None:
    """Values of built-in types come back as themselves, falsy ones too."""
    codec = TypedCodec()
    assert described(value) == described(codec.decode(codec.encode(value)))


def secretive() -> Message:
    """Return a model with an extra value, a private one, and one no validator would accept."""
    message = Message(content="hi", inner=Inner(color=Color.RED), extra={"a": (1, 2)})
    message._secret.append(8)
    message.amount = 1
    return message


def hashed() -> Hashed:
    """Return an instance that has computed its hash."""
    value = Hashed("a")
    hash(value)
    return value


def loose() -> Loose:
    """Return a Struct with an attribute of its own."""
    value = Loose(1)
    value.__dict__["note"] = (1,)
    return value


INSTANCES: dict[str, Callable[[], Any]] = {
    "enum": lambda: Color.CRIMSON,
    "enums": lambda: [Level.LOW, Access.WRITE, Access.READ | Access.WRITE, Access(0)],
    "namedtuple": lambda: {Color.RED: (Usage(1), Usage(1, completion=2))},
    "int for a float": lambda: Reply("hi", 1, ["a"]),
    "tuple for a str": lambda: Reply("hi", tags=[("x",)]),  # type: ignore[list-item]
    "slots": lambda: Frozen(2**70, Frozen(1)),
    "post-init": lambda: Derived(4, name="a"),
    "generic": lambda: Box(Reply("a")),
    "attrs": lambda: [Account("ann"), Account("ann", limit=4)],
    "Struct": loose,
    "generic model": lambda: Page[Reply](items=[Reply("a")]),
    "validated dataclass": lambda: Checked(count=3),
    "model": secretive,
}


@pytest.mark.parametrize("make", INSTANCES.values(), ids=INSTANCES)
def test_instance_comes_back_as_itself(make: Callable[[], Any]) -> None:
    """Instances of named classes keep class and state, whatever their constructors do."""
    assert described(make()) == described(round_trip(make()))


def test_struct_constructor_changes_nothing() -> None:
    """What `__post_init__` of a Struct does on replay is undone."""
    assert Point(x=1, y=5) == round_trip(Point(x=1, y=5))


def test_cached_hash_is_not_recorded() -> None:
    """A hash that is true in one process only is computed anew in the next."""
    assert (None, {"name": "a", "_attrs_cached_hash": None}) == object.__getstate__(
        round_trip(hashed())
    )


def test_restored_instance_hashes_like_the_original() -> None:
    """An instance that had kept its hash still finds itself in a set."""
    assert {hashed()} == {round_trip(hashed())}


def test_private_state_of_a_model_is_kept() -> None:
    """Fields set, extras and private attributes of a pydantic model all come back."""
    again = round_trip(secretive())
    assert ({"text", "inner", "extra", "amount"}, {"extra": {"a": (1, 2)}}, [7, 8]) == (
        again.model_fields_set,
        again.model_extra,
        again._secret,
    )


@pytest.mark.parametrize(
    ("value", "change"),
    [
        ([[1]], lambda value: value[0].clear()),
        (([1],), lambda value: value[0].clear()),
        ({1: {2: 3}}, lambda value: value[1].clear()),
        ({1}, lambda value: value.clear()),
        (bytearray(b"a"), lambda value: value.clear()),
        (np.zeros(2), lambda value: value.fill(1)),
        (Reply("a", tags=["b"]), lambda value: value.tags.clear()),
    ],
    ids=["list", "tuple", "dict", "set", "bytearray", "array", "dataclass"],
)
def test_replays_are_isolated_copies(value: Any, change: Callable[[Any], None]) -> None:
    """Changing one replay never changes the next one."""
    body = model_codec().encode(value)
    change(model_codec().decode(body))
    assert described(value) == described(model_codec().decode(body))


class Text(str):
    """A class below a built-in one."""

    __slots__ = ()


class Plain:
    """A class that says nothing about its fields."""


class Sized(Usage):
    """A tuple with names and further attributes."""


def sized() -> Sized:
    """Return a tuple with an attribute of its own."""
    value = Sized(1)
    value.note = "x"
    return value


def pseudo_member() -> Color:
    """Return an object that looks like a member and is none."""
    value = object.__new__(Color)
    value._name_, value._value_ = "BLUE", "blue"
    return value


REFUSED: list[tuple[Any, str, str]] = [
    (Text("a"), "Text", ""),
    ({"a": [1, Text("a")]}, "Text", '["a"][1]'),
    ({"": (Plain(),)}, "Plain", "<value 0>[0]"),
    ({(1, Plain()): 1}, "Plain", "<key 0>[1]"),
    ([{1}, frozenset({Plain})], "type", "[1]{…}"),
    (LongReply("a"), "LongReply", ""),
    (Reply("a", tags=[Text("b")]), "Text", ".tags[0]"),
    (Frozen(1, LongReply("a")), "LongReply", ".inner"),  # type: ignore[arg-type]
    ((UUID(int=1), Color.RED, Usage(Plain())), "Plain", "[2].prompt"),  # type: ignore[arg-type]
    (Message(content="a", extra=Plain()), "Plain", '.__pydantic_extra__["extra"]'),
    (OrderedDict(a=1), "OrderedDict", ""),
    ([defaultdict(list)], "defaultdict", "[0]"),
    (ValueError("a"), "ValueError", ""),
    (dt.datetime(1, 1, 1, tzinfo=type("Zone", (dt.tzinfo,), {})()), "Zone", ".tzinfo"),
    (object(), "object", ""),
    (range(3), "range", ""),
    (memoryview(b"a"), "memoryview", ""),
    (np.array([None]), "ndarray", ""),
    (np.array([(1, 2.0)], dtype="i4,f8"), "ndarray", ""),
    ([np.str_("a\0")], "str_", "[0]"),
    (np.ma.masked_array([1]), "MaskedArray", ""),
    (sized(), "Sized", ""),
    (pseudo_member(), "Color", ""),
]


@pytest.mark.parametrize(
    ("value", "name", "path"),
    REFUSED,
    ids=[f"{i}-{name}" for i, (_, name, _) in enumerate(REFUSED)],
)
def test_what_would_change_is_refused(value: Any, name: str, path: str) -> None:
    """A value that would not come back as it was is refused by type and place."""
    with pytest.raises(EncodeError) as caught:
        TypedCodec(MODELS | Sized).encode(value)
    assert (name, path) == (caught.value.type_name.rpartition(".")[2], caught.value.path)


def test_refusal_says_what_to_do() -> None:
    """The message names type, place and remedy."""
    with pytest.raises(EncodeError, match=r"Usage at \[0\] cannot .* name its class in the return"):
        TypedCodec().encode([Usage(1, 2)])


@pytest.mark.parametrize("value", [OrderedDict(a=1), Plain()], ids=["OrderedDict", "Plain"])
def test_refusal_does_not_advise_what_would_not_help(value: object) -> None:
    """Naming a class whose state cannot be seen in an annotation changes nothing."""
    with pytest.raises(EncodeError, match="return built-in types or instances of a dataclass"):
        TypedCodec().encode([value])


def test_zone_from_a_file_is_refused() -> None:
    """A time zone that no name leads back to cannot be recorded."""
    utc = b"TZif" + bytes(16) + struct.pack(">6l", 0, 0, 0, 0, 1, 4) + bytes(6) + b"UTC\0"
    nameless = ZoneInfo.from_file(io.BytesIO(utc))
    with pytest.raises(EncodeError, match="read from a file"):
        TypedCodec().encode(nameless)


def test_value_that_contains_itself_is_refused() -> None:
    """A cycle has no end in bytes."""
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(EncodeError, match="contains itself"):
        TypedCodec().encode(cycle)


def test_dict_of_a_typed_dict_names_its_classes() -> None:
    """Classes in the fields of a TypedDict may be recorded."""
    codec = TypedCodec(Row)
    assert {"color": Color.RED} == codec.decode(codec.encode({"color": Color.RED}))


def test_equal_sets_have_equal_bytes() -> None:
    """The order in which a set was filled does not show."""
    codec = TypedCodec()
    assert codec.encode({8, 0, "a"}) == codec.encode({"a", 0, 8})


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.complex_numbers()
    | st.decimals()
    | st.dates()
    | st.datetimes(timezones=st.none() | st.timezones(), allow_imaginary=True)
    | st.times(timezones=st.none() | st.just(dt.UTC))
    | st.timedeltas()
    | st.uuids()
    | st.sampled_from([*Color, *Level, Access.READ | Access.WRITE])
    | st.builds(PurePosixPath, st.text(st.characters(exclude_characters="\0")))
)
HASHABLE = st.recursive(
    SCALARS.filter(lambda value: not (isinstance(value, Decimal) and value.is_snan())),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(), inner, max_size=4)
        | st.dictionaries(HASHABLE, inner, max_size=4)
        | st.sets(HASHABLE, max_size=4)
        | st.builds(Reply, inner, inner, inner)
        | st.builds(Box, inner)
        | st.builds(Usage, inner)
        | st.builds(Message.model_construct, text=inner, extra=inner)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_any_value_comes_back_exactly(value: Any) -> None:
    """Whatever is recorded comes back equal in every part and type."""
    assert described(value) == described(round_trip(value))


@given(VALUES)
def test_recording_a_replay_gives_the_same_bytes(value: Any) -> None:
    """A replay that is recorded again is the same record."""
    body = model_codec().encode(value)
    assert body == model_codec().encode(model_codec().decode(body))


def test_order_in_which_a_set_hands_out_its_items_is_in_no_record() -> None:
    """Equal sets of two classes get equal bytes, though they hand out either class first."""
    one, two = Cat(), Dog()
    codec = TypedCodec(Cat, Dog)
    assert list(frozenset((one, two))) != list(frozenset((two, one)))
    assert codec.encode(frozenset((one, two))) == codec.encode(frozenset((two, one)))


@given(VALUES, st.data())
def test_truncated_record_is_refused(value: Any, data: st.DataObject) -> None:
    """A record that lost its end is never read as something else."""
    body = model_codec().encode(value)
    length = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(DecodeError):
        model_codec().decode(body[:length])


def reading(body: bytes) -> str:
    """Return how reading bytes ends."""
    try:
        model_codec().decode(body)
    except Exception as error:  # noqa: BLE001
        return type(error).__name__
    return "read"


@given(st.sampled_from([b"\x10", b"\x11"]), st.binary())
def test_garbage_fails_in_one_way_only(form: bytes, rest: bytes) -> None:
    """Damaged bytes either happen to be a record or raise DecodeError."""
    assert reading(form + rest) in {"read", "DecodeError"}


@given(VALUES, st.data())
def test_flipped_byte_fails_in_one_way_only(value: Any, data: st.DataObject) -> None:
    """A record with a wrong byte either happens to be another record or raises DecodeError."""
    body = bytearray(model_codec().encode(value))
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    assert reading(bytes(body)) in {"read", "DecodeError"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "empty"),
        (b"\x20\xc0", "newer idemkit .format 2"),
        (b"\x00\xc0", "no record of idemkit"),
        (b"\x12\xc0", "no record of idemkit"),
        (b"\x10", "damaged"),
        (b"\x10\xc1", "damaged"),
        (b"\x10\xc0\xc0", "damaged"),
        (b"\x11\xc0", "damaged"),
        (b"\x11\x92\x90\x80", "untagged"),
        (b"\x11\x92\x90\x93\xa3abc\xc0\xc0", "unknown kind 'abc'"),
        (b"\x11\x92\x91\xa5a.B()\xc0", r"a\.B\(\), which the return annotation does not name"),
    ],
)
def test_foreign_bytes_are_refused_with_a_reason(body: bytes, message: str) -> None:
    """The error says whether the bytes are damaged, newer, or of an unnamed class."""
    with pytest.raises(DecodeError, match=message):
        TypedCodec().decode(body)


def test_changed_class_is_refused() -> None:
    """A record of a class whose fields are others now is not poured into the new shape."""
    body = TypedCodec(Reply).encode(Reply("a"))
    fields = {"__annotations__": {"text": str}, "__module__": Reply.__module__}
    changed = dataclass(type("Reply", (), fields))
    with pytest.raises(DecodeError, match=r"Reply\(text, score, tags\)"):
        TypedCodec(changed).decode(body)


def reply_later() -> "list[Reply]":
    """Have a return annotation that is text."""
    return [Reply("a")]


class Service:
    """Has methods of all kinds."""

    def method(self) -> list[Reply]:
        """Return what is recorded."""
        return reply_later()

    @classmethod
    def of_class(cls) -> "list[Reply]":
        """Return what is recorded."""
        return reply_later()


@functools.wraps(reply_later)
def wrapped() -> Any:
    """Return what is recorded."""
    return reply_later()


@pytest.mark.parametrize(
    "function",
    [reply_later, Service().method, Service.of_class, wrapped, functools.partial(reply_later)],
    ids=["function", "method", "classmethod", "wrapped", "partial"],
)
def test_codec_follows_the_return_annotation(function: Callable[[], Any]) -> None:
    """Functions, methods, wrapped functions and partials are all asked for their annotation."""
    codec = codec_for(function)
    assert function() == codec.decode(codec.encode(function()))


def test_function_without_annotation_is_tagged() -> None:
    """Without an annotation, built-in values are still exact."""
    codec = codec_for(lambda: None)
    assert (1, 2) == codec.decode(codec.encode((1, 2)))


def test_codec_has_a_name() -> None:
    """Records say which codec wrote them."""
    assert "idemkit" == TypedCodec().name


@dataclass
class PinnedReply:
    """A dataclass in pinned records."""

    __module__ = "app"
    text: str
    tokens: int


class PinnedUsage(NamedTuple):
    """A tuple with names in pinned records."""

    prompt: int


class PinnedPoint(msgspec.Struct):
    """A Struct in pinned records."""

    __module__ = "app"
    x: int


class PinnedModel(pydantic.BaseModel):
    """A model in pinned records."""

    __module__ = "app"
    name: str
    color: Color


PinnedUsage.__module__ = "app"
PINNED_VALUES: dict[str, Any] = {
    "none": None,
    "true": True,
    "int": -1,
    "int above 64 bits": 2**64,
    "float": 0.1,
    "nan": math.nan,
    "minus zero": -0.0,
    "str": "é",
    "lone surrogate": "\udc80",
    "bytes": b"\x00",
    "bytearray": bytearray(b"a"),
    "complex": 1 - 2j,
    "Decimal": Decimal("1.10"),
    "plain": {"a": [1, None, "x"], "b": {}},
    "list": [(1,)],
    "tuple": (1, "a", (2,)),
    "set": {1, 2},
    "frozenset": frozenset({"a"}),
    "dict": {1: "a", None: (), "b": b""},
    "date": dt.date(2024, 2, 29),
    "datetime": dt.datetime(2024, 2, 29, 1, 2, 3, 4),  # noqa: DTZ001
    "datetime in a zone": dt.datetime(2024, 10, 27, 2, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
    "time": dt.time(1, 2, tzinfo=dt.timezone(dt.timedelta(hours=1), "X")),
    "timedelta": dt.timedelta(days=-1, seconds=1),
    "utc": dt.UTC,
    "UUID": UUID(int=1),
    "path": PurePosixPath("a/b"),
    "windows path": PureWindowsPath("C:/a"),
    "enum": [Color.RED, Level.LOW],
    "flag": [Access.READ, Access.READ | Access.WRITE],
    "namedtuple": PinnedUsage(1),
    "dataclass": [PinnedReply("a", 1), PinnedReply("b", 2)],
    "Struct": PinnedPoint(1),
    "pydantic": PinnedModel(name="a", color=Color.RED),
    "numpy scalar": np.float32(0.5),
    "numpy array": np.arange(4, dtype="<u2").reshape(2, 2),
}
PINNED_CODEC = TypedCodec(
    Color | Level | Access | PinnedUsage | PinnedReply | PinnedPoint | PinnedModel
)


@pytest.mark.parametrize("name", PINNED_VALUES)
def test_pinned_record_stays_readable(name: str) -> None:
    """Records of format version 1 are read as what they were, for ever."""
    body = bytes.fromhex(json.loads(PINNED.read_text())[name])
    assert described(PINNED_VALUES[name]) == described(PINNED_CODEC.decode(body))


@pytest.mark.parametrize("name", PINNED_VALUES)
def test_pinned_value_has_the_pinned_bytes(name: str) -> None:
    """A change of the bytes needs a new format version."""
    assert json.loads(PINNED.read_text())[name] == PINNED_CODEC.encode(PINNED_VALUES[name]).hex()


def test_all_pinned_records_are_read() -> None:
    """No pinned record is forgotten."""
    assert set(PINNED_VALUES) == set(json.loads(PINNED.read_text()))
