"""The command line: `python -m examples.local_llm` serves until it is interrupted."""

import argparse
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from threading import Event

from .model import MODEL_NAME
from .server import LocalLLM

__all__ = ["main"]

_HIGHEST_PORT = 65_535


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGINT or SIGTERM, then say what was computed."""
    parser = _parser()
    options = parser.parse_args(arguments)
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, partial(_set, stop))
    try:
        server = LocalLLM(port=options.port, tokens_per_second=options.tokens_per_second)
    except OSError as error:
        parser.error(f"port {options.port}: {error.strerror}")
    with server as llm:
        _say(f"{MODEL_NAME} answers at {llm.base_url} (Ctrl-C stops it)")
        stop.wait()
    stats = llm.stats()
    _say(f"{stats.inferences} inferences, {stats.total_tokens} tokens")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m examples.local_llm",
        description="Serve a small language model to clients of OpenAI, Anthropic, Gemini, Ollama.",
    )
    parser.add_argument(
        "--port", type=_port, default=0, metavar="N", help="0 takes a free port (default)"
    )
    parser.add_argument(
        "--tokens-per-second",
        type=_speed,
        default=400.0,
        metavar="N",
        help="simulated speed of each answer; 0 is full speed (default 400)",
    )
    return parser


def _port(text: str) -> int:
    if not (text.isdecimal() and int(text) <= _HIGHEST_PORT):
        raise argparse.ArgumentTypeError(f"must be a number from 0 to {_HIGHEST_PORT}")
    return int(text)


def _speed(text: str) -> float:
    with suppress(ValueError):
        if 0 <= (speed := float(text)) <= sys.float_info.max:
            return speed
    raise argparse.ArgumentTypeError("must be a number, 0 or more")


def _set(stop: Event, *_: object) -> None:
    stop.set()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
