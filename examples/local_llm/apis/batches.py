"""Batches: OpenAI's endpoints that execute the requests of a file."""

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import cast
from uuid import uuid4

from ..dialects import OPENAI
from ..errors import ApiError, Json, told
from ..fields import Fields
from ..jobs import Job, Jobs
from ..replies import Reply, document
from ..routes import Call, Route
from .files import Files
from .offline import Endpoint, ask
from .paging import page

__all__ = ["Batches"]

_DAY = 86_400
_FIELDS = frozenset(
    {"input_file_id", "endpoint", "completion_window", "metadata", "output_expires_after"}
)
_LINE = frozenset({"custom_id", "method", "url", "body"})
_MOMENTS = (
    "in_progress_at",
    "finalizing_at",
    "completed_at",
    "failed_at",
    "expired_at",
    "cancelling_at",
    "cancelled_at",
)


@dataclass(slots=True)
class _Batch:
    """A batch and, unless its file was bad, the job that executes it."""

    card: Json
    job: Job[Json, Json] | None = field(default=None)


class Batches:
    """The endpoints, and the batches.

    Args:
        files: where batches are read from and written to.
        jobs: executes them.
        endpoints: what a batch can ask, by path.
    """

    def __init__(self, files: Files, jobs: Jobs, endpoints: Mapping[str, Endpoint]) -> None:
        """Start with none."""
        self._files = files
        self._jobs = jobs
        self._endpoints = endpoints
        self._batches: dict[str, _Batch] = {}

    def routes(self) -> list[Route]:
        """Return where the endpoints are."""
        return [
            Route("POST", "/v1/batches", self._create),
            Route("GET", "/v1/batches", self._list),
            Route("GET", "/v1/batches/{id}", self._retrieve),
            Route("POST", "/v1/batches/{id}/cancel", self._cancel),
        ]

    def _create(self, call: Call) -> Reply:
        fields = Fields(call.json())
        fields.allow(_FIELDS)
        endpoint = fields.one_of("endpoint", self._endpoints)
        fields.one_of("completion_window", {"24h"})
        source = self._files.find(fields.text("input_file_id"))
        batch = _Batch(_card(fields))
        self._batches[str(batch.card["id"])] = batch
        lines, errors = _parse(source.content, endpoint)
        if errors:
            failed = {"status": "failed", "failed_at": _now()}
            batch.card |= {**failed, "errors": {"object": "list", "data": errors}}
            return document(batch.card)
        self._count(batch, [], len(lines))
        accepted = document(batch.card)
        batch.card |= {"status": "in_progress", "in_progress_at": _now()}
        batch.job = self._jobs.begin(lines, self._execute, finish=partial(self._finish, batch))
        return accepted

    def _execute(self, line: Json) -> Json:
        try:
            status, body = 200, ask(self._endpoints[str(line["url"])], line["body"])
        except Exception as error:  # noqa: BLE001 - a defect is answered too
            refused = told(error)
            status, body = refused.status, OPENAI.body(refused)
        response = {"status_code": status, "request_id": f"req_{uuid4().hex}", "body": body}
        name = f"batch_req_{uuid4().hex}"
        return {"id": name, "custom_id": line["custom_id"], "response": response, "error": None}

    def _finish(self, batch: _Batch, job: Job[Json, Json]) -> None:
        for name, good in (("output_file_id", True), ("error_file_id", False)):
            lines = [line for line in job.results if _succeeded(line) is good]
            if lines:
                text = "".join(json.dumps(line) + "\n" for line in lines).encode()
                title = f"{batch.card['id']}_{name}.jsonl"
                stored = self._files.add(text, filename=title, purpose="batch_output")
                batch.card |= {name: stored["id"]}
        self._count(batch, job.results, len(job.items))
        status = "cancelled" if len(job.results) < len(job.items) else "completed"
        batch.card |= {"finalizing_at": _now(), f"{status}_at": _now(), "status": status}

    def _count(self, batch: _Batch, results: list[Json], total: int) -> None:
        good = sum(map(_succeeded, results))
        counts = {"total": total, "completed": good, "failed": len(results) - good}
        batch.card |= {"request_counts": counts}

    def _list(self, call: Call) -> Reply:
        batches = [self._shown(batch) for batch in reversed([*self._batches.values()])]
        return document(page(batches, call.query))

    def _retrieve(self, call: Call) -> Reply:
        batch = self._find(call)
        if batch.job:
            batch.job.poll()
        return document(self._shown(batch))

    def _shown(self, batch: _Batch) -> Json:
        if batch.job is None or batch.job.ended.is_set():
            return batch.card
        self._count(batch, batch.job.results, len(batch.job.items))
        # Said here and not kept, so that it cannot overwrite an end that comes meanwhile.
        return batch.card | ({"status": "cancelling"} if batch.job.canceled.is_set() else {})

    def _cancel(self, call: Call) -> Reply:
        batch = self._find(call)
        if batch.job is None or batch.job.ended.is_set():
            message = f"Cannot cancel a batch with status '{batch.card['status']}'."
            raise ApiError(message, status=409, code="batch_ended")
        batch.card |= {"cancelling_at": _now()}
        batch.job.cancel()
        return document(self._shown(batch))

    def _find(self, call: Call) -> _Batch:
        name = call.names["id"]
        if name not in self._batches:
            raise ApiError(f"No batch found with id '{name}'.", status=404, param="batch_id")
        return self._batches[name]


def _card(fields: Fields) -> Json:
    fields.members("metadata")
    return {
        "id": f"batch_{uuid4().hex}",
        "object": "batch",
        "endpoint": fields.text("endpoint"),
        "input_file_id": fields.text("input_file_id"),
        "completion_window": fields.text("completion_window"),
        "status": "validating",
        "created_at": _now(),
        "expires_at": _now() + _DAY,
        "errors": None,
        "output_file_id": None,
        "error_file_id": None,
        "metadata": fields.get("metadata"),
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        **dict.fromkeys(_MOMENTS),
    }


def _parse(content: bytes, endpoint: str) -> tuple[list[Json], list[Json]]:
    lines: dict[str, Json] = {}
    errors: list[Json] = []
    for number, text in enumerate(content.splitlines(), 1):
        try:
            line = json.loads(text)
            lines[_name(line, endpoint, taken=lines)] = line
        except ValueError as error:
            errors.append(_error("invalid_json_line", str(error), number))
        except ApiError as error:
            errors.append(_error("invalid_request", error.message, number, error.param))
    if not content.strip():
        errors.append(_error("empty_file", "The file holds no request.", None))
    return [*lines.values()], errors


def _name(line: object, endpoint: str, *, taken: Collection[str]) -> str:
    fields = Fields(line)
    fields.allow(_LINE)
    fields.one_of("method", {"POST"})
    fields.one_of("url", {endpoint})
    fields.members("body")
    name = fields.text("custom_id")
    if name in taken:
        fields.refuse("custom_id", "must be unique")
    return name


def _error(code: str, message: str, line: int | None, param: str | None = None) -> Json:
    return {"code": code, "message": message, "line": line, "param": param}


def _succeeded(line: Json) -> bool:
    response = cast("Json", line["response"])
    return response["status_code"] == 200  # noqa: PLR2004 - what HTTP calls good


def _now() -> int:
    return int(time.time())
