"""What type checkers make of decorated methods of every kind."""

from dataclasses import dataclass
from typing import assert_type

from idemkit import Idempotency, Outcome, idempotent

idem = Idempotency("memory://", namespace="typing")


@dataclass(frozen=True)
class Assistant:
    """Something with methods."""

    system: str

    @idempotent
    def answer(self, prompt: str) -> list[str]:
        """Stand for any method."""
        return [self.system, prompt]

    @idem.idempotent(ttl=60)
    def answer_for_long(self, prompt: str, *, size: int = 1) -> list[str]:
        """Stand for any method with options."""
        return [self.system, prompt] * size

    @idem.idempotent
    async def answer_later(self, prompt: str) -> list[str]:
        """Stand for any coroutine method."""
        return [self.system, prompt]

    @idem.idempotent
    @classmethod
    def family(cls, prompt: str) -> int:
        """Stand for any class method."""
        return len(prompt)

    @idempotent(ttl=60)
    @classmethod
    async def family_later(cls, prompt: str) -> int:
        """Stand for any coroutine class method."""
        return len(prompt)

    @idempotent
    @staticmethod
    def sentences(prompt: str) -> int:
        """Stand for any static method that is decorated inside."""
        return prompt.count(".")

    @idem.idempotent(ttl=60)
    @staticmethod
    async def sentences_later(prompt: str) -> int:
        """Stand for any coroutine static method that is decorated inside."""
        return prompt.count(".")

    @classmethod
    @idem.idempotent
    def kin(cls, prompt: str) -> int:
        """Stand for any class method that is decorated outside."""
        return len(prompt)

    @staticmethod
    @idem.idempotent
    def tokens(prompt: str) -> int:
        """Stand for any static method."""
        return len(prompt)

    @staticmethod
    @idempotent(ttl=60)
    async def tokens_later(prompt: str) -> int:
        """Stand for any coroutine static method."""
        return len(prompt)


def check_methods(assistant: Assistant) -> None:
    """A method is asked without its receiver, and so are its words."""
    assert_type(assistant.answer("x"), list[str])
    assert_type(assistant.answer.key("x"), str)
    assert_type(assistant.answer.outcome("x"), Outcome[list[str]])
    assert_type(assistant.answer.peek("x"), Outcome[list[str]] | None)
    assert_type(assistant.answer.forget("x"), bool)
    assert_type(assistant.answer_for_long("x", size=2), list[str])
    assert_type(assistant.answer_for_long.outcome("x", size=2), Outcome[list[str]])
    assert_type(Assistant.answer(assistant, "x"), list[str])
    assert_type(next(assistant.answer.map(["x"])), list[str])


async def check_coroutine_methods(assistant: Assistant) -> None:
    """A coroutine method likewise."""
    assert_type(await assistant.answer_later("x"), list[str])
    assert_type(assistant.answer_later.key("x"), str)
    assert_type(await assistant.answer_later.outcome("x"), Outcome[list[str]])
    assert_type(await assistant.answer_later.peek("x"), Outcome[list[str]] | None)
    assert_type(await assistant.answer_later.forget("x"), bool)
    assert_type(await anext(assistant.answer_later.map(["x"])), list[str])


def check_methods_of_classes(assistant: Assistant) -> None:
    """Class methods and static methods keep their types."""
    assert_type(Assistant.family("x"), int)
    assert_type(Assistant.family.key("x"), str)
    assert_type(assistant.family.outcome("x"), Outcome[int])
    assert_type(Assistant.kin("x"), int)
    assert_type(assistant.kin("x"), int)
    assert_type(Assistant.sentences("x"), int)
    assert_type(Assistant.sentences.peek("x"), Outcome[int] | None)
    assert_type(Assistant.tokens("x"), int)
    assert_type(Assistant.tokens.key("x"), str)
    assert_type(Assistant.tokens.outcome("x"), Outcome[int])


async def check_coroutine_methods_of_classes(assistant: Assistant) -> None:
    """Coroutine ones likewise."""
    assert_type(await Assistant.family_later("x"), int)
    assert_type(await assistant.family_later.outcome("x"), Outcome[int])
    assert_type(await Assistant.sentences_later("x"), int)
    assert_type(await Assistant.tokens_later("x"), int)
    assert_type(await Assistant.tokens_later.forget("x"), bool)
