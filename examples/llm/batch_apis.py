"""The batch endpoints of two providers, seen as one: submit, find again, and read the results."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

from anthropic import Anthropic
from anthropic.types.messages.batch_create_params import Request
from openai import OpenAI

from .provider import MODEL

__all__ = ["AnthropicBatches", "BatchAPI", "OpenAIBatches"]

LENGTH = 12
"""Tokens of an answer."""

Requests = Mapping[str, str]
"""What to ask, by custom id."""


class BatchAPI(Protocol):
    """A provider that answers many requests some time within a day."""

    def submit(self, requests: Requests, name: str) -> str:
        """Begin a batch and return its id; the name is for whoever looks for it later."""
        ...

    def find(self, requests: Requests, name: str) -> str | None:
        """Return the id of the batch that was begun under a name, if there is one.

        Nobody asks before the request that began it has left, but it may not have arrived yet.
        """
        ...

    def results(self, batch_id: str) -> Iterator[tuple[str, str]]:
        """Wait for the end of a batch; yield the custom id and the text of each good answer."""
        ...

    def count(self) -> int:
        """Return how many batches there are."""
        ...


@dataclass(frozen=True)
class OpenAIBatches:
    """A file of requests, which carries the batch's name as metadata.

    Args:
        pause: Waits between two looks at a batch, and before one is looked for.
    """

    client: OpenAI
    pause: Callable[[], None] = lambda: time.sleep(60)

    def submit(self, requests: Requests, name: str) -> str:
        """Upload the requests and begin."""
        lines = [
            {
                "custom_id": custom_id,
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": {
                    "model": MODEL,
                    "messages": [{"role": "user", "content": question}],
                    "max_tokens": LENGTH,
                },
            }
            for custom_id, question in requests.items()
        ]
        content = "".join(json.dumps(line) + "\n" for line in lines).encode()
        file = self.client.files.create(file=("requests.jsonl", content), purpose="batch")
        batch = self.client.batches.create(
            input_file_id=file.id,
            endpoint="/v1/chat/completions",
            completion_window="24h",
            metadata={"name": name},
        )
        return batch.id

    def find(self, requests: Requests, name: str) -> str | None:  # noqa: ARG002 - the name will do
        """Look for the name among the metadata of all batches."""
        self.pause()  # for a request that may still be on its way
        batches = self.client.batches.list()
        return next((b.id for b in batches if b.metadata and b.metadata.get("name") == name), None)

    def results(self, batch_id: str) -> Iterator[tuple[str, str]]:
        """Read the output file."""
        while (batch := self.client.batches.retrieve(batch_id)).status in {
            "validating",
            "in_progress",
            "finalizing",
            "cancelling",
        }:
            self.pause()
        if batch.output_file_id:
            for line in self.client.files.content(batch.output_file_id).iter_lines():
                result = json.loads(line)
                # OpenAI has another file for errors; not all who speak its language do.
                if (result["response"] or {}).get("status_code") == HTTPStatus.OK:
                    message = result["response"]["body"]["choices"][0]["message"]
                    yield result["custom_id"], message["content"] or ""

    def count(self) -> int:
        """Count all pages of the list."""
        return sum(1 for _ in self.client.batches.list())


@dataclass(frozen=True)
class AnthropicBatches:
    """A list of requests; nothing but their custom ids tells one batch from another.

    So each ends in the batch's name, which makes two hashes of 32 and 16 digits 49 characters: up
    to 64 letters, digits, `_` and `-` are permitted.

    Args:
        pause: Waits between two looks at a batch, and before one is looked for.
    """

    client: Anthropic
    pause: Callable[[], None] = lambda: time.sleep(60)

    def submit(self, requests: Requests, name: str) -> str:
        """Send the requests and begin."""
        batch = self.client.messages.batches.create(
            requests=[
                Request(
                    custom_id=f"{custom_id}-{name}",
                    params={
                        "model": MODEL,
                        "messages": [{"role": "user", "content": question}],
                        "max_tokens": LENGTH,
                    },
                )
                for custom_id, question in requests.items()
            ]
        )
        return batch.id

    def find(self, requests: Requests, name: str) -> str | None:
        """Look for the name in all batches of this size whose results are still kept."""
        self.pause()  # for a request that may still be on its way
        for batch in self.client.messages.batches.list():
            size = sum(batch.request_counts.model_dump().values())
            if size == len(requests) and not batch.archived_at and self._name(batch.id) == name:
                return batch.id
        return None

    def results(self, batch_id: str) -> Iterator[tuple[str, str]]:
        """Read the results that succeeded."""
        for result in self._ended(batch_id):
            if result.result.type == "succeeded":
                content = result.result.message.content
                text = "".join(block.text for block in content if block.type == "text")
                yield result.custom_id.partition("-")[0], text

    def count(self) -> int:
        """Count all pages of the list."""
        return sum(1 for _ in self.client.messages.batches.list())

    def _name(self, batch_id: str) -> str:
        with closing(self._ended(batch_id)) as results:
            return str(next(results).custom_id).rpartition("-")[2]

    def _ended(self, batch_id: str) -> Any:
        # Until it has ended a batch does not say what it is about.
        batches = self.client.messages.batches
        while batches.retrieve(batch_id).processing_status != "ended":
            self.pause()
        return batches.results(batch_id)
