"""Canonical bytes are equal for equal values of equal types, and for no others."""

import datetime as dt
import enum
import functools
import math
import pathlib
import sys
import uuid
from collections import Counter, OrderedDict, UserDict, defaultdict, namedtuple
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypedDict, TypeVar
from zoneinfo import ZoneInfo

import attrs
import msgspec
import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idemkit.core.keys.canonical import CanonicalTypeError, canonical, digest, has_form
from idemkit.core.keys.forms import MAX_DEPTH, lower
from idemkit.core.keys.scalars import Tag, encode

T = TypeVar("T")

SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.integers(min_value=2**63 - 2, max_value=2**64 + 2),
    st.floats(),
    st.sampled_from([0.0, -0.0, 1.0, 2.0]),
    st.text(st.characters(categories=None), max_size=3),
    st.binary(max_size=3),
    st.decimals().filter(lambda value: not value.is_snan()),  # has no hash
    st.dates(),
    st.datetimes(timezones=st.none() | st.just(dt.UTC)),
    st.timedeltas(),
    st.uuids(),
)
HASHABLE = st.recursive(
    SCALARS,
    lambda children: (
        st.frozensets(children, max_size=2) | st.lists(children, max_size=2).map(tuple)
    ),
    max_leaves=3,
)
VALUES = st.recursive(
    SCALARS,
    lambda children: st.one_of(
        st.lists(children, max_size=3),
        st.lists(children, max_size=3).map(tuple),
        st.frozensets(HASHABLE, max_size=3),
        st.dictionaries(HASHABLE, children, max_size=3),
        st.dictionaries(st.text(max_size=2), children, max_size=3),
    ),
    max_leaves=6,
)


def exact(value: Any) -> Any:
    """Return a hashable model of a value that tells types apart; the oracle of these tests."""
    match value:
        case list() | tuple():
            return "list", tuple(map(exact, value))
        case dict():
            return "dict", frozenset(
                Counter((exact(k), exact(v)) for k, v in value.items()).items()
            )
        case frozenset():
            return "set", frozenset(Counter(map(exact, value)).items())
        case float():
            return "float", "nan" if math.isnan(value) else value.hex()
        case Decimal():
            return "Decimal", str(value)
        case dt.datetime():
            return "datetime", value.isoformat()
        case _:
            return type(value), value


@given(VALUES, VALUES)
def test_bytes_are_equal_just_when_values_are(one: Any, other: Any) -> None:
    """Two values share their bytes if and only if they are the same, types included."""
    assert (exact(one) == exact(other)) == (canonical(one) == canonical(other))


@given(st.lists(VALUES, max_size=3), st.lists(VALUES, max_size=3))
def test_bytes_delimit_themselves(one: list[Any], other: list[Any]) -> None:
    """Values written one after the other cannot be read as other values."""
    joined = [b"".join(map(canonical, values)) for values in (one, other)]
    assert (exact(one) == exact(other)) == (joined[0] == joined[1])


@given(VALUES)
def test_both_ways_give_the_same_bytes(value: Any) -> None:
    """What the quick way writes is what the general way would have written."""
    assert encode(lower(value)) == canonical(value)


@given(st.dictionaries(HASHABLE, SCALARS, max_size=5))
def test_order_of_a_dict_does_not_matter(value: dict[Any, Any]) -> None:
    """A dict that was filled backwards is the same dict."""
    assert canonical(value) == canonical(dict(reversed(value.items())))


@given(st.lists(st.integers(0, 2**70), unique=True, max_size=6))
def test_order_of_a_set_does_not_matter(items: list[int]) -> None:
    """A set is its items, and frozen it is no other."""
    assert canonical(set(items)) == canonical(frozenset(reversed(items)))


@given(st.lists(VALUES, max_size=4))
def test_list_is_tuple(items: list[Any]) -> None:
    """JSON clients cannot tell them apart, so neither do keys."""
    assert canonical(items) == canonical(tuple(items))


LOOKALIKES = [True, 1, 1.0, "1", b"1", Decimal(1), [1], {1}, None, {1: 1}, {"1": 1}, 1 + 0j, False]


