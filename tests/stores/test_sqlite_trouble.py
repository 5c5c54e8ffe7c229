"""Files the SQLite store cannot use: away, read-only, damaged, taken from it, on a full disk."""

import os
import resource
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from idemkit import Idempotency
from idemkit.core.colour import drive
from idemkit.errors import StoreError, StoreFullError, StoreUnavailableError
from idemkit.protocol import Acquired, Done, Standing
from idemkit.stores.sqlite import SQLiteStore
from tests.commands import OTHER, claim, completion
from tests.stand_ins import in_child
from tests.stores.sqlite_files import beside, finish, own, sound

NOBODY = 65534
GARBAGE = b"\xa5 garbage" * 1000

Open = Callable[..., SQLiteStore]


@pytest.fixture
def used(another: Open, file: Path) -> bytes:
    """Fill the file, close it, and return what is in it."""
    store = another()
    finish(store, ttl=1_000_000)
    drive(store.close())
    return file.read_bytes()


def refused(store: SQLiteStore, verb: str = "claim") -> str:
    """Return what a caller is told."""
    words: dict[str, tuple[Any, ...]] = {"claim": ("a", claim(OTHER)), "open": (), "peek": ("a",)}
    with pytest.raises(StoreUnavailableError) as caught:
        drive(getattr(store, verb)(*words[verb]))
    return str(caught.value)


# ------------------------------------------------------------------------------- no file


@pytest.mark.parametrize("verb", ["claim", "open", "peek"])
def test_folder_that_is_missing(file: Path, verb: str) -> None:
    """Each verb says which file it was, and that folders are not made."""
    path = file.parent / "missing" / "records.db"
    assert refused(SQLiteStore(path), verb) == (
        f"{str(path)!r} cannot be opened for writing (unable to open database file): its folder "
        "must exist, and the file and the folder must be writable"
    )


def test_folder_that_comes_later(file: Path) -> None:
    """A store outlives the trouble with its file."""
    store = SQLiteStore(file.parent / "missing" / "records.db")
    refused(store)
    (file.parent / "missing").mkdir()
    assert isinstance(drive(store.claim("a", claim())), Acquired)
    drive(store.close())


@pytest.mark.parametrize("verb", ["claim", "open", "peek"])
def test_path_of_a_folder(file: Path, verb: str) -> None:
    """A folder is no file."""
    file.mkdir()
    assert f"{str(file)!r} cannot be opened for writing" in refused(SQLiteStore(file), verb)


# ----------------------------------------------------------------------------- read-only


def as_nobody(ask: Callable[[], object]) -> str:
    """Return what a process is told that may do no more than its files' modes allow."""
    me = os.geteuid()

    def child() -> object:
        os.seteuid(me or NOBODY)
        try:
            return ask()
        finally:
            os.seteuid(me)

    return in_child(child)


@pytest.fixture
def public(file: Path, used: bytes) -> Iterator[Path]:
    """Return the file, in a folder that anybody reaches."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, file.name)
        path.write_bytes(used)
        yield path
        path.parent.chmod(0o700)


def test_file_that_may_only_be_read(public: Path) -> None:
    """What was recorded is not given out as if all were well: opening and claiming say why."""
    content = public.read_bytes()
    public.chmod(0o444)
    public.parent.chmod(0o777)
    told = as_nobody(lambda: [refused(SQLiteStore(public), "open"), refused_new(public)])
    assert 2 == told.count("must be writable")
    assert 2 == told.count(f"{public.name}' cannot be opened for writing")
    assert content == public.read_bytes()


def refused_new(path: Path) -> str:
    """Return what a caller is told whose call is not recorded yet."""
    with pytest.raises(StoreUnavailableError) as caught:
        drive(SQLiteStore(path).claim("new", claim(OTHER)))
    return str(caught.value)


def test_folder_that_may_only_be_read(public: Path) -> None:
    """SQLite's log has no place in it then."""
    content = public.read_bytes()
    public.chmod(0o666)
    public.parent.chmod(0o555)
    told = as_nobody(lambda: refused(SQLiteStore(public), "open"))
    assert f"{str(public)!r} cannot be opened for writing" in told
    assert content == public.read_bytes()


# ------------------------------------------------------------------------------- damaged


def damage_header(content: bytes) -> bytes:
    """Write over the beginning."""
    return GARBAGE[:100] + content[100:]


def no_database(_content: bytes) -> bytes:
    """Put a text in its place."""
    return b"It was a dark and stormy night.\n"


@pytest.mark.parametrize("verb", ["claim", "open", "peek"])
@pytest.mark.parametrize("damage", [damage_header, no_database])
def test_file_that_is_no_database(
    file: Path, used: bytes, damage: Callable[[bytes], bytes], verb: str
) -> None:
    """It is named, its bytes stay as they are, and the way out is said."""
    content = damage(used)
    file.write_bytes(content)
    store = SQLiteStore(file)
    told = refused(store, verb)
    drive(store.close())
    assert told == (
        f"{str(file)!r} is damaged, or no SQLite database at all (file is not a database); nothing "
        "in it was touched: restore it, or move it away to start afresh without what it recorded"
    )
    assert content == file.read_bytes()


