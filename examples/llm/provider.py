"""What the recipes share: the provider that they ask, a count of what they sent, and claims."""

import argparse
import functools
import os
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Protocol, cast
from urllib.parse import urljoin

import httpx2
from anthropic import Anthropic, AnthropicError
from anthropic import DefaultHttpxClient as AnthropicHttpxClient
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI, OpenAIError

from examples.local_llm import MODEL_NAME, LocalLLM

__all__ = ["MODEL", "Provider", "check", "claim", "recipe", "say"]

TRUE, UNTRUE, REFUSED, INTERRUPTED = 0, 1, 2, 130
SAID, FOUND = 64, 36
"""Columns for what is said, and for what was found."""
NO_KEY = "none is needed here"
MODEL = os.environ.get("MODEL", MODEL_NAME)
"""The model that the recipes ask for."""


class UntrueError(Exception):
    """A recipe has claimed what is not so."""


class UnscriptedError(Exception):
    """A recipe needs failures to order, which only the local server delivers."""


def say(said: str, found: object) -> None:
    """Print a row of what a recipe has to say."""
    parts = cast("Sequence[object]", found) if isinstance(found, list | tuple) else [found]
    text = ", ".join(map(str, parts))
    print(f"{said + ' ':.<{SAID}} {textwrap.shorten(text, FOUND, placeholder=' …')}")


def claim(said: str, expected: object, actual: object) -> None:
    """Say what was found, or fail if it is not what was expected.

    Raises:
        UntrueError: It is not.
    """
    if expected != actual:
        raise UntrueError(f"{said}: {expected!r} was expected, and {actual!r} was found")
    say(said, actual)


def check(said: str, *, that: bool) -> None:
    """Say what was found, or fail if it was not.

    Raises:
        UntrueError: It was not.
    """
    claim(said, expected="yes", actual="yes" if that else "no")


class Provider:
    """Whom a recipe asks, and when it did.

    Args:
        base_url: What OpenAI's clients call the base URL.
    """

    def __init__(self, base_url: str) -> None:
        """Begin with nothing sent."""
        self.base_url = base_url
        self.sent: list[float] = []
        """When each request left this process, retries of the SDK included."""
        api_key = os.environ.get("OPENAI_API_KEY", NO_KEY)
        self._openai: dict[str, Any] = {"base_url": base_url, "api_key": api_key}

    def client(self, **options: Any) -> OpenAI:
        """Return a client whose requests are counted."""
        http = DefaultHttpxClient(transport=_Counted(self.sent))
        return OpenAI(http_client=http, **self._openai, **options)

    def async_client(self, **options: Any) -> AsyncOpenAI:
        """Return the same for programs with an event loop."""
        http = DefaultAsyncHttpxClient(transport=_AsyncCounted(self.sent))
        return AsyncOpenAI(http_client=http, **self._openai, **options)

    def anthropic(self, **options: Any) -> Anthropic:
        """Return a client of Anthropic's messages at the same server, counted likewise."""
        return Anthropic(
            base_url=urljoin(self.base_url, "/"),
            api_key=os.environ.get("ANTHROPIC_API_KEY", NO_KEY),
            http_client=AnthropicHttpxClient(transport=_Counted(self.sent)),
            **options,
        )

    @contextmanager
    def sends(self, said: str, expected: int) -> Iterator[None]:
        """Claim how many requests leave this process in a block."""
        before = len(self.sent)
        yield
        claim(said, _requests(expected), _requests(len(self.sent) - before))

    def script(self, fault: str, **members: object) -> None:
        """Have the next request, or the next `times` requests, go wrong.

        Args:
            fault: What happens to it, as `examples.local_llm` calls it.
            members: What can be said of that.

        Raises:
            UnscriptedError: The provider is a real one, and fails when it likes.
        """
        scripted = {"faults": [{"fault": fault, **members}]}
        try:
            httpx2.post(urljoin(self.base_url, "/script"), json=scripted).raise_for_status()
        except httpx2.HTTPError as error:
            raise UnscriptedError(
                f"{self.base_url} does not fail to order ({error}): leave out --base-url, or "
                "start `python -m examples.local_llm` and name that"
            ) from error


def _requests(number: int) -> str:
    return f"{number or 'no'} request{'' if number == 1 else 's'}"


class _Counted(httpx2.HTTPTransport):
    """The way out of this process, below all that retries or replays."""

    def __init__(self, sent: list[float]) -> None:
        super().__init__()
        self._sent = sent

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self._sent.append(time.monotonic())
        return super().handle_request(request)


class _AsyncCounted(httpx2.AsyncHTTPTransport):
    """The same for programs with an event loop."""

    def __init__(self, sent: list[float]) -> None:
        super().__init__()
        self._sent = sent

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self._sent.append(time.monotonic())
        return await super().handle_async_request(request)


class Program(Protocol):
    """A recipe's `main`."""

    def __call__(self, arguments: Sequence[str] | None = None) -> int:
        """Run with the arguments of the command line, and return the exit code."""
        ...


def recipe(prove: Callable[[Provider], None]) -> Program:
    """Make a program's `main` of a proof: with a command line, a headline and an exit code."""

    @functools.wraps(prove, assigned=("__module__", "__qualname__", "__name__", "__doc__"))
    def main(arguments: Sequence[str] | None = None) -> int:
        headline, base_url = _begun(sys.modules[prove.__module__], arguments)
        print(f"{headline}\n", flush=True)
        try:
            with _asked(base_url) as provider:
                prove(provider)
        except UntrueError as error:
            return _end(UNTRUE, f"untrue: {error}")
        except UnscriptedError as error:
            return _end(REFUSED, str(error))
        except (OpenAIError, AnthropicError) as error:
            return _end(REFUSED, f"cannot go on with {base_url or 'the local model'}: {error}")
        except KeyboardInterrupt:
            return _end(INTERRUPTED, "stopped")
        return TRUE

    return main


def _begun(module: ModuleType, arguments: Sequence[str] | None) -> tuple[str, str | None]:
    headline = (module.__doc__ or "").partition("\n")[0]
    name = module.__spec__.name if module.__spec__ else module.__name__
    parser = argparse.ArgumentParser(prog=f"python -m {name}", description=headline)
    parser.add_argument(
        "--base-url", metavar="URL", help="of a provider; default: a server of its own"
    )
    base_url: str | None = parser.parse_args(arguments).base_url
    return headline, base_url


@contextmanager
def _asked(base_url: str | None) -> Iterator[Provider]:
    if base_url:
        yield Provider(base_url)
    else:
        with LocalLLM(tokens_per_second=0, batch_polls=2) as llm:
            yield Provider(llm.base_url)


def _end(code: int, said: str) -> int:
    print(said, file=sys.stderr)
    return code
