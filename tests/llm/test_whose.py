"""Tests of `idemkit.llm.whose`: where a request goes, and on whose account."""

import pytest

from idemkit.core.keys import canonical
from idemkit.llm import Request, whose
from tests.llm.wire import CHAT, GENERATE, OPENAI, OTHER, STREAM_GENERATE, post

HEADERS = [
    "authorization",
    "x_api_key",
    "api_key",
    "x_goog_api_key",
    "openai_organization",
    "openai_project",
    "anthropic_workspace_id",
    "anthropic_user_profile_id",
    "x_goog_user_project",
]


@pytest.mark.parametrize("name", HEADERS)
def test_accounts_stay_apart(name: str) -> None:
    """Two credentials, organizations or projects never share an answer."""
    one, other = (whose(post(CHAT, **{name: value})) for value in ("alice", "bob"))
    assert one != other


@pytest.mark.parametrize(
    "url", [OTHER, f"{OPENAI}/responses", CHAT.replace("api", "eu.api"), f"{CHAT}?api-version=2"]
)
def test_places_stay_apart(url: str) -> None:
    """Origin, path and query tell where a request goes."""
    assert whose(post(CHAT)) != whose(post(url))


@pytest.mark.parametrize("name", ["x_stainless_retry_count", "cookie", "user_agent", "traceparent"])
def test_other_headers_do_not_count(name: str) -> None:
    """What varies from one attempt to the next tells nothing of an account."""
    assert whose(post(CHAT)) == whose(post(CHAT, **{name: "1"}))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"{CHAT}?a=1&b=2", f"{CHAT}?b=2&a=1"),
        (CHAT, CHAT.replace("api.openai.com", "API.openai.com:443")),
        (STREAM_GENERATE, STREAM_GENERATE.replace("?alt=sse", "")),
        (CHAT, f"{CHAT}#stream"),
    ],
)
def test_one_place_has_many_urls(one: str, other: str) -> None:
    """The order of a query does not count, nor how a host is written, nor a form of answers."""
    assert whose(post(one)) == whose(post(other))


def test_alt_counts_elsewhere() -> None:
    """What is a form of answers to one provider may be anything to another."""
    assert whose(post(CHAT)) != whose(post(f"{CHAT}?alt=sse"))


@pytest.mark.parametrize("name", ["key", "api-key", "api_key", "subscription-key", "access_token"])
def test_credentials_in_the_query_are_credentials(name: str) -> None:
    """They tell callers apart, and only if credentials are to do that."""
    one, other = (post(f"{GENERATE}?{name}={value}") for value in ("alice", "bob"))
    assert [True, False] == [
        whose(one, credential=counts) != whose(other, credential=counts) for counts in (True, False)
    ]


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(post(CHAT, authorization="Bearer sk-secret"), id="header"),
        pytest.param(post(f"{GENERATE}?key=sk-secret"), id="query"),
        pytest.param(post(CHAT.replace("//", "//me:sk-secret@")), id="host"),
    ],
)
def test_credentials_are_not_told(request_: Request) -> None:
    """Nobody can read a credential from what tells callers apart."""
    assert b"sk-secret" not in canonical(whose(request_))


def test_credentials_can_be_left_out() -> None:
    """Keys of one project can be one caller."""
    one, other = (post(CHAT, authorization=key, openai_project="p") for key in ("a", "b"))
    assert whose(one, credential=False) == whose(other, credential=False)
