"""The life of the local model's server: its meter, its pace, its defects and its end."""

import http.client
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from examples.local_llm import LocalLLM, Stats
from examples.local_llm.__main__ import main
from examples.local_llm.model import NgramModel, stdlib_model
from tests.examples.local_llm_client import (
    CHAT,
    address,
    ask,
    call,
    connect,
    error,
    question,
    stream,
)

ROOT = Path(__file__).parents[2]


def test_meter_counts_what_was_computed() -> None:
    """The meter is the sum of all usage, streamed or not, and refusals cost nothing."""
    with LocalLLM(tokens_per_second=0) as llm:
        usages = [ask(llm, n=2)["usage"]]
        usages.append(stream(llm, stream_options={"include_usage": True})[-1]["usage"])
        call(llm, "POST", CHAT, question(temperature=9))
    expected = Stats(
        inferences=2,
        prompt_tokens=sum(usage["prompt_tokens"] for usage in usages),
        completion_tokens=sum(usage["completion_tokens"] for usage in usages),
        requests={f"POST {CHAT}": 3},
    )
    assert expected == llm.stats()


class BrokenModel(NgramModel):
    """A model with a defect."""

    def logprobs(self, context: Sequence[int]) -> dict[int, float]:
        """Fail."""
        raise ZeroDivisionError(context)


def test_defect_is_no_traceback_for_the_client(caplog: pytest.LogCaptureFixture) -> None:
    """A defect is a plain 500 to the client and a logged exception to the operator."""
    model = replace(stdlib_model(), ngrams=BrokenModel([[1]]))
    with LocalLLM(model=model) as llm:
        response, body = call(llm, "POST", CHAT, question())
    logged = [record.exc_info[0] for record in caplog.records if record.exc_info]
    said = (response.status, error(body)["message"], logged)
    assert (500, "The server had an error.", [ZeroDivisionError]) == said


def test_client_may_leave_mid_stream(capfd: pytest.CaptureFixture[str]) -> None:
    """A client that hangs up is no event: nothing is printed, and the server stops cleanly."""
    with LocalLLM(tokens_per_second=200) as llm:
        body = question(stream=True, n=8, min_tokens=60)
        head = f"POST {CHAT} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection(address(llm), timeout=20) as connection:
            connection.sendall(head.encode() + body)
            connection.recv(1000)
    assert ("", "") == capfd.readouterr()


def test_client_may_leave_mid_request(caplog: pytest.LogCaptureFixture) -> None:
    """A client that is gone before its request is complete is no defect of the server."""
    with LocalLLM(tokens_per_second=0) as llm:
        with socket.create_connection(address(llm), timeout=20) as connection:
            # Lingering for zero seconds makes close() a reset.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(f"POST {CHAT} HTTP/1.1\r\nContent-Length: 9\r\n\r\n{{".encode())
        assert 200 == call(llm, "GET", "/health")[0].status
    assert [] == [record for record in caplog.records if record.exc_info]


def test_leaving_client_saves_inference() -> None:
    """What a client that left will not read is not computed."""
    with LocalLLM(tokens_per_second=200) as llm:
        body = question(stream=True, max_tokens=1000, min_tokens=1000)
        with connect(llm) as connection:
            connection.request("POST", CHAT, body)
            connection.getresponse().read(1000)
    assert llm.stats().completion_tokens < 1000


def test_pace_is_kept() -> None:
    """An answer takes as long as its tokens take at the simulated speed."""
    with LocalLLM(tokens_per_second=100) as llm:
        begin = time.monotonic()
        ask(llm, max_tokens=10, min_tokens=10)
        assert time.monotonic() - begin >= 0.1


def test_stop_finishes_answers_under_way() -> None:
    """An answer that would take an hour is finished, whole and at once, when the server stops."""
    replies: list[Any] = []
    with LocalLLM(tokens_per_second=0.1) as llm:
        settings = {"min_tokens": 30, "max_tokens": 30}
        client = threading.Thread(target=lambda: replies.append(ask(llm, **settings)))
        client.start()
        while not llm.stats().completion_tokens:
            time.sleep(0.001)
    client.join()
    assert [30] == [reply["usage"]["completion_tokens"] for reply in replies]


def test_stop_ends_idle_connections() -> None:
    """A connection that waits for a next request is closed, not waited for."""
    with LocalLLM(tokens_per_second=0) as llm:
        connection = http.client.HTTPConnection(*address(llm), timeout=20)
        connection.request("GET", "/health")
        connection.getresponse().read()
    with closing(connection):
        assert b"" == connection.sock.recv(1)


def test_stop_leaves_no_thread() -> None:
    """Before and after a server's life the same threads run."""
    before = set(threading.enumerate())
    with LocalLLM(tokens_per_second=0) as llm:
        ask(llm)
    assert before == set(threading.enumerate())


def test_stop_frees_the_port() -> None:
    """After the block nobody listens."""
    with LocalLLM(tokens_per_second=0) as llm:
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address(llm), timeout=20)


def test_command_line_serves_until_terminated() -> None:
    """The program prints its address, answers there, and ends well when told to."""
    command = [
        sys.executable,
        "-m",
        "examples.local_llm",
        "--port",
        "0",
        "--tokens-per-second",
        "0",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        base_url = process.stdout.readline().split()[3]
        with urllib.request.urlopen(f"{base_url}/models") as response:  # noqa: S310 - loopback
            status = response.status
        process.send_signal(signal.SIGTERM)
        ended = (process.stdout.read(), process.wait())
    assert (200, ("0 inferences, 0 tokens\n", 0)) == (status, ended)


@pytest.mark.parametrize("speed", ["-1", "nan", "fast"])
def test_command_line_refuses_bad_speed(speed: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A speed that is none is refused before anything is built."""
    with pytest.raises(SystemExit):
        main([f"--tokens-per-second={speed}"])
    assert "--tokens-per-second: must be a number, 0 or more" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_command_line_refuses_bad_port(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A port that is none is refused with the range of those that are."""
    with pytest.raises(SystemExit):
        main([f"--port={port}"])
    assert "--port: must be a number from 0 to 65535" in capsys.readouterr().err


def test_command_line_refuses_taken_port() -> None:
    """A port that somebody else has is refused with a line that names it."""
    with LocalLLM() as llm:
        port = llm.url.rpartition(":")[2]
        command = [sys.executable, "-m", "examples.local_llm", "--port", port]
        ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (2, "", 1) == (ended.returncode, ended.stdout, ended.stderr.count(f"port {port}: "))
    assert "Traceback" not in ended.stderr