@pytest.mark.parametrize(
    "wrap",
    [lambda v: v, lambda v: [v], lambda v: {"a": [{"b": v}, v]}],
    ids=["bare", "item", "deep"],
)
def test_lookalikes_never_collide(wrap: Any) -> None:
    """What `==` or a serializer confuses has bytes of its own, at any depth."""
    assert len(LOOKALIKES) == len({canonical(wrap(value)) for value in LOOKALIKES})


class Color(enum.Enum):
    """An enumeration whose values look like plain ones."""

    RED = "red"
    BLUE = "blue"


class Word(enum.StrEnum):
    """Members that are equal to plain strings."""

    RED = "red"


class Mode(enum.Flag):
    """Flags, which combine to members without a name."""

    READ = 1
    WRITE = 2


class Text(str):
    """A string of another class."""

    __slots__ = ()


class Tagged(str):  # noqa: SLOT000  # has attributes on purpose
    """A string that carries an attribute."""

    lang: str


class Point(NamedTuple):
    """A tuple with a class of its own."""

    x: int
    y: int


class Stack(list[Any]):
    """A list that hides its items."""

    __iter__ = None  # type: ignore[assignment]


class Later(dt.datetime):
    """A datetime of another class."""


class Chat(TypedDict):
    """What is a plain dict at run time."""

    role: str


@dataclass
class Pair:
    """Two fields."""

    x: int
    y: Any = None
    cache: Any = field(default=None, compare=False)


@dataclass(slots=True)
class Couple:
    """The same two fields, and one that is not always there."""

    x: int
    y: Any = None
    late: int = field(init=False)


class Triple(Pair):
    """A plain subclass that keeps more than it inherits."""

    def __init__(self, x: int, z: int) -> None:
        super().__init__(x)
        self.z = z

    @functools.cached_property
    def total(self) -> int:
        """Something kept for later."""
        return self.x + self.z


@attrs.define
class Attrs:
    """An attrs class."""

    x: int


class Struct(msgspec.Struct):
    """A msgspec struct with an optional field."""

    x: int
    y: int | msgspec.UnsetType = msgspec.UNSET


class Model(pydantic.BaseModel):
    """A pydantic model that accepts extra fields and has a private one."""

    model_config = pydantic.ConfigDict(extra="allow")

    x: int
    old: int = pydantic.Field(0, deprecated=True)
    _secret: object = pydantic.PrivateAttr(default_factory=object)


class Strict(pydantic.BaseModel):
    """A pydantic model without extra fields."""

    x: int


@pydantic.dataclasses.dataclass
class Checked:
    """A dataclass of pydantic's."""

    x: int


class Keyed:
    """An object that says what identifies it."""

    def __init__(self, key: object) -> None:
        self.key = key

    def __idempotency_key__(self) -> object:
        return self.key


class Box(list[T], Generic[T]):
    """A generic list."""


class Config(UserDict[str, int]):
    """A mapping that is no dict."""


class Headers(Config):
    """A mapping that may hold several values per key."""

    getlist = Config.get


def tagged(text: str, lang: str) -> Tagged:
    """Return a string with an attribute."""
    value = Tagged(text)
    value.lang = lang
    return value


def summed(triple: Triple) -> Triple:
    """Return an instance whose cached property is filled."""
    assert triple.x + triple.z == triple.total
    return triple


NOW = dt.datetime(2026, 1, 2, 3, 4, 5, 6)  # noqa: DTZ001  # naive on purpose
OTHER_POINT = namedtuple("OtherPoint", "x y")  # noqa: PYI024  # the untyped kind

