"""The engine: what every dialect's requests come to, run on the model, metered and paced."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from random import Random
from typing import cast

from .generation import Decoding, Event, Finish, Sampled, generate, until_stop
from .meter import Meter
from .model import LanguageModel
from .pace import Pace
from .prefixes import PrefixCache, block_digests, block_tokens
from .schema import Composer, Schema
from .tools import Form
from .vectors import embed

__all__ = ["Choice", "Engine", "Inference", "Task", "text_of"]

_LONGEST_STRING = 6


@dataclass(frozen=True, slots=True)
class Task:
    """What the model is asked, in whatever dialect it was said.

    Args:
        prompt: all that the model reads.
        seed: None draws from the system's entropy, so that two answers differ.
        forms: what the answer has to look like, one of these; none if it is free.
    """

    prompt: str
    decoding: Decoding = field(default_factory=Decoding)
    seed: int | None = None
    forms: tuple[Form, ...] = ()

    def rng(self, choice: int) -> Random:
        """Return the source of chance for one choice: with a seed, always the same one."""
        if self.seed is not None:
            return Random(f"{self.seed}/{choice}")
        greedy = self.decoding.sampling.temperature == 0
        return Random(f"{self.prompt}/{choice}") if greedy else Random()


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the answers to a task.

    Args:
        form: what it looks like; None if it is free text.
        events: the answer, token by token as it is sampled.
    """

    form: Form | None
    events: Iterator[Event]

    @property
    def tool(self) -> str | None:
        """Return the function that the answer calls, if it does."""
        return self.form.tool if self.form else None

    def whole(self) -> tuple[list[Sampled], Finish]:
        """Return all tokens of the answer, and its end."""
        *said, end = self.events
        return [event for event in said if isinstance(event, Sampled)], cast("Finish", end)


def text_of(tokens: Iterable[Sampled]) -> str:
    """Return the text that tokens join to."""
    return "".join(token.text for token in tokens)


class Engine:
    """The model with all that its requests share.

    Args:
        model: the model that answers.
        tokens_per_second: the simulated speed of each answer; 0 is full speed.
    """

    def __init__(self, model: LanguageModel, *, tokens_per_second: float) -> None:
        """Start with a meter at zero."""
        self.model = model
        self.meter = Meter()
        self.pace = Pace(tokens_per_second)
        self.prefixes = PrefixCache()

    def tokens(self, text: str) -> int:
        """Return how many tokens a text has."""
        return len(self.model.tokenizer.encode(text))

    def embed(self, texts: Iterable[str], *, dimensions: int) -> tuple[list[list[float]], int]:
        """Return the vectors of texts, and how many tokens were read for them."""
        known = list(texts)
        tokens = sum(map(self.tokens, known))
        self.meter.add_inference(prompt_tokens=tokens)
        return [embed(text, dimensions=dimensions) for text in known], tokens

    def begin(self, task: Task, *, cached_tokens: int | None = None) -> "Inference":
        """Read a prompt.

        Args:
            task: what to answer.
            cached_tokens: what of the prompt was read before; None looks into the prompt cache.
        """
        tokens = self.model.tokenizer.encode(task.prompt)
        if cached_tokens is None:
            blocks = block_digests(tokens)
            cached_tokens = block_tokens(self.prefixes.read(blocks))
            self.prefixes.keep(blocks)
        self.meter.add_inference(prompt_tokens=len(tokens), cached_tokens=cached_tokens)
        return Inference(task, self, prompt_tokens=len(tokens), cached_tokens=cached_tokens)


class Inference:
    """The answers to one task, and what they cost so far.

    Args:
        prompt_tokens: how many tokens were read.
        cached_tokens: how many of them were in the prompt cache.
    """

    def __init__(
        self, task: Task, engine: Engine, *, prompt_tokens: int, cached_tokens: int
    ) -> None:
        """Begin with nothing said."""
        self._task = task
        self._engine = engine
        self.prompt_tokens = prompt_tokens
        self.cached_tokens = cached_tokens
        self.completion_tokens = 0

    def choice(self, index: int = 0) -> Choice:
        """Begin one answer."""
        task, model = self._task, self._engine.model
        rng = task.rng(index)
        form = rng.choice(task.forms) if task.forms else None
        prompt = model.context(task.prompt)
        if form is None:
            events = generate(model, prompt=prompt, decoding=task.decoding, rng=rng)
        else:
            events = self._compose(form.schema, prompt, rng)
        paced = self._engine.pace.each(self._count(events))
        return Choice(form, until_stop(paced, stops=task.decoding.stops))

    def _compose(self, schema: Schema, prompt: list[int], rng: Random) -> Iterator[Event]:
        model, decoding = self._engine.model, self._task.decoding
        context = list(prompt)

        def say(name: str) -> Iterator[Sampled]:
            context.extend(model.context(name))
            brief = replace(decoding, least=1, most=rng.randint(1, _LONGEST_STRING))
            for event in generate(model, prompt=context, decoding=brief, rng=rng):
                if isinstance(event, Sampled):
                    context.extend(model.tokenizer.encode(event.token))
                    yield event

        tokens = Composer(schema, say=say, rng=rng).write()
        yield from islice(tokens, decoding.most)
        yield Finish("length" if any(True for _ in tokens) else "stop")

    def _count(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            if isinstance(event, Sampled):
                self.completion_tokens += 1
                self._engine.meter.add_token()
            yield event
