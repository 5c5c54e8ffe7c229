"""Files and batches, which exist twice if they are sent twice."""

from typing import Any

import pytest

from examples.local_llm import LocalLLM, Slow
from tests.sdks.conftest import Open
from tests.sdks.packages import ASKS
from tests.sdks.talks import Ask, Colour

LINE = b'{"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {}}\n'


def openai_file(client: Any) -> Any:
    """Upload a file, whose multipart boundary is another in each attempt."""
    return client.files.create(file=("lines.jsonl", LINE), purpose="batch")


def openai_batch(client: Any) -> Any:
    """Create a batch of a file that was uploaded."""
    return client.batches.create(
        input_file_id="file-1", endpoint="/v1/chat/completions", completion_window="24h"
    )
