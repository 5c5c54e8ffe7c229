"""Instructor, through the clients of OpenAI that it patches."""

from typing import Any

import instructor

from examples.local_llm import MODEL_NAME
from tests.sdks.packages.openai import HTTP, File, connect
from tests.sdks.talks import MESSAGES, Ask, Package, Site

__all__ = ["ASKS"]


def _connect(site: Site) -> Any:
    return instructor.from_openai(connect(site))


INSTRUCTOR = Package("instructor", HTTP, _connect, close=lambda client: client.client.close())
ASKS = [
    Ask(
        INSTRUCTOR,
        "create",
        lambda client: client.create(
            response_model=File, model=MODEL_NAME, messages=MESSAGES, max_retries=0
        ),
    ),
]
