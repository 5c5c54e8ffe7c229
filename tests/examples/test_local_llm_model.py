"""The pure rooms of the local model: its text, its tokens, its counts, its sampling."""

import math
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.local_llm.corpus import docstrings, paragraphs
from examples.local_llm.generation import (
    Decoding,
    Event,
    Finish,
    Sampled,
    generate,
    until_stop,
)
from examples.local_llm.model import NgramModel, build, stdlib_model
from examples.local_llm.sampling import Sampling, distribution, draw, penalize
from examples.local_llm.tokenizer import END, Tokenizer, split

MODULE = '''"""The first line of a module is one sentence of prose.

>>> 1 + 1 is not what the model should learn to say to anybody
2
"""

def outer():
    """Too short."""
    def inner():
        """Return something that is long enough to
        span two lines of the source."""
'''

LOGITS = st.dictionaries(
    st.integers(0, 50), st.floats(-30, 0, allow_nan=False), min_size=1, max_size=20
)
LONE_SURROGATE = "\ud800"


def joined(events: list[Event]) -> str:
    """Return the text of an answer."""
    return "".join(event.text for event in events if isinstance(event, Sampled))


def spoken(words: list[str]) -> list[Event]:
    """Return an answer of these tokens that reached its limit."""
    return [*(Sampled(text=word, token=word, logprob=0.0) for word in words), Finish("length")]


def test_docstrings_outermost_first() -> None:
    """The docstrings of a module come in the order of their depth."""
    found = [text.split()[0] for text in docstrings(MODULE)]
    assert ["The", "Too", "Return"] == found


def test_paragraphs_keep_prose_only(tmp_path: Path) -> None:
    """Doctests and fragments are left out, and what is kept is one line."""
    (tmp_path / "os.py").write_text(MODULE, encoding="utf-8")
    expected = [
        "The first line of a module is one sentence of prose.",
        "Return something that is long enough to span two lines of the source.",
    ]
    assert expected == list(paragraphs(tmp_path))


def test_paragraphs_are_deterministic() -> None:
    """Reading the library twice gives the same text in the same order."""
    assert list(paragraphs()) == list(paragraphs())


def test_paragraphs_are_bounded() -> None:
    """There is enough text to sound like prose and little enough to count quickly."""
    size = sum(map(len, paragraphs()))
    assert 100_000 < size < 500_000


@given(st.text())
def test_split_loses_nothing(text: str) -> None:
    """The pieces of a text join to the text."""
    assert text == "".join(split(text))


@given(st.text())
def test_decoding_is_exact(text: str) -> None:
    """Any text comes back from its tokens, whether the words are known or spelled."""
    tokenizer = Tokenizer(["one two three"])
    assert text == tokenizer.decode(tokenizer.encode(text))


def test_decoding_is_exact_for_surrogates() -> None:
    """Text that is not valid Unicode, which JSON can carry, comes back too."""
    tokenizer = Tokenizer([])
    assert LONE_SURROGATE == tokenizer.decode(tokenizer.encode(LONE_SURROGATE))


def test_known_word_is_one_token() -> None:
    """A word of the vocabulary is one token together with its leading space."""
    assert [END + 1, END + 2] == Tokenizer(["one two"]).encode("one two")


def test_vocabulary_size() -> None:
    """The vocabulary is the bytes, the end mark and the distinct words."""
    assert 256 + 1 + 2 == len(Tokenizer(["one two", "one two two"]))


def test_interpolation_by_hand() -> None:
    """Witten-Bell weights: one of two parts for the only successor, the rest to unigrams."""
    logprobs = NgramModel([[7, 8]], order=2).logprobs([7])
    shares = {token: math.exp(logprob) for token, logprob in logprobs.items()}
    assert pytest.approx({7: 1 / 6, 8: 1 / 2 + 1 / 6, END: 1 / 6}) == shares


@given(st.lists(st.integers(0, 4000), max_size=4))
def test_model_is_normalized(context: list[int]) -> None:
    """After any context the probabilities of the next token sum to one."""
    logprobs = stdlib_model().ngrams.logprobs(context)
    assert pytest.approx(1) == math.fsum(map(math.exp, logprobs.values()))


@given(st.lists(st.integers(0, 4000), max_size=4))
def test_logprobs_are_never_positive(context: list[int]) -> None:
    """No log-probability is above zero."""
    assert max(stdlib_model().ngrams.logprobs(context).values()) <= 0


