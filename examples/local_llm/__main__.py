"""The command line: `python -m examples.local_llm` serves until it is interrupted."""

import argparse
import signal
import sys
from collections.abc import Sequence
from functools import partial
from threading import Event

from .model import MODEL_NAME
from .server import LocalLLM

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGINT or SIGTERM, then say what was computed."""
    options = _parser().parse_args(arguments)
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, partial(_set, stop))
    with LocalLLM(port=options.port, tokens_per_second=options.tokens_per_second) as llm:
        _say(f"{MODEL_NAME} answers at {llm.base_url} (Ctrl-C stops it)")
        stop.wait()
    stats = llm.stats()
    _say(f"{stats.inferences} inferences, {stats.total_tokens} tokens")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="local_llm", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port (default)")
    parser.add_argument(
        "--tokens-per-second",
        type=_speed,
        default=400.0,
        metavar="N",
        help="simulated speed of each answer; 0 is full speed (default 400)",
    )
    return parser


def _speed(text: str) -> float:
    speed = float(text)
    if not 0 <= speed <= sys.float_info.max:
        message = "must be 0 or more"
        raise argparse.ArgumentTypeError(message)
    return speed


def _set(stop: Event, *_: object) -> None:
    stop.set()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