DIFFERENT: dict[str, tuple[Any, Any]] = {
    "negative zero": (-0.0, 0.0),
    "member and its value": (Color.RED, "red"),
    "members": (Color.RED, Color.BLUE),
    "members of two classes": (Color.RED, Word.RED),
    "member that is a str": (Word.RED, "red"),
    "flags": (Mode.READ | Mode.WRITE, Mode.READ),
    "no flag": (Mode(0), Mode.READ),
    "subclass of str": (Text("a"), "a"),
    "attribute of a str": (tagged("a", "en"), tagged("a", "de")),
    "subclass as a key": ({Text("a"): 1}, {"a": 1}),
    "subclass of tuple": (Point(1, 2), (1, 2)),
    "two named tuples": (Point(1, 2), OTHER_POINT(1, 2)),
    "items of a list that hides them": (Stack([1]), Stack([2])),
    "subclass of datetime": (Later(2026, 1, 1), dt.datetime(2026, 1, 1)),  # noqa: DTZ001
    "date and midnight": (dt.date(2026, 1, 1), dt.datetime(2026, 1, 1)),  # noqa: DTZ001
    "naive and aware": (NOW, NOW.replace(tzinfo=dt.UTC)),
    "zone and its offset": (NOW.replace(tzinfo=ZoneInfo("UTC")), NOW.replace(tzinfo=dt.UTC)),
    "zones": (ZoneInfo("UTC"), dt.UTC),
    "fold": (NOW, NOW.replace(fold=1)),
    "time and its fold": (NOW.time(), NOW.replace(fold=1).time()),
    "scale of a decimal": (Decimal("1.0"), Decimal("1.00")),
    "path and str": (pathlib.PurePosixPath("a"), "a"),
    "flavors of paths": (pathlib.PurePosixPath("a"), pathlib.PureWindowsPath("a")),
    "UUID and its bytes": (uuid.UUID(int=1), uuid.UUID(int=1).bytes),
    "classes with the same fields": (Pair(1), Couple(1)),
    "libraries": (Attrs(1), Struct(1)),
    "fields": (Pair(1), Pair(2)),
    "fields out of comparison": (Pair(1, cache=1), Pair(1, cache=2)),
    "unset field": (Struct(1), Struct(1, 2)),
    "what a subclass adds": (Triple(1, 2), Triple(1, 3)),
    "extra fields": (Model(x=1, more=1), Model(x=1)),
    "models": (Model(x=1), Strict(x=1)),
    "keys of their own": (Keyed(1), Keyed(2)),
    "key and object": (Keyed(1), 1),
    "mapping and dict": (Config(a=1), {"a": 1}),
    "ranges": (range(3), range(4)),
    "range and list": (range(2), [0, 1]),
    "ellipsis": (..., None),
    "complex": (1j, -1j),
    "numpy and Python": (np.float64(1), 1.0),
    "dtypes": (np.int32(1), np.int64(1)),
    "scalar and array": (np.float64(1), np.array(1.0)),
    "shapes": (np.zeros((2, 3)), np.zeros((3, 2))),
    "complex NaNs": (np.array(complex(math.nan, 1)), np.array(complex(math.nan, 2))),
    "numpy text": (np.str_("a"), np.bytes_(b"a")),
    "units of time": (np.datetime64("2026", "Y"), np.datetime64("2026-01", "M")),
    "surrogate and its bytes": ("\udcff", "\udcff".encode(errors="surrogateescape")),
}

WIDE = np.arange(6, dtype=">i4").reshape(2, 3)