def test_model_without_text_is_refused() -> None:
    """A model that learned nothing says so at once."""
    with pytest.raises(ValueError, match="no text to learn from"):
        build([])


def test_same_text_has_same_fingerprint() -> None:
    """The fingerprint depends on the text alone."""
    assert build(["one two"]).fingerprint == build(["one two"]).fingerprint


def test_context_ends_with_last_known_word() -> None:
    """Unknown words and punctuation at the end of a prompt do not hide what came before."""
    model = stdlib_model()
    assert model.context("the file") == model.context("the  file\nqwxz?!")


def test_context_of_unknown_words_is_a_start() -> None:
    """A prompt without any known word leaves the model at the start of a document."""
    assert [] == stdlib_model().context("qwxz!")


@given(LOGITS)
def test_temperature_zero_is_argmax(logits: dict[int, float]) -> None:
    """Temperature 0 leaves the likeliest token alone, the lowest one of equals."""
    best = min(token for token in logits if logits[token] == max(logits.values()))
    assert {best: 1.0} == distribution(logits, sampling=Sampling(temperature=0))


@given(LOGITS, st.floats(0.01, 2))
def test_top_k_one_is_argmax(logits: dict[int, float], temperature: float) -> None:
    """With one token kept the temperature does not matter."""
    sampling = Sampling(temperature=temperature, top_k=1)
    greedy = Sampling(temperature=0)
    assert distribution(logits, sampling=greedy) == distribution(logits, sampling=sampling)


@given(LOGITS, st.sampled_from([1e-3, 1e-9, 1e-300, 5e-324]))
def test_temperature_limit_is_argmax(logits: dict[int, float], temperature: float) -> None:
    """Near temperature 0 nothing remains for tokens that are clearly less likely."""
    shares = distribution(logits, sampling=Sampling(temperature=temperature))
    clear = max(logits.values()) - 0.1
    assert sum(share for token, share in shares.items() if logits[token] < clear) < 1e-6


@given(LOGITS, st.floats(0, 2), st.floats(0, 1), st.integers(0, 30))
def test_distribution_is_normalized(
    logits: dict[int, float], temperature: float, top_p: float, top_k: int
) -> None:
    """Whatever is filtered, the probabilities that are left sum to one."""
    sampling = Sampling(temperature=temperature, top_p=top_p, top_k=top_k)
    assert pytest.approx(1) == math.fsum(distribution(logits, sampling=sampling).values())


@given(LOGITS, st.integers(1, 30))
def test_top_k_keeps_k_tokens(logits: dict[int, float], top_k: int) -> None:
    """Exactly k tokens are left, or all if there are fewer."""
    kept = distribution(logits, sampling=Sampling(top_k=top_k))
    assert min(top_k, len(logits)) == len(kept)


@given(LOGITS, st.floats(0, 1))
def test_min_p_keeps_what_is_likely_enough(logits: dict[int, float], min_p: float) -> None:
    """The tokens that are left are those with a share of the likeliest one's probability."""
    kept = distribution(logits, sampling=Sampling(min_p=min_p))
    best = max(logits.values())
    assert {token for token in logits if math.exp(logits[token] - best) >= min_p} == {*kept}


@given(LOGITS, st.floats(0, 1))
def test_top_p_keeps_enough_mass(logits: dict[int, float], top_p: float) -> None:
    """The tokens that are left had at least the probability asked for."""
    everything = distribution(logits, sampling=Sampling())
    kept = distribution(logits, sampling=Sampling(top_p=top_p))
    assert sum(everything[token] for token in kept) >= top_p - 1e-9


@given(LOGITS, st.floats(0, 1))
def test_top_p_keeps_no_more_than_needed(logits: dict[int, float], top_p: float) -> None:
    """Without the last of the tokens that are left, the probability would not be reached."""
    everything = distribution(logits, sampling=Sampling())
    kept = list(distribution(logits, sampling=Sampling(top_p=top_p)))
    assert sum(everything[token] for token in kept[:-1]) <= top_p + 1e-9


@given(LOGITS, st.floats(1.01, 2), st.data())
def test_repetition_penalty_lowers_seen_tokens(
    logits: dict[int, float], factor: float, data: st.DataObject
) -> None:
    """A token of the prompt or of the answer loses, and no other does."""
    token = data.draw(st.sampled_from(sorted(logits)))
    asked = data.draw(st.booleans())
    prompt, answer = ({token}, Counter[int]()) if asked else (set[int](), Counter([token]))
    sampling = Sampling(repetition_penalty=factor)
    penalized = penalize(logits, prompt=prompt, answer=answer, sampling=sampling)
    assert {**logits, token: logits[token] * factor} == penalized


