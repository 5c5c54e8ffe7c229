"""Tests of `idemkit.llm.whose`: where a request goes, and on whose account."""

from collections.abc import Collection

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
    "apikey",
    "x_apikey",
    "helicone_auth",
    "cf_aig_authorization",
    "modal_key",
    "modal_secret",
    "private_token",
    "token",
    "x_amz_security_token",
    "x_amz_credential",
    "x_auth_token",
    "x_portkey_api_key",
    "azureml_model_deployment",
    "helicone_target_url",
    "x_portkey_config",
    "x_portkey_custom_host",
    "x_portkey_provider",
    "host",
]
QUERY = [
    "key",
    "apikey",
    "api-key",
    "api_key",
    "subscription-key",
    "access_token",
    "Access-Key",
    "auth",
    "auth_token",
    "client_secret",
    "sig",
    "X-Amz-Signature",
    "X-Goog-Credential",
]
OF_NOBODY = [
    "x_stainless_retry_count",
    "x_stainless_api_key",
    "cookie",
    "user_agent",
    "traceparent",
    "idempotency_key",
    "x_idempotency_key",
    "helicone_cache_key",
    "prompt_cache_token",
    "proxy_authorization",
    "author",
    "x_keyboard",
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


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/accounts/a%2Fb", "/accounts/a/b"),
        ("/accounts/a%2Fb", "/accounts/a%252Fb"),
        ("/accounts?id=1&id=2", "/accounts?id=2&id=1"),
    ],
)
def test_what_is_written_for_a_reason(one: str, other: str) -> None:
    """An encoded slash divides nothing, and the values of one name have an order."""
    assert whose(post(f"{OPENAI}{one}")) != whose(post(f"{OPENAI}{other}"))


@pytest.mark.parametrize("name", OF_NOBODY)
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


@pytest.mark.parametrize("host", ["api.openai.com", "API.openai.com", "api.openai.com:443"])
def test_the_usual_host_goes_without_saying(host: str) -> None:
    """Clients name the host of the URL once more."""
    assert whose(post(CHAT)) == whose(post(CHAT, host=host))


@pytest.mark.parametrize(
    ("names", "counts"),
    [((), False), (["X-Tenant-Id"], True), ({"x-tenant-id"}, True), (["x-tenant"], False)],
)
def test_more_headers_can_count(names: Collection[str], counts: bool) -> None:
    """A user's own tenants are told apart if the user says how, also without credentials."""
    one, other = (post(CHAT, x_tenant_id=name) for name in ("alice", "bob"))
    assert counts == (
        whose(one, credential=False, headers=names) != whose(other, credential=False, headers=names)
    )


def signed(key: str, signature: str, day: int = 21) -> object:
    """Return whose a request is that carries a signature of AWS."""
    place = f"{key}/202611{day}/eu-west-1/bedrock/aws4_request"
    told = f"AWS4-HMAC-SHA256 Credential={place}, SignedHeaders=host, Signature={signature}"
    return whose(post(CHAT, authorization=told))


def test_signatures_are_those_of_a_key() -> None:
    """Each attempt is signed anew; what tells callers apart is the key they sign with."""
    assert signed("AKIA1", "5f01") == signed("AKIA1", "c3aa", day=22)
    assert signed("AKIA1", "5f01") != signed("AKIA2", "5f01")


def test_alt_counts_elsewhere() -> None:
    """What is a form of answers to one provider may be anything to another."""
    assert whose(post(CHAT)) != whose(post(f"{CHAT}?alt=sse"))


@pytest.mark.parametrize("name", QUERY)
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
        pytest.param(post(CHAT, helicone_auth="sk-secret"), id="gateway"),
        pytest.param(post(CHAT, x_tenant="sk-secret"), id="more"),
        pytest.param(post(f"{GENERATE}?key=sk-secret"), id="query"),
        pytest.param(post(CHAT.replace("//", "//me:sk-secret@")), id="host"),
    ],
)
def test_credentials_are_not_told(request_: Request) -> None:
    """Nobody can read a credential from what tells callers apart."""
    assert b"sk-secret" not in canonical(whose(request_, headers=["x-tenant"]))


def test_credentials_can_be_left_out() -> None:
    """Keys of one project can be one caller."""
    one, other = (post(CHAT, authorization=key, openai_project="p") for key in ("a", "b"))
    assert whose(one, credential=False) == whose(other, credential=False)


def test_one_name_for_several() -> None:
    """A name that is no list of names would be taken for its letters, and tell no tenant."""
    with pytest.raises(TypeError, match=r"headers=\['x-tenant'\]"):
        whose(post(CHAT, {}), headers="x-tenant")
