"""The page of the streaming proxy in a real browser, reloaded in the middle of an answer."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.llm.provider import Provider
from examples.llm.streaming_proxy import proxy, serving
from examples.local_llm import LocalLLM
from examples.local_llm.faults import Slow, Truncate
from tests.examples.llm.browser import Browser, browser

pytestmark = pytest.mark.slow

ASKED = "?chat=1&question=What+is+a+lock%3F"
ANSWER = "document.querySelector('#answer').textContent"
STATE = "document.querySelector('#answer').dataset.state"
ENDED = f"({STATE} !== 'writing' && {STATE})"


@pytest.fixture
def url(llm: LocalLLM) -> Iterator[str]:
    """Return the address of a proxy before the local model."""
    with serving(proxy(Provider(llm.base_url))) as address:
        yield address


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Browser]:
    """Return a page of a browser."""
    with browser(tmp_path) as opened:
        yield opened


def test_page_that_is_reloaded_gets_all_of_the_answer(
    llm: LocalLLM, url: str, page: Browser
) -> None:
    """A reload in the middle of an answer shows it from the beginning, and asks nothing."""
    llm.script(Slow(whole=1.5))
    begun = page.open(f"{url}/{ASKED}").wait(ANSWER)
    assert page.wait(f"{ENDED} || 'not yet'") == "not yet"
    page.reload()
    assert page.wait(ENDED) == "whole"
    said = page.wait(ANSWER)
    assert (True, 1) == (said.startswith(begun), len(llm.requests))


def test_page_says_that_an_answer_broke_off(llm: LocalLLM, url: str, page: Browser) -> None:
    """Half an answer is not taken for a whole one, and a reload asks for all of it."""
    llm.script(Truncate(after=2))
    assert page.open(f"{url}/{ASKED}").wait(ENDED) == "failed"
    assert "broke off" in page.wait("document.querySelector('#state').textContent")
    page.reload()
    assert (page.wait(ENDED), len(llm.requests)) == ("whole", 2)


def test_page_says_that_the_server_refuses(llm: LocalLLM, url: str, page: Browser) -> None:
    """A request that is no event stream ends as a failure, and is not sent for ever."""
    assert page.open(f"{url}/?question=Why").wait(ENDED) == "failed"
    assert len(llm.requests) == 0


def test_page_asks_a_new_question_once(llm: LocalLLM, url: str, page: Browser) -> None:
    """A click on the button asks under a key of its own, and two reloads replay the answer."""
    page.open(url).wait("document.querySelector('form')")
    page.wait("(document.querySelector('[name=question]').value = 'Why?')")
    page.wait("(document.querySelector('button').click(), true)")
    page.wait("location.search.includes('Why') && " + ENDED)
    said = page.wait(ANSWER)
    for _ in range(2):
        page.reload()
        page.wait(ENDED)
        assert page.wait(ANSWER) == said
    assert len(llm.requests) == 1
