"""Documents to chunks to embeddings to summaries, killed wherever you like, and then a question.

Run it from the project's root: `python -m examples.batch_rag`. Stop it with Ctrl-C or `kill -9` and
run it again: what a model has answered is in a SQLite file, and is never asked for again.
It exits with 0 when it has answered, with 2 if it cannot begin or go on, and with 130 after Ctrl-C.
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from openai import OpenAI, OpenAIError
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion

from examples.local_llm import MODEL_NAME, LocalLLM
from idemkit import Idempotency, StoreError, idempotent, llm
from idemkit.batch import Progress

DONE, REFUSED, INTERRUPTED = 0, 2, 130
DOCUMENTS, PARAGRAPHS, WORDS = 12, 6, 40
