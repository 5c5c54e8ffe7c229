"""What the local model's server answers, at once and as a stream."""

import json
import math
from collections.abc import Iterator

import openai
import pytest

from examples.local_llm import MODEL_NAME, LocalLLM
from tests.examples.local_llm_client import (
    CHAT,
    ask,
    content,
    question,
    raw,
    stream,
    streamed_content,
)

STOPS = ["the", "file", "is"]


@pytest.fixture(scope="module")
def llm() -> Iterator[LocalLLM]:
    """Run one server at full speed for the tests that only ask."""
    with LocalLLM(tokens_per_second=0) as running:
        yield running


def test_reply_has_openai_shape(llm: LocalLLM) -> None:
    """A reply has the members that clients rely on."""
    reply = ask(llm)
    assert set(reply) == {
        "choices",
        "created",
        "id",
        "model",
        "object",
        "system_fingerprint",
        "usage",
    }


def test_different_prompts_get_different_answers(llm: LocalLLM) -> None:
    """Even without chance, the answer depends on the prompt's last words."""
    answers = {content(ask(llm, prompt, temperature=0)) for prompt in ("a file", "a thread", "?")}
    assert 3 == len(answers)


def test_content_may_come_in_parts(llm: LocalLLM) -> None:
    """A message in text parts is read like one in a string."""
    parts = [{"type": "text", "text": "Return"}, {"type": "text", "text": "the file"}]
    messages = [{"role": "system", "content": "Hi"}, {"role": "user", "content": parts}]
    assert content(ask(llm, seed=1)) == content(ask(llm, seed=1, messages=messages))


def test_same_seed_gives_same_answer(llm: LocalLLM) -> None:
    """With a seed, an answer can be had again."""
    assert content(ask(llm, seed=5)) == content(ask(llm, seed=5))


def test_no_seed_gives_different_answers(llm: LocalLLM) -> None:
    """Without a seed, three calls are three answers."""
    assert 3 == len({content(ask(llm, min_tokens=30)) for _ in range(3)})


def test_choices_differ(llm: LocalLLM) -> None:
    """The choices of one request are different answers, also with a seed."""
    reply = ask(llm, n=3, seed=1, min_tokens=30)
    assert 3 == len({content(reply, choice) for choice in range(3)})


def test_temperature_zero_equals_top_k_one(llm: LocalLLM) -> None:
    """Both ways to ask for the likeliest answer give it."""
    assert content(ask(llm, temperature=0)) == content(ask(llm, top_k=1, temperature=2))


def test_repetition_is_penalized(llm: LocalLLM) -> None:
    """Penalties make an answer use more different words."""
    settings = {"temperature": 0, "min_tokens": 80, "max_tokens": 80}
    plain = content(ask(llm, **settings))
    penalized = content(ask(llm, **settings, frequency_penalty=2, presence_penalty=2))
    assert len(set(plain.split())) < len(set(penalized.split()))


def test_limit_ends_answer(llm: LocalLLM) -> None:
    """An answer has no more tokens than allowed, and says that this is why it ended."""
    reply = ask(llm, max_completion_tokens=7, min_tokens=7)
    assert (7, "length") == (
        reply["usage"]["completion_tokens"],
        reply["choices"][0]["finish_reason"],
    )


def test_stop_sequences_never_appear(llm: LocalLLM) -> None:
    """None of the stop sequences is part of any answer."""
    reply = ask(llm, n=8, seed=2, stop=STOPS, min_tokens=60)
    shown = [content(reply, choice) for choice in range(8)]
    assert [] == [text for text in shown for stop in STOPS if stop in text]


def test_stop_sequence_is_the_reason(llm: LocalLLM) -> None:
    """An answer that a stop sequence ended says so."""
    reply = ask(llm, seed=2, stop=" ", min_tokens=60, max_tokens=60)
    assert "stop" == reply["choices"][0]["finish_reason"]