def test_repetition_penalty_divides_positive_logits() -> None:
    """A positive logit is lowered by division: to multiply it would be a reward."""
    sampling = Sampling(repetition_penalty=2)
    assert {1: 1.5} == penalize({1: 3.0}, prompt={1}, answer={}, sampling=sampling)


def test_frequency_and_presence_penalties() -> None:
    """Frequency counts each occurrence in the answer, presence counts once, prompts never."""
    sampling = Sampling(frequency_penalty=0.5, presence_penalty=0.25)
    logits = {1: -1.0, 2: -1.0, 3: -1.0}
    penalized = penalize(logits, prompt={3}, answer=Counter({1: 1, 2: 3}), sampling=sampling)
    assert {1: -1.75, 2: -2.75, 3: -1.0} == penalized


def test_bias_is_added() -> None:
    """A bias moves its own token, if the model could say it at all."""
    sampling = Sampling(bias={1: 2.5, 9: 1.0})
    assert {1: 1.5, 2: -1.0} == penalize(
        {1: -1.0, 2: -1.0}, prompt=set(), answer={}, sampling=sampling
    )


def test_draw_follows_probabilities() -> None:
    """Tokens come as often as their probabilities say."""
    rng = Random(7)
    drawn = Counter(draw({1: 0.8, 2: 0.2}, rng=rng) for _ in range(10_000))
    assert pytest.approx(0.8, abs=0.02) == drawn[1] / 10_000


@given(st.integers(), st.integers(1, 12))
def test_length_limits_hold(seed: int, most: int) -> None:
    """An answer that must be as long as it may be has exactly that many tokens."""
    decoding = Decoding(most=most, least=most)
    events = list(generate(stdlib_model(), prompt=[], decoding=decoding, rng=Random(seed)))
    assert (most, Finish("length")) == (len(events) - 1, events[-1])


def test_answer_continues_prompt() -> None:
    """The first words of an answer are ones that have followed the prompt's last words."""
    model = build(["The bell rings at noon.", "A horse sleeps at night."])
    decoding = Decoding(sampling=Sampling(temperature=0), most=2)
    events = generate(model, prompt=model.context("the bell?"), decoding=decoding, rng=Random())
    assert "rings at" == joined(list(events))


def test_model_ends_its_answer() -> None:
    """The model itself ends an answer where its documents ended."""
    model = build(["The bell rings."])
    decoding = Decoding(sampling=Sampling(temperature=0))
    events = list(generate(model, prompt=[], decoding=decoding, rng=Random()))
    assert ("The bell rings.", Finish("stop")) == (joined(events), events[-1])


WORDS = st.lists(st.text("ab", min_size=1, max_size=4), max_size=12)
STOPS = st.lists(st.text("ab", min_size=1, max_size=4), max_size=4)


@given(WORDS, STOPS)
def test_stop_sequence_never_appears(words: list[str], stops: list[str]) -> None:
    """However the tokens are cut, no stop sequence is ever part of the answer."""
    text = joined(list(until_stop(spoken(words), stops=stops)))
    assert [] == [stop for stop in stops if stop in text]


@given(WORDS, STOPS)
def test_stop_sequence_ends_answer(words: list[str], stops: list[str]) -> None:
    """The reason is "stop" exactly if the whole text holds a stop sequence."""
    held = any(stop in "".join(words) for stop in stops)
    *_, end = until_stop(spoken(words), stops=stops)
    assert isinstance(end, Finish)
    assert ("stop" if held else "length", held) == (end.reason, end.stop in stops)


@given(WORDS, STOPS)
def test_answer_is_text_before_first_stop(words: list[str], stops: list[str]) -> None:
    """What is shown is the text up to the stop sequence that is complete first."""
    text = "".join(words)
    lone = stops[:1]
    expected = text.partition(lone[0])[0] if lone else text
    assert expected == joined(list(until_stop(spoken(words), stops=lone)))


def test_tokens_are_held_back_only_while_needed() -> None:
    """A token that cannot begin a stop sequence is shown before the next one is sampled."""
    events = iter(spoken(["x", "a", "b"]))
    shown = until_stop(events, stops=["ab"])
    assert tuple(spoken(["x", "a"])[:2]) == (next(shown), next(events))
