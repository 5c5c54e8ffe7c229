"""The page of the streaming proxy in a real browser, reloaded in the middle of an answer."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.llm.provider import Provider
from examples.llm.streaming_proxy import proxy, serving
from examples.local_llm import LocalLLM
from examples.local_llm.faults import Slow
from tests.examples.llm.browser import Browser, browser

pytestmark = pytest.mark.slow

ASKED = "?chat=1&question=What+is+a+lock%3F"
ANSWER = "document.querySelector('#answer').textContent"
WHOLE = "document.querySelector('#answer').dataset.state"


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
    assert page.wait(f"{WHOLE} || 'not yet'") == "not yet"
    page.reload()
    assert page.wait(WHOLE) == "whole"
    said = page.wait(ANSWER)
    assert (True, 1) == (said.startswith(begun), len(llm.requests))


def test_page_asks_a_new_question_once(llm: LocalLLM, url: str, page: Browser) -> None:
    """A click on the button asks under a key of its own, and two reloads replay the answer."""
    page.open(url).wait("document.querySelector('form')")
    page.wait("(document.querySelector('[name=question]').value = 'Why?')")
    page.wait("(document.querySelector('button').click(), true)")
    page.wait("location.search.includes('Why') && " + WHOLE)
    said = page.wait(ANSWER)
    for _ in range(2):
        page.reload()
        page.wait(WHOLE)
        assert page.wait(ANSWER) == said
    assert len(llm.requests) == 1
