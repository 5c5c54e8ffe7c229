"""A process of acts 3 and 5: prints each result as a line of JSON, if it lives long enough."""

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import ParamSpec

from . import app, shop
from .guard import guard

P = ParamSpec("P")


def main() -> None:
    """Do what the command line says, guarded if there is a namespace to do so in."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--namespace", help="where the records of this demo are; none: no guard")
    parser.add_argument("--order", help="which order to place; none: summarize all documents")
    options = parser.parse_args()
    for result in results(options.order, namespace=options.namespace):
        print(json.dumps(result), flush=True)


def results(order: str | None, *, namespace: str | None) -> Iterator[str]:
    """Place an order or summarize all documents; yield the results as they come."""
    if order is None:
        yield from app.summaries(guarded(app.summarize, namespace))
    else:
        yield guarded(shop.place, namespace)(order)


def guarded(function: Callable[P, str], namespace: str | None) -> Callable[P, str]:
    """Return the function, guarded if there is a namespace to do so in."""
    # The store is the one in $IDEMKIT_STORE.
    return function if namespace is None else guard(namespace=namespace).idempotent(function)


if __name__ == "__main__":
    # Ctrl-C reaches both processes, and the other one says so.
    with suppress(KeyboardInterrupt):
        main()
