"""The local model's vectors, and the endpoints that return them."""

import base64
import json
import math
import struct
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.local_llm import MODEL_NAME, LocalLLM
from examples.local_llm.model import stdlib_model
from examples.local_llm.vectors import embed
from tests.examples.local_llm_client import call, error

PATH = "/v1/embeddings"


@pytest.fixture(scope="module")
def llm() -> Iterator[LocalLLM]:
    """Run one server at full speed for the tests that only ask."""
    with LocalLLM(tokens_per_second=0) as running:
        yield running


def send(llm: LocalLLM, **members: object) -> bytes:
    """Send a request and return the body of its reply."""
    body = {"model": MODEL_NAME, "input": "a file", **members}
    return call(llm, "POST", PATH, json.dumps(body).encode())[1]


def vectors(llm: LocalLLM, **members: object) -> list[list[float]]:
    """Return the vectors that a request gets."""
    return [entry["embedding"] for entry in json.loads(send(llm, **members))["data"]]


def likeness(one: str, other: str) -> float:
    """Return the cosine of two texts."""
    return math.fsum(a * b for a, b in zip(embed(one), embed(other), strict=True))


@given(st.text(), st.integers(1, 600))
def test_vector_has_length_one(text: str, dimensions: int) -> None:
    """Whatever the text and the size, a vector has the length 1."""
    vector = embed(text, dimensions=dimensions)
    assert (dimensions, pytest.approx(1, abs=1e-5)) == (len(vector), math.hypot(*vector))


def test_like_texts_have_like_vectors() -> None:
    """A text is nearer to one with the same words than to one with others."""
    assert likeness("open a file", "a file is open") > likeness("open a file", "three red suns")


def test_both_formats_are_the_same_vector(llm: LocalLLM) -> None:
    """A vector in base64 holds the same numbers in single precision."""
    (packed,) = vectors(llm, encoding_format="base64", dimensions=8)
    assert vectors(llm, dimensions=8) == [[*struct.unpack("<8f", base64.b64decode(str(packed)))]]


def test_client_embeds(llm: LocalLLM) -> None:
    """The original client reads vectors in the order of the texts."""
    with openai.OpenAI(base_url=llm.base_url, api_key="none", max_retries=0) as client:
        reply = client.embeddings.create(model=MODEL_NAME, input=["a file", "a thread"])
    assert [embed("a file"), embed("a thread")] == [entry.embedding for entry in reply.data]


def test_input_may_be_tokens(llm: LocalLLM) -> None:
    """Tokens are as good as the text that they spell."""
    tokens = stdlib_model().tokenizer.encode("a file")
    assert vectors(llm) * 2 == vectors(llm, input=tokens) + vectors(llm, input=[tokens])


def test_usage(llm: LocalLLM) -> None:
    """What was read is counted, in the reply and on the meter."""
    before = llm.stats().prompt_tokens
    usage = json.loads(send(llm, input=["a file", "a thread"]))["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] == llm.stats().prompt_tokens - before


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"model": "x"}, "model"),
    ({"input": None}, "input"),
    ({"input": []}, "input"),
    ({"input": [1, "a"]}, "input"),
    ({"input": [10**9]}, "input"),
    ({"input": [{}]}, "input"),
    ({"input": ["a"] * 2049}, "input"),
    ({"dimensions": 0}, "dimensions"),
    ({"encoding_format": "hex"}, "encoding_format"),
    ({"temperature": 0}, "temperature"),
]


@pytest.mark.parametrize(("members", "param"), REFUSED)
def test_refusals(llm: LocalLLM, members: dict[str, Any], param: str) -> None:
    """A refusal names the member."""
    assert param == error(send(llm, **members))["param"]
