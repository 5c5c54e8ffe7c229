"""One chat in six web frameworks: it streams what a model says, and asks and bills once per key.

Start the model with `python -m examples.local_llm --port 8123`, and one of the apps as its first
lines say. Then ask, and ask again, or press Ctrl-C half-way and ask again:

    curl --no-buffer http://127.0.0.1:8000/chat --json '{"prompt": "What is a codec?"}' \
        --header 'Idempotency-Key: my-first-question'

The environment says where things are: `$MODEL_URL` the model, `$IDEMKIT_STORE` the records, `$BILL`
the bill.
"""

from .model import answer, idem

__all__ = ["answer", "idem"]
