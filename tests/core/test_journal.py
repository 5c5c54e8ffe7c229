"""Tests of `idemkit.core.journal`: which step is which, and what is known of it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from idemkit.core.journal import Journal, fingerprint_of
from idemkit.errors import NonDeterministicStepError
from idemkit.protocol import Entry

MEANT = Entry("pay#0", b"five")
TAKEN = Entry("pay#0", b"five", "plain", b"receipt")
MAILED = Entry("mail#0", b"text", "plain", b"")


def test_steps_are_counted_by_name() -> None:
    """The n-th of its name, in the order in which they are asked for."""
    journal = Journal()
    names = [journal.name(step, None) for step in ("pay", "mail", "pay")]
    assert ["pay#0", "mail#0", "pay#1"] == names


def test_steps_are_counted_across_threads() -> None:
    """No number is given twice."""
    journal = Journal()
    with ThreadPoolExecutor(8) as pool:
        names = set(pool.map(lambda _: journal.name("pay", None), range(200)))
    assert {f"pay#{number}" for number in range(200)} == names


@pytest.mark.parametrize("key", ["ada@example.org", 5, 0, "", ("a", 1)], ids=repr)
def test_step_with_a_key_has_the_same_name_each_time(key: object) -> None:
    """It is neither counted nor named in plain text."""
    journal = Journal()
    first, again = journal.name("mail", key), journal.name("mail", key)
    head, digest = first.split(":")
    assert (first, "mail", 32) == (again, head, len(digest))


def test_keys_tell_steps_apart() -> None:
    """Different keys and different steps are different."""
    journal = Journal()
    names = {journal.name(step, key) for step in ("pay", "mail") for key in ("a", "b", 1, True)}
    assert 8 == len(names)


def test_what_earlier_attempts_wrote_is_found() -> None:
    """A claim brings it along."""
    assert TAKEN == Journal([TAKEN, MAILED]).find("pay#0", b"five")


def test_what_nobody_wrote_is_not_found() -> None:
    """Most steps are new."""
    assert None is Journal([MAILED]).find("pay#0", b"five")


def test_what_this_attempt_writes_is_found() -> None:
    """A result takes the place of its intent."""
    journal = Journal()
    journal.add([MEANT])
    journal.add([TAKEN])
    assert TAKEN == journal.find("pay#0", b"five")


def test_intent_that_is_withdrawn_is_not_found() -> None:
    """Whoever knows that nothing was begun is in no doubt."""
    journal = Journal([MEANT])
    journal.withdraw(MEANT)
    assert () == journal.entries()


@pytest.mark.parametrize("entries", [[TAKEN], []], ids=["done", "never meant"])
def test_nothing_but_an_intent_is_withdrawn(entries: list[Entry]) -> None:
    """What is done stays so."""
    journal = Journal(entries)
    journal.withdraw(MEANT)
    assert tuple(entries) == journal.entries()


def test_step_that_was_not_begun_does_not_count() -> None:
    """The next of its name is the same one."""
    journal = Journal()
    journal.name("pay", None)
    journal.give_back(journal.name("pay", None))
    assert "pay#1" == journal.name("pay", None)


@pytest.mark.parametrize("name", ["pay#0", "pay:abc"])
def test_number_that_is_not_the_last_is_not_given_back(name: str) -> None:
    """No number is given twice, and a key has none."""
    journal = Journal()
    for _ in range(2):
        journal.name("pay", None)
    journal.give_back(name)
    assert "pay#2" == journal.name("pay", None)


def test_other_arguments_are_refused() -> None:
    """The error names the step and a way out."""
    with pytest.raises(NonDeterministicStepError, match=r"'pay#0'.*key="):
        Journal([TAKEN]).find("pay#0", b"six")


def test_step_that_is_refused_does_not_count() -> None:
    """Who asks again with other arguments is refused again."""
    journal = Journal([TAKEN])
    with pytest.raises(NonDeterministicStepError):
        journal.find(journal.name("pay", None), b"six")
    assert "pay#0" == journal.name("pay", None)


def test_entries_come_in_the_order_of_their_writing() -> None:
    """An entry that is written again stays where it was."""
    journal = Journal([MEANT])
    journal.add([MAILED, TAKEN])
    assert (TAKEN, MAILED) == journal.entries()


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((6,), {}), ((5, 5), {}), ((), {"amount": 5}), ((5,), {"amount": 5}), ((5.0,), {})],
    ids=repr,
)
def test_fingerprint_tells_arguments_apart(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Value, type, number and name all count."""
    assert fingerprint_of("pay", (5,), {}) != fingerprint_of("pay", args, kwargs)


def test_fingerprint_tells_steps_apart() -> None:
    """So does the step's name."""
    assert fingerprint_of("pay", (5,), {}) != fingerprint_of("mail", (5,), {})


def test_fingerprint_is_free_of_the_order_of_names() -> None:
    """Arguments by name come in any order."""
    one, other = {"a": 1, "b": 2}, {"b": 2, "a": 1}
    assert fingerprint_of("pay", (), one) == fingerprint_of("pay", (), other)


def test_argument_without_a_form_counts_by_its_class() -> None:
    """One client is as good as another, but not as good as something else."""
    one, same = fingerprint_of("pay", (object(),), {}), fingerprint_of("pay", (object(),), {})
    other = fingerprint_of("pay", (lambda: 5,), {})
    assert (True, True) == (one == same, one != other)
