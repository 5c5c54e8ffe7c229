"""Tests of the transports' settings: what makes no sense is refused when they are made."""

from collections.abc import Mapping
from typing import Any

import httpx2
import pytest

from idemkit import Idempotency, Unknown, llm
from idemkit.http.client import AsyncIdempotentTransport, IdempotentTransport
from tests.http.client.callers import CHAT, PROMPT

POOR: list[tuple[type[Exception], Mapping[str, Any]]] = [
    (TypeError, {"ttl": "1"}),
    (ValueError, {"ttl": -1}),
    (ValueError, {"derive": "body"}),
    (ValueError, {"on_duplicate": "ask"}),
    (ValueError, {"wait": -1}),
    (TypeError, {"record": "all"}),
    (TypeError, {"scope": "me"}),
    (ValueError, {"timeout": -1}),
]


@pytest.mark.parametrize("kind", [IdempotentTransport, AsyncIdempotentTransport])
@pytest.mark.parametrize(("error", "settings"), POOR, ids=str)
def test_poor_setting(
    kind: Any, error: type[Exception], settings: Mapping[str, Any], idempotency: Idempotency
) -> None:
    """A wrong type is a TypeError, a wrong value a ValueError that names the setting."""
    with pytest.raises(error, match=next(iter(settings))):
        kind(idempotency=idempotency, **settings)


def test_what_is_no_idempotency() -> None:
    """Nothing else can guard."""
    with pytest.raises(TypeError, match="idempotency must be an Idempotency, not str"):
        IdempotentTransport(idempotency="memory://")  # type: ignore[arg-type]


def test_hook_that_could_only_return_a_value() -> None:
    """A reconcile hook has no answer to give."""
    with (
        Idempotency("memory://", on_abandoned=lambda _: Unknown) as idempotency,
        pytest.raises(TypeError, match="on_abandoned is a hook"),
    ):
        IdempotentTransport(idempotency=idempotency)


@pytest.mark.parametrize("kind", [IdempotentTransport, AsyncIdempotentTransport])
def test_transport_of_another_colour(kind: Any, idempotency: Idempotency) -> None:
    """What cannot send is refused when it is given, not when it is to send."""
    with pytest.raises(TypeError, match=r"transport must have handle_\w+\(\), which object lacks"):
        kind(object(), idempotency=idempotency)


def test_request_of_another_library(idempotency: Idempotency) -> None:
    """Requests are those of httpx2 and httpx."""

    class Request:
        method, headers = "GET", ()

    with (
        IdempotentTransport(idempotency=idempotency) as transport,
        pytest.raises(TypeError, match=r"one of httpx2 or httpx, not .*Request"),
    ):
        transport.handle_request(Request())


def provider(counted: list[bytes]) -> httpx2.MockTransport:
    """Return an upstream that counts."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        counted.append(request.content)
        choice = {"index": 0, "finish_reason": "length", "message": {"content": "…"}}
        return httpx2.Response(200, json={"choices": [choice]})

    return httpx2.MockTransport(answer)


def asked_twice(idempotency: Idempotency, record: Any) -> int:
    """Return how often the same request goes out."""
    counted: list[bytes] = []
    transport = IdempotentTransport(
        provider(counted), idempotency=idempotency, derive="request", record=record
    )
    with httpx2.Client(transport=transport, base_url="http://provider") as client:
        for _ in range(2):
            client.post(CHAT, json=PROMPT)
    return len(counted)


def test_record_says_what_is_kept(idempotency: Idempotency) -> None:
    """An answer that was cut off is not kept if the user says so."""
    assert 2 == asked_twice(idempotency, lambda result: "length" not in result.finish_reasons)


def test_record_that_fails(idempotency: Idempotency, caplog: pytest.LogCaptureFixture) -> None:
    """What was paid for is kept, and the log tells of the predicate."""
    assert 1 == asked_twice(idempotency, lambda _: 1 / 0)
    assert ["record failed, and so the answer is kept"] == caplog.messages


def numbers(idempotency: Idempotency, scope: Any, asked: list[dict[str, str]]) -> list[int]:
    """Return which upstream call answers each request, told apart by its header fields."""
    counted: list[bytes] = []
    transport = IdempotentTransport(
        provider(counted), idempotency=idempotency, derive="request", scope=scope
    )
    answers = []
    with httpx2.Client(transport=transport, base_url="http://provider") as client:
        for fields in asked:
            client.post(CHAT, json=PROMPT, headers=fields)
            answers.append(len(counted))
    return answers


def test_credentials_tell_callers_apart(idempotency: Idempotency) -> None:
    """The same request of somebody else is another."""
    asked = [{"authorization": "Bearer a"}, {"authorization": "Bearer b"}, {"api-key": "a"}]
    assert [1, 2, 3, 3] == numbers(idempotency, None, [*asked, asked[0]])


def test_scope_stands_for_credentials(idempotency: Idempotency) -> None:
    """A token that was renewed makes nobody else of its owner, and a header may tell owners."""

    def tenant(request: llm.Request) -> str:
        return request.values("x-tenant")[0]

    asked = [
        {"authorization": "Bearer 1", "x-tenant": "a"},
        {"authorization": "Bearer 2", "x-tenant": "a"},
        {"authorization": "Bearer 2", "x-tenant": "b"},
    ]
    assert [1, 1, 2] == numbers(idempotency, tenant, asked)


def test_scope_that_is_no_text(idempotency: Idempotency) -> None:
    """Nothing else can tell callers apart."""
    with pytest.raises(TypeError, match="scope must return text, not int"):
        numbers(idempotency, lambda _: 1, [{}])