def test_usage_adds_up(llm: LocalLLM) -> None:
    """The total is the prompt and the completion."""
    usage = ask(llm, n=2)["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


@pytest.mark.parametrize("stop", [None, "the", STOPS])
def test_stream_says_the_same(llm: LocalLLM, stop: object) -> None:
    """The chunks of a stream join to the answer that the same seed gives at once."""
    settings = {"seed": 11, "min_tokens": 40, "stop": stop, "n": 2}
    chunks, reply = stream(llm, **settings), ask(llm, **settings)
    expected = [content(reply, choice) for choice in range(2)]
    assert expected == [streamed_content(chunks, choice) for choice in range(2)]


def test_stream_begins_with_role(llm: LocalLLM) -> None:
    """The first chunk says who speaks."""
    delta = stream(llm)[0]["choices"][0]["delta"]
    assert {"role": "assistant", "content": ""} == delta


def test_stream_ends_with_reason(llm: LocalLLM) -> None:
    """The last chunk says why the answer ended."""
    chunks = stream(llm, max_tokens=3, min_tokens=3)
    assert "length" == chunks[-1]["choices"][0]["finish_reason"]


def test_stream_usage_on_request(llm: LocalLLM) -> None:
    """A stream that is asked for its usage ends with a chunk that has nothing else."""
    members = {"seed": 3, "n": 2}
    *others, last = stream(llm, stream_options={"include_usage": True}, **members)
    usages = [last["choices"], last["usage"], *(chunk["usage"] for chunk in others)]
    assert [[], ask(llm, **members)["usage"], *[None] * len(others)] == usages


def test_stream_without_usage(llm: LocalLLM) -> None:
    """A stream that is not asked for its usage does not mention it."""
    assert [] == [chunk for chunk in stream(llm) if "usage" in chunk]


def test_stream_for_old_clients(llm: LocalLLM) -> None:
    """A client of HTTP/1.0 gets a stream without chunks, which ends with the connection."""
    body = question(stream=True, seed=3)
    head = f"POST {CHAT} HTTP/1.0\r\nContent-Length: {len(body)}\r\n\r\n"
    reply = raw(llm, head.encode() + body)
    events = reply.partition(b"\r\n\r\n")[2].decode().split("\n\n")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    assert content(ask(llm, seed=3)) == streamed_content(chunks)


def test_logprobs_join_to_answer(llm: LocalLLM) -> None:
    """The tokens that are reported are those of the answer."""
    choice = ask(llm, logprobs=True, seed=4)["choices"][0]
    tokens = "".join(entry["token"] for entry in choice["logprobs"]["content"])
    assert choice["message"]["content"] == tokens.lstrip()


def test_streamed_logprobs_are_the_same(llm: LocalLLM) -> None:
    """A stream reports each token's log-probability in the chunk that holds the token."""
    settings = {"logprobs": True, "top_logprobs": 2, "seed": 4}
    expected = ask(llm, **settings)["choices"][0]["logprobs"]["content"]
    choices = [chunk["choices"][0] for chunk in stream(llm, **settings)]
    assert expected == [entry for choice in choices for entry in choice["logprobs"]["content"]]


def test_logprobs_are_never_positive(llm: LocalLLM) -> None:
    """No token is reported with a probability above one."""
    entries = ask(llm, logprobs=True, min_tokens=50)["choices"][0]["logprobs"]["content"]
    assert max(entry["logprob"] for entry in entries) <= 0


def test_top_logprobs_are_normalized(llm: LocalLLM) -> None:
    """The likeliest tokens at each place have at most all of the probability together."""
    reply = ask(llm, logprobs=True, top_logprobs=20, min_tokens=50)
    tops = [entry["top_logprobs"] for entry in reply["choices"][0]["logprobs"]["content"]]
    masses = [math.fsum(math.exp(entry["logprob"]) for entry in top) for top in tops]
    assert [] == [mass for mass in masses if not 0 < mass < 1 + 1e-9]


def test_top_logprobs_are_sorted(llm: LocalLLM) -> None:
    """The likeliest tokens come with the likeliest first, as many as asked for."""
    entry = ask(llm, logprobs=True, top_logprobs=5)["choices"][0]["logprobs"]["content"][0]
    logprobs = [top["logprob"] for top in entry["top_logprobs"]]
    assert (5, sorted(logprobs, reverse=True)) == (len(logprobs), logprobs)


def test_greedy_token_is_the_first_of_top_logprobs(llm: LocalLLM) -> None:
    """At temperature 0 the token that is taken is the likeliest of those reported."""
    reply = ask(llm, logprobs=True, top_logprobs=1, temperature=0)
    entries = reply["choices"][0]["logprobs"]["content"]
    taken = [entry["token"] for entry in entries]
    assert taken == [entry["top_logprobs"][0]["token"] for entry in entries]


def test_openai_client_creates(llm: LocalLLM) -> None:
    """The original client reads a reply, its usage and its log-probabilities."""
    with openai.OpenAI(base_url=llm.base_url, api_key="none", max_retries=0) as client:
        reply = client.chat.completions.create(
            model=MODEL_NAME,
            messages=[{"role": "user", "content": "Return the file"}],
            seed=6,
            logprobs=True,
            extra_body={"min_tokens": 20, "repetition_penalty": 1.1},
        )
    assert reply.choices[0].logprobs is not None
    assert reply.choices[0].logprobs.content is not None
    assert reply.usage is not None
    assert reply.usage.completion_tokens == len(reply.choices[0].logprobs.content)


def test_openai_client_streams(llm: LocalLLM) -> None:
    """The original client reads a stream that joins to the same answer."""
    with openai.OpenAI(base_url=llm.base_url, api_key="none", max_retries=0) as client:
        chunks = client.chat.completions.create(
            model=MODEL_NAME,
            messages=[{"role": "user", "content": "Return the file"}],
            seed=6,
            stream=True,
        )
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert content(ask(llm, seed=6)) == text


def test_openai_client_understands_refusals(llm: LocalLLM) -> None:
    """The original client turns a refusal into its own exception, with the member's name."""
    with (
        openai.OpenAI(base_url=llm.base_url, api_key="none", max_retries=0) as client,
        pytest.raises(openai.BadRequestError) as refusal,
    ):
        client.chat.completions.create(
            model=MODEL_NAME, messages=[{"role": "user", "content": "Hi"}], temperature=9
        )
    assert "temperature" == refusal.value.param
