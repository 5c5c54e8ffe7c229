"""The demo: what repeated calls of a language model cost, without idemkit and with it.

Run it from the project's root: `pip install ".[demo]" && python examples/demo.py`.
It exits with 0 if everything it promises held, with 1 if not, and with 2 if it could not begin.
"""

import argparse
import sys
from collections.abc import Sequence

HELD, BROKEN, REFUSED, INTERRUPTED = 0, 1, 2, 130
INSTALL = 'pip install ".[demo]"'


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the demo and return the exit code."""
    options = parser().parse_args(arguments)
    try:
        # Imported late, so that --help and a helpful refusal need nothing installed.
        from demo_acts import play  # noqa: PLC0415
    except ModuleNotFoundError as error:
        return refuse(f"the module {error.name!r} is missing; from the project's root: {INSTALL}")
    return perform(play, options.store)


def perform(play, store: str) -> int:  # noqa: ANN001 - typed where it is defined
    """Play on one store; what stands in the way is said in a line."""
    from idemkit import StoreError  # noqa: PLC0415 - `play` has imported it

    try:
        broken = play(store)
    except ModuleNotFoundError as error:
        return refuse(f"{store.partition(':')[0]}:// needs {error.name}: {INSTALL}")
    except ValueError as error:
        return refuse(str(error))
    except StoreError as error:
        return refuse(f"{error.args[0]}; is a server running there?")
    except KeyboardInterrupt:
        return INTERRUPTED
    return BROKEN if broken else HELD


def parser() -> argparse.ArgumentParser:
    """Return what the command line may say."""
    described = argparse.ArgumentParser(
        prog="demo.py", description="Repeated calls of a language model, without idemkit and with."
    )
    described.add_argument(
        "--store",
        default="memory://",
        metavar="URL",
        help="where idemkit keeps its records: memory:// (default), or redis://localhost:6379/0",
    )
    return described


def refuse(message: str) -> int:
    """Say why the demo cannot begin."""
    print(f"demo.py: {message}", file=sys.stderr)
    return REFUSED


if __name__ == "__main__":
    sys.exit(main())