@pytest.mark.parametrize("verb", ["claim", "peek"])
def test_table_that_is_damaged(file: Path, used: bytes, verb: str) -> None:
    """Nobody is told that there is no record where the record cannot be read."""
    with beside(file) as connection:
        roots = connection.execute("SELECT rootpage, name FROM sqlite_master WHERE rootpage > 0")
        pages = [root for root, name in roots if "records" in name]
    content = bytearray(used)
    for page in pages:
        content[(page - 1) * 4096 : page * 4096] = GARBAGE[:4096]
    file.write_bytes(content)
    store = SQLiteStore(file)
    told = refused(store, verb)
    drive(store.close())
    assert f"{str(file)!r} is damaged" in told
    assert "(database disk image is malformed)" in told
    assert bytes(content) == file.read_bytes()


def test_damaged_file_that_is_moved_away(file: Path, used: bytes) -> None:
    """The way out is one: the next call starts afresh, in the same process."""
    file.write_bytes(damage_header(used))
    store = SQLiteStore(file)
    refused(store)
    file.rename(file.with_suffix(".damaged"))
    assert isinstance(drive(store.claim("a", claim(OTHER))), Acquired)
    drive(store.close())


# ---------------------------------------------------------------------------------- full


def full(store: SQLiteStore, pages: int) -> None:
    """Let the file grow no further, as on a full disk."""
    store._access.attempt(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}"))


@pytest.fixture(params=["unlimited", "limited"])
def filled(request: pytest.FixtureRequest, another: Open) -> SQLiteStore:
    """Return a store on a full disk that has recorded what there was room for."""
    store = another(**({} if request.param == "unlimited" else {"max_records": 1000}))
    finish(store, "done", ttl=1_000_000)
    own(store, "running")
    full(store, 1)
    with pytest.raises(StoreFullError):
        own_many(store)
    return store


def own_many(store: SQLiteStore) -> None:
    """Claim more than there is room for."""
    [own(store, f"{number}") for number in range(1_000)]


def test_full_disk_refuses_claims(filled: SQLiteStore, file: Path) -> None:
    """It says that the disk is full, and what was recorded is all there."""
    with pytest.raises(StoreFullError) as caught:
        drive(filled.claim("x" * 5000, claim()))
    assert str(caught.value) == (
        f"the disk under {str(file)!r} is full: no new claims until there is room"
    )
    assert isinstance(drive(filled.claim("done", claim(OTHER))), Done)
    assert sound(file)


def test_full_disk_refuses_no_renewal(filled: SQLiteStore) -> None:
    """What runs goes on, and may be given back: neither needs room."""
    assert isinstance(drive(filled.claim("running", claim())), Acquired)
    assert drive(filled.forget("running", 1000))


def test_completion_when_there_is_room_again(filled: SQLiteStore) -> None:
    """A claim that could not complete for want of room is held until it can."""
    owned = own(filled, "running")
    command = completion(owned, b"x" * 100_000)
    with pytest.raises(StoreFullError):
        drive(filled.complete("running", command))
    full(filled, 10_000)
    assert Standing.HELD is drive(filled.complete("running", command))


@pytest.mark.slow
def test_paid_value_outlives_a_full_disk(file: Path) -> None:
    """Whoever called gets its value, and is told that it is not recorded."""
    store = SQLiteStore(file)
    with Idempotency(store, lease=1) as idem:

        @idem.idempotent
        def charge(amount: int) -> str:
            full(store, 1)
            return "x" * amount

        outcome = charge.outcome(100_000)
    assert ("x" * 100_000, False) == (outcome.value, outcome.recorded)


def test_value_is_recorded_as_soon_as_there_is_room(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full for a moment costs nothing."""
    store = SQLiteStore(file)
    complete, refusals = store.complete, []

    async def watched(*words: Any) -> Standing:
        try:
            return await complete(*words)
        except StoreFullError as error:
            refusals.append(type(error))
            full(store, 10_000)
            raise

    monkeypatch.setattr(store, "complete", watched)
    with Idempotency(store) as idem:

        @idem.idempotent
        def charge(amount: int) -> str:
            full(store, 1)
            return "x" * amount

        outcomes = [charge.outcome(100_000) for _ in range(2)]
    assert ([True, True], ["executed", "replayed"], [StoreFullError]) == (
        [outcome.recorded for outcome in outcomes],
        [outcome.kind for outcome in outcomes],
        refusals,
    )


def test_disk_that_takes_no_more_writes(file: Path, another: Open) -> None:
    """Where the system refuses to let the log grow, nothing is lost and nothing is half done."""
    finish(another(), ttl=1_000_000)
    drive(another().close())

    def child() -> list[str]:
        store = another()
        drive(store.open())
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, unlimited[1]))
        told = [claimed(store, f"{number}") for number in range(10)]
        told.append(claimed(store, "a"))
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        return told

    told = in_child(child)
    assert f"StoreUnavailableError: SQLite failed on {str(file)!r}: disk I/O error" in told
    assert told.endswith("'Done']")
    assert sound(file)
    assert isinstance(drive(another().claim("after", claim())), Acquired)


def claimed(store: SQLiteStore, address: str) -> str:
    """Return what becomes of a claim."""
    try:
        return type(drive(store.claim(address, claim(OTHER)))).__name__
    except StoreError as error:
        return f"{type(error).__name__}: {error}"


def test_error_that_is_no_error_of_sqlites(
    sqlite_store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that fails, say, is no trouble with the file, and leaves no transaction behind."""

    def broken() -> int:
        raise LookupError("no clock")

    own(sqlite_store)
    monkeypatch.setattr(sqlite_store, "_clock", broken)
    with pytest.raises(LookupError, match="no clock"):
        drive(sqlite_store.forget("a", 1000))
    with beside(sqlite_store.path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        assert isinstance(connection, sqlite3.Connection)
