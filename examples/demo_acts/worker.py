"""The process of act 3: prints each summary as a line of JSON, if it lives long enough."""

import argparse
import json
from contextlib import suppress

from . import app
from .guard import guard


def main() -> None:
    """Summarize all documents, guarded if there is a namespace to do so in."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--namespace", help="where the records of this demo are; none: no guard")
    namespace = parser.parse_args().namespace
    summarize = app.summarize
    if namespace is not None:
        # The store is the one in $IDEMKIT_STORE.
        summarize = guard(namespace=namespace).idempotent(app.summarize)
    for summary in app.summaries(summarize):
        print(json.dumps(summary), flush=True)


if __name__ == "__main__":
    # Ctrl-C reaches both processes, and the other one says so.
    with suppress(KeyboardInterrupt):
        main()