SAME: dict[str, tuple[Any, Any]] = {
    "NaN": (math.nan, -math.nan),
    "NaN of an array": (np.array([math.nan]), np.array([-math.nan])),
    "bytes": (b"ab", bytearray(b"ab")),
    "memory": (memoryview(b"abcd")[::2], b"ac"),
    "dicts": (OrderedDict(a=1), defaultdict(int, a=1)),
    "counter": (Counter("a"), MappingProxyType({"a": 1})),
    "TypedDict": (Chat(role="user"), {"role": "user"}),
    "paths": (pathlib.Path("a/b"), type(pathlib.PurePath())("a", "b")),
    "fixed offset": (dt.timezone(dt.timedelta(hours=1)), dt.timezone(dt.timedelta(hours=1), "X")),
    "ranges": (range(0, 3, 2), range(0, 4, 2)),
    "range of one": (range(1, 2), range(1, 3, 2)),
    "empty ranges": (range(0), range(5, 5)),
    "byte order": (WIDE, WIDE.astype("<i4")),
    "memory order": (WIDE, np.asfortranarray(WIDE)),
    "kept for later": (Triple(1, 2), summed(Triple(1, 2))),
    "deprecated field": (Model(x=1), Model(x=1, old=0)),
    "generic class": (Box([1]), Box[int]([1])),
    "pydantic's zone": (
        pydantic.TypeAdapter(dt.datetime).validate_json('"2026-01-02T03:04:05.000006Z"'),
        NOW.replace(tzinfo=dt.UTC),
    ),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_different_values_differ(case: str) -> None:
    """What a function could tell apart has bytes of its own."""
    one, other = DIFFERENT[case]
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize("case", SAME)
def test_same_values_are_the_same(case: str) -> None:
    """What means the same has the same bytes."""
    one, other = SAME[case]
    assert canonical(one) == canonical(other)


def test_driver_uuids_are_uuids() -> None:
    """A subclass of `UUID` is the same 128 bits."""
    driver = type("DriverUUID", (uuid.UUID,), {})
    assert canonical(uuid.UUID(int=7)) == canonical(driver(int=7))


def test_decimal_context_does_not_matter() -> None:
    """A thread's way of writing exponents changes no key."""
    before = canonical(Decimal("1E+3"))
    with localcontext() as context:
        context.capitals = 0
        assert before == canonical(Decimal("1E+3"))


def test_spawned_main_module_is_the_main_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """A class of the main script has one name in a parent and in its spawned children."""
    monkeypatch.setattr(Pair, "__module__", "__main__")
    before = canonical(Pair(1))
    monkeypatch.setattr(Pair, "__module__", "__mp_main__")
    assert before == canonical(Pair(1))


def test_absent_numpy_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here loads numpy."""
    monkeypatch.delitem(sys.modules, "numpy")
    assert not has_form(np.ndarray)


class Drifting(dt.tzinfo):
    """A zone whose offset depends on the date."""

    def utcoffset(self, _: dt.datetime | None, /) -> None:
        """Know nothing without a date."""


REFUSED: dict[str, tuple[Any, str]] = {
    "function": (print, "value (builtin_function_or_method) has no canonical form"),
    "object": (object(), "value (object) has no canonical form"),
    "class": (int, "value (type) has no canonical form"),
    "generator": ((_ for _ in ()), "value (generator) has no canonical form"),
    "item": ([{"file": object()}], "value[0]['file'] (object) has no canonical form"),
    "field": (Pair(1, [print]), "value.y[0] (builtin_function_or_method) has no canonical form"),
    "key": ({print: 1}, "value key (builtin_function_or_method) has no canonical form"),
    "value of a number": ({1: object()}, "value[1] (object) has no canonical form"),
    "value of an object": ({(): object()}, "value[...] (object) has no canonical form"),
    "item of a set": ({print}, "value{...} (builtin_function_or_method) has no canonical form"),
    "key of its own": (
        Keyed(object()),
        "value.__idempotency_key__() (object) has no canonical form",
    ),
    "object array": (
        np.array([{}]),
        "value (numpy.ndarray) has no canonical form for dtype object",
    ),
    "long double": (
        np.longdouble(1),
        f"value (numpy.longdouble) has no canonical form for dtype {np.dtype(np.longdouble)}",
    ),
    "masked array": (np.ma.array([1]), "value (numpy.ma.MaskedArray) has no canonical form"),
    "numbers in memory": (
        memoryview(b"abcd").cast("I"),
        "value (memoryview) holds something else than a row of bytes; cast it to format 'B'",
    ),
    "several values per key": (
        Headers(a=1),
        f"value ({__name__}.Headers) may hold several values per key; "  # noqa: ISC004
        "pass a list of its pairs instead",
    ),
    "zone without name": (
        NOW.replace(tzinfo=Drifting()),
        f"value ({__name__}.Drifting) has no canonical form",
    ),
    "compiled subclass": (sys.version_info, "value (sys.version_info) has no canonical form"),
    "state in C": (
        functools.partial(print),
        "value (functools.partial) has no canonical form",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusal_says_what_and_where(case: str) -> None:
    """A value without a canonical form is named with its place, and never written by `repr`."""
    value, message = REFUSED[case]
    with pytest.raises(CanonicalTypeError) as caught:
        canonical(value)
    assert message == str(caught.value)


def nested(depth: int, leaf: Any) -> Any:
    """Return a leaf inside so many lists."""
    for _ in range(depth):
        leaf = [leaf]
    return leaf


@pytest.mark.parametrize("leaf", [1, Decimal(1), {"a": 1}, (), {}], ids=repr)
def test_depth_has_one_limit(leaf: Any) -> None:
    """Plain or not, a value may nest as deep as the limit says."""
    levels = MAX_DEPTH - isinstance(leaf, dict | tuple)
    assert canonical(nested(levels, leaf))


@pytest.mark.parametrize("leaf", [1, Decimal(1), {"a": 1}], ids=repr)
def test_deeper_nesting_is_refused(leaf: Any) -> None:
    """Beyond the limit it is refused, before Python gives up."""
    with pytest.raises(CanonicalTypeError, match="deeper than 100 levels"):
        canonical(nested(MAX_DEPTH + 1 - isinstance(leaf, dict), leaf))


def test_recursive_value_is_refused_at_once() -> None:
    """A value that contains itself many times neither explodes nor overflows the stack."""
    value: list[Any] = []
    value.extend([value] * 1000)
    with pytest.raises(CanonicalTypeError, match=r"value(\[0\])+\.\.\. \(list\) .*contains itself"):
        canonical(value)


def test_digest_keeps_its_parts_apart() -> None:
    """Parts do not run into each other."""
    parts = [(b"ab", b"c"), (b"a", b"bc"), (b"abc",), (b"abc", b""), ()]
    assert len(parts) == len({digest(*part) for part in parts})


def test_digest_has_sixteen_bytes() -> None:
    """A digest fits everywhere."""
    assert 16 == len(digest(b"x"))


def test_numbers_of_extensions_are_unique() -> None:
    """No two kinds of values share an extension."""
    assert len(Tag.__members__) == len(set(Tag))


PINNED: list[tuple[Any, str]] = [
    (None, "c0"),
    (
        {"b": [1, -1, 1.5], "a": (True, "é", b"\0")},
        "82a16193c3a2c3a9c40100a1629301ffcb3ff8000000000000",
    ),
    (math.nan, "cb7ff8000000000000"),
    (2**64, "c70901010000000000000000"),
    (-(2**63) - 1, "c70901ff7fffffffffffffff"),
    ("\ud800", "c70302eda080"),
    (1j, "c7130392cb0000000000000000cb3ff0000000000000"),
    (Decimal("1.0"), "c7050491a3312e30"),
    (NOW.replace(tzinfo=dt.UTC), "c7150599cd07ea01020304050600c7070991d60893000000"),
    ({1, 2}, "d5150102"),
    ({1: 2}, "d5140102"),
    (range(3), "d60f93000201"),
    (Color.RED, "d80c9292a3617070a5436f6c6f72a3524544"),
    (Point(1, 2), "c712179392a3617070a5506f696e74920102c70014"),
    (Pair(1), "c71d189292a3617070a450616972d81492a1780192a179c092a56361636865c0"),
    (Keyed(1), "c70d199292a3617070a54b6579656401"),
    (Config(a=1), "c712169292a3617070a6436f6e666967c403a16101"),
    (uuid.UUID(int=1), "d80b00000000000000000000000000000001"),
    (
        pathlib.PurePosixPath("x"),
        "c7030d91a178",
    ),
    (
        NOW.replace(tzinfo=ZoneInfo("Europe/Berlin")),
        "c71d0599cd07ea01020304050600c70f0a91ad4575726f70652f4265726c696e",
    ),
    (dt.date(2026, 1, 2), "c7060693cd07ea0102"),
    (NOW.time(), "c70707960304050600c0"),
    (dt.timedelta(days=-1), "d60893ff0000"),
    (..., "d41090"),
    (np.float64(1), "c70f1f92a33c6638c408000000000000f03f"),
    (np.arange(3, dtype=">i4"), "c7151e93a33c69349103c40c000000000100000002000000"),
]


@pytest.fixture
def stable_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the classes of this module the name it has however it was imported."""
    for cls in (Color, Point, Pair, Keyed, Config):
        monkeypatch.setattr(cls, "__module__", "app")


@pytest.mark.usefixtures("stable_names")
@pytest.mark.parametrize(("value", "pinned"), PINNED, ids=[str(i) for i in range(len(PINNED))])
def test_bytes_are_those_of_format_1(value: Any, pinned: str) -> None:
    """Keys in stores outlive releases: new bytes need a new `FORMAT`."""
    assert pinned == canonical(value).hex()
